"""Volumes that grow and change their type, and how volumes fare."""

from __future__ import annotations

import pytest
from asking import disks, refusal, volume, where

from isthmus.providers import Capability

ZONE = {"AvailabilityZone": "us-east-1a"}


@pytest.fixture
def made(house, ec2):
    """An available volume of 2 GiB."""
    known = ec2.create_volume(Size=2, **ZONE)["VolumeId"]
    house.settle()
    return known


def changes(ec2, **asked):
    return ec2.describe_volumes_modifications(**asked)["VolumesModifications"]


def test_a_volume_grows_and_is_said_to_be_modified_until_it_is(house, ec2, made):
    answer = ec2.modify_volume(VolumeId=made, Size=5)["VolumeModification"]

    assert (answer["VolumeId"], answer["ModificationState"], answer["Progress"]) == (made, "modifying", 0)
    assert (answer["OriginalSize"], answer["TargetSize"]) == (2, 5)
    assert (answer["OriginalVolumeType"], answer["TargetVolumeType"]) == ("gp2", "gp2")
    assert (answer["OriginalIops"], answer["TargetIops"]) == (100, 100)
    assert [one["ModificationState"] for one in changes(ec2)] == ["optimizing"]
    assert refusal(ec2.modify_volume, VolumeId=made, Size=6) == "IncorrectModificationState"
    house.settle()
    [found] = changes(ec2, VolumeIds=[made])
    assert (found["ModificationState"], found["Progress"]) == ("completed", 100)
    assert found["StartTime"] < found["EndTime"]
    assert volume(ec2, made)["Size"] == 5


def test_an_attached_volume_grows_and_stays_attached(house, ec2, launched):
    root = disks(ec2, launched)["/dev/sda1"]
    ec2.modify_volume(VolumeId=root["VolumeId"], Size=root["Size"] + 3)
    house.settle()

    after = disks(ec2, launched)["/dev/sda1"]
    assert (after["Size"], after["State"]) == (root["Size"] + 3, "in-use")


def test_a_volume_changes_its_type_and_speed(house, ec2, made):
    answer = ec2.modify_volume(VolumeId=made, VolumeType="gp3")["VolumeModification"]
    assert (answer["TargetIops"], answer["TargetThroughput"], answer["TargetSize"]) == (3000, 125, 2)
    house.settle()
    assert (volume(ec2, made)["VolumeType"], volume(ec2, made)["Iops"]) == ("gp3", 3000)

    ec2.modify_volume(VolumeId=made, Iops=4000)
    house.settle()
    assert (volume(ec2, made)["VolumeType"], volume(ec2, made)["Iops"]) == ("gp3", 4000)

    ec2.modify_volume(VolumeId=made, VolumeType="io1", Size=4)
    house.settle()
    found = volume(ec2, made)
    assert (found["VolumeType"], found["Iops"], found["Size"]) == ("io1", 3000, 4)

    ec2.modify_volume(VolumeId=made, VolumeType="gp2")
    house.settle()
    assert (volume(ec2, made)["VolumeType"], volume(ec2, made)["Iops"]) == ("gp2", 100)
    [last] = changes(ec2)
    assert (last["OriginalVolumeType"], last["TargetVolumeType"]) == ("io1", "gp2")


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "MissingParameter"),
        ({"Size": 1}, "InvalidParameterValue"),
        ({"Size": 65537}, "InvalidParameterValue"),
        ({"VolumeType": "gold"}, "UnknownVolumeType"),
        ({"Iops": 300}, "InvalidParameterCombination"),
        ({"Throughput": 125}, "InvalidParameterCombination"),
        ({"VolumeType": "gp3", "Throughput": 500}, "UnsupportedOperation"),
        ({"MultiAttachEnabled": True}, "UnsupportedOperation"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(ec2, made, asked, code):
    assert refusal(ec2.modify_volume, VolumeId=made, **asked) == code
    assert volume(ec2, made)["Size"] == 2
    assert changes(ec2) == []


def test_a_volume_that_is_not_ready_is_not_changed(ec2):
    young = ec2.create_volume(Size=1, **ZONE)["VolumeId"]

    assert refusal(ec2.modify_volume, VolumeId=young, Size=2) == "IncorrectState"


def test_what_was_never_modified_has_no_modification(ec2, made):
    asked = {"VolumeIds": [made]}
    assert refusal(ec2.describe_volumes_modifications, **asked) == "InvalidVolumeModification.NotFound"
    assert changes(ec2) == []


def test_modifications_are_found_by_what_they_are(house, ec2, made):
    other = ec2.create_volume(Size=1, **ZONE)["VolumeId"]
    house.settle()
    ec2.modify_volume(VolumeId=made, Size=5)
    house.settle()
    ec2.modify_volume(VolumeId=other, Size=7)

    for name, value, expected in (
        ("modification_state", "optimizing", other),
        ("original_size", "2", made),
        ("target_size", "7", other),
        ("volume_id", made, made),
    ):
        assert [one["VolumeId"] for one in changes(ec2, Filters=where(**{name: value}))] == [expected], name


def test_a_modification_goes_with_its_volume(house, ec2, made):
    ec2.modify_volume(VolumeId=made, Size=5)
    ec2.delete_volume(VolumeId=made)
    house.settle()

    assert changes(ec2) == []


def test_a_cloud_that_cannot_change_types_says_so(house, ec2, made, monkeypatch):
    lacks = {Capability.VOLUME_RETYPE: "There is one type."}
    monkeypatch.setattr(type(house.cloud), "lacks", lacks)

    assert refusal(ec2.modify_volume, VolumeId=made, Size=3, VolumeType="gp3") == "UnsupportedOperation"
    assert volume(ec2, made)["Size"] == 2


def test_a_volume_is_well_until_it_is_not(house, ec2, launched, made):
    root = disks(ec2, launched)["/dev/sda1"]["VolumeId"]
    young = ec2.create_volume(Size=1, **ZONE)["VolumeId"]

    found = {one["VolumeId"]: one for one in ec2.describe_volume_status()["VolumeStatuses"]}

    assert {known: one["VolumeStatus"]["Status"] for known, one in found.items()} == {
        root: "ok",
        made: "ok",
        young: "insufficient-data",
    }
    assert found[made]["VolumeStatus"]["Details"][0] == {"Name": "io-enabled", "Status": "passed"}
    assert (found[made]["AvailabilityZone"], found[made]["AvailabilityZoneId"]) == ("us-east-1a", "use1-az1")
    assert [one["InstanceId"] for one in found[root]["AttachmentStatuses"]] == [launched]
    status = ec2.describe_volume_status(Filters=where(attachment_status__instance_id=launched))
    assert [one["VolumeId"] for one in status["VolumeStatuses"]] == [root]


def test_whether_a_volume_goes_on_after_trouble_is_kept(ec2, made):
    asked = {"VolumeId": made, "Attribute": "autoEnableIO"}
    assert ec2.describe_volume_attribute(**asked)["AutoEnableIO"] == {"Value": False}

    ec2.modify_volume_attribute(VolumeId=made, AutoEnableIO={"Value": True})

    assert ec2.describe_volume_attribute(**asked)["AutoEnableIO"] == {"Value": True}
    assert ec2.describe_volume_attribute(VolumeId=made, Attribute="productCodes")["ProductCodes"] == []
    assert refusal(ec2.describe_volume_attribute, VolumeId=made, Attribute="x") == "InvalidParameterValue"
    assert refusal(ec2.modify_volume_attribute, VolumeId=made) == "MissingParameter"


def test_a_strangers_volume_is_not_changed(stranger, made):
    assert refusal(stranger.modify_volume, VolumeId=made, Size=9) == "InvalidVolume.NotFound"
    asked = {"VolumeId": made, "Attribute": "autoEnableIO"}
    assert refusal(stranger.describe_volume_attribute, **asked) == "InvalidVolume.NotFound"
    assert refusal(stranger.describe_volume_status, VolumeIds=[made]) == "InvalidVolume.NotFound"
