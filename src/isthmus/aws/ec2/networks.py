"""VPCs and subnets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.errors import AwsError
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import networks
from isthmus.core.ids import Kind
from isthmus.core.registry import Found, find
from isthmus.model import Network, Subnet

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        DescribeSubnetsRequestTypeDef,
        DescribeVpcAttributeRequestTypeDef,
        DescribeVpcsRequestTypeDef,
    )

# attribute -> the member of the answer and its value: guests find a name server, but have no public names
_ATTRIBUTES = {
    "enableDnsSupport": ("EnableDnsSupport", True),
    "enableDnsHostnames": ("EnableDnsHostnames", False),
    "enableNetworkAddressUsageMetrics": ("EnableNetworkAddressUsageMetrics", False),
}


@ec2.listing("DescribeVpcs", key="VpcId", exclusive="VpcIds")
def describe_vpcs(cx: Context, req: DescribeVpcsRequestTypeDef) -> Iterator[Mapping[str, Any]]:
    for found in find(networks.networks(cx), Kind.NETWORK, req.get("VpcIds")):
        yield _vpc(cx, found)


@ec2.action("DescribeVpcAttribute")
def describe_vpc_attribute(cx: Context, req: DescribeVpcAttributeRequestTypeDef) -> Mapping[str, Any]:
    name = req["Attribute"]
    if name not in _ATTRIBUTES:
        raise AwsError("InvalidParameterValue", f"Value ({name}) for parameter attribute is invalid.")
    [found] = find(networks.networks(cx), Kind.NETWORK, [req["VpcId"]])
    member, value = _ATTRIBUTES[name]
    return {"VpcId": found.id, member: {"Value": value}}


@ec2.listing("DescribeSubnets", key="SubnetId", exclusive="SubnetIds")
def describe_subnets(cx: Context, req: DescribeSubnetsRequestTypeDef) -> Iterator[Mapping[str, Any]]:
    vpcs = networks.networks(cx)
    for found in find(networks.subnets(cx), Kind.SUBNET, req.get("SubnetIds")):
        yield _subnet(cx, found, vpcs.id_of(Kind.NETWORK, found.cloud, found.noun.network))


def _vpc(cx: Context, found: Found[Network]) -> dict[str, Any]:
    """A Vpc of the model."""
    network = found.noun
    block = {
        "AssociationId": "vpc-cidr-assoc" + found.id[found.id.index("-") :],
        "CidrBlock": network.cidr,
        "CidrBlockState": {"State": "associated"},
    }
    return {
        "VpcId": found.id,
        "OwnerId": cx.account,
        "State": "available",
        "CidrBlock": network.cidr,
        "CidrBlockAssociationSet": [block],
        "DhcpOptionsId": "default",
        "InstanceTenancy": "default",
        "IsDefault": network.default,
        "Tags": tag_set(found.tags),
    }


def _subnet(cx: Context, found: Found[Subnet], vpc: str) -> dict[str, Any]:
    """A Subnet of the model."""
    subnet = found.noun
    zone = cx.world.place_of(found.cloud, subnet.zone).zone
    return {
        "SubnetId": found.id,
        "SubnetArn": f"arn:aws:ec2:{cx.world.region}:{cx.account}:subnet/{found.id}",
        "VpcId": vpc,
        "OwnerId": cx.account,
        "State": "available",
        "CidrBlock": subnet.cidr,
        "AvailabilityZone": zone,
        "AvailabilityZoneId": cx.world.zone_id(zone),
        "AvailableIpAddressCount": subnet.free,
        "DefaultForAz": subnet.default,
        "MapPublicIpOnLaunch": False,
        "AssignIpv6AddressOnCreation": False,
        "MapCustomerOwnedIpOnLaunch": False,
        "EnableDns64": False,
        "Ipv6Native": False,
        "Ipv6CidrBlockAssociationSet": [],
        "PrivateDnsNameOptionsOnLaunch": {
            "HostnameType": "ip-name",
            "EnableResourceNameDnsARecord": False,
            "EnableResourceNameDnsAAAARecord": False,
        },
        "Tags": tag_set(found.tags),
    }
