"""Volumes: made, attached, detached and deleted, and what is refused on the way."""

from __future__ import annotations

import pytest
from asking import disks, instance, refusal, tagged, tags, volume, where
from botocore.exceptions import ClientError

from isthmus.errors import NotFound, Throttled
from isthmus.providers.memory.volumes import MemoryVolumes

NOBODY = "vol-0123456789abcdef0"
ZONE = {"AvailabilityZone": "us-east-1a"}


@pytest.fixture
def made(house, ec2):
    """An available volume of 2 GiB."""
    known = ec2.create_volume(Size=2, **ZONE)["VolumeId"]
    house.settle()
    return known


@pytest.fixture
def attached(house, ec2, launched, made):
    ec2.attach_volume(VolumeId=made, InstanceId=launched, Device="/dev/sdf")
    house.settle()
    return made


def test_a_volume_is_creating_and_then_available(house, ec2):
    answer = ec2.create_volume(Size=3, VolumeType="gp3", TagSpecifications=tagged("volume", Name="data"), **ZONE)

    assert answer["State"] == "creating"
    assert (answer["Size"], answer["VolumeType"], answer["Iops"], answer["Throughput"]) == (3, "gp3", 3000, 125)
    assert (answer["Encrypted"], answer["MultiAttachEnabled"], answer["SnapshotId"]) == (False, False, "")
    assert (answer["AvailabilityZone"], answer["Tags"]) == ("us-east-1a", tags(Name="data"))
    house.settle()
    ec2.get_waiter("volume_available").wait(VolumeIds=[answer["VolumeId"]])
    found = volume(ec2, answer["VolumeId"])
    assert (found["State"], found["Attachments"], found["CreateTime"]) == ("available", [], answer["CreateTime"])


@pytest.mark.parametrize(
    ("asked", "iops"), [({}, 100), ({"Size": 100}, 300), ({"VolumeType": "io1", "Iops": 200}, 200)]
)
def test_a_volume_has_the_iops_of_its_type(ec2, asked, iops):
    answer = ec2.create_volume(**{"Size": 1, **ZONE, **asked})

    assert (answer["Iops"], answer["VolumeType"]) == (iops, asked.get("VolumeType", "gp2"))


def test_a_zone_can_be_said_by_its_id(ec2):
    assert ec2.create_volume(Size=1, AvailabilityZoneId="use1-az2")["AvailabilityZone"] == "us-east-1b"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"Size": 1}, "MissingParameter"),
        ({**ZONE}, "MissingParameter"),
        ({**ZONE, "Size": 0}, "InvalidParameterValue"),
        ({**ZONE, "Size": -1}, "InvalidParameterValue"),
        ({**ZONE, "Size": 65537}, "InvalidParameterValue"),
        ({"Size": 1, "AvailabilityZone": "us-east-1z"}, "InvalidZone.NotFound"),
        ({**ZONE, "Size": 1, "VolumeType": "floppy"}, "UnknownVolumeType"),
        ({**ZONE, "Size": 1, "VolumeType": "io1"}, "MissingParameter"),
        ({**ZONE, "Size": 1, "Iops": 300}, "InvalidParameterCombination"),
        ({**ZONE, "Size": 1, "VolumeType": "gp3", "Throughput": 500}, "UnsupportedOperation"),
        ({**ZONE, "Size": 1, "Throughput": 125}, "InvalidParameterCombination"),
        ({**ZONE, "Size": 1, "MultiAttachEnabled": True}, "UnsupportedOperation"),
        ({**ZONE, "Size": 1, "KmsKeyId": "alias/mine"}, "UnsupportedOperation"),
        ({**ZONE, "SnapshotId": "snap-0123456789abcdef0"}, "InvalidSnapshot.NotFound"),
        ({**ZONE, "SnapshotId": "snap-x"}, "InvalidSnapshotID.Malformed"),
        ({**ZONE, "Size": 1, "TagSpecifications": tagged("instance", a="b")}, "InvalidParameterValue"),
    ],
)
def test_a_refused_volume_is_not_made(ec2, asked, code):
    assert refusal(ec2.create_volume, **asked) == code
    assert ec2.describe_volumes()["Volumes"] == []


def test_more_volumes_than_the_cloud_allows_are_refused(build):
    ec2 = build(quota={"volume": 1}).client()
    ec2.create_volume(Size=1, **ZONE)

    assert refusal(ec2.create_volume, Size=1, **ZONE) == "VolumeLimitExceeded"
    assert len(ec2.describe_volumes()["Volumes"]) == 1


def test_a_volume_of_a_snapshot_is_as_large_or_larger(house, ec2, made):
    snapshot = ec2.create_snapshot(VolumeId=made)["SnapshotId"]
    assert refusal(ec2.create_volume, SnapshotId=snapshot, **ZONE) == "IncorrectState"
    house.settle()

    same = ec2.create_volume(SnapshotId=snapshot, **ZONE)
    larger = ec2.create_volume(SnapshotId=snapshot, Size=5, AvailabilityZone="us-east-1b")
    assert (same["Size"], larger["Size"]) == (2, 5)
    assert same["SnapshotId"] == larger["SnapshotId"] == snapshot
    assert refusal(ec2.create_volume, SnapshotId=snapshot, Size=1, **ZONE) == "InvalidParameterValue"


def test_a_deleted_volume_is_gone_with_its_tags(house, ec2, made):
    ec2.create_tags(Resources=[made], Tags=tags(a="b"))
    ec2.delete_volume(VolumeId=made)

    assert volume(ec2, made)["State"] == "deleting"
    house.settle()
    ec2.get_waiter("volume_deleted").wait(VolumeIds=[made])
    assert refusal(ec2.describe_volumes, VolumeIds=[made]) == "InvalidVolume.NotFound"
    assert refusal(ec2.delete_volume, VolumeId=made) == "InvalidVolume.NotFound"
    assert not ec2.describe_tags()["Tags"]


def test_a_volume_is_attaching_and_then_attached(house, ec2, launched, made):
    answer = ec2.attach_volume(VolumeId=made, InstanceId=launched, Device="/dev/sdf")

    assert (answer["State"], answer["Device"], answer["InstanceId"]) == ("attaching", "/dev/sdf", launched)
    assert (answer["VolumeId"], answer["DeleteOnTermination"]) == (made, False)
    [held] = volume(ec2, made)["Attachments"]
    assert (volume(ec2, made)["State"], held["State"]) == ("in-use", "attaching")
    house.settle()
    [held] = volume(ec2, made)["Attachments"]
    assert (held["State"], held["InstanceId"], held["Device"]) == ("attached", launched, "/dev/sdf")
    mapping = {one["DeviceName"]: one["Ebs"] for one in instance(ec2, launched)["BlockDeviceMappings"]}
    assert (mapping["/dev/sdf"]["VolumeId"], mapping["/dev/sdf"]["Status"]) == (made, "attached")
    ec2.get_waiter("volume_in_use").wait(VolumeIds=[made])


def test_a_volume_can_be_attached_to_a_stopped_instance(house, ec2, launched, made):
    ec2.stop_instances(InstanceIds=[launched])
    house.settle()
    ec2.attach_volume(VolumeId=made, InstanceId=launched, Device="/dev/sdf")
    ec2.start_instances(InstanceIds=[launched])
    house.settle()

    assert disks(ec2, launched)["/dev/sdf"]["VolumeId"] == made


def test_what_cannot_be_attached_is_refused(house, ec2, image, launched, made, attached):
    elsewhere = ec2.create_volume(Size=1, AvailabilityZone="us-east-1b")["VolumeId"]
    young = ec2.create_volume(Size=1, **ZONE)["VolumeId"]
    to = {"InstanceId": launched, "Device": "/dev/sdg"}

    assert refusal(ec2.attach_volume, VolumeId=attached, **to) == "VolumeInUse"
    assert refusal(ec2.attach_volume, VolumeId=attached, **{**to, "Device": "/dev/sdf"}) == "VolumeInUse"
    assert refusal(ec2.attach_volume, VolumeId=young, **to) == "IncorrectState"
    assert refusal(ec2.attach_volume, VolumeId=NOBODY, **to) == "InvalidVolume.NotFound"
    assert refusal(ec2.attach_volume, VolumeId="vol-x", **to) == "InvalidVolumeID.Malformed"
    house.settle()
    assert refusal(ec2.attach_volume, VolumeId=elsewhere, **to) == "InvalidVolume.ZoneMismatch"
    taken = {**to, "Device": "/dev/sdf"}
    assert refusal(ec2.attach_volume, VolumeId=young, **taken) == "InvalidParameterValue"
    nobody = {**to, "InstanceId": "i-0123456789abcdef0"}
    assert refusal(ec2.attach_volume, VolumeId=young, **nobody) == "InvalidInstanceID.NotFound"
    assert refusal(ec2.attach_volume, VolumeId=young, InstanceId=launched) == "MissingParameter"
    assert volume(ec2, young)["State"] == "available"
    assert sorted(disks(ec2, launched)) == ["/dev/sda1", "/dev/sdf"]


def test_nothing_is_attached_to_an_instance_that_is_not_there_yet_or_any_more(house, ec2, image, launched, made):
    young = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1)["Instances"][0]
    ec2.terminate_instances(InstanceIds=[launched])

    for known in (young["InstanceId"], launched):
        asked = {"VolumeId": made, "InstanceId": known, "Device": "/dev/sdf"}
        assert refusal(ec2.attach_volume, **asked) == "IncorrectState"
    assert volume(ec2, made)["State"] == "available"


def test_an_attached_volume_is_not_deleted(ec2, attached):
    assert refusal(ec2.delete_volume, VolumeId=attached) == "VolumeInUse"
    assert volume(ec2, attached)["State"] == "in-use"


@pytest.mark.parametrize("said", ["volume", "instance", "device"])
def test_a_detached_volume_is_detaching_and_then_available(house, ec2, launched, attached, said):
    asked = {"volume": {}, "instance": {"InstanceId": launched}, "device": {"Device": "/dev/sdf"}}[said]
    answer = ec2.detach_volume(VolumeId=attached, **asked)

    assert (answer["State"], answer["InstanceId"], answer["Device"]) == ("detaching", launched, "/dev/sdf")
    assert volume(ec2, attached)["Attachments"][0]["State"] == "detaching"
    house.settle()
    found = volume(ec2, attached)
    assert (found["State"], found["Attachments"]) == ("available", [])
    assert sorted(disks(ec2, launched)) == ["/dev/sda1"]


def test_what_cannot_be_detached_is_refused(house, ec2, image, launched, attached):
    other = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1)["Instances"][0]
    free = ec2.create_volume(Size=1, **ZONE)["VolumeId"]
    house.settle()

    assert refusal(ec2.detach_volume, VolumeId=free) == "IncorrectState"
    assert refusal(ec2.detach_volume, VolumeId=NOBODY) == "InvalidVolume.NotFound"
    wrong = {"VolumeId": attached, "InstanceId": other["InstanceId"]}
    assert refusal(ec2.detach_volume, **wrong) == "InvalidAttachment.NotFound"
    assert refusal(ec2.detach_volume, VolumeId=attached, Device="/dev/sdx") == "InvalidAttachment.NotFound"
    nobody = {"VolumeId": attached, "InstanceId": "i-0123456789abcdef0"}
    assert refusal(ec2.detach_volume, **nobody) == "InvalidInstanceID.NotFound"
    assert volume(ec2, attached)["Attachments"][0]["State"] == "attached"


def test_the_root_volume_leaves_a_stopped_instance_only(house, ec2, launched):
    root = disks(ec2, launched)["/dev/sda1"]["VolumeId"]
    assert refusal(ec2.detach_volume, VolumeId=root) == "OperationNotPermitted"
    assert volume(ec2, root)["Attachments"][0]["State"] == "attached"
    ec2.stop_instances(InstanceIds=[launched])
    house.settle()
    ec2.detach_volume(VolumeId=root)
    house.settle()

    assert volume(ec2, root)["State"] == "available"
    assert instance(ec2, launched)["BlockDeviceMappings"] == []


def test_an_attached_volume_outlives_its_instance(house, ec2, launched, attached):
    ec2.terminate_instances(InstanceIds=[launched])
    house.settle()

    assert volume(ec2, attached)["State"] == "available"


def test_a_strangers_volume_is_not_there(house, ec2, stranger, image, launched, attached):
    before = volume(ec2, attached)

    assert refusal(stranger.describe_volumes, VolumeIds=[attached]) == "InvalidVolume.NotFound"
    assert refusal(stranger.delete_volume, VolumeId=attached) == "InvalidVolume.NotFound"
    assert refusal(stranger.detach_volume, VolumeId=attached) == "InvalidVolume.NotFound"
    assert refusal(stranger.create_snapshot, VolumeId=attached) == "InvalidVolume.NotFound"
    assert refusal(stranger.create_tags, Resources=[attached], Tags=tags(a="b")) == "InvalidVolume.NotFound"
    theirs = stranger.create_volume(Size=1, **ZONE)["VolumeId"]
    house.settle()
    asked = {"VolumeId": theirs, "InstanceId": launched, "Device": "/dev/sdh"}
    assert refusal(stranger.attach_volume, **asked) == "InvalidInstanceID.NotFound"
    assert refusal(ec2.attach_volume, **asked) == "InvalidVolume.NotFound"
    assert [one["VolumeId"] for one in stranger.describe_volumes()["Volumes"]] == [theirs]
    assert volume(ec2, attached) == before


def test_volumes_are_found_by_what_they_are(house, ec2, launched, attached):
    other = ec2.create_volume(Size=7, VolumeType="io1", Iops=150, AvailabilityZone="us-east-1b")["VolumeId"]
    ec2.create_tags(Resources=[attached], Tags=tags(Name="data"))
    root = disks(ec2, launched)["/dev/sda1"]
    wanted = {
        "attachment.device": ("/dev/sdf", {attached}),
        "attachment.instance-id": (launched, {attached, root["VolumeId"]}),
        "attachment.delete-on-termination": ("true", {root["VolumeId"]}),
        "attachment.status": ("attached", {attached, root["VolumeId"]}),
        "availability-zone": ("us-east-1b", {other}),
        "encrypted": ("false", {attached, root["VolumeId"], other}),
        "size": ("7", {other}),
        "snapshot-id": (root["SnapshotId"], {root["VolumeId"]}),
        "status": ("in-use", {attached, root["VolumeId"]}),
        "tag:Name": ("da*", {attached}),
        "tag-key": ("Name", {attached}),
        "volume-id": (other, {other}),
        "volume-type": ("io1", {other}),
    }
    for name, (value, expected) in wanted.items():
        found = ec2.describe_volumes(Filters=[{"Name": name, "Values": [value]}])["Volumes"]
        assert {one["VolumeId"] for one in found} == expected, name
    both = where(attachment__device="/dev/sdf", attachment__instance_id=launched)
    assert [one["VolumeId"] for one in ec2.describe_volumes(Filters=both)["Volumes"]] == [attached]
    assert refusal(ec2.describe_volumes, Filters=where(colour="red")) == "InvalidParameterValue"


def test_what_a_cloud_no_longer_has_is_named_by_its_id(ec2, made, launched, monkeypatch):
    """It has gone between the listing and the call."""

    def gone(_, native, *__):
        assert native != made
        raise NotFound("volume", native)

    monkeypatch.setattr(MemoryVolumes, "attach_volume", gone)

    with pytest.raises(ClientError, match=f"The volume '{made}' does not exist"):
        ec2.attach_volume(VolumeId=made, InstanceId=launched, Device="/dev/sdf")


def test_a_cloud_that_takes_no_more_requests_is_said_to_throttle(ec2, monkeypatch):
    """Clients then wait before they try again."""

    def busy(*_):
        raise Throttled("The cloud takes no more requests.")

    monkeypatch.setattr(MemoryVolumes, "create_volume", busy)

    with pytest.raises(ClientError, match="RequestLimitExceeded") as refused:
        ec2.create_volume(Size=1, **ZONE)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
