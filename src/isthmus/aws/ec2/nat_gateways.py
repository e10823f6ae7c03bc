"""NAT gateways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.errors import AwsError
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import addresses, nat, networks
from isthmus.core.addresses import association_id
from isthmus.core.kept import Kept

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        CreateNatGatewayRequestTypeDef,
        DeleteNatGatewayRequestTypeDef,
        DescribeNatGatewaysRequestTypeDef,
    )

_ONE = "A NAT gateway has one address here; make another gateway."
_ZONAL = "A NAT gateway is in one subnet."
_BROKEN = "Network interface {}, created and used internally by this NAT gateway, is in an invalid state."


@ec2.listing("DescribeNatGateways", key="NatGatewayId")
def describe_nat_gateways(cx: Context, req: DescribeNatGatewaysRequestTypeDef) -> Iterator[Mapping[str, Any]]:
    return (_gateway(cx, one) for one in nat.find(cx, req.get("NatGatewayIds")))


@ec2.action(
    "CreateNatGateway",
    makes=["natgateway"],
    refuses={
        "SecondaryAllocationIds": _ONE,
        "SecondaryPrivateIpAddresses": _ONE,
        "SecondaryPrivateIpAddressCount": _ONE,
        "VpcId": _ZONAL,
        "AvailabilityZoneAddresses": _ZONAL,
    },
)
def create_nat_gateway(cx: Context, req: CreateNatGatewayRequestTypeDef) -> Mapping[str, Any]:
    if req.get("AvailabilityMode", "zonal") != "zonal":
        raise AwsError("UnsupportedOperation", _ZONAL)
    if "SubnetId" not in req:
        raise AwsError("MissingParameter", "The request must contain the parameter subnetId")
    kind, allocation = req.get("ConnectivityType", "public"), req.get("AllocationId", "")
    if kind not in ("public", "private"):
        raise AwsError("InvalidParameterValue", f"Invalid value '{kind}' for connectivityType.")
    subnet = networks.one_subnet(cx, req["SubnetId"])
    address = addresses.one(cx, allocation) if allocation else None
    if kind == "public" and address is None:
        raise AwsError("MissingParameter", "The request must contain the parameter allocationId")
    if kind == "private" and address:
        raise AwsError("InvalidParameterCombination", "A private NAT gateway has no allocationId.")
    made = nat.create(cx, subnet, address, req.get("PrivateIpAddress", ""))
    answer: dict[str, Any] = {"NatGateway": {**_gateway(cx, made), "State": "pending"}}
    return {**answer, "ClientToken": cx.token} if cx.token else answer


@ec2.action("DeleteNatGateway")
def delete_nat_gateway(cx: Context, req: DeleteNatGatewayRequestTypeDef) -> Mapping[str, Any]:
    return {"NatGatewayId": nat.delete(cx, req["NatGatewayId"]).id}


def _gateway(cx: Context, one: Kept) -> dict[str, Any]:
    """A NatGateway of the model."""
    state = nat.state(cx, one)
    said: dict[str, Any] = {
        "NatGatewayId": one.id,
        "VpcId": one.data["network"],
        "SubnetId": one.data["subnet"],
        "State": state,
        "CreateTime": one.created,
        "ConnectivityType": "public" if one.data["address"] else "private",
        "NatGatewayAddresses": [_address(cx, one)],
        "Tags": tag_set(one.tags),
    }
    if state == nat.FAILED:
        said |= {"FailureCode": "InternalError", "FailureMessage": _BROKEN.format(one.data["port"])}
    return {**said, "DeleteTime": one.gone} if one.gone else said


def _address(cx: Context, one: Kept) -> dict[str, Any]:
    """A NatGatewayAddress; of a deleted gateway, what it was."""
    said: dict[str, Any] = {"NetworkInterfaceId": one.data["port"], "IsPrimary": True, "Status": "succeeded"}
    port, address = (None, None) if one.gone else (nat.port_of(cx, one), nat.address_of(cx, one))
    if private := port.noun.address if port else one.data.get("private"):
        said["PrivateIp"] = private
    if one.data["address"]:
        said["AllocationId"] = one.data["address"]
        if public := address.noun.address if address else one.data.get("public"):
            said["PublicIp"] = public
        if address:
            said["AssociationId"] = association_id(address)
    return said
