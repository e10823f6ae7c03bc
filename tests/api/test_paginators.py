"""Every paginator of boto3 whose action is served: its pages together are the whole listing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from botocore import xform_name
from house import House

from isthmus.aws.ec2 import ec2 as service

SIZE, MANY = 5, 6
NEVER_LONG = frozenset(
    {
        "DescribeFastLaunchImages",
        "DescribeFastSnapshotRestores",
        "DescribeFlowLogs",
        "DescribeHosts",
        "DescribeImportImageTasks",
        "DescribeImportSnapshotTasks",
        "DescribeInstanceTopology",
        "DescribeManagedPrefixLists",
        "DescribePrefixLists",
        "DescribePrincipalIdFormat",
        "DescribeStaleSecurityGroups",
        "DescribeVpcEndpointServices",
    }
)
"""Of what these list there is nothing, or as much as there are services."""


@pytest.fixture
def house(build: Callable[..., House]) -> House:
    """A cloud on which nothing takes time, and a service with more than a page of addresses."""
    return build(settle=0, services={"s3": tuple(f"192.0.{number}.0/24" for number in range(MANY)), "dynamodb": ()})


@pytest.fixture
def vpc(ec2: Any, image: str) -> str:
    """The network of an account that has more than a page of everything."""
    vpc = str(ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"])
    for number in range(MANY):
        _networks(ec2, vpc, number)
        _machines(ec2, image, number)
    return vpc


def _networks(ec2: Any, vpc: str, number: int) -> None:
    other = ec2.create_vpc(CidrBlock=f"10.{100 + number}.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.7.{number}.0/24")["Subnet"]["SubnetId"]
    ec2.create_network_interface(SubnetId=subnet)
    ec2.create_route_table(VpcId=vpc)
    ec2.create_internet_gateway()
    ec2.create_egress_only_internet_gateway(VpcId=other)
    ec2.create_network_acl(VpcId=vpc)
    ec2.create_dhcp_options(DhcpConfigurations=[{"Key": "domain-name", "Values": [f"{number}.example.org"]}])
    ec2.create_nat_gateway(SubnetId=subnet, ConnectivityType="private")
    ec2.create_vpc_peering_connection(VpcId=vpc, PeerVpcId=other)
    ec2.create_vpc_endpoint(VpcId=other, ServiceName="com.amazonaws.us-east-1.s3")
    group = ec2.create_security_group(GroupName=f"group {number}", Description="d", VpcId=vpc)["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=1, ToPort=2, CidrIp="10.0.0.0/8")
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": f"key {number}", "Value": "x"}])
    ec2.allocate_address()


def _machines(ec2: Any, image: str, number: int) -> None:
    data = {"ImageId": image, "InstanceType": "t3.micro"}
    asked = {**data, "MinCount": 1, "MaxCount": 1, "IamInstanceProfile": {"Name": "profile"}}
    instance = ec2.run_instances(**asked)["Instances"][0]["InstanceId"]
    template = ec2.create_launch_template(LaunchTemplateName=f"template-{number}", LaunchTemplateData=data)
    spec = {"LaunchTemplateId": template["LaunchTemplate"]["LaunchTemplateId"], "Version": "1"}
    ec2.create_fleet(
        Type="request",
        LaunchTemplateConfigs=[{"LaunchTemplateSpecification": spec}],
        TargetCapacitySpecification={"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "spot"},
    )
    ec2.create_capacity_reservation(
        InstanceType="t3.micro", InstancePlatform="Linux/UNIX", AvailabilityZone="us-east-1a", InstanceCount=1
    )
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    ec2.modify_volume(VolumeId=volume, Size=2)
    ec2.create_snapshot(VolumeId=volume)
    ec2.create_image(InstanceId=instance, Name=f"image {number}")


def _asked(ec2: Any, vpc: str) -> Mapping[str, Mapping[str, Any]]:
    """What a listing must be asked, where it must."""
    lists = ec2.describe_managed_prefix_lists()["PrefixLists"]
    [held] = [one["PrefixListId"] for one in lists if one["PrefixListName"].endswith(".s3")]
    needs = {"VCpuCount": {"Min": 1}, "MemoryMiB": {"Min": 1}, "BurstablePerformance": "included"}
    return {
        "DescribeLaunchTemplateVersions": {"Versions": ["$Latest"]},
        "DescribeStaleSecurityGroups": {"VpcId": vpc},
        "GetInstanceTypesFromInstanceRequirements": {
            "ArchitectureTypes": ["x86_64"],
            "VirtualizationTypes": ["hvm"],
            "InstanceRequirements": needs,
        },
        "GetManagedPrefixListEntries": {"PrefixListId": held},
        "GetSecurityGroupsForVpc": {"VpcId": vpc},
    }


def _items(pages: list[Mapping[str, Any]], member: str) -> list[Any]:
    found = [item for page in pages for item in page[member]]
    return [one for held in found for one in held["Instances"]] if member == "Reservations" else found


def _paged(ec2: Any) -> Iterator[str]:
    return (action for action in sorted(service.actions) if ec2.can_paginate(xform_name(action)))


def test_the_pages_of_every_paginator_are_the_whole_listing(ec2, vpc):
    asked = _asked(ec2, vpc)
    for action in _paged(ec2):
        paginator, needs = ec2.get_paginator(xform_name(action)), asked.get(action, {})
        pages = list(paginator.paginate(**needs, PaginationConfig={"PageSize": SIZE}))
        whole = [getattr(ec2, xform_name(action))(**needs)]
        members = [key.expression for key in paginator.result_keys]
        for member in members:
            assert _items(pages, member) == _items(whole, member), action
            assert all(len(_items([page], member)) <= SIZE for page in pages), action
        assert len(pages) > 1 or action in NEVER_LONG, action
        limited = paginator.paginate(**needs, PaginationConfig={"PageSize": SIZE, "MaxItems": 1}).build_full_result()
        assert len(_items([limited], members[0])) == min(1, len(_items(whole, members[0]))), action
