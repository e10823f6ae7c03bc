"""Elastic IP addresses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.errors import AwsError
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import addresses, instances, ports
from isthmus.core.ids import Kind
from isthmus.core.registry import Found
from isthmus.errors import Conflict
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
    numbers = req.get("PublicIps", ())
    for number in numbers:
        addresses.at(cx, number)
    servers, interfaces = instances.index(cx).by_native, ports.index(cx)
    for found in addresses.find_addresses(cx, req.get("AllocationIds")):
        if not numbers or found.noun.address in numbers:
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
    _demand_group(cx, req)
    found = addresses.allocate(cx, req.get("Address", ""))
    return {
        "AllocationId": found.id,
        "PublicIp": found.noun.address,
        "Domain": "vpc",
        "PublicIpv4Pool": _POOL,
        "NetworkBorderGroup": cx.world.region,
    }


@ec2.action("ReleaseAddress")
def release_address(cx: Context, req: ReleaseAddressRequestTypeDef) -> Mapping[str, Any]:
    _demand_group(cx, req)
    addresses.release(cx, _address(cx, req))
    return {}


@ec2.action("AssociateAddress")
def associate_address(cx: Context, req: AssociateAddressRequestTypeDef) -> Mapping[str, Any]:
    found = _address(cx, req)
    port = _port(cx, req)
    private = req.get("PrivateIpAddress", "")
    if private and private not in port.noun.addresses:
        raise AwsError("InvalidParameterValue", f"The address {private} is not one of {port.id}.")
    after = addresses.associate(cx, found, port, private, again=req.get("AllowReassociation", True))
    return {"AssociationId": addresses.association_id(after)}


@ec2.action("DisassociateAddress")
def disassociate_address(cx: Context, req: DisassociateAddressRequestTypeDef) -> Mapping[str, Any]:
    if association := req.get("AssociationId"):
        found = addresses.associated(cx, association)
    elif number := req.get("PublicIp"):
        found = addresses.at(cx, number)
    else:
        raise AwsError("MissingParameter", "Either public IP or association id must be specified")
    if found.noun.port and ports.index(cx).by_native[found.cloud, found.noun.port].data.get("kind"):
        raise AwsError("OperationNotPermitted", f"The address {found.noun.address} is that of a NAT gateway.")
    addresses.disassociate(cx, found)
    return {}


def render(cx: Context, found: Found[Address], port: str, instance: str) -> dict[str, Any]:
    """An Address of the model, with the interface that answers it and the instance that has that."""
    said: dict[str, Any] = {
        "AllocationId": found.id,
        "PublicIp": found.noun.address,
        "Domain": "vpc",
        "PublicIpv4Pool": _POOL,
        "NetworkBorderGroup": cx.world.region,
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


def _demand_group(cx: Context, req: Mapping[str, Any]) -> None:
    if req.get("NetworkBorderGroup", cx.world.region) != cx.world.region:
        raise AwsError("InvalidParameterValue", "There is one network border group, the region.")


def _address(cx: Context, req: Mapping[str, Any]) -> Found[Address]:
    if allocation := req.get("AllocationId"):
        return addresses.one(cx, allocation)
    if number := req.get("PublicIp"):
        return addresses.at(cx, number)
    raise AwsError("MissingParameter", "Either allocation id or public IP must be specified")


def _port(cx: Context, req: AssociateAddressRequestTypeDef) -> Found[Port]:
    """The interface: the one that is named, or the first of the instance."""
    if known := req.get("InstanceId"):
        [one] = instances.pick(cx, [known])
        if one.server.state not in _THERE or not one.server.ports:
            raise Conflict(Kind.SERVER, one.id, f"The instance '{one.id}' is not in a valid state for this operation.")
        return ports.one(cx, ports.port_id(one.cloud, one.server.ports[0]))
    if wanted := req.get("NetworkInterfaceId"):
        return ports.one(cx, wanted)
    raise AwsError("MissingParameter", "Either instance ID or network interface id must be specified")


_THERE = frozenset({ServerState.PENDING, ServerState.RUNNING, ServerState.STOPPED, ServerState.STOPPING})
