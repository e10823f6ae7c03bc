"""Subnets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.launch import zone_of
from isthmus.aws.ec2.ranges import block
from isthmus.aws.errors import AwsError
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import defaults, networks, publics, wiring
from isthmus.core.ids import Kind
from isthmus.core.notes import note
from isthmus.core.registry import Found, find
from isthmus.model import Subnet

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        CreateDefaultSubnetRequestTypeDef,
        CreateSubnetRequestTypeDef,
        DeleteSubnetRequestTypeDef,
        DescribeSubnetsRequestTypeDef,
        ModifySubnetAttributeRequestTypeDef,
    )

_NO_IPV6 = "Subnets have IPv4 addresses only."
_NO_POOLS = "There is no address manager, and no outposts."
# what an attribute of a subnet may only be set to, since it cannot be otherwise here
_ONLY: Mapping[str, Any] = {
    "AssignIpv6AddressOnCreation": False,
    "MapCustomerOwnedIpOnLaunch": False,
    "EnableDns64": False,
    "PrivateDnsHostnameTypeOnLaunch": "ip-name",
    "EnableResourceNameDnsARecordOnLaunch": False,
    "EnableResourceNameDnsAAAARecordOnLaunch": False,
    "DisableLniAtDeviceIndex": False,
}


@ec2.listing("DescribeSubnets", key="SubnetId", ordered=True, exclusive="SubnetIds")
def describe_subnets(cx: Context, req: DescribeSubnetsRequestTypeDef) -> Iterator[Mapping[str, Any]]:
    vpcs = networks.networks(cx)
    for found in find(cx, networks.subnets(cx), Kind.SUBNET, req.get("SubnetIds")):
        yield render(cx, found, vpcs.id_of(Kind.NETWORK, found.cloud, found.noun.network))


@ec2.action(
    "CreateSubnet",
    makes=["subnet"],
    refuses={
        "Ipv6CidrBlock": _NO_IPV6,
        "Ipv6Native": _NO_IPV6,
        "Ipv6IpamPoolId": _NO_IPV6,
        "Ipv6NetmaskLength": _NO_IPV6,
        "OutpostArn": _NO_POOLS,
        "Ipv4IpamPoolId": _NO_POOLS,
        "Ipv4NetmaskLength": _NO_POOLS,
    },
)
def create_subnet(cx: Context, req: CreateSubnetRequestTypeDef) -> Mapping[str, Any]:
    vpc = networks.one_network(cx, req["VpcId"])
    if "CidrBlock" not in req:
        raise AwsError("MissingParameter", "The request must contain the parameter cidrBlock")
    cidr = block(req["CidrBlock"], "InvalidSubnet.Range")
    if not any(cidr.subnet_of(IPv4Network(one)) for one in vpc.noun.ranges):
        raise AwsError("InvalidSubnet.Range", f"The CIDR '{cidr}' is invalid.")
    if any(cidr.overlaps(IPv4Network(other.noun.cidr)) for other in networks.subnets_of(cx, vpc)):
        raise AwsError("InvalidSubnet.Conflict", f"The CIDR '{cidr}' conflicts with another subnet")
    found = networks.create_subnet(cx, vpc, str(cidr), zone_of(cx, req))
    wiring.settle(cx, vpc)
    return {"Subnet": {**render(cx, found, vpc.id), "State": "pending"}}


@ec2.action("CreateDefaultSubnet", refuses={"Ipv6Native": _NO_IPV6})
def create_default_subnet(cx: Context, req: CreateDefaultSubnetRequestTypeDef) -> Mapping[str, Any]:
    place = cx.place(zone_of(cx, req))
    defaulted = [one for one in networks.networks(cx) if one.noun.default and one.cloud == place.cloud]
    if not defaulted:
        raise AwsError("DefaultVpcDoesNotExist", "No default VPC exists for this account in this region.")
    for held in networks.subnets(cx):
        if held.noun.default and (held.cloud, held.noun.zone) == (place.cloud, place.native):
            message = f"'{held.id}' is already the default subnet in {place.zone}."
            raise AwsError("DefaultSubnetAlreadyExistsInAvailabilityZone", message)
    found = defaults.create_subnet(cx, defaulted[0], place.zone)
    return {"Subnet": {**render(cx, found, defaulted[0].id), "State": "pending"}}


@ec2.action("DeleteSubnet")
def delete_subnet(cx: Context, req: DeleteSubnetRequestTypeDef) -> Mapping[str, Any]:
    found = networks.one_subnet(cx, req["SubnetId"])
    within = networks.network_of(cx, found)
    networks.delete_subnet(cx, found)
    wiring.settle(cx, within)
    return {}


@ec2.action(
    "ModifySubnetAttribute",
    refuses={"CustomerOwnedIpv4Pool": _NO_POOLS, "EnableLniAtDeviceIndex": "There are no outposts."},
)
def modify_subnet_attribute(cx: Context, req: ModifySubnetAttributeRequestTypeDef) -> Mapping[str, Any]:
    found = networks.one_subnet(cx, req["SubnetId"])
    wanted = {name: value for name, value in req.items() if name != "SubnetId"}
    if len(wanted) != 1:
        raise AwsError("InvalidParameterCombination", "Exactly one attribute can be modified at a time.")
    [(name, said)] = wanted.items()
    value: Any = said.get("Value", False) if isinstance(said, Mapping) else said
    if name == "MapPublicIpOnLaunch":
        if value:
            publics.demand_able(cx, found)
        note(cx, Kind.SUBNET, found, public_on_launch=bool(value))
    elif value != _ONLY[name]:
        raise AwsError("UnsupportedOperation", f"{name} cannot be {value} here: it is always {_ONLY[name]}.")
    return {}


def render(cx: Context, found: Found[Subnet], vpc: str) -> dict[str, Any]:
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
        "MapPublicIpOnLaunch": found.data.get("public_on_launch", False),
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
