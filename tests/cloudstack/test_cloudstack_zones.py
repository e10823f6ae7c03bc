"""Zones: what is in one of them does not go with what is in another, and of the kind Basic no networks are named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import cs
import pytest
from botocore.exceptions import ClientError
from emulated_cloudstack import TENANTS, Emulated, fronted
from served import eventually

from isthmus.errors import Invalid, Unsupported
from isthmus.model import ImageDisk, ServerState, SnapshotState, VolumeState
from isthmus.providers import AddressSpec, DiskSpec, ImageSpec, ServerSpec, SnapshotSpec, VolumeSpec

KINDS = {True: ("Advanced", "Basic"), False: ("Advanced", "Advanced")}


@pytest.fixture(params=[True, False], ids=["security groups", "VPCs"])
def stack(request: pytest.FixtureRequest) -> Iterator[Emulated]:
    made = Emulated("stack", groups=request.param, kinds=KINDS[request.param])
    yield made
    made.close()


@pytest.fixture
def session(stack: Emulated) -> Any:
    return stack.session(TENANTS[0])


def ref() -> str:
    return f"x-{uuid4().hex[:17]}"


def launched(stack: Emulated, session: Any, zone: str, image: str = "") -> Any:
    found = next(one for one in session.images.list_images() if image in ("", one.native))
    root = DiskSpec(ref(), found.root_device, 0, root=True)
    flavor = session.compute.list_flavors()[0].native
    made = session.compute.create_server(ServerSpec(ref(), "", found.native, flavor, zone, (root,)))

    def now() -> Any:
        stack.settle()
        return next(one for one in session.compute.list_servers() if one.native == made.native)

    return eventually(now, lambda one: one.state is ServerState.RUNNING)


def snapshot_of(stack: Emulated, session: Any, server: Any) -> str:
    [root] = [one for one in session.volumes.list_volumes() if one.attachments[0].server == server.native]
    made = session.volumes.create_snapshot(SnapshotSpec(ref(), root.native)).native

    def now() -> Any:
        stack.settle()
        return session.volumes.list_snapshots([made])[0].state

    eventually(now, lambda state: state is SnapshotState.COMPLETED)
    return str(made)


def test_a_server_is_in_the_network_of_its_zone_whatever_the_zones_kind(stack: Emulated, session: Any) -> None:
    for zone in ("zone-1", "zone-2"):
        server = launched(stack, session, zone)
        [port] = [one for one in session.ports.list_ports() if one.server == server.native]
        [subnet] = [one for one in session.networks.list_subnets() if one.native == port.subnet]

        assert (zone, zone) == (server.zone, subnet.zone)


def test_no_network_is_named_in_a_basic_zone(stack: Emulated) -> None:
    """What the emulator refuses Isthmus does not ask for."""
    world = stack.emulator.world
    account = world.new_account("third")
    them = cs.CloudStack(endpoint=stack.emulator.url, key=account.api, secret=account.secret, method="post")
    asked = {"serviceofferingid": world.service_offerings[0]["id"], "templateid": world.templates[0]["id"]}
    for zone in world.zones:
        for network in [one for one in world.networks if one["zoneid"] == zone["id"]]:
            asked |= {"zoneid": zone["id"], "networkids": network["id"]}
            if zone["networktype"] == "Basic":
                with pytest.raises(cs.CloudStackException, match="network Ids in Basic zone"):
                    them.deployVirtualMachine(**asked)
            else:
                assert them.deployVirtualMachine(**asked)["id"]


def test_a_volume_of_a_snapshot_is_in_the_zone_of_that(stack: Emulated, session: Any) -> None:
    snapshot = snapshot_of(stack, session, launched(stack, session, "zone-2"))
    before = session.volumes.list_volumes()

    with pytest.raises(Unsupported, match="zone-1"):
        session.volumes.create_volume(VolumeSpec(ref(), 0, "zone-1", snapshot=snapshot))

    assert before == session.volumes.list_volumes()
    stack.emulator.world.job_seconds = 60
    made = session.volumes.create_volume(VolumeSpec(ref(), 0, "zone-2", snapshot=snapshot))
    assert ("zone-2", VolumeState.CREATING) == (made.zone, made.state)


def test_an_image_of_a_snapshot_makes_servers_in_the_zone_of_that(stack: Emulated, session: Any) -> None:
    snapshot = snapshot_of(stack, session, launched(stack, session, "zone-1"))
    disk = ImageDisk("/dev/sda1", 0, snapshot)
    image = session.images.create_image(ImageSpec(ref(), "own", disks=(disk,))).native
    stack.settle()

    assert "zone-1" == launched(stack, session, "zone-1", image).zone
    with pytest.raises(Invalid, match="not available"):
        launched(stack, session, "zone-2", image)


def test_templates_of_several_zones_are_one_image(stack: Emulated, session: Any) -> None:
    assert 4 == len(stack.emulator.world.templates)
    assert ["community", "debian"] == sorted(one.name for one in session.images.list_images())


def test_an_address_of_one_zone_is_not_for_servers_of_another() -> None:
    """And is not lost by it."""
    stack = Emulated("stack", groups=False, kinds=KINDS[False])
    try:
        session = stack.session(TENANTS[0])
        address = session.addresses.allocate_address(AddressSpec(ref()))
        launched(stack, session, "zone-2")
        [port] = session.ports.list_ports()

        with pytest.raises(Unsupported, match="in zone-1"):
            session.addresses.associate_address(address.native, port.native)

        assert [address] == session.addresses.list_addresses()
    finally:
        stack.close()


def test_the_addresses_of_a_further_zone_have_a_network_border_group_of_their_own(tmp_path: Path) -> None:
    with fronted(tmp_path, groups=False, kinds=KINDS[False]) as isthmus:
        ec2 = isthmus.client()
        groups = [one["NetworkBorderGroup"] for one in ec2.describe_availability_zones()["AvailabilityZones"]]
        here, there = (ec2.allocate_address(NetworkBorderGroup=one) for one in groups)
        image = ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian"]}])["Images"][0]["ImageId"]
        placed = {"MinCount": 1, "MaxCount": 1, "ImageId": image, "Placement": {"AvailabilityZone": "us-east-1b"}}
        instance = ec2.run_instances(**placed, InstanceType="Tiny")["Instances"][0]["InstanceId"]
        isthmus.wait(ec2, instance, "running")

        assert groups == ["us-east-1", "us-east-1b"]
        with pytest.raises(ClientError, match="UnsupportedOperation"):
            ec2.associate_address(InstanceId=instance, AllocationId=here["AllocationId"])
        ec2.associate_address(InstanceId=instance, AllocationId=there["AllocationId"])
        [seen] = ec2.describe_addresses(Filters=[{"Name": "network-border-group", "Values": [groups[1]]}])["Addresses"]
        assert (there["PublicIp"], instance) == (seen["PublicIp"], seen["InstanceId"])
        with pytest.raises(ClientError, match="InvalidParameterValue"):
            ec2.release_address(AllocationId=here["AllocationId"], NetworkBorderGroup=groups[1])
        ec2.release_address(AllocationId=here["AllocationId"], NetworkBorderGroup=groups[0])


def test_a_launch_with_a_public_address_has_one_of_its_zone(tmp_path: Path) -> None:
    with fronted(tmp_path, groups=False, kinds=KINDS[False]) as isthmus:
        ec2 = isthmus.client()
        image = ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian"]}])["Images"][0]["ImageId"]
        [subnet] = ec2.describe_subnets(Filters=[{"Name": "availability-zone", "Values": ["us-east-1b"]}])["Subnets"]
        public = [{"DeviceIndex": 0, "SubnetId": subnet["SubnetId"], "AssociatePublicIpAddress": True}]
        placed = {"MinCount": 1, "MaxCount": 1, "ImageId": image, "NetworkInterfaces": public}
        instance = ec2.run_instances(**placed, InstanceType="Tiny")["Instances"][0]["InstanceId"]
        isthmus.wait(ec2, instance, "running")

        [found] = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
        zone = isthmus.emulated.zones[1]["id"]
        assert found["PublicIpAddress"].startswith(isthmus.emulated.public_range(zone))
