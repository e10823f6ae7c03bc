"""What one project has is not there for another one, on any action, on a real OpenStack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import real_openstack
from isolation import demand_unknown, demand_unlisted
from real_openstack import until


@pytest.fixture(scope="module")
def theirs(ec2: Any) -> Iterator[dict[str, str]]:
    """Of what the project `demo` can have: one of everything, by the prefix of its id."""
    with ExitStack() as undo:
        yield _furnish(ec2, undo.callback)


def _furnish(ec2: Any, after: Any) -> dict[str, str]:
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    after(ec2.delete_vpc, VpcId=vpc)
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.1.0/24")["Subnet"]["SubnetId"]
    after(ec2.delete_subnet, SubnetId=subnet)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    after(ec2.delete_route_table, RouteTableId=table)
    uses = ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]
    after(ec2.disassociate_route_table, AssociationId=uses)
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    after(ec2.delete_internet_gateway, InternetGatewayId=gateway)
    group = ec2.create_security_group(GroupName="isolated", Description="d", VpcId=vpc)["GroupId"]
    after(ec2.delete_security_group, GroupId=group)
    [rule] = ec2.authorize_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=1, ToPort=2, CidrIp="10.0.0.0/8"
    )["SecurityGroupRules"]
    port = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    after(ec2.delete_network_interface, NetworkInterfaceId=port)
    key = ec2.create_key_pair(KeyName="isolated")
    after(ec2.delete_key_pair, KeyName="isolated")
    address = ec2.allocate_address()
    after(ec2.release_address, AllocationId=address["AllocationId"])
    asked = real_openstack.launch(ec2)
    data = {name: asked[name] for name in ("ImageId", "InstanceType")}
    template = ec2.create_launch_template(LaunchTemplateName="isolated", LaunchTemplateData=data)
    template = template["LaunchTemplate"]["LaunchTemplateId"]
    after(ec2.delete_launch_template, LaunchTemplateId=template)
    places = ec2.create_placement_group(GroupName="isolated", Strategy="cluster")["PlacementGroup"]["GroupId"]
    after(ec2.delete_placement_group, GroupName="isolated")
    vgw = ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
    after(ec2.delete_vpn_gateway, VpnGatewayId=vgw)
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    after(ec2.delete_volume, VolumeId=volume)
    ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1})
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    there = [{"Name": "snapshot-id", "Values": [snapshot]}]
    # its volume cannot be deleted before
    after(until, lambda: ec2.describe_snapshots(Filters=there)["Snapshots"], [])
    after(ec2.delete_snapshot, SnapshotId=snapshot)
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot], WaiterConfig={"Delay": 1})
    [instance] = ec2.run_instances(**asked)["Instances"]
    ended, known = ec2.get_waiter("instance_terminated"), {"InstanceIds": [instance["InstanceId"]]}
    after(ended.wait, **known, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    after(ec2.terminate_instances, **known)
    ec2.get_waiter("instance_running").wait(**known, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    return {
        "i": instance["InstanceId"],
        "vol": volume,
        "snap": snapshot,
        "sg": group,
        "sgr": rule["SecurityGroupRuleId"],
        "key": key["KeyPairId"],
        "eipalloc": address["AllocationId"],
        "lt": template,
        "pg": places,
        "eni": port,
        "vpc": vpc,
        "subnet": subnet,
        "rtb": table,
        "rtbassoc": uses,
        "igw": gateway,
        "vgw": vgw,
        "groupname": "isolated",
        "keyname": "isolated",
        "number": address["PublicIp"],
    }


def test_another_projects_thing_is_as_unknown_as_one_that_never_was(isthmus, theirs):
    demand_unknown(isthmus.front, isthmus.account, isthmus.alt, theirs, 200)


def test_nothing_of_another_project_is_listed(isthmus, theirs):
    demand_unlisted(isthmus.front, isthmus.alt, theirs)
