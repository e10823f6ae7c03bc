"""Snapshots: of free and of attached volumes, and of what images are made of."""

from __future__ import annotations

import pytest
from asking import disks, refusal, tagged, tags, where

NOBODY = "snap-0123456789abcdef0"


@pytest.fixture
def root(ec2, launched):
    """The root volume of a running instance."""
    return disks(ec2, launched)["/dev/sda1"]["VolumeId"]


@pytest.fixture
def taken(house, ec2, root):
    """A completed snapshot of it."""
    known = ec2.create_snapshot(VolumeId=root, Description="before the storm")["SnapshotId"]
    house.settle()
    return known


def own(ec2, **asked):
    return ec2.describe_snapshots(OwnerIds=["self"], **asked)["Snapshots"]


def test_a_snapshot_is_pending_and_then_completed(house, ec2, root):
    asked = {"Description": "nightly", "TagSpecifications": tagged("snapshot", kind="nightly")}
    answer = ec2.create_snapshot(VolumeId=root, **asked)

    assert (answer["State"], answer["VolumeId"], answer["Description"]) == ("pending", root, "nightly")
    assert (answer["OwnerId"], answer["VolumeSize"], answer["Encrypted"]) == (house.account[0], 1, False)
    assert answer["Tags"] == tags(kind="nightly")
    house.settle()
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[answer["SnapshotId"]])
    [found] = ec2.describe_snapshots(SnapshotIds=[answer["SnapshotId"]])["Snapshots"]
    assert (found["State"], found["Progress"], found["StorageTier"]) == ("completed", "100%", "standard")
    assert found["StartTime"] == answer["StartTime"]


def test_a_snapshot_of_an_attached_volume_leaves_it_attached(ec2, root, taken):
    [volume] = ec2.describe_volumes(VolumeIds=[root])["Volumes"]

    assert (volume["State"], volume["Attachments"][0]["State"]) == ("in-use", "attached")


def test_a_snapshot_outlives_its_volume(house, ec2, launched, root, taken):
    ec2.terminate_instances(InstanceIds=[launched])
    house.settle()

    [found] = own(ec2)
    assert (found["SnapshotId"], found["VolumeId"]) == (taken, root)


def test_a_snapshot_of_nothing_is_refused(ec2):
    assert refusal(ec2.create_snapshot, VolumeId="vol-0123456789abcdef0") == "InvalidVolume.NotFound"
    assert refusal(ec2.create_snapshot, VolumeId="vol-x") == "InvalidVolumeID.Malformed"
    assert refusal(ec2.create_snapshot) == "MissingParameter"
    young = ec2.create_volume(Size=1, AvailabilityZone="us-east-1a")["VolumeId"]
    assert refusal(ec2.create_snapshot, VolumeId=young) == "IncorrectState"
    assert refusal(ec2.create_snapshot, VolumeId=young, Location="local") == "UnsupportedOperation"
    assert own(ec2) == []


def test_more_snapshots_than_the_cloud_allows_are_refused(build):
    house = build(quota={"snapshot": 1})
    ec2 = house.client()
    volume = ec2.create_volume(Size=1, AvailabilityZone="us-east-1a")["VolumeId"]
    house.settle()
    ec2.create_snapshot(VolumeId=volume)

    assert refusal(ec2.create_snapshot, VolumeId=volume) == "SnapshotLimitExceeded"
    assert len(own(ec2)) == 1


def test_a_deleted_snapshot_is_gone_with_its_tags(ec2, taken):
    ec2.create_tags(Resources=[taken], Tags=tags(a="b"))
    ec2.delete_snapshot(SnapshotId=taken)

    assert own(ec2) == []
    assert refusal(ec2.describe_snapshots, SnapshotIds=[taken]) == "InvalidSnapshot.NotFound"
    assert refusal(ec2.delete_snapshot, SnapshotId=taken) == "InvalidSnapshot.NotFound"
    assert not ec2.describe_tags()["Tags"]


def test_a_snapshot_that_an_image_needs_is_kept(house, ec2, taken):
    root = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": taken}}
    image = ec2.register_image(Name="of a snapshot", BlockDeviceMappings=[root])["ImageId"]

    assert refusal(ec2.delete_snapshot, SnapshotId=taken) == "InvalidSnapshot.InUse"
    assert [one["SnapshotId"] for one in own(ec2)] == [taken]
    ec2.deregister_image(ImageId=image)
    ec2.delete_snapshot(SnapshotId=taken)
    assert own(ec2) == []


def test_the_clouds_own_snapshots_can_be_read_but_not_deleted(ec2):
    [public, *_] = ec2.describe_snapshots(RestorableByUserIds=["all"])["Snapshots"]

    assert public["OwnerAlias"] == "amazon"
    assert refusal(ec2.delete_snapshot, SnapshotId=public["SnapshotId"]) == "InvalidSnapshot.NotFound"
    assert ec2.create_volume(SnapshotId=public["SnapshotId"], AvailabilityZone="us-east-1a")["VolumeId"]


def test_a_strangers_snapshot_is_not_there(ec2, stranger, taken):
    assert refusal(stranger.describe_snapshots, SnapshotIds=[taken]) == "InvalidSnapshot.NotFound"
    assert refusal(stranger.delete_snapshot, SnapshotId=taken) == "InvalidSnapshot.NotFound"
    asked = {"SnapshotId": taken, "AvailabilityZone": "us-east-1a"}
    assert refusal(stranger.create_volume, **asked) == "InvalidSnapshot.NotFound"
    root = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": taken}}
    assert refusal(stranger.register_image, Name="stolen", BlockDeviceMappings=[root]) == "InvalidSnapshot.NotFound"
    assert refusal(stranger.create_tags, Resources=[taken], Tags=tags(a="b")) == "InvalidSnapshot.NotFound"
    assert own(stranger) == []
    assert taken not in {one["SnapshotId"] for one in stranger.describe_snapshots()["Snapshots"]}
    assert [one["SnapshotId"] for one in own(ec2)] == [taken]


def test_snapshots_are_found_by_what_they_are(house, ec2, root, taken):
    other = ec2.create_snapshot(VolumeId=root, TagSpecifications=tagged("snapshot", Name="x"))["SnapshotId"]
    wanted = {
        "description": ("before*", {taken}),
        "encrypted": ("false", {taken, other}),
        "owner-id": (house.account[0], {taken, other}),
        "progress": ("100%", {taken}),
        "snapshot-id": (other, {other}),
        "status": ("pending", {other}),
        "tag:Name": ("x", {other}),
        "volume-id": (root, {taken, other}),
        "volume-size": ("1", {taken, other}),
    }
    for name, (value, expected) in wanted.items():
        found = own(ec2, Filters=[{"Name": name, "Values": [value]}])
        assert {one["SnapshotId"] for one in found} == expected, name
    mine = ec2.describe_snapshots(OwnerIds=[house.account[0]])["Snapshots"]
    assert {one["SnapshotId"] for one in mine} == {taken, other}
    amazons = ec2.describe_snapshots(OwnerIds=["amazon"], Filters=where(status="completed"))["Snapshots"]
    assert {taken, other}.isdisjoint(one["SnapshotId"] for one in amazons)
