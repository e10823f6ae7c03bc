"""Snapshots that are shared with others, and snapshots that are locked."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asking import refusal, where

from isthmus.context import Context
from isthmus.core import locks, volumes

EVERYONE = [{"Group": "all"}]


@pytest.fixture
def other(house):
    """Another account."""
    return house.new_account("other")


@pytest.fixture
def taken(house, ec2):
    """A completed snapshot of a free volume."""
    volume = ec2.create_volume(Size=1, AvailabilityZone="us-east-1a")["VolumeId"]
    house.settle()
    known = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    house.settle()
    return known


def allowed(ec2, taken):
    asked = {"SnapshotId": taken, "Attribute": "createVolumePermission"}
    return ec2.describe_snapshot_attribute(**asked)["CreateVolumePermissions"]


def share(ec2, taken, **change):
    ec2.modify_snapshot_attribute(SnapshotId=taken, CreateVolumePermission=change)


def test_a_snapshot_shared_with_an_account_can_be_used_by_it(house, ec2, taken, other):
    theirs = house.client(account=other)
    assert allowed(ec2, taken) == []
    share(ec2, taken, Add=[{"UserId": other[0]}])

    assert allowed(ec2, taken) == [{"UserId": other[0]}]
    [seen] = theirs.describe_snapshots(SnapshotIds=[taken])["Snapshots"]
    assert seen["OwnerId"] == house.account[0]
    assert theirs.create_volume(SnapshotId=taken, AvailabilityZone="us-east-1a")["SnapshotId"] == taken
    assert theirs.describe_snapshots(RestorableByUserIds=["self"])["Snapshots"]

    share(ec2, taken, Remove=[{"UserId": other[0]}])
    assert allowed(ec2, taken) == []
    assert refusal(theirs.describe_snapshots, SnapshotIds=[taken]) == "InvalidSnapshot.NotFound"


def test_a_public_snapshot_is_seen_by_all_until_it_is_reset(ec2, stranger, taken, other):
    asked = {"SnapshotId": taken, "Attribute": "createVolumePermission"}
    ec2.modify_snapshot_attribute(OperationType="add", GroupNames=["all"], UserIds=[other[0]], **asked)
    assert allowed(ec2, taken) == [*EVERYONE, {"UserId": other[0]}]
    assert stranger.describe_snapshots(SnapshotIds=[taken])["Snapshots"]

    ec2.reset_snapshot_attribute(**asked)

    assert allowed(ec2, taken) == []
    assert refusal(stranger.describe_snapshots, SnapshotIds=[taken]) == "InvalidSnapshot.NotFound"


def test_who_sees_a_snapshot_may_not_change_or_lock_it(ec2, stranger, taken):
    share(ec2, taken, Add=EVERYONE)
    named = {"SnapshotId": taken}

    asked = {"Attribute": "createVolumePermission", **named}
    assert refusal(stranger.describe_snapshot_attribute, **asked) == "InvalidSnapshot.NotFound"
    assert refusal(stranger.reset_snapshot_attribute, **asked) == "InvalidSnapshot.NotFound"
    change = {"Remove": EVERYONE}
    assert refusal(stranger.modify_snapshot_attribute, CreateVolumePermission=change, **named).endswith("NotFound")
    locked = {"LockMode": "governance", "LockDuration": 1, **named}
    assert refusal(stranger.lock_snapshot, **locked) == "InvalidSnapshot.NotFound"
    assert allowed(ec2, taken) == EVERYONE


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "MissingParameter"),
        ({"UserIds": ["999999999999"], "OperationType": "add"}, "InvalidParameterValue"),
        ({"UserIds": ["x"], "OperationType": "add"}, "InvalidParameterValue"),
        ({"GroupNames": ["friends"], "OperationType": "add"}, "InvalidParameterValue"),
        ({"GroupNames": ["all"]}, "InvalidParameterValue"),
        ({"Attribute": "productCodes"}, "InvalidParameterValue"),
    ],
)
def test_a_change_of_permissions_that_makes_no_sense_is_refused(ec2, taken, asked, code):
    assert refusal(ec2.modify_snapshot_attribute, SnapshotId=taken, **asked) == code
    assert allowed(ec2, taken) == []


def test_a_snapshot_has_no_product_codes(ec2, taken):
    asked = {"SnapshotId": taken, "Attribute": "productCodes"}
    assert ec2.describe_snapshot_attribute(**asked)["ProductCodes"] == []
    assert refusal(ec2.reset_snapshot_attribute, **asked) == "InvalidParameterValue"
    assert refusal(ec2.describe_snapshot_attribute, SnapshotId=taken, Attribute="x") == "InvalidParameterValue"


def locked(ec2, **asked):
    return ec2.describe_locked_snapshots(**asked)["Snapshots"]


def test_a_locked_snapshot_is_not_deleted_until_it_is_unlocked(house, ec2, taken):
    answer = ec2.lock_snapshot(SnapshotId=taken, LockMode="governance", LockDuration=2)

    assert (answer["LockState"], answer["LockDuration"], answer["SnapshotId"]) == ("governance", 2, taken)
    assert answer["LockExpiresOn"] - answer["LockCreatedOn"] == timedelta(days=2)
    [found] = locked(ec2, SnapshotIds=[taken])
    assert (found["OwnerId"], found["LockState"], found["LockDuration"]) == (house.account[0], "governance", 2)
    assert refusal(ec2.delete_snapshot, SnapshotId=taken) == "SnapshotLocked"

    assert ec2.unlock_snapshot(SnapshotId=taken)["SnapshotId"] == taken

    assert locked(ec2) == []
    assert refusal(ec2.unlock_snapshot, SnapshotId=taken) == "IncorrectState"
    ec2.delete_snapshot(SnapshotId=taken)


def test_a_lock_expires(house, ec2, taken):
    until = house.clock() + timedelta(seconds=30)
    ec2.lock_snapshot(SnapshotId=taken, LockMode="compliance", ExpirationDate=until)
    assert [one["LockState"] for one in locked(ec2)] == ["compliance"]

    house.settle()

    assert [one["LockState"] for one in locked(ec2, Filters=where(lock_state="expired"))] == ["expired"]
    ec2.delete_snapshot(SnapshotId=taken)
    assert locked(ec2) == []


def test_a_strict_lock_can_be_lifted_while_it_cools_off(ec2, taken):
    asked = {"SnapshotId": taken, "LockMode": "compliance", "LockDuration": 3}
    answer = ec2.lock_snapshot(CoolOffPeriod=2, **asked)
    assert (answer["LockState"], answer["CoolOffPeriod"]) == ("compliance-cooloff", 2)
    assert answer["CoolOffPeriodExpiresOn"] - answer["LockCreatedOn"] == timedelta(hours=2)

    ec2.lock_snapshot(**{**asked, "LockMode": "governance", "LockDuration": 1})
    assert [(one["LockState"], one["LockDuration"]) for one in locked(ec2)] == [("governance", 1)]
    ec2.unlock_snapshot(SnapshotId=taken)
    ec2.delete_snapshot(SnapshotId=taken)


def test_a_strict_lock_that_has_cooled_off_can_only_be_made_longer(house, ec2, taken):
    asked = {"SnapshotId": taken, "LockMode": "compliance", "LockDuration": 3}
    ec2.lock_snapshot(CoolOffPeriod=2, **asked)
    cx = Context(house.account[0], house.world)
    lock = locks.lock_of(volumes.one_snapshot(cx, taken))
    assert not lock.closed(house.clock())
    assert lock.closed(house.clock() + timedelta(hours=2))

    answer = ec2.lock_snapshot(**{**asked, "LockDuration": 4})

    assert answer["LockState"] == "compliance"
    assert refusal(ec2.unlock_snapshot, SnapshotId=taken) == "SnapshotLocked"
    assert refusal(ec2.lock_snapshot, **{**asked, "LockMode": "governance"}) == "SnapshotLocked"
    assert refusal(ec2.lock_snapshot, **{**asked, "LockDuration": 1}) == "SnapshotLocked"
    assert ec2.lock_snapshot(**{**asked, "LockDuration": 9})["LockDuration"] == 9
    assert refusal(ec2.delete_snapshot, SnapshotId=taken) == "SnapshotLocked"


def test_a_lock_may_end_at_a_moment(house, ec2, taken):
    until = (house.clock() + timedelta(days=5)).replace(microsecond=0)
    answer = ec2.lock_snapshot(SnapshotId=taken, LockMode="governance", ExpirationDate=until)

    assert (answer["LockExpiresOn"], answer["LockDuration"]) == (until, 5)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"LockMode": "governance"}, "InvalidParameterCombination"),
        ({"LockMode": "governance", "LockDuration": 0}, "InvalidParameterValue"),
        ({"LockMode": "governance", "LockDuration": 36501}, "InvalidParameterValue"),
        ({"LockMode": "governance", "LockDuration": 1, "CoolOffPeriod": 1}, "InvalidParameterCombination"),
        ({"LockMode": "compliance", "LockDuration": 1, "CoolOffPeriod": 73}, "InvalidParameterValue"),
        ({"LockMode": "padlock", "LockDuration": 1}, "InvalidParameterValue"),
        ({"LockMode": "governance", "ExpirationDate": "2001-01-01T00:00:00Z"}, "InvalidParameterValue"),
    ],
)
def test_a_lock_that_makes_no_sense_is_refused(ec2, taken, asked, code):
    assert refusal(ec2.lock_snapshot, SnapshotId=taken, **asked) == code
    assert locked(ec2) == []


def test_an_image_that_goes_leaves_its_locked_snapshots(ec2, taken):
    disks = [{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": taken}}]
    image = ec2.register_image(Name="locked", BlockDeviceMappings=disks)["ImageId"]
    ec2.lock_snapshot(SnapshotId=taken, LockMode="governance", LockDuration=1)

    answer = ec2.deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)

    assert answer["DeleteSnapshotResults"] == [{"SnapshotId": taken, "ReturnCode": "client-error"}]
    assert ec2.describe_snapshots(SnapshotIds=[taken])["Snapshots"]
