"""Isthmus is killed at any moment of an action: nothing is lost, doubled or left, whether it is asked for again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from cutting import cut_off, demand, sweep, there, told
from emulated_cloudstack import Isthmus, fronted

GROUPS, VPCS = True, False
ADDRESSES = ("address", "Addresses")
WEB = [
    {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]} for port in (80, 443)
]


class Site:
    """An account, and what is in it before."""

    def __init__(self, isthmus: Isthmus) -> None:
        self.isthmus = isthmus
        self.ec2 = isthmus.client()
        self.image = self.ec2.describe_images()["Images"][0]["ImageId"]
        self.known: dict[str, str] = {}
        self.token = str(uuid4())

    def all(self) -> Counter[str]:
        """What there is, and what is told of it."""
        return there(self.isthmus.emulated) + told(self.ec2)

    def clear(self) -> None:
        """Delete all that is told of, and begin anew."""
        self.isthmus.real.settle()
        sweep(self.isthmus, self.ec2)
        self.known, self.token = {}, str(uuid4())

    def launch(self, count: int = 1, **said: Any) -> list[str]:
        asked = {"ImageId": self.image, "InstanceType": "Tiny", "MinCount": count, "MaxCount": count}
        made = self.ec2.run_instances(**asked, **said)["Instances"]
        return [one["InstanceId"] for one in made]

    def with_instance(self, **said: Any) -> None:
        [self.known["instance"]] = self.launch(**said)
        self.isthmus.real.settle()

    def with_volume(self) -> None:
        zone = self.ec2.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
        self.known["volume"] = self.ec2.create_volume(AvailabilityZone=zone, Size=1)["VolumeId"]
        self.isthmus.real.settle()

    def with_vpc(self) -> None:
        self.known["vpc"] = self.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]

    def with_subnet(self) -> None:
        self.with_vpc()
        self.known["subnet"] = self.new_subnet()

    def new_subnet(self) -> str:
        made = self.ec2.create_subnet(VpcId=self.known["vpc"], CidrBlock="10.9.1.0/24")["Subnet"]
        return str(made["SubnetId"])

    def with_gateway(self) -> None:
        self.with_subnet()
        self.known["gateway"] = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]

    def with_snapshot(self) -> None:
        self.with_instance()
        [root] = self.ec2.describe_volumes()["Volumes"]
        self.known["snapshot"] = self.ec2.create_snapshot(VolumeId=root["VolumeId"])["SnapshotId"]
        self.isthmus.real.settle()

    def with_address(self) -> None:
        self.with_instance()
        self.known["address"] = self.ec2.allocate_address()["AllocationId"]

    def with_public(self) -> None:
        self.with_address()
        made = self.ec2.associate_address(AllocationId=self.known["address"], InstanceId=self.known["instance"])
        self.known["association"] = made["AssociationId"]

    def with_group(self) -> None:
        made = self.ec2.create_security_group(GroupName="web", Description="web")
        self.known["group"] = made["GroupId"]

    def with_full_group(self) -> None:
        self.with_group()
        self.ec2.authorize_security_group_ingress(GroupId=self.known["group"], IpPermissions=WEB)

    def with_member(self) -> None:
        self.with_full_group()
        self.with_instance(SecurityGroupIds=[self.known["group"]])

    def image_of(self) -> str:
        return str(self.ec2.create_image(InstanceId=self.known["instance"], Name="an image", NoReboot=True)["ImageId"])


def nothing(site: Site) -> None:
    """As the account is."""


@dataclass(frozen=True)
class Case:
    """An action that makes several calls, and how a repetition of it is refused once it is done, if it is."""

    act: Callable[[Site], object]
    before: Callable[[Site], object] = nothing
    done: str = ""
    kinds: Collection[bool] = (GROUPS, VPCS)
    loose: Collection[str] = ()
    """Kinds of which there may be one more: an address is CloudStack's choice, and says whose it is afterwards."""


def launch_with_disks(site: Site) -> object:
    disk = {"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 1, "DeleteOnTermination": False}}
    return site.launch(2, BlockDeviceMappings=[disk], ClientToken=site.token)


def launch_in_group(site: Site) -> object:
    return site.launch(SecurityGroupIds=[site.known["group"]], ClientToken=site.token)


def launch_in_public(site: Site) -> object:
    face = {"DeviceIndex": 0, "SubnetId": site.known["subnet"], "AssociatePublicIpAddress": True}
    return site.launch(NetworkInterfaces=[face], ClientToken=site.token)


def create_volume(site: Site) -> object:
    zone = site.ec2.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
    asked = {"SnapshotId": site.known["snapshot"]} if "snapshot" in site.known else {"Size": 1}
    return site.ec2.create_volume(AvailabilityZone=zone, ClientToken=site.token, **asked)


def create_snapshot(site: Site) -> object:
    """It has no token: who asks again looks first."""
    if site.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]:
        return None
    [root] = site.ec2.describe_volumes()["Volumes"]
    return site.ec2.create_snapshot(VolumeId=root["VolumeId"])


def register_image(site: Site) -> object:
    disk = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": site.known["snapshot"]}}
    return site.ec2.register_image(Name="an image", RootDeviceName="/dev/sda1", BlockDeviceMappings=[disk])


def create_group(site: Site) -> object:
    return site.ec2.create_security_group(GroupName="web", Description="web")


def delete_group(site: Site) -> object:
    return site.ec2.delete_security_group(GroupId=site.known["group"])


def authorize(site: Site) -> object:
    """CloudStack's own groups get rules one by one: who asks again asks for those that are not there."""
    held = open_ports(site) if site.isthmus.emulated.with_groups else set()
    asked = [one for one in WEB if one["FromPort"] not in held]
    return asked and site.ec2.authorize_security_group_ingress(GroupId=site.known["group"], IpPermissions=asked)


def revoke(site: Site) -> object:
    held = open_ports(site) if site.isthmus.emulated.with_groups else {80, 443}
    asked = [one for one in WEB if one["FromPort"] in held]
    return asked and site.ec2.revoke_security_group_ingress(GroupId=site.known["group"], IpPermissions=asked)


def open_ports(site: Site) -> set[int]:
    [group] = site.ec2.describe_security_groups(GroupIds=[site.known["group"]])["SecurityGroups"]
    return {port for one in group["IpPermissions"] for port in range(one["FromPort"], one["ToPort"] + 1)}


def create_vpc(site: Site) -> object:
    """It has no token either."""
    if [one for one in site.ec2.describe_vpcs()["Vpcs"] if not one["IsDefault"]]:
        return None
    return site.ec2.create_vpc(CidrBlock="10.9.0.0/16")


def attach_gateway(site: Site) -> object:
    asked = {"InternetGatewayId": site.known["gateway"], "VpcId": site.known["vpc"]}
    return site.ec2.attach_internet_gateway(**asked)


def create_route(site: Site) -> object:
    [table] = site.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [site.known["vpc"]]}])["RouteTables"]
    asked = {"RouteTableId": table["RouteTableId"], "DestinationCidrBlock": "0.0.0.0/0"}
    return site.ec2.create_route(**asked, GatewayId=site.known["gateway"])


def with_way(site: Site) -> None:
    site.with_gateway()
    attach_gateway(site)


def with_public_subnet(site: Site) -> None:
    with_way(site)
    create_route(site)


def with_inmate(site: Site) -> None:
    with_way(site)
    site.with_instance(SubnetId=site.known["subnet"])


def allocate(site: Site) -> object:
    return site.ec2.describe_addresses()["Addresses"] or site.ec2.allocate_address()


def associate(site: Site) -> object:
    return site.ec2.associate_address(AllocationId=site.known["address"], InstanceId=site.known["instance"])


def with_both(site: Site) -> None:
    site.with_instance()
    site.with_volume()


def attach(site: Site) -> object:
    asked = {"VolumeId": site.known["volume"], "InstanceId": site.known["instance"]}
    return site.ec2.attach_volume(**asked, Device="/dev/sdf")


def with_attached(site: Site) -> None:
    with_both(site)
    attach(site)
    site.isthmus.real.settle()


def detach(site: Site) -> object:
    return site.ec2.detach_volume(VolumeId=site.known["volume"])


def terminate(site: Site) -> object:
    return site.ec2.terminate_instances(InstanceIds=[site.known["instance"]])


CASES: Mapping[str, Case] = {
    "RunInstances with disks": Case(launch_with_disks),
    "RunInstances in a group": Case(launch_in_group, Site.with_full_group),
    "RunInstances with a public address": Case(launch_in_public, with_public_subnet, kinds=[VPCS], loose=ADDRESSES),
    "TerminateInstances": Case(terminate, Site.with_member),
    "TerminateInstances with a public address": Case(terminate, Site.with_public, kinds=[VPCS]),
    "TerminateInstances with a volume": Case(terminate, with_attached, kinds=[GROUPS]),
    "CreateVolume": Case(create_volume, kinds=[GROUPS]),
    "CreateVolume of a snapshot": Case(create_volume, Site.with_snapshot, kinds=[GROUPS]),
    "AttachVolume": Case(attach, with_both, "VolumeInUse", [GROUPS]),
    "DetachVolume": Case(detach, with_attached, "IncorrectState", [GROUPS]),
    "CreateSnapshot": Case(create_snapshot, Site.with_instance, kinds=[GROUPS]),
    "CreateImage": Case(Site.image_of, Site.with_instance, "InvalidAMIName.Duplicate", [GROUPS]),
    "RegisterImage": Case(register_image, Site.with_snapshot, "InvalidAMIName.Duplicate", [GROUPS]),
    "CreateSecurityGroup": Case(create_group, done="InvalidGroup.Duplicate"),
    "DeleteSecurityGroup": Case(delete_group, Site.with_full_group, "InvalidGroup.NotFound"),
    "AuthorizeSecurityGroupIngress": Case(authorize, Site.with_group, "InvalidPermission.Duplicate"),
    "RevokeSecurityGroupIngress": Case(revoke, Site.with_member, "InvalidPermission.NotFound"),
    "CreateVpc": Case(create_vpc, kinds=[VPCS]),
    "CreateSubnet": Case(Site.new_subnet, Site.with_vpc, "InvalidSubnet.Conflict", [VPCS]),
    "AttachInternetGateway": Case(attach_gateway, Site.with_gateway, "Resource.AlreadyAssociated", [VPCS]),
    "CreateRoute": Case(create_route, with_inmate, "RouteAlreadyExists", [VPCS]),
    "AllocateAddress": Case(allocate, kinds=[VPCS], loose=ADDRESSES),
    "AssociateAddress": Case(associate, Site.with_address, kinds=[VPCS]),
    "DeleteSubnet": Case(
        lambda site: site.ec2.delete_subnet(SubnetId=site.known["subnet"]),
        Site.with_subnet,
        "InvalidSubnetID.NotFound",
        [VPCS],
    ),
    "DeleteVpc": Case(
        lambda site: site.ec2.delete_vpc(VpcId=site.known["vpc"]), Site.with_vpc, "InvalidVpcID.NotFound", [VPCS]
    ),
}
EACH = [(name, kind) for name, case in CASES.items() for kind in case.kinds]


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """Whose CloudStack has done each job when it is first looked at."""
    with fronted(tmp_path, groups=request.param) as isthmus:
        isthmus.emulated.job_seconds = 0
        isthmus.emulated.users_expunge = True
        yield Site(isthmus)


@pytest.mark.parametrize(
    ("name", "site"), EACH, ids=lambda one: {True: "groups", False: "VPCs"}.get(one, one), indirect=["site"]
)
def test_an_action_that_is_cut_off_is_done_once_or_not_at_all(name: str, site: Site) -> None:
    """Whatever is left of it when it is not asked for again is told of, so that it can be deleted."""
    case = CASES[name]
    site.launch()
    site.clear()
    empty = there(site.isthmus.emulated)
    case.before(site)
    case.act(site)
    site.isthmus.real.settle()
    wanted = site.all()
    moment, cut = 0, True
    while cut:
        for again in (True, False) if moment % 2 else (True,):
            site.clear()
            demand(empty, there(site.isthmus.emulated), f"left before {moment}, {again}")
            case.before(site)
            cut = cut_off(site.isthmus, moment, lambda: case.act(site))
            if again:
                repeat(case, site)
                demand(wanted, site.all(), f"at {moment}", case.loose)
        moment += 1
    assert moment > 2


def repeat(case: Case, site: Site) -> None:
    try:
        case.act(site)
    except ClientError as refused:
        if refused.response["Error"]["Code"] != case.done:
            raise
    site.isthmus.real.settle()
    site.isthmus.mend()
