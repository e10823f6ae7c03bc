"""Copies of snapshots, volumes and images."""

from __future__ import annotations

import pytest
from asking import disks, refusal, tagged, tags, volume

from isthmus.providers import Capability

HERE = {"SourceRegion": "us-east-1"}


@pytest.fixture
def taken(house, ec2):
    """A completed snapshot of 2 GiB."""
    held = ec2.create_volume(Size=2, AvailabilityZone="us-east-1a")["VolumeId"]
    house.settle()
    known = ec2.create_snapshot(VolumeId=held)["SnapshotId"]
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


@pytest.fixture
def source(house, ec2):
    """A volume of 2 GiB."""
    known = ec2.create_volume(Size=2, AvailabilityZone="us-east-1b", VolumeType="gp3")["VolumeId"]
    house.settle()
    return known


def test_a_copied_volume_is_one_of_its_own(house, ec2, source):
    asked = {"VolumeType": "gp3", "Iops": 4000, "TagSpecifications": tagged("volume", kind="copy")}
    [copy] = ec2.copy_volumes(SourceVolumeId=source, **asked)["Volumes"]

    assert (copy["SourceVolumeId"], copy["State"], copy["Tags"]) == (source, "creating", tags(kind="copy"))
    assert copy["VolumeId"] != source
    house.settle()
    ec2.delete_volume(VolumeId=source)
    house.settle()
    house.mend()
    found = volume(ec2, copy["VolumeId"])
    assert (found["State"], found["Size"], found["Iops"], found["VolumeType"]) == ("available", 2, 4000, "gp3")
    assert (found["AvailabilityZone"], found["SnapshotId"], found["Encrypted"]) == ("us-east-1b", "", False)
    assert found["SourceVolumeId"] == source
    assert not ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]


def test_a_volume_is_copied_while_it_is_in_use(house, ec2, launched):
    [root] = disks(ec2, launched).values()

    [copy] = ec2.copy_volumes(SourceVolumeId=root["VolumeId"], Size=100)["Volumes"]
    house.settle()
    found = volume(ec2, copy["VolumeId"])
    assert (found["Size"], found["State"], found["Attachments"]) == (100, "available", [])
    assert disks(ec2, launched) == {"/dev/sda1": root}


def test_a_copy_is_encrypted_if_its_source_is_or_if_asked(house, ec2, source):
    asked = {"AvailabilityZone": "us-east-1a", "Size": 1, "Encrypted": True}
    secret = ec2.create_volume(**asked)["VolumeId"]
    house.settle()

    copies = [{"SourceVolumeId": secret}, {"SourceVolumeId": source, "Encrypted": True}, {"SourceVolumeId": source}]
    made = [ec2.copy_volumes(**one)["Volumes"][0]["Encrypted"] for one in copies]
    assert made == [True, True, False]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"SourceVolumeId": "vol-0123456789abcdef0"}, "InvalidVolume.NotFound"),
        ({"SourceVolumeId": "vol-x"}, "InvalidVolumeID.Malformed"),
        ({"Size": 1}, "InvalidParameterValue"),
        ({"Size": 70000}, "InvalidParameterValue"),
        ({"VolumeType": "huge"}, "UnknownVolumeType"),
        ({"VolumeType": "io1"}, "MissingParameter"),
        ({"Iops": 300}, "InvalidParameterCombination"),
        ({"KmsKeyId": "k"}, "UnsupportedOperation"),
        ({"MultiAttachEnabled": True}, "UnsupportedOperation"),
    ],
)
def test_a_refused_copy_of_a_volume_is_not_made(ec2, source, asked, code):
    assert refusal(ec2.copy_volumes, **{"SourceVolumeId": source, **asked}) == code
    assert [one["VolumeId"] for one in ec2.describe_volumes()["Volumes"]] == [source]


def test_a_volume_that_is_not_ready_is_not_copied(ec2):
    known = ec2.create_volume(Size=1, AvailabilityZone="us-east-1a")["VolumeId"]

    assert refusal(ec2.copy_volumes, SourceVolumeId=known) == "IncorrectState"


def test_a_copy_with_one_token_is_made_once(ec2, stranger, source):
    first, second = (ec2.copy_volumes(SourceVolumeId=source, ClientToken="t")["Volumes"] for _ in range(2))

    assert first[0]["VolumeId"] == second[0]["VolumeId"]
    assert len(ec2.describe_volumes()["Volumes"]) == 2
    assert refusal(stranger.copy_volumes, SourceVolumeId=source) == "InvalidVolume.NotFound"


def test_a_volume_is_not_copied_where_the_cloud_cannot(house, ec2, source, monkeypatch):
    monkeypatch.setattr(type(house.cloud), "lacks", {Capability.VOLUME_COPY: "There are no copies."})

    assert refusal(ec2.copy_volumes, SourceVolumeId=source) == "UnsupportedOperation"


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
