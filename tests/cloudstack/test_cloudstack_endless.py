"""Where jobs of CloudStack's never end, each action answers before a client of EC2 gives up: at once, or that the cloud
is still busy."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from emulated_cloudstack import Isthmus, fronted
from emulators.cloudstack.world import NEVER

from isthmus.providers.cloudstack import client as wired
from isthmus.providers.cloudstack import copies, snapshots

CLIENT_SECONDS = 60
"""How long clients of EC2 wait for an answer."""
ENDLESS = 1_000_000


class Waits:
    """In place of a clock: who sleeps is up again at once, and it is noted for how long it would have been.

    Of what threads do at the same time, the longest counts.
    """

    def __init__(self) -> None:
        self._slept: defaultdict[int, float] = defaultdict(float)
        self._first = threading.get_ident()

    def sleep(self, seconds: float) -> None:
        self._slept[threading.get_ident()] += seconds

    def monotonic(self) -> float:
        return time.monotonic() + self._slept[threading.get_ident()]

    @property
    def seconds(self) -> float:
        others = [seconds for thread, seconds in list(self._slept.items()) if thread != self._first]
        return self._slept[self._first] + max(others, default=0)


class Site:
    """An account with an instance and what goes with it, on a CloudStack that does nothing to its end any more."""

    def __init__(self, isthmus: Isthmus) -> None:
        self.ec2 = ec2 = isthmus.client()
        self.cloud = isthmus.emulated
        self.image = ec2.describe_images()["Images"][0]["ImageId"]
        [made] = self.launch()["Instances"]
        self.instance = made["InstanceId"]
        isthmus.wait(ec2, self.instance, "running")
        self.root = ec2.describe_volumes()["Volumes"][0]["VolumeId"]
        self.snapshot = ec2.create_snapshot(VolumeId=self.root)["SnapshotId"]
        self.volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
        [self.face] = ec2.describe_network_interfaces()["NetworkInterfaces"]
        self.group = ec2.create_security_group(GroupName="web", Description="d")["GroupId"]
        if not isthmus.emulated.with_groups:
            self.vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
            self.subnet = ec2.create_subnet(VpcId=self.vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
            self.gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
            self.address = ec2.allocate_address()["AllocationId"]
        isthmus.real.settle()
        isthmus.emulated.job_seconds = ENDLESS

    def launch(self, **more: Any) -> Any:
        asked = {"ImageId": self.image, "InstanceType": "Tiny", "MinCount": 1, "MaxCount": 1}
        return self.ec2.run_instances(**asked, **more)

    def with_disk(self) -> Any:
        return self.launch(BlockDeviceMappings=[{"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 1}}])


def create_route(site: Site) -> object:
    """It makes a list of filters for the subnet."""
    site.ec2.attach_internet_gateway(InternetGatewayId=site.gateway, VpcId=site.vpc)
    [table] = site.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [site.vpc]}])["RouteTables"]
    asked = {"RouteTableId": table["RouteTableId"], "DestinationCidrBlock": "0.0.0.0/0"}
    return site.ec2.create_route(**asked, GatewayId=site.gateway)


AT_ONCE = ""
BUSY = "Unavailable"
Act = Callable[[Site], object]
BOTH: Mapping[str, tuple[Act, str]] = {
    "RunInstances with a disk": (Site.with_disk, BUSY),
    "StopInstances": (lambda site: site.ec2.stop_instances(InstanceIds=[site.instance]), AT_ONCE),
    "RebootInstances": (lambda site: site.ec2.reboot_instances(InstanceIds=[site.instance]), AT_ONCE),
    "CreateVolume": (lambda site: site.ec2.create_volume(AvailabilityZone="us-east-1a", Size=1), AT_ONCE),
    "CreateSnapshot": (lambda site: site.ec2.create_snapshot(VolumeId=site.root), AT_ONCE),
    "DeleteSnapshot": (lambda site: site.ec2.delete_snapshot(SnapshotId=site.snapshot), BUSY),
    "CopySnapshot": (
        lambda site: site.ec2.copy_snapshot(SourceSnapshotId=site.snapshot, SourceRegion="us-east-1"),
        BUSY,
    ),
    "CreateImage": (
        lambda site: site.ec2.create_image(InstanceId=site.instance, Name="an image", NoReboot=True),
        BUSY,
    ),
    "AttachVolume": (
        lambda site: site.ec2.attach_volume(VolumeId=site.volume, InstanceId=site.instance, Device="/dev/sdf"),
        BUSY,
    ),
    "AssignPrivateIpAddresses": (
        lambda site: site.ec2.assign_private_ip_addresses(
            NetworkInterfaceId=site.face["NetworkInterfaceId"], SecondaryPrivateIpAddressCount=2
        ),
        BUSY,
    ),
    "AuthorizeSecurityGroupIngress": (
        lambda site: site.ec2.authorize_security_group_ingress(
            GroupId=site.group, IpProtocol="tcp", FromPort=1, ToPort=2, CidrIp="10.0.0.0/8"
        ),
        BUSY,
    ),
}
"""Actions, and how they are answered."""
GROUPED: Mapping[str, tuple[Act, str]] = {
    **BOTH,
    "RunInstances": (Site.launch, AT_ONCE),
    "TerminateInstances": (lambda site: site.ec2.terminate_instances(InstanceIds=[site.instance]), AT_ONCE),
}
ROUTED: Mapping[str, tuple[Act, str]] = {
    **BOTH,
    "RunInstances": (Site.launch, BUSY),
    "TerminateInstances": (lambda site: site.ec2.terminate_instances(InstanceIds=[site.instance]), BUSY),
    "CreateVpc": (lambda site: site.ec2.create_vpc(CidrBlock="10.8.0.0/16"), BUSY),
    "AttachInternetGateway": (
        lambda site: site.ec2.attach_internet_gateway(InternetGatewayId=site.gateway, VpcId=site.vpc),
        BUSY,
    ),
    "DeleteSubnet": (lambda site: site.ec2.delete_subnet(SubnetId=site.subnet), BUSY),
    "AllocateAddress": (lambda site: site.ec2.allocate_address(), BUSY),
    "AssociateAddress": (
        lambda site: site.ec2.associate_address(AllocationId=site.address, InstanceId=site.instance),
        BUSY,
    ),
    "ReleaseAddress": (lambda site: site.ec2.release_address(AllocationId=site.address), BUSY),
}
EACH = [(True, name) for name in GROUPED] + [(False, name) for name in ROUTED]


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    with fronted(tmp_path, groups=request.param) as isthmus:
        yield Site(isthmus)


@pytest.fixture
def waits(site: Site, monkeypatch: pytest.MonkeyPatch) -> Waits:
    """For what has not begun yet."""
    made = Waits()
    for module in (wired, snapshots, copies):
        monkeypatch.setattr(module, "time", made)
    return made


@pytest.mark.parametrize(("site", "name"), EACH, ids=lambda one: str(one), indirect=["site"])
def test_an_action_is_answered_before_its_client_gives_up(site: Site, name: str, waits: Waits) -> None:
    act, answer = (ROUTED if hasattr(site, "vpc") else GROUPED)[name]
    told = AT_ONCE
    try:
        act(site)
    except ClientError as refused:
        told = refused.response["Error"]["Code"]

    assert answer == told
    assert waits.seconds < CLIENT_SECONDS - 10
    assert (told == BUSY) == (waits.seconds > CLIENT_SECONDS / 2)


WELL = ""
"""In place of a fault: the job is done."""
UNDONE: Mapping[tuple[bool, str], Mapping[str, tuple[str, ...]]] = {
    (True, "AssignPrivateIpAddresses"): {"addIpToNic": (WELL, NEVER), "removeIpFromNic": (NEVER,)},
    (False, "CreateRoute"): {"createNetworkACL": (NEVER,) * 9, "deleteNetworkACLList": (NEVER,) * 9},
}
"""Where what was begun is taken back, by kind and action: what becomes of the jobs of each command."""
ACTS: Mapping[str, tuple[Act, str]] = {**ROUTED, "CreateRoute": (create_route, BUSY)}


@pytest.mark.parametrize(("site", "name"), UNDONE, ids=lambda one: str(one), indirect=["site"])
def test_who_has_waited_once_does_not_wait_for_what_is_taken_back(site: Site, name: str, waits: Waits) -> None:
    site.cloud.job_seconds = 0
    for command, faults in UNDONE[not hasattr(site, "vpc"), name].items():
        site.cloud.wrong_next(f"{command} job", *faults)

    with pytest.raises(ClientError, match=BUSY):
        ACTS[name][0](site)

    assert CLIENT_SECONDS / 2 < waits.seconds < CLIENT_SECONDS - 10
