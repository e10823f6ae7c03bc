"""What one account of CloudStack has is not there for another one, on any action, in zones of both kinds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from emulated_cloudstack import Isthmus, fronted
from isolation import demand_unknown, demand_unlisted
from served import eventually


@pytest.fixture(params=[True, False], ids=["security groups", "VPCs"])
def groups(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=[False, True], ids=["accounts", "a project and who is in it"])
def isthmus(request: pytest.FixtureRequest, groups: bool, tmp_path: Path) -> Iterator[Isthmus]:
    with fronted(tmp_path, groups=groups, project=request.param) as made:
        yield made


def furnish(isthmus: Isthmus, ec2: Any) -> dict[str, str]:
    """One of everything that there can be, by the prefix of its id."""
    found = _of_groups(ec2) if isthmus.real.options.security_groups else _of_vpcs(ec2)
    image = ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian"]}])["Images"][0]["ImageId"]
    key = ec2.create_key_pair(KeyName="isolated")
    asked = {"ImageId": image, "InstanceType": "Tiny", "MinCount": 1, "MaxCount": 1}
    placed = {"SubnetId": found["subnet"]} if "subnet" in found else {}
    [instance] = ec2.run_instances(**asked, **placed)["Instances"]
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    _settled(isthmus, lambda: ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"], "available")
    known = {"InstanceIds": [instance["InstanceId"]]}
    _settled(
        isthmus,
        lambda: ec2.describe_instances(**known)["Reservations"][0]["Instances"][0]["State"]["Name"],
        "running",
    )
    ec2.attach_volume(VolumeId=volume, InstanceId=instance["InstanceId"], Device="/dev/sdf")
    _settled(isthmus, lambda: ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"], "in-use")
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    _settled(isthmus, lambda: ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"], "completed")
    template = ec2.create_launch_template(
        LaunchTemplateName="isolated", LaunchTemplateData={"ImageId": image, "InstanceType": "Tiny"}
    )["LaunchTemplate"]["LaunchTemplateId"]
    return {
        **found,
        "i": instance["InstanceId"],
        "vol": volume,
        "snap": snapshot,
        "key": key["KeyPairId"],
        "keyname": "isolated",
        "lt": template,
        "vgw": ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"],
    }


def _settled(isthmus: Isthmus, look: Any, wanted: str) -> None:
    def now() -> str:
        isthmus.real.settle()
        return str(look())

    eventually(now, lambda found: found == wanted)


def _of_groups(ec2: Any) -> dict[str, str]:
    group = ec2.create_security_group(GroupName="isolated", Description="d")["GroupId"]
    [rule] = ec2.authorize_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=1, ToPort=2, CidrIp="10.0.0.0/8"
    )["SecurityGroupRules"]
    return {"sg": group, "sgr": rule["SecurityGroupRuleId"], "groupname": "isolated"}


def _of_vpcs(ec2: Any) -> dict[str, str]:
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.1.0/24")["Subnet"]["SubnetId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    uses = ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]
    address = ec2.allocate_address()
    return {
        "vpc": vpc,
        "subnet": subnet,
        "rtb": table,
        "rtbassoc": uses,
        "igw": ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"],
        "eipalloc": address["AllocationId"],
        "number": address["PublicIp"],
    }


def test_another_accounts_thing_is_as_unknown_as_one_that_never_was(isthmus: Isthmus) -> None:
    theirs = furnish(isthmus, isthmus.client())

    demand_unlisted(isthmus.front, isthmus.other, theirs)
    demand_unknown(isthmus.front, isthmus.account, isthmus.other, theirs, 100)


def test_what_an_account_has_is_not_there_for_a_project_that_it_is_in(groups: bool, tmp_path: Path) -> None:
    with fronted(tmp_path, groups=groups, project=True) as isthmus:
        theirs = furnish(isthmus, isthmus.client(account=isthmus.other))

        demand_unlisted(isthmus.front, isthmus.account, theirs)
        demand_unknown(isthmus.front, isthmus.other, isthmus.account, theirs, 100)
