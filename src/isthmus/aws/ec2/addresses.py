"""Elastic IP addresses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.instances import demand_one_interface
from isthmus.aws.errors import AwsError
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import addresses, instances, ports
from isthmus.core.ids import Kind
from isthmus.core.registry import Found
from isthmus.errors import Conflict, NotFound
from isthmus.model import Address, Port, ServerState

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        AllocateAddressRequestTypeDef,
        AssociateAddressRequestTypeDef,
        DescribeAddressesAttributeRequestTypeDef,
        DescribeAddressesRequestTypeDef,
        DisassociateAddressRequestTypeDef,
        ReleaseAddressRequestTypeDef,
    )

_NO_POOLS = "Addresses come from the cloud's own pool."
_POOL = "amazon"
"""What EC2 calls the provider's own pool."""


@ec2.listing("DescribeAddresses", key="AllocationId")
def describe_addresses(cx: Context, req: DescribeAddressesRequestTypeDef) -> Iterator[Mapping[str, Any]]:
    numbers, ids = req.get("PublicIps", ()), req.get("AllocationIds", ())
    wanted = {_at(cx, number).id for number in numbers} | {addresses.one(cx, known).id for known in ids}
    servers, interfaces = instances.index(cx).by_native, ports.index(cx)
    for found in addresses.find_addresses(cx):
        if found.id in wanted or not (numbers or ids):
            one = servers.get((found.cloud, found.noun.server))
            port = interfaces.id_of(Kind.PORT, found.cloud, found.noun.port)
            yield render(cx, found, port, one.id if one else "")


@ec2.listing("DescribeAddressesAttribute", key="AllocationId")
def describe_addresses_attribute(
    cx: Context, req: DescribeAddressesAttributeRequestTypeDef
) -> Iterator[Mapping[str, Any]]:
    """The only Attribute is the domain name of reverse lookups, which no address has here."""
    for found in addresses.find_addresses(cx, req.get("AllocationIds")):
        yield {"PublicIp": found.noun.address, "AllocationId": found.id}


@ec2.action(
    "AllocateAddress",
    makes=["elastic-ip"],
    refuses={"CustomerOwnedIpv4Pool": _NO_POOLS, "IpamPoolId": _NO_POOLS},
)
def allocate_address(cx: Context, req: AllocateAddressRequestTypeDef) -> Mapping[str, Any]:
    if req.get("Domain", "vpc") not in ("vpc", "standard"):
        raise AwsError("InvalidParameterValue", f"Invalid value '{req['Domain']}' for domain.")
    if req.get("PublicIpv4Pool", _POOL) != _POOL:
        raise AwsError("UnsupportedOperation", f"The parameter PublicIpv4Pool is not supported. {_NO_POOLS}")
    try:
        found = addresses.allocate(cx, req.get("Address", ""), req.get("NetworkBorderGroup", ""))
    except NotFound as fault:
        if fault.kind != "border":
            raise
        raise AwsError("InvalidParameterValue", f"There is no network border group {fault.native}.") from fault
    return {
        "AllocationId": found.id,
        "PublicIp": found.noun.address,
        "Domain": "vpc",
        "PublicIpv4Pool": _POOL,
        "NetworkBorderGroup": addresses.border_of(cx, found),
    }


@ec2.action("ReleaseAddress")
def release_address(cx: Context, req: ReleaseAddressRequestTypeDef) -> Mapping[str, Any]:
    allocation = _id_of(cx, req, "AllocationId", "an allocation id when releasing a VPC elastic IP address")
    found = addresses.one(cx, allocation)
    group = addresses.border_of(cx, found)
    if req.get("NetworkBorderGroup", group) != group:
        raise AwsError("InvalidParameterValue", f"The network border group of {allocation} is {group}.")
    addresses.release(cx, found)
    return {}


@ec2.action("AssociateAddress")
def associate_address(cx: Context, req: AssociateAddressRequestTypeDef) -> Mapping[str, Any]:
    found = _address(cx, req)
    addresses.demand_own(cx, found)
    port = _port(cx, req)
    private = req.get("PrivateIpAddress", "")
    if private and private not in port.noun.addresses:
        raise AwsError("InvalidParameterValue", f"The address {private} is not one of {port.id}.")
    after = addresses.associate(cx, found, port, private, again=req.get("AllowReassociation", True))
    return {"AssociationId": addresses.association_id(after)}


@ec2.action("DisassociateAddress")
def disassociate_address(cx: Context, req: DisassociateAddressRequestTypeDef) -> Mapping[str, Any]:
    wanted = "an association id when unmapping an address from a VPC instance"
    found = addresses.associated(cx, _id_of(cx, req, "AssociationId", wanted))
    addresses.demand_own(cx, found)
    addresses.disassociate(cx, found)
    return {}


def render(cx: Context, found: Found[Address], port: str, instance: str) -> dict[str, Any]:
    """An Address of the model, with the interface that answers it and the instance that has that."""
    said: dict[str, Any] = {
        "AllocationId": found.id,
        "PublicIp": found.noun.address,
        "Domain": "vpc",
        "PublicIpv4Pool": _POOL,
        "NetworkBorderGroup": addresses.border_of(cx, found),
    }
    if port:
        said |= {
            "AssociationId": addresses.association_id(found),
            "NetworkInterfaceId": port,
            "NetworkInterfaceOwnerId": cx.account,
            "PrivateIpAddress": found.noun.private,
        }
    if instance:
        said["InstanceId"] = instance
    return {**said, "Tags": tag_set(found.tags)} if found.tags else said


def _address(cx: Context, req: Mapping[str, Any]) -> Found[Address]:
    if allocation := req.get("AllocationId"):
        return addresses.one(cx, allocation)
    if number := req.get("PublicIp"):
        return _at(cx, number)
    raise AwsError("MissingParameter", "Either allocation id or public IP must be specified")


def _at(cx: Context, number: str) -> Found[Address]:
    """The address by its number. Raises AwsError for what is none."""
    try:
        IPv4Address(number)
    except ValueError:
        raise AwsError("InvalidParameterValue", f"Invalid value '{number[:128]}' for PublicIp.") from None
    return addresses.at(cx, number)


def _id_of(cx: Context, req: Mapping[str, Any], name: str, wanted: str) -> str:
    """The id of what is to be undone. Numbers served for that in EC2-Classic only: a VPC's address is told by ids."""
    known, number = req.get(name, ""), req.get("PublicIp", "")
    if known and number:
        raise AwsError("InvalidParameterCombination", f"You may specify PublicIp or {name}, but not both.")
    if not known and not number:
        raise AwsError("MissingParameter", f"You must specify {wanted}")
    if number:
        try:
            _at(cx, number)
        except NotFound:
            raise AwsError("AuthFailure", f"The address '{number}' does not belong to you.", 403) from None
        raise AwsError("InvalidParameterValue", f"You must specify {wanted}")
    return str(known)


def _port(cx: Context, req: AssociateAddressRequestTypeDef) -> Found[Port]:
    """The interface: the one that is named, or the only one of the instance."""
    if known := req.get("InstanceId"):
        [one] = instances.pick(cx, [known])
        if one.server.state not in _THERE or not one.server.ports:
            raise Conflict(Kind.SERVER, one.id, f"The instance '{one.id}' is not in a valid state for this operation.")
        demand_one_interface(one)
        return ports.one(cx, ports.port_id(one.cloud, one.server.ports[0]))
    if wanted := req.get("NetworkInterfaceId"):
        return ports.own(cx, wanted)
    raise AwsError("MissingParameter", "Either instance ID or network interface id must be specified")


_THERE = frozenset({ServerState.PENDING, ServerState.RUNNING, ServerState.STOPPED, ServerState.STOPPING})
