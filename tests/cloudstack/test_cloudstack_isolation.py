"""What one account of CloudStack has is not there for another one, on any action, in zones of both kinds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from emulated_cloudstack import Isthmus, fronted
from isolation import demand_unknown, demand_unlisted
from places import PLACES
from served import eventually

_NO_NATS = "NAT gateways are refused: CloudStack's routers do as much for a whole VPC"
_NO_PEERING = "there is one VPC in zones with security groups"
_NO_ROLES = "no instance has a profile: there are no roles"
_PUBLIC = "the lists of prefixes are everybody's"
_NO_ADDRESSES = "there are no public addresses in zones with security groups"
UNTRIED: Mapping[str, str] = {
    **dict.fromkeys(("DeleteNatGateway", "DescribeNatGateways"), _NO_NATS),
    **dict.fromkeys(("DescribeIamInstanceProfileAssociations", "DisassociateIamInstanceProfile"), _NO_ROLES),
    "ReplaceIamInstanceProfileAssociation": _NO_ROLES,
    **dict.fromkeys(("DescribeManagedPrefixLists", "DescribePrefixLists", "GetManagedPrefixListEntries"), _PUBLIC),
}
"""Actions that take ids of what nobody can have here, with the reason."""
UNTRIED_WITH_GROUPS: Mapping[str, str] = {
    **dict.fromkeys(("DescribeAddresses", "DescribeAddressesAttribute"), _NO_ADDRESSES),
    **dict.fromkeys(("DisassociateAddress", "ReleaseAddress"), _NO_ADDRESSES),
    **dict.fromkeys(("AcceptVpcPeeringConnection", "DeleteVpcPeeringConnection"), _NO_PEERING),
    **dict.fromkeys(("DescribeVpcPeeringConnections", "ModifyVpcPeeringConnectionOptions"), _NO_PEERING),
    "RejectVpcPeeringConnection": _NO_PEERING,
}
"""And further ones where CloudStack has groups."""


@pytest.fixture(params=[True, False], ids=["security groups", "VPCs"])
def groups(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=[False, True], ids=["accounts", "a project and who is in it"])
def isthmus(request: pytest.FixtureRequest, groups: bool, tmp_path: Path) -> Iterator[Isthmus]:
    with fronted(tmp_path, groups=groups, project=request.param) as made:
        yield made


def furnish(isthmus: Isthmus, ec2: Any) -> dict[str, str]:
    """One of everything that there can be, by the prefix of its id."""
    network = _of_groups(ec2) if isthmus.real.options.security_groups else _of_vpcs(ec2)
    vpc = network["vpc"]
    image = ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian"]}])["Images"][0]["ImageId"]
    asked = {"ImageId": image, "InstanceType": "Tiny"}
    group = ec2.create_security_group(GroupName="isolated", Description="d", VpcId=vpc)["GroupId"]
    [rule] = ec2.authorize_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=1, ToPort=2, CidrIp="10.0.0.0/8"
    )["SecurityGroupRules"]
    key = ec2.create_key_pair(KeyName="isolated")
    apart = ec2.create_placement_group(GroupName="isolated", Strategy="spread")["PlacementGroup"]["GroupId"]
    [instance] = ec2.run_instances(**asked, MinCount=1, MaxCount=1, SubnetId=network["subnet"], KeyName="isolated")[
        "Instances"
    ]
    template = ec2.create_launch_template(LaunchTemplateName="isolated", LaunchTemplateData=asked)["LaunchTemplate"][
        "LaunchTemplateId"
    ]
    return {
        **network,
        **_of_the_account(ec2, vpc),
        **_of_the_instance(isthmus, ec2, instance["InstanceId"]),
        **_ordered(ec2, asked, template),
        "i": instance["InstanceId"],
        "sg": group,
        "sgr": rule["SecurityGroupRuleId"],
        "groupname": "isolated",
        "key": key["KeyPairId"],
        "keyname": "isolated",
        "pg": apart,
        "lt": template,
    }


def _of_groups(ec2: Any) -> dict[str, str]:
    """What the account has from its beginning."""
    [vpc] = ec2.describe_vpcs()["Vpcs"]
    [subnet] = ec2.describe_subnets()["Subnets"]
    [gateway] = ec2.describe_internet_gateways()["InternetGateways"]
    return {"vpc": vpc["VpcId"], "subnet": subnet["SubnetId"], "igw": gateway["InternetGatewayId"]}


def _of_vpcs(ec2: Any) -> dict[str, str]:
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.1.0/24")["Subnet"]["SubnetId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    [default] = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    peering = ec2.create_vpc_peering_connection(VpcId=vpc, PeerVpcId=default["VpcId"])["VpcPeeringConnection"]
    return {"vpc": vpc, "subnet": subnet, "igw": gateway, "pcx": peering["VpcPeeringConnectionId"]}


def _of_the_account(ec2: Any, vpc: str) -> dict[str, str]:
    """What Isthmus keeps itself, and what there is of a VPC."""
    here = [{"Name": "vpc-id", "Values": [vpc]}]
    cgw = ec2.create_customer_gateway(Type="ipsec.1", PublicIp="198.51.100.7")["CustomerGateway"]["CustomerGatewayId"]
    vgw = ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
    vpn = ec2.create_vpn_connection(Type="ipsec.1", CustomerGatewayId=cgw, VpnGatewayId=vgw)["VpnConnection"]
    options = ec2.create_dhcp_options(DhcpConfigurations=[{"Key": "domain-name", "Values": ["example.org"]}])
    [filtered] = [
        one["Associations"][0]["NetworkAclAssociationId"]
        for one in ec2.describe_network_acls(Filters=here)["NetworkAcls"]
        if one["Associations"]
    ]
    [table] = ec2.describe_route_tables(Filters=here)["RouteTables"]
    [addressed] = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
    out = ec2.create_egress_only_internet_gateway(VpcId=vpc)["EgressOnlyInternetGateway"]
    endpoint = ec2.create_vpc_endpoint(VpcId=vpc, ServiceName="com.amazonaws.us-east-1.s3")["VpcEndpoint"]
    return {
        "acl": ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"],
        "aclassoc": filtered,
        "cgw": cgw,
        "dopt": options["DhcpOptions"]["DhcpOptionsId"],
        "eigw": out["EgressOnlyInternetGatewayId"],
        "rtb": ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"],
        "rtbassoc": table["Associations"][0]["RouteTableAssociationId"],
        "vgw": vgw,
        "vpc-cidr-assoc": addressed["CidrBlockAssociationSet"][0]["AssociationId"],
        "vpce": endpoint["VpcEndpointId"],
        "vpn": vpn["VpnConnectionId"],
    }


def _of_the_instance(isthmus: Isthmus, ec2: Any, instance: str) -> dict[str, str]:
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    _settled(isthmus, lambda: ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"], "available")
    isthmus.wait(ec2, instance, "running")
    ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdf")
    _settled(isthmus, lambda: ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"], "in-use")
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    _settled(isthmus, lambda: ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"], "completed")
    image = ec2.create_image(InstanceId=instance, Name="isolated", NoReboot=True)["ImageId"]
    _settled(isthmus, lambda: ec2.describe_images(ImageIds=[image])["Images"][0]["State"], "available")
    [face] = ec2.describe_network_interfaces()["NetworkInterfaces"]
    found = {"vol": volume, "snap": snapshot, "ami": image, "eni": face["NetworkInterfaceId"]}
    found["eni-attach"] = face["Attachment"]["AttachmentId"]
    if isthmus.real.options.security_groups:
        return found
    address = ec2.allocate_address()
    told = ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=instance)
    at = {"eipalloc": address["AllocationId"], "eipassoc": told["AssociationId"], "number": address["PublicIp"]}
    return {**found, **at}


def _ordered(ec2: Any, asked: dict[str, str], template: str) -> dict[str, str]:
    """What launches by itself, and what keeps room."""
    config = {"LaunchTemplateSpecification": {"LaunchTemplateId": template, "Version": "1"}}
    room = {"InstanceType": "Tiny", "InstancePlatform": "Linux/UNIX", "AvailabilityZone": "us-east-1a"}
    fleet = ec2.create_fleet(
        Type="request", LaunchTemplateConfigs=[config], TargetCapacitySpecification={"TotalTargetCapacity": 1}
    )
    bid = ec2.request_spot_instances(LaunchSpecification=asked)["SpotInstanceRequests"][0]
    reserved = ec2.create_capacity_reservation(**room, InstanceCount=1)["CapacityReservation"]
    return {
        "fleet": fleet["FleetId"],
        "sir": bid["SpotInstanceRequestId"],
        "cr": reserved["CapacityReservationId"],
    }


def _settled(isthmus: Isthmus, look: Any, wanted: str) -> None:
    def now() -> str:
        isthmus.real.settle()
        return str(look())

    eventually(now, lambda found: found == wanted)


def demand_tried(theirs: Mapping[str, str], groups: bool) -> None:
    """Each action that takes an id takes one of these, but for those that are named with a reason."""
    tried = {place.action for place in PLACES if place.prefix in theirs}
    untried = UNTRIED | UNTRIED_WITH_GROUPS if groups else UNTRIED

    assert {place.action for place in PLACES} - tried == untried.keys()


def test_another_accounts_thing_is_as_unknown_as_one_that_never_was(isthmus: Isthmus, groups: bool) -> None:
    theirs = furnish(isthmus, isthmus.client())

    demand_tried(theirs, groups)
    demand_unlisted(isthmus.front, isthmus.other, theirs)
    demand_unknown(isthmus.front, isthmus.account, isthmus.other, theirs, 300)


def test_what_an_account_has_is_not_there_for_a_project_that_it_is_in(groups: bool, tmp_path: Path) -> None:
    with fronted(tmp_path, groups=groups, project=True) as isthmus:
        theirs = furnish(isthmus, isthmus.client(account=isthmus.other))

        demand_unlisted(isthmus.front, isthmus.account, theirs)
        demand_unknown(isthmus.front, isthmus.other, isthmus.account, theirs, 300)
