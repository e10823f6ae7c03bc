"""Isthmus is killed at any moment of an action: nothing is lost, doubled or left, whether it is asked for again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from cutting import cut_off, demand, sweep, there, told
from emulated_cloudstack import Isthmus, fronted
from served import eventually

from isthmus.providers.cloudstack import copies
from isthmus.providers.cloudstack.notes import is_between

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
        self.tidy()
        return there(self.isthmus.emulated) + told(self.ec2)

    def clear(self) -> None:
        """Delete all that is told of, and begin anew."""
        self.isthmus.real.settle()
        self.forget_copies()
        sweep(self.isthmus, self.ec2)
        self.known, self.token = {}, str(uuid4())

    def tidy(self) -> None:
        """Let all go that copies were made by: whoever lists such things sees to it."""

        def left() -> bool:
            self.isthmus.real.settle()
            things = self.isthmus.emulated.things
            return any(is_between(item) for kind in ("volume", "snapshot") for _, item in list(things[kind].values()))

        def look() -> bool:
            self.ec2.describe_volumes()
            self.ec2.describe_snapshots(OwnerIds=["self"])
            return left()

        if left():
            eventually(look, lambda still: not still)

    def forget_copies(self) -> None:
        """As if it were long since any was begun."""
        with pytest.MonkeyPatch.context() as later:
            later.setattr(copies, "LEFT", timedelta(days=-1))
            self.tidy()

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

    def with_subnets(self) -> None:
        self.with_subnet()
        made = self.ec2.create_subnet(VpcId=self.known["vpc"], CidrBlock="10.9.2.0/24")["Subnet"]
        self.known["second subnet"] = made["SubnetId"]

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

    def with_data(self) -> None:
        """A volume that was on an instance."""
        with_attached(self)
        detach(self)
        self.isthmus.real.settle()

    def with_further_addresses(self) -> None:
        self.with_instance()
        assign(self)

    @property
    def interface(self) -> Any:
        """The only one that there is."""
        [found] = self.ec2.describe_network_interfaces()["NetworkInterfaces"]
        return found

    def last_addresses(self) -> list[str]:
        """Two of the interface's subnet that nobody has."""
        [subnet] = self.ec2.describe_subnets(SubnetIds=[self.interface["SubnetId"]])["Subnets"]
        within = IPv4Network(subnet["CidrBlock"])
        return [str(within[-number]) for number in (5, 6)]

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
    stride: int = 1
    """Of its moments one in so many is tried: most of those of a launch are of filters, as in other launches.

    It is odd, so that calls are cut off before and after.
    """
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


def launch_with_interfaces(site: Site) -> object:
    """The first one with a further address, which CloudStack gives to machines that there are alone."""
    subnets = site.known["subnet"], site.known["second subnet"]
    faces = [{"DeviceIndex": number, "SubnetId": one} for number, one in enumerate(subnets)]
    faces[0]["SecondaryPrivateIpAddressCount"] = 1
    return site.launch(NetworkInterfaces=faces, ClientToken=site.token)


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


def copy_volume(site: Site) -> object:
    return site.ec2.copy_volumes(SourceVolumeId=site.known["volume"], ClientToken=site.token)


def copy_snapshot(site: Site) -> object:
    """It has no token: who asks again looks first. What the first call had begun goes after an hour."""
    if len(site.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]) > 1:
        return None
    made = site.ec2.copy_snapshot(SourceSnapshotId=site.known["snapshot"], SourceRegion="us-east-1")
    site.forget_copies()
    return made


def fetch_image(site: Site) -> object:
    return site.ec2.register_image(Name="an image", ImageLocation="https://example.org/disk.qcow2")


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


def delete_route(site: Site) -> object:
    [table] = site.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [site.known["vpc"]]}])["RouteTables"]
    return site.ec2.delete_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0")


def with_way(site: Site) -> None:
    site.with_gateway()
    attach_gateway(site)


def with_public_subnet(site: Site) -> None:
    with_way(site)
    create_route(site)


def with_inmate(site: Site) -> None:
    with_way(site)
    site.with_instance(SubnetId=site.known["subnet"])


def with_routed_inmate(site: Site) -> None:
    with_inmate(site)
    create_route(site)


def allocate(site: Site) -> object:
    return site.ec2.describe_addresses()["Addresses"] or site.ec2.allocate_address()


def associate(site: Site) -> object:
    return site.ec2.associate_address(AllocationId=site.known["address"], InstanceId=site.known["instance"])


def release(site: Site) -> object:
    return site.ec2.release_address(AllocationId=site.known["address"])


def disassociate(site: Site) -> object:
    return site.ec2.disassociate_address(AssociationId=site.known["association"])


def assign(site: Site) -> object:
    asked = {"NetworkInterfaceId": site.interface["NetworkInterfaceId"], "PrivateIpAddresses": site.last_addresses()}
    return site.ec2.assign_private_ip_addresses(**asked)


def unassign(site: Site) -> object:
    """Who asks again asks for those that are still there."""
    face = site.interface
    held = [one["PrivateIpAddress"] for one in face["PrivateIpAddresses"] if not one["Primary"]]
    asked = {"NetworkInterfaceId": face["NetworkInterfaceId"], "PrivateIpAddresses": held}
    return held and site.ec2.unassign_private_ip_addresses(**asked)


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
    "RunInstances with interfaces": Case(launch_with_interfaces, Site.with_subnets, kinds=[VPCS], stride=5),
    "TerminateInstances": Case(terminate, Site.with_member),
    "TerminateInstances with a public address": Case(terminate, Site.with_public, kinds=[VPCS]),
    "TerminateInstances with a volume": Case(terminate, with_attached, kinds=[GROUPS]),
    "CreateVolume": Case(create_volume, kinds=[GROUPS]),
    "CreateVolume of a snapshot": Case(create_volume, Site.with_snapshot, kinds=[GROUPS]),
    "CopyVolumes": Case(copy_volume, Site.with_data, kinds=[GROUPS]),
    "AttachVolume": Case(attach, with_both, "VolumeInUse", [GROUPS]),
    "DetachVolume": Case(detach, with_attached, "IncorrectState", [GROUPS]),
    "CreateSnapshot": Case(create_snapshot, Site.with_instance, kinds=[GROUPS]),
    "CopySnapshot": Case(copy_snapshot, Site.with_snapshot, kinds=[GROUPS]),
    "CreateImage": Case(Site.image_of, Site.with_instance, "InvalidAMIName.Duplicate", [GROUPS]),
    "RegisterImage": Case(register_image, Site.with_snapshot, "InvalidAMIName.Duplicate", [GROUPS]),
    "RegisterImage of a URL": Case(fetch_image, done="InvalidAMIName.Duplicate", kinds=[GROUPS]),
    "CreateSecurityGroup": Case(create_group, done="InvalidGroup.Duplicate"),
    "DeleteSecurityGroup": Case(delete_group, Site.with_full_group, "InvalidGroup.NotFound"),
    "AuthorizeSecurityGroupIngress": Case(authorize, Site.with_group, "InvalidPermission.Duplicate"),
    "RevokeSecurityGroupIngress": Case(revoke, Site.with_member, "InvalidPermission.NotFound"),
    "CreateVpc": Case(create_vpc, kinds=[VPCS]),
    "CreateSubnet": Case(Site.new_subnet, Site.with_vpc, "InvalidSubnet.Conflict", [VPCS]),
    "AttachInternetGateway": Case(attach_gateway, Site.with_gateway, "Resource.AlreadyAssociated", [VPCS]),
    "CreateRoute": Case(create_route, with_inmate, "RouteAlreadyExists", [VPCS]),
    "DeleteRoute": Case(delete_route, with_routed_inmate, "InvalidRoute.NotFound", [VPCS]),
    "AssignPrivateIpAddresses": Case(assign, Site.with_instance),
    "UnassignPrivateIpAddresses": Case(unassign, Site.with_further_addresses, kinds=[VPCS]),
    "AllocateAddress": Case(allocate, kinds=[VPCS], loose=ADDRESSES),
    "AssociateAddress": Case(associate, Site.with_address, kinds=[VPCS]),
    "DisassociateAddress": Case(disassociate, Site.with_public, "InvalidAssociationID.NotFound", [VPCS]),
    "ReleaseAddress": Case(release, Site.with_address, "InvalidAllocationID.NotFound", [VPCS]),
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
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Whose CloudStack has done each job when it is first looked at."""
    monkeypatch.setattr(copies, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(copies, "LOOK_SECONDS", 0.01)
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
        moment += case.stride
    assert moment > 2


def repeat(case: Case, site: Site) -> None:
    try:
        case.act(site)
    except ClientError as refused:
        if refused.response["Error"]["Code"] != case.done:
            raise
    site.isthmus.real.settle()
    site.isthmus.mend()
