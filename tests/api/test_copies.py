"""Copies of snapshots and images."""

from __future__ import annotations

import pytest
from asking import disks, refusal, tagged, tags

HERE = {"SourceRegion": "us-east-1"}


@pytest.fixture
def taken(house, ec2):
    """A completed snapshot of 2 GiB."""
    volume = ec2.create_volume(Size=2, AvailabilityZone="us-east-1a")["VolumeId"]
    house.settle()
    known = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    house.settle()
    return known


@pytest.fixture
def made(house, ec2, taken):
    """An image of the account's own."""
    root = [{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": taken}}]
    known = ec2.register_image(Name="mine", BlockDeviceMappings=root)["ImageId"]
    house.settle()
    return known


def snapshot(ec2, known):
    [found] = ec2.describe_snapshots(SnapshotIds=[known])["Snapshots"]
    return found


def said(ec2, known):
    [found] = ec2.describe_images(ImageIds=[known])["Images"]
    return found


def test_a_copied_snapshot_is_one_of_its_own(house, ec2, taken):
    asked = {"Description": "once more", "TagSpecifications": tagged("snapshot", kind="copy")}
    answer = ec2.copy_snapshot(SourceSnapshotId=taken, **HERE, **asked)

    assert answer["Tags"] == tags(kind="copy")
    copy = snapshot(ec2, answer["SnapshotId"])
    assert (copy["State"], copy["VolumeSize"], copy["Description"]) == ("pending", 2, "once more")
    assert (copy["VolumeId"], copy["OwnerId"]) == ("vol-ffffffff", house.account[0])
    house.settle()
    ec2.delete_snapshot(SnapshotId=taken)
    assert snapshot(ec2, answer["SnapshotId"])["State"] == "completed"
    asked = {"SnapshotId": answer["SnapshotId"], "AvailabilityZone": "us-east-1a"}
    assert ec2.create_volume(**asked)["Size"] == 2


def test_a_shared_snapshot_can_be_copied_and_another_not(house, ec2, stranger, taken):
    copy = {"SourceSnapshotId": taken, **HERE}
    assert refusal(stranger.copy_snapshot, **copy) == "InvalidSnapshot.NotFound"
    change = {"Add": [{"Group": "all"}]}
    ec2.modify_snapshot_attribute(SnapshotId=taken, CreateVolumePermission=change)

    mine = stranger.copy_snapshot(**copy)["SnapshotId"]
    house.settle()

    assert snapshot(stranger, mine)["OwnerId"] != house.account[0]
    assert refusal(ec2.describe_snapshots, SnapshotIds=[mine]) == "InvalidSnapshot.NotFound"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"SourceRegion": "eu-west-1"}, "InvalidParameterValue"),
        ({"Encrypted": True}, "UnsupportedOperation"),
        ({"KmsKeyId": "x"}, "UnsupportedOperation"),
        ({"CompletionDurationMinutes": 15}, "UnsupportedOperation"),
        ({"SourceSnapshotId": "snap-0123456789abcdef0"}, "InvalidSnapshot.NotFound"),
        ({"SourceSnapshotId": "snapshot"}, "InvalidSnapshotID.Malformed"),
    ],
)
def test_a_copy_that_cannot_be_is_refused(ec2, taken, asked, code):
    assert refusal(ec2.copy_snapshot, **{"SourceSnapshotId": taken, **HERE, **asked}) == code
    assert [one["SnapshotId"] for one in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]] == [taken]


def test_a_young_snapshot_is_not_copied(house, ec2):
    volume = ec2.create_volume(Size=1, AvailabilityZone="us-east-1a")["VolumeId"]
    house.settle()
    young = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]

    assert refusal(ec2.copy_snapshot, SourceSnapshotId=young, **HERE) == "IncorrectState"


def test_a_copied_image_has_snapshots_of_its_own_and_launches(house, ec2, made, taken):
    marked = [*tagged("image", kind="copy"), *tagged("snapshot", of="copy")]
    copy = ec2.copy_image(SourceImageId=made, Name="copy", TagSpecifications=marked, **HERE)["ImageId"]

    assert said(ec2, copy)["State"] == "pending"
    house.settle()
    found = said(ec2, copy)
    assert (found["State"], found["Name"], found["Tags"]) == ("available", "copy", tags(kind="copy"))
    assert (found["SourceImageId"], found["SourceImageRegion"]) == (made, "us-east-1")
    [root] = found["BlockDeviceMappings"]
    assert root["Ebs"]["SnapshotId"] != taken
    assert snapshot(ec2, root["Ebs"]["SnapshotId"])["Tags"] == tags(of="copy")
    ec2.deregister_image(ImageId=made, DeleteAssociatedSnapshots=True)
    asked = {"ImageId": copy, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    launched = ec2.run_instances(**asked)["Instances"][0]["InstanceId"]
    house.settle()
    assert disks(ec2, launched)["/dev/sda1"]["SnapshotId"] == root["Ebs"]["SnapshotId"]


def test_a_public_image_can_be_copied(house, ec2, image):
    copy = ec2.copy_image(SourceImageId=image, Name="mine now", **HERE)["ImageId"]
    house.settle()

    found, source = said(ec2, copy), said(ec2, image)
    assert (found["OwnerId"], found["Public"]) == (house.account[0], False)
    assert found["RootDeviceName"] == source["RootDeviceName"]
    ec2.deregister_image(ImageId=copy)
    assert said(ec2, image)["State"] == "available"


def test_an_images_tags_are_copied_if_that_is_asked_for(house, ec2, made):
    ec2.create_tags(Resources=[made], Tags=tags(a="1", b="2"))
    asked = {"TagSpecifications": tagged("image", b="3"), "CopyImageTags": True}
    copy = ec2.copy_image(SourceImageId=made, Name="copy", **asked, **HERE)["ImageId"]
    plain = ec2.copy_image(SourceImageId=made, Name="plain copy", **HERE)["ImageId"]

    assert {one["Key"]: one["Value"] for one in said(ec2, copy)["Tags"]} == {"a": "1", "b": "3"}
    assert "Tags" not in said(ec2, plain)


def test_an_image_is_copied_once_for_a_token(ec2, made):
    asked = {"SourceImageId": made, "Name": "copy", "ClientToken": "t", **HERE}

    assert ec2.copy_image(**asked)["ImageId"] == ec2.copy_image(**asked)["ImageId"]
    assert len(ec2.describe_images(Owners=["self"])["Images"]) == 2


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"SourceRegion": "eu-west-1"}, "InvalidParameterValue"),
        ({"Name": "mine"}, "InvalidAMIName.Duplicate"),
        ({"Name": "x"}, "InvalidAMIName.Malformed"),
        ({"Encrypted": True}, "UnsupportedOperation"),
        ({"SourceImageId": "ami-0123456789abcdef0"}, "InvalidAMIID.NotFound"),
        ({"SourceImageId": "image"}, "InvalidAMIID.Malformed"),
    ],
)
def test_an_image_that_cannot_be_copied_is_refused(ec2, made, asked, code):
    assert refusal(ec2.copy_image, **{"SourceImageId": made, "Name": "copy", **HERE, **asked}) == code
    assert len(ec2.describe_images(Owners=["self"])["Images"]) == 1
