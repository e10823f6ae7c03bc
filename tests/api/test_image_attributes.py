"""Images that are deprecated, protected, or no longer shared."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asking import refusal

from isthmus.context import Context
from isthmus.core import image_notes, images
from isthmus.errors import Conflict


@pytest.fixture
def made(house, ec2):
    """An image of the account's own."""
    volume = ec2.create_volume(Size=1, AvailabilityZone="us-east-1a")["VolumeId"]
    house.settle()
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    house.settle()
    disks = [{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}]
    known = ec2.register_image(Name="mine", BlockDeviceMappings=disks)["ImageId"]
    house.settle()
    return known


def said(ec2, known, **asked):
    [found] = ec2.describe_images(ImageIds=[known], **asked)["Images"]
    return found


def listed(ec2, **asked):
    return {one["ImageId"] for one in ec2.describe_images(**asked)["Images"]}


def test_an_image_is_deprecated_at_a_minute_until_that_is_taken_back(house, ec2, made):
    when = house.clock().replace(second=40, microsecond=0) + timedelta(days=30)

    assert ec2.enable_image_deprecation(ImageId=made, DeprecateAt=when)["Return"] is True

    rounded = when.replace(second=0) + timedelta(minutes=1)
    assert said(ec2, made)["DeprecationTime"] == f"{rounded:%Y-%m-%dT%H:%M:%S}.000Z"
    assert ec2.disable_image_deprecation(ImageId=made)["Return"] is True
    assert "DeprecationTime" not in said(ec2, made)


def test_a_deprecated_image_is_hidden_from_all_but_its_owner(house, ec2, stranger, made):
    ec2.modify_image_attribute(ImageId=made, LaunchPermission={"Add": [{"Group": "all"}]})
    ec2.enable_image_deprecation(ImageId=made, DeprecateAt=house.clock() + timedelta(seconds=90))
    assert made in listed(stranger)
    assert "DeprecationTime" in said(stranger, made)

    house.settle(180)

    assert made in listed(ec2)
    assert made not in listed(stranger)
    assert made in listed(stranger, IncludeDeprecated=True)
    assert said(stranger, made)["ImageId"] == made
    asked = {"ImageId": made, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    assert stranger.run_instances(**asked)["Instances"]


def test_a_deprecation_is_in_the_future_and_not_too_far(house, ec2, made):
    past, far = house.clock() - timedelta(minutes=1), house.clock() + timedelta(days=3700)
    for when in (past, far):
        assert refusal(ec2.enable_image_deprecation, ImageId=made, DeprecateAt=when) == "InvalidParameterValue"
    ec2.modify_image_attribute(ImageId=made, LaunchPermission={"Add": [{"Group": "all"}]})
    when = house.clock() + timedelta(days=740)
    assert refusal(ec2.enable_image_deprecation, ImageId=made, DeprecateAt=when) == "InvalidParameterValue"
    assert "DeprecationTime" not in said(ec2, made)


def protection(ec2, made):
    asked = {"ImageId": made, "Attribute": "deregistrationProtection"}
    value = ec2.describe_image_attribute(**asked)["DeregistrationProtection"]["Value"]
    assert said(ec2, made)["DeregistrationProtection"] == value
    return value


def test_a_protected_image_is_not_deregistered(ec2, made):
    assert protection(ec2, made) == "disabled"
    answer = ec2.enable_image_deregistration_protection(ImageId=made)
    assert answer["Return"] == protection(ec2, made) == "enabled-without-cooldown"
    assert refusal(ec2.deregister_image, ImageId=made) == "OperationNotPermitted"
    assert made in listed(ec2, Owners=["self"])

    ec2.disable_image_deregistration_protection(ImageId=made)

    assert protection(ec2, made) == "disabled"
    ec2.deregister_image(ImageId=made)
    assert made not in listed(ec2, Owners=["self"])


def test_protection_with_a_cooldown_lasts_a_day_longer(house, ec2, made):
    ec2.enable_image_deregistration_protection(ImageId=made, WithCooldown=True)
    assert protection(ec2, made) == "enabled-with-cooldown"
    ec2.disable_image_deregistration_protection(ImageId=made)
    ec2.disable_image_deregistration_protection(ImageId=made)

    assert protection(ec2, made) == "disabled"
    assert refusal(ec2.deregister_image, ImageId=made) == "OperationNotPermitted"
    cx = Context(house.account[0], house.world)
    house.clock.pass_by(image_notes.COOLDOWN.total_seconds() - 5)
    with pytest.raises(Conflict):
        images.delete(cx, made)
    house.clock.pass_by(6)
    images.delete(cx, made)


def test_launch_permissions_are_reset(ec2, stranger, made):
    ec2.modify_image_attribute(ImageId=made, LaunchPermission={"Add": [{"Group": "all"}]})
    assert made in listed(stranger)

    ec2.reset_image_attribute(ImageId=made, Attribute="launchPermission")

    assert made not in listed(stranger)
    assert not said(ec2, made)["Public"]
    assert refusal(ec2.reset_image_attribute, ImageId=made, Attribute="kernel") == "InvalidRequest"


def test_only_its_owner_says_what_becomes_of_an_image(house, ec2, stranger, made, image):
    ec2.modify_image_attribute(ImageId=made, LaunchPermission={"Add": [{"Group": "all"}]})
    when = house.clock() + timedelta(days=1)
    for known in (made, image):
        assert refusal(stranger.enable_image_deprecation, ImageId=known, DeprecateAt=when) == "AuthFailure"
        assert refusal(stranger.disable_image_deprecation, ImageId=known) == "AuthFailure"
        assert refusal(stranger.enable_image_deregistration_protection, ImageId=known) == "AuthFailure"
        assert refusal(stranger.disable_image_deregistration_protection, ImageId=known) == "AuthFailure"
        asked = {"ImageId": known, "Attribute": "launchPermission"}
        assert refusal(stranger.reset_image_attribute, **asked) == "AuthFailure"
    assert "DeprecationTime" not in said(ec2, made)
