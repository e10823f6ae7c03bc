"""Images and instances whose root disk is the server's own: EC2's `instance-store`."""

from __future__ import annotations

import pytest
from asking import attribute, disks, instance, instances, refusal, tagged, where

from isthmus.core.ids import Kind

ROOT = "/dev/sda1"


@pytest.fixture
def own_disk(ec2):
    """The image."""
    [found] = ec2.describe_images(Filters=where(root_device_type="instance-store", image_type="machine"))["Images"]
    return found["ImageId"]


def records(house, kind):
    """What the store has of a kind."""
    return house.store.view(house.account[0]).of_kind(kind)


def launch(ec2, image, **asked):
    size = {"InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    [made] = ec2.run_instances(ImageId=image, **size, **asked)["Instances"]
    return made["InstanceId"]


def test_an_image_says_that_its_root_disk_is_no_volume(ec2, own_disk):
    [found] = ec2.describe_images(ImageIds=[own_disk])["Images"]

    assert ("instance-store", ROOT, []) == (
        found["RootDeviceType"],
        found["RootDeviceName"],
        found["BlockDeviceMappings"],
    )


def test_an_instance_has_no_volume_for_it_and_no_record_of_one(house, ec2, own_disk, image):
    known = launch(ec2, own_disk, TagSpecifications=tagged("volume", a="b"))
    house.settle()
    house.mend()

    made = instance(ec2, known)
    assert ("running", "instance-store", ROOT) == (
        made["State"]["Name"],
        made["RootDeviceType"],
        made["RootDeviceName"],
    )
    assert [] == made["BlockDeviceMappings"] == attribute(ec2, known, "blockDeviceMapping")
    assert [] == ec2.describe_volumes()["Volumes"]
    assert not records(house, Kind.VOLUME)
    other = launch(ec2, image)
    for kind, expected in (("instance-store", known), ("ebs", other)):
        assert [expected] == [one["InstanceId"] for one in instances(ec2, Filters=where(root_device_type=kind))]


def test_it_stays_what_it_was_after_a_stop_and_after_its_end(house, ec2, own_disk):
    known = launch(ec2, own_disk)
    house.settle()
    ec2.stop_instances(InstanceIds=[known])
    house.settle()
    ec2.start_instances(InstanceIds=[known])
    house.settle()
    assert ("running", "instance-store") == (
        instance(ec2, known)["State"]["Name"],
        instance(ec2, known)["RootDeviceType"],
    )
    ec2.terminate_instances(InstanceIds=[known])
    house.settle()

    assert ("terminated", "instance-store") == (
        instance(ec2, known)["State"]["Name"],
        instance(ec2, known)["RootDeviceType"],
    )


def test_other_disks_are_volumes_as_always(house, ec2, own_disk):
    data = {"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 2}}
    known = launch(ec2, own_disk, BlockDeviceMappings=[data])
    house.settle()
    extra = ec2.create_volume(Size=1, AvailabilityZone="us-east-1a")["VolumeId"]
    house.settle()

    assert ["/dev/sdb"] == list(disks(ec2, known))
    taken = {"InstanceId": known, "VolumeId": extra, "Device": ROOT}
    assert "InvalidParameterValue" == refusal(ec2.attach_volume, **taken)
    ec2.attach_volume(InstanceId=known, VolumeId=extra, Device="/dev/sdc")
    assert {"/dev/sdb", "/dev/sdc"} == set(disks(ec2, known))


@pytest.mark.parametrize("ebs", [{"VolumeSize": 8}, {"DeleteOnTermination": False}, {"VolumeType": "gp3"}])
def test_its_root_cannot_be_made_a_volume_here(house, ec2, own_disk, ebs):
    root = {"DeviceName": ROOT, "Ebs": ebs}

    asked = {"ImageId": own_disk, "MinCount": 1, "MaxCount": 1, "BlockDeviceMappings": [root]}
    assert "InvalidBlockDeviceMapping" == refusal(ec2.run_instances, **asked)
    assert not list(instances(ec2))
    assert not records(house, Kind.SERVER)
    assert not records(house, Kind.VOLUME)


def test_encryption_by_default_is_of_volumes_only(house, ec2, own_disk):
    ec2.enable_ebs_encryption_by_default()

    assert launch(ec2, own_disk)


def test_no_image_is_made_of_it(house, ec2, own_disk):
    known = launch(ec2, own_disk)
    house.settle()

    assert "InvalidParameterValue" == refusal(ec2.create_image, InstanceId=known, Name="gold")
    assert [] == ec2.describe_images(Owners=["self"])["Images"]
    assert [] == ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]


def test_its_image_is_copied_as_it_is(house, ec2, own_disk):
    made = ec2.copy_image(SourceImageId=own_disk, SourceRegion="us-east-1", Name="mine")["ImageId"]
    house.settle()

    [found] = ec2.describe_images(ImageIds=[made])["Images"]
    assert ("instance-store", []) == (found["RootDeviceType"], found["BlockDeviceMappings"])
    assert "instance-store" == instance(ec2, launch(ec2, made))["RootDeviceType"]


def test_it_needs_no_room_for_a_volume(house, ec2, own_disk, image):
    ec2.create_volume(Size=1, AvailabilityZone="us-east-1a")
    house.world.limits.quotas["volumes"] = 0

    assert launch(ec2, own_disk)
    assert "VolumeLimitExceeded" == refusal(ec2.run_instances, ImageId=image, MinCount=1, MaxCount=1)
