"""VPCs, their ranges and their attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.ranges import block
from isthmus.aws.errors import AwsError
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import defaults, dhcp, dismantle, networks, peerings
from isthmus.core.ids import Kind, adopt
from isthmus.core.notes import note
from isthmus.core.registry import Found, find
from isthmus.core.wiring import changing
from isthmus.model import Network

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        AssociateVpcCidrBlockRequestTypeDef,
        CreateDefaultVpcRequestTypeDef,
        CreateVpcRequestTypeDef,
        DeleteVpcRequestTypeDef,
        DescribeVpcAttributeRequestTypeDef,
        DescribeVpcsRequestTypeDef,
        DisassociateVpcCidrBlockRequestTypeDef,
        ModifyVpcAttributeRequestTypeDef,
    )

_NO_IPV6 = "Networks have IPv4 addresses only."
_NO_IPAM = "There is no address manager."
_REFUSES = {
    "AmazonProvidedIpv6CidrBlock": _NO_IPV6,
    "Ipv6CidrBlock": _NO_IPV6,
    "Ipv6Pool": _NO_IPV6,
    "Ipv6CidrBlockNetworkBorderGroup": _NO_IPV6,
    "Ipv6IpamPoolId": _NO_IPV6,
    "Ipv6NetmaskLength": _NO_IPV6,
    "Ipv4IpamPoolId": _NO_IPAM,
    "Ipv4NetmaskLength": _NO_IPAM,
}
# attribute -> the member of the answer and of a modification, the note that keeps it
_ATTRIBUTES = {
    "enableDnsSupport": ("EnableDnsSupport", "dns_support"),
    "enableDnsHostnames": ("EnableDnsHostnames", "dns_hostnames"),
    "enableNetworkAddressUsageMetrics": ("EnableNetworkAddressUsageMetrics", "usage_metrics"),
}


@ec2.listing("DescribeVpcs", key="VpcId", ordered=True, exclusive="VpcIds")
def describe_vpcs(cx: Context, req: DescribeVpcsRequestTypeDef) -> Iterator[Mapping[str, Any]]:
    for found in find(cx, networks.networks(cx), Kind.NETWORK, req.get("VpcIds")):
        yield render(cx, found)


@ec2.action(
    "CreateVpc", makes=["vpc"], refuses={**_REFUSES, "VpcEncryptionControl": "Traffic is not encrypted by the network."}
)
def create_vpc(cx: Context, req: CreateVpcRequestTypeDef) -> Mapping[str, Any]:
    if "CidrBlock" not in req:
        raise AwsError("MissingParameter", "The request must contain the parameter cidrBlock")
    if req.get("InstanceTenancy", "default") != "default":
        raise AwsError("UnsupportedOperation", "There are no dedicated hosts.")
    found = networks.create_network(cx, str(block(req["CidrBlock"], "InvalidVpc.Range")))
    return {"Vpc": {**render(cx, found), "State": "pending"}}


@ec2.action("CreateDefaultVpc")
def create_default_vpc(cx: Context, req: CreateDefaultVpcRequestTypeDef) -> Mapping[str, Any]:
    if any(found.noun.default for found in networks.networks(cx)):
        raise AwsError("DefaultVpcAlreadyExists", "A Default VPC already exists for this account in this region.")
    return {"Vpc": {**render(cx, defaults.create_network(cx)), "State": "pending"}}


@ec2.action("DeleteVpc")
def delete_vpc(cx: Context, req: DeleteVpcRequestTypeDef) -> Mapping[str, Any]:
    dismantle.delete_network(cx, networks.one_network(cx, req["VpcId"]))
    return {}


@ec2.action("DescribeVpcAttribute")
def describe_vpc_attribute(cx: Context, req: DescribeVpcAttributeRequestTypeDef) -> Mapping[str, Any]:
    name = req["Attribute"]
    if name not in _ATTRIBUTES:
        raise AwsError("InvalidParameterValue", f"Value ({name}) for parameter attribute is invalid.")
    found = networks.one_network(cx, req["VpcId"])
    member, kept = _ATTRIBUTES[name]
    return {"VpcId": found.id, member: {"Value": networks.setting(found, kept)}}


@ec2.action("ModifyVpcAttribute")
def modify_vpc_attribute(cx: Context, req: ModifyVpcAttributeRequestTypeDef) -> Mapping[str, Any]:
    found = networks.one_network(cx, req["VpcId"])
    said: Mapping[str, Any] = req
    wanted = {
        kept: said[member].get("Value", False) for member, kept in _ATTRIBUTES.values() if said.get(member) is not None
    }
    if len(wanted) != 1:
        raise AwsError("InvalidParameterCombination", "Exactly one attribute can be modified at a time.")
    if wanted.get("dns_hostnames") and not networks.setting(found, "dns_support"):
        message = "You may not enable DNS hostnames if DNS support is disabled for the VPC."
        raise AwsError("InvalidParameterCombination", message)
    with changing(cx, found.id):
        note(cx, Kind.NETWORK, found, **wanted)
    return {}


@ec2.action(
    "AssociateVpcCidrBlock",
    refuses=_REFUSES,
)
def associate_vpc_cidr_block(cx: Context, req: AssociateVpcCidrBlockRequestTypeDef) -> Mapping[str, Any]:
    found = networks.one_network(cx, req["VpcId"])
    if "CidrBlock" not in req:
        raise AwsError("MissingParameter", "The request must contain the parameter cidrBlock")
    wanted = str(block(req["CidrBlock"], "InvalidVpc.Range"))
    if wanted in found.noun.ranges:
        raise AwsError("InvalidVpc.Range", f"The CIDR '{wanted}' is already associated with '{found.id}'.")
    networks.add_range(cx, found, wanted, lambda: peerings.demand_apart(cx, found.id, wanted))
    said = _range(found, wanted)
    return {"VpcId": found.id, "CidrBlockAssociation": {**said, "CidrBlockState": {"State": "associating"}}}


@ec2.action("DisassociateVpcCidrBlock")
def disassociate_vpc_cidr_block(cx: Context, req: DisassociateVpcCidrBlockRequestTypeDef) -> Mapping[str, Any]:
    wanted = req["AssociationId"]
    for found in networks.networks(cx):
        for cidr in found.noun.ranges:
            said = _range(found, cidr)
            if said["AssociationId"] != wanted:
                continue
            if cidr == found.noun.cidr:
                message = (
                    f"The vpc CIDR block with association ID {wanted} may not be disassociated: it is the primary."
                )
                raise AwsError("OperationNotPermitted", message)
            networks.api(cx.session(found.cloud)).remove_range(found.noun.native, cidr)
            said["CidrBlockState"] = {"State": "disassociating"}
            return {"VpcId": found.id, "CidrBlockAssociation": said}
    message = f"The vpc CIDR block association ID '{wanted}' does not exist"
    raise AwsError("InvalidVpcCidrBlockAssociationIdError.NotFound", message)


def render(cx: Context, found: Found[Network]) -> dict[str, Any]:
    """A Vpc of the model."""
    return {
        "VpcId": found.id,
        "OwnerId": cx.account,
        "State": "available",
        "CidrBlock": found.noun.cidr,
        "CidrBlockAssociationSet": [_range(found, cidr) for cidr in found.noun.ranges],
        "DhcpOptionsId": dhcp.of_network(cx, found),
        "InstanceTenancy": "default",
        "IsDefault": found.noun.default,
        "Tags": tag_set(found.tags),
    }


def _range(found: Found[Network], cidr: str) -> dict[str, Any]:
    """A VpcCidrBlockAssociation."""
    known = adopt(Kind.RANGE, found.cloud, f"{found.id}\n{cidr}")
    return {"AssociationId": known, "CidrBlock": cidr, "CidrBlockState": {"State": "associated"}}
