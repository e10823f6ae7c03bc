"""Volumes, snapshots and images of a real Cinder and Glance, through a botocore client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import real_openstack
from botocore.exceptions import ClientError
from real_openstack import until

from isthmus.core.ids import Kind, adopt

ZONE = "us-east-1a"


def volume_of(ec2: Any, volume: str) -> Any:
    [found] = ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
    return found


def gone(ec2: Any, volume: str) -> str:
    try:
        return str(volume_of(ec2, volume)["State"])
    except ClientError as error:
        return str(error.response["Error"]["Code"])


@pytest.fixture
def later() -> Iterator[list[Callable[[], Any]]]:
    """What is to be done at the end, the last first; what is gone already is well."""
    steps: list[Callable[[], Any]] = []
    yield steps
    for step in reversed(steps):
        with suppress(ClientError):
            step()


@pytest.fixture
def volume(ec2: Any, later: list[Callable[[], Any]]) -> str:
    """An available volume of 1 GiB."""
    made = str(ec2.create_volume(AvailabilityZone=ZONE, Size=1)["VolumeId"])
    later.append(lambda: ec2.delete_volume(VolumeId=made))
    until(lambda: str(volume_of(ec2, made)["State"]), "available")
    return made


@pytest.fixture
def snapshot(ec2: Any, volume: str, later: list[Callable[[], Any]]) -> str:
    made = str(ec2.create_snapshot(VolumeId=volume)["SnapshotId"])

    def state() -> str:
        return str(ec2.describe_snapshots(SnapshotIds=[made])["Snapshots"][0]["State"])

    def clear() -> None:
        ec2.delete_snapshot(SnapshotId=made)
        until(lambda: "".join(one["State"] for one in _snapshots(ec2, made)), "")

    later.append(clear)
    until(state, "completed")
    return made


def _snapshots(ec2: Any, snapshot: str) -> Any:
    return [one for one in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] if one["SnapshotId"] == snapshot]


def test_a_volume_says_its_size_type_and_zone(ec2, volume):
    found = volume_of(ec2, volume)

    assert (1, "gp2", ZONE, []) == (found["Size"], found["VolumeType"], found["AvailabilityZone"], found["Attachments"])


def test_a_volume_type_that_cinder_lacks_is_refused(ec2):
    with pytest.raises(ec2.exceptions.ClientError, match="UnsupportedOperation.*volume type"):
        ec2.create_volume(AvailabilityZone=ZONE, Size=500, VolumeType="st1")


def test_iops_of_ones_own_are_refused(ec2):
    with pytest.raises(ec2.exceptions.ClientError, match="UnsupportedOperation.*IOPS"):
        ec2.create_volume(AvailabilityZone=ZONE, Size=10, VolumeType="io1", Iops=100)


def test_a_volume_with_snapshots_is_in_use(ec2, volume, snapshot):
    with pytest.raises(ec2.exceptions.ClientError, match="VolumeInUse"):
        ec2.delete_volume(VolumeId=volume)

    assert "available" == volume_of(ec2, volume)["State"]


def test_a_volume_goes_right_after_its_snapshots(ec2, volume, snapshot):
    """Cinder takes its time for these, and would not let the volume go before."""
    ec2.delete_snapshot(SnapshotId=snapshot)
    ec2.delete_volume(VolumeId=volume)

    until(lambda: gone(ec2, volume), "InvalidVolume.NotFound")


def test_what_is_another_projects_does_not_exist(their_ec2, volume, snapshot):
    with pytest.raises(their_ec2.exceptions.ClientError, match=r"InvalidVolume\.NotFound"):
        their_ec2.describe_volumes(VolumeIds=[volume])
    with pytest.raises(their_ec2.exceptions.ClientError, match=r"InvalidSnapshot\.NotFound"):
        their_ec2.create_volume(AvailabilityZone=ZONE, SnapshotId=snapshot)


def test_an_image_of_snapshots_boots_and_its_disks_are_the_instances(ec2, snapshot, later):
    mappings = [
        {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}},
        {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1}},
    ]
    image = ec2.register_image(Name="of a snapshot", RootDeviceName="/dev/sda1", BlockDeviceMappings=mappings)[
        "ImageId"
    ]
    later.append(lambda: ec2.deregister_image(ImageId=image))
    [found] = ec2.describe_images(ImageIds=[image])["Images"]
    assert [("/dev/sda1", snapshot), ("/dev/sdf", None)] == [
        (one["DeviceName"], one["Ebs"].get("SnapshotId")) for one in found["BlockDeviceMappings"]
    ]

    other = [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeType": "gp3"}}]
    [made] = ec2.run_instances(
        ImageId=image, InstanceType="m1.nano", MinCount=1, MaxCount=1, BlockDeviceMappings=other
    )["Instances"]
    instance = made["InstanceId"]

    def look() -> Any:
        return ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]

    def clear() -> None:
        ec2.terminate_instances(InstanceIds=[instance])
        until(lambda: str(look()["State"]["Name"]), "terminated")

    later.append(clear)
    until(lambda: str(look()["State"]["Name"]), "running")
    disks = {one["DeviceName"]: one["Ebs"] for one in look()["BlockDeviceMappings"]}
    assert {"/dev/sda1", "/dev/sdf"} == disks.keys()
    assert snapshot == volume_of(ec2, disks["/dev/sda1"]["VolumeId"])["SnapshotId"]
    ec2.modify_instance_attribute(
        InstanceId=instance, BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"DeleteOnTermination": False}}]
    )
    kept = disks["/dev/sdf"]["VolumeId"]
    later.insert(0, lambda: ec2.delete_volume(VolumeId=kept))

    clear()

    until(lambda: gone(ec2, disks["/dev/sda1"]["VolumeId"]), "InvalidVolume.NotFound")
    assert ("available", "gp3") == (volume_of(ec2, kept)["State"], volume_of(ec2, kept)["VolumeType"])


@pytest.fixture
def launched(ec2: Any, later: list[Callable[[], Any]]) -> dict[str, list[tuple[str, bool, str]]]:
    """Six instances with a volume each of their launch: the volumes by their instances."""
    disk = {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1, "VolumeType": "gp3"}}
    asked = {**real_openstack.launch(ec2), "MinCount": 6, "MaxCount": 6}
    made = ec2.run_instances(**asked, BlockDeviceMappings=[disk])["Instances"]
    known = {"InstanceIds": [one["InstanceId"] for one in made]}
    ended = ec2.get_waiter("instance_terminated")
    later.append(lambda: ended.wait(**known, WaiterConfig={"Delay": 1, "MaxAttempts": 120}))
    later.append(lambda: ec2.terminate_instances(**known))
    ec2.get_waiter("instance_running").wait(**known, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    return disks_of(ec2, known["InstanceIds"])


def disks_of(ec2: Any, instances: list[str]) -> dict[str, list[tuple[str, bool, str]]]:
    volumes = {one["VolumeId"]: one["VolumeType"] for one in ec2.describe_volumes()["Volumes"]}
    return {
        one["InstanceId"]: [
            (disk["DeviceName"], disk["Ebs"]["DeleteOnTermination"], volumes[disk["Ebs"]["VolumeId"]])
            for disk in one["BlockDeviceMappings"]
        ]
        for held in ec2.describe_instances(InstanceIds=instances)["Reservations"]
        for one in held["Instances"]
    }


def test_an_isthmus_that_knows_nothing_yet_asks_nova_for_no_servers_volumes_alone(ec2, launched, calls, fresh):
    assert 6 * [[("/dev/sdf", True, "gp3")]] == list(launched.values())
    noted = real_openstack.connection("demo").block_storage
    until(lambda: sum("isthmus:at" in one.metadata for one in noted.volumes() if one.attachments) >= 6, True)
    new = fresh()
    calls.made.clear()

    there = [one for held in new.describe_instances()["Reservations"] for one in held["Instances"]]

    assert not [one for one in calls.made if "os-volume_attachments" in one]
    assert 1 == len([one for one in calls.made if "/servers" in one])
    assert launched == {known: told for known, told in disks_of(new, list(launched)).items() if known in launched}
    assert launched.keys() <= {one["InstanceId"] for one in there}


def test_volumes_of_servers_that_nova_launched_are_told_by_its_list_of_servers(natively, calls, fresh):
    nova, made = real_openstack.connection("demo"), natively(5)
    volumes = [nova.block_storage.create_volume(size=1) for _ in made]
    try:
        for server, volume in zip(made, volumes, strict=True):
            nova.block_storage.wait_for_status(volume, "available")
            nova.compute.create_volume_attachment(server, volume_id=volume.id, delete_on_termination=True)
        until(lambda: {nova.block_storage.get_volume(one).status for one in volumes}, {"in-use"})
        new = fresh()
        calls.made.clear()

        found = new.describe_volumes(VolumeIds=[adopt(Kind.VOLUME, "openstack", one.id) for one in volumes])["Volumes"]

        assert not [one for one in calls.made if "os-volume_attachments" in one]
        assert 1 == len([one for one in calls.made if "/servers" in one])
        links = [link for one in found for link in one["Attachments"]]
        assert 5 * [("attached", True)] == [(link["State"], link["DeleteOnTermination"]) for link in links]
        assert all(link["Device"] for link in links)
    finally:
        natively(0)  # with them go their volumes


def test_describing_all_volumes_asks_for_each_list_once(ec2, volume, calls):
    ec2.describe_volumes()

    assert len(calls.made) == len(set(calls.made)), "something was asked for twice"
    assert 1 == len([one for one in calls.made if "/volumes" in one])
