"""Images: made of instances and of snapshots, shared, and taken away again."""

from __future__ import annotations

import pytest
from asking import disks, instance, refusal, state, tagged, tags, where

NOBODY = "ami-0123456789abcdef0"


@pytest.fixture
def made(house, ec2, launched):
    """An available image of a running instance."""
    known = ec2.create_image(InstanceId=launched, Name="golden", Description="as of today")["ImageId"]
    house.settle()
    return known


def described(ec2, known):
    [found] = ec2.describe_images(ImageIds=[known])["Images"]
    return found


def own(ec2):
    return {one["ImageId"] for one in ec2.describe_images(Owners=["self"])["Images"]}


def permissions(ec2, known):
    return ec2.describe_image_attribute(ImageId=known, Attribute="launchPermission")["LaunchPermissions"]


def launch(ec2, image):
    made = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1)
    return made["Instances"][0]["InstanceId"]


def test_the_clouds_images_are_public_and_amazons(ec2, image):
    found = described(ec2, image)

    assert (found["State"], found["Public"], found["ImageOwnerAlias"]) == ("available", True, "amazon")
    assert (found["ImageType"], found["RootDeviceType"], found["VirtualizationType"]) == ("machine", "ebs", "hvm")
    assert (found["Architecture"], found["PlatformDetails"]) == ("x86_64", "Linux/UNIX")
    [root] = found["BlockDeviceMappings"]
    assert (root["DeviceName"], root["Ebs"]["DeleteOnTermination"]) == (found["RootDeviceName"], True)
    assert root["Ebs"]["SnapshotId"].startswith("snap-")
    assert found["KernelId"].startswith("aki-")
    assert found["RamdiskId"].startswith("ari-")
    kinds = {one["ImageId"][:4]: one["ImageType"] for one in ec2.describe_images()["Images"]}
    assert kinds == {"ami-": "machine", "aki-": "kernel", "ari-": "ramdisk"}


@pytest.mark.parametrize("reboot", [True, False])
def test_an_image_of_an_instance_has_its_disks_as_snapshots(house, ec2, launched, reboot):
    volume = ec2.create_volume(Size=2, AvailabilityZone="us-east-1a")["VolumeId"]
    house.settle()
    ec2.attach_volume(VolumeId=volume, InstanceId=launched, Device="/dev/sdf")
    house.settle()
    specifications = [*tagged("image", of="image"), *tagged("snapshot", of="snapshot")]
    known = ec2.create_image(InstanceId=launched, Name="golden", NoReboot=not reboot, TagSpecifications=specifications)[
        "ImageId"
    ]

    assert described(ec2, known)["State"] == "pending"
    house.settle()
    ec2.get_waiter("image_available").wait(ImageIds=[known])
    found = described(ec2, known)
    assert (found["Name"], found["OwnerId"], found["Public"]) == ("golden", house.account[0], False)
    assert (found["Tags"], found["SourceInstanceId"]) == (tags(of="image"), launched)
    disks_ = {one["DeviceName"]: one["Ebs"] for one in found["BlockDeviceMappings"]}
    assert {device: one["VolumeSize"] for device, one in disks_.items()} == {"/dev/sda1": 1, "/dev/sdf": 2}
    snapshots = {one["SnapshotId"]: one for one in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
    assert set(snapshots) == {one["SnapshotId"] for one in disks_.values()}
    assert all(one["Tags"] == tags(of="snapshot") for one in snapshots.values())
    assert snapshots[disks_["/dev/sdf"]["SnapshotId"]]["VolumeId"] == volume
    assert state(ec2, launched) == "running"
    twin = launch(ec2, known)
    house.settle()
    assert sorted(disks(ec2, twin)) == ["/dev/sda1", "/dev/sdf"]
    assert instance(ec2, twin)["ImageId"] == known


def test_an_image_of_an_instance_can_leave_out_and_add_disks(house, ec2, launched):
    volume = ec2.create_volume(Size=2, AvailabilityZone="us-east-1a")["VolumeId"]
    house.settle()
    ec2.attach_volume(VolumeId=volume, InstanceId=launched, Device="/dev/sdf")
    house.settle()
    mappings = [
        {"DeviceName": "/dev/sdf", "NoDevice": ""},
        {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 4}},
        {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8}},
    ]
    known = ec2.create_image(InstanceId=launched, Name="other disks", BlockDeviceMappings=mappings)["ImageId"]

    found = {one["DeviceName"]: one["Ebs"]["VolumeSize"] for one in described(ec2, known)["BlockDeviceMappings"]}
    assert found == {"/dev/sda1": 8, "/dev/sdg": 4}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"Name": ""}, "MissingParameter"),
        ({"Name": "ab"}, "InvalidAMIName.Malformed"),
        ({"Name": "x" * 129}, "InvalidAMIName.Malformed"),
        ({"Name": "with*stars"}, "InvalidAMIName.Malformed"),
        ({"InstanceId": "i-0123456789abcdef0"}, "InvalidInstanceID.NotFound"),
        ({"BootModeOverride": "uefi"}, "UnsupportedOperation"),
        ({"BlockDeviceMappings": [{"DeviceName": "/dev/sdx", "Ebs": {"VolumeType": "gp3"}}]}, "MissingParameter"),
        ({"BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "NoDevice": ""}]}, "InvalidBlockDeviceMapping"),
    ],
)
def test_a_refused_image_is_not_made(ec2, launched, asked, code):
    assert refusal(ec2.create_image, **{"InstanceId": launched, "Name": "golden", **asked}) == code
    assert own(ec2) == set()
    assert ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []


def test_a_name_is_used_once_by_an_account(house, ec2, stranger, image, launched, made):
    assert refusal(ec2.create_image, InstanceId=launched, Name="golden") == "InvalidAMIName.Duplicate"
    theirs = launch(stranger, image)
    house.settle()
    assert stranger.create_image(InstanceId=theirs, Name="golden")["ImageId"]
    assert own(ec2) == {made}


def test_an_image_is_made_of_a_running_or_a_stopped_instance(house, ec2, image, launched):
    young = launch(ec2, image)
    assert refusal(ec2.create_image, InstanceId=young, Name="too early") == "IncorrectInstanceState"
    ec2.stop_instances(InstanceIds=[launched])
    house.settle()
    assert ec2.create_image(InstanceId=launched, Name="asleep")["ImageId"]
    ec2.terminate_instances(InstanceIds=[launched])
    house.settle()
    assert refusal(ec2.create_image, InstanceId=launched, Name="too late") == "IncorrectInstanceState"


def test_an_image_is_registered_of_a_snapshot(house, ec2, launched):
    snapshot = ec2.create_snapshot(VolumeId=disks(ec2, launched)["/dev/sda1"]["VolumeId"])["SnapshotId"]
    house.settle()
    mappings = [
        {"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 3, "DeleteOnTermination": False}},
        {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot, "VolumeSize": 5, "VolumeType": "gp3"}},
    ]
    known = ec2.register_image(
        Name="registered",
        Description="by hand",
        Architecture="x86_64",
        RootDeviceName="/dev/xvda",
        VirtualizationType="hvm",
        EnaSupport=True,
        BlockDeviceMappings=mappings,
        TagSpecifications=tagged("image", of="image"),
    )["ImageId"]
    house.settle()

    found = described(ec2, known)
    assert (found["RootDeviceName"], found["Description"], found["EnaSupport"]) == ("/dev/xvda", "by hand", True)
    assert found["Tags"] == tags(of="image")
    root = found["BlockDeviceMappings"][0]
    assert (root["DeviceName"], root["Ebs"]["SnapshotId"], root["Ebs"]["VolumeSize"]) == ("/dev/xvda", snapshot, 5)
    twin = launch(ec2, known)
    house.settle()
    held = disks(ec2, twin)
    assert {device: one["Attachments"][0]["DeleteOnTermination"] for device, one in held.items()} == {
        "/dev/xvda": True,
        "/dev/sdb": False,
    }
    assert instance(ec2, twin)["RootDeviceName"] == "/dev/xvda"


def test_an_image_registered_without_enhanced_networking_says_so(house, ec2, launched):
    snapshot = ec2.create_snapshot(VolumeId=disks(ec2, launched)["/dev/sda1"]["VolumeId"])["SnapshotId"]
    house.settle()
    root = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}

    known = ec2.register_image(Name="plain", BlockDeviceMappings=[root])["ImageId"]
    assert described(ec2, known)["EnaSupport"] is False
    assert described(ec2, known).keys().isdisjoint({"SriovNetSupport", "BootMode"})


def test_what_an_image_was_registered_for_is_kept(house, ec2, launched):
    snapshot = ec2.create_snapshot(VolumeId=disks(ec2, launched)["/dev/sda1"]["VolumeId"])["SnapshotId"]
    house.settle()
    root = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}
    wanted = {"SriovNetSupport": "simple", "BootMode": "legacy-bios"}
    known = ec2.register_image(Name="simple", BlockDeviceMappings=[root], **wanted)["ImageId"]
    house.settle()
    copied = ec2.copy_image(Name="copied", SourceImageId=known, SourceRegion="us-east-1")["ImageId"]

    for one in (known, copied):
        assert wanted == {name: described(ec2, one)[name] for name in wanted}
    said = ec2.describe_image_attribute(ImageId=known, Attribute="sriovNetSupport")["SriovNetSupport"]
    assert {"Value": "simple"} == said
    asked = [{"Name": "sriov-net-support", "Values": ["simple"]}]
    assert {known, copied} == {one["ImageId"] for one in ec2.describe_images(Filters=asked)["Images"]}
    wrong = {"Name": "complex", "BlockDeviceMappings": [root], "SriovNetSupport": "complex"}
    assert "InvalidParameterValue" == refusal(ec2.register_image, **wrong)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "InvalidBlockDeviceMapping"),
        ({"ImageLocation": "bucket/manifest.xml"}, "UnsupportedOperation"),
        ({"ImageLocation": "http://example.org/disk.qcow2"}, "UnsupportedOperation"),
        ({"VirtualizationType": "paravirtual"}, "UnsupportedOperation"),
        ({"BootMode": "uefi"}, "UnsupportedOperation"),
        ({"ImdsSupport": "v2.0"}, "UnsupportedOperation"),
        ({"BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 1}}]}, "InvalidBlockDeviceMapping"),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": "snap-0123456789abcdef0"}}]},
            "InvalidSnapshot.NotFound",
        ),
    ],
)
def test_a_refused_registration_makes_nothing(ec2, asked, code):
    assert refusal(ec2.register_image, Name="registered", **asked) == code
    assert own(ec2) == set()


def test_a_deregistered_image_is_gone_but_what_was_made_of_it_is_not(house, ec2, made):
    twin = launch(ec2, made)
    house.settle()
    ec2.create_tags(Resources=[made], Tags=tags(a="b"))
    ec2.deregister_image(ImageId=made)

    assert own(ec2) == set()
    assert refusal(ec2.describe_images, ImageIds=[made]) == "InvalidAMIID.NotFound"
    assert refusal(ec2.deregister_image, ImageId=made) == "InvalidAMIID.NotFound"
    assert instance(ec2, twin)["ImageId"] == made
    assert state(ec2, twin) == "running"
    assert len(ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]) == 1
    assert not ec2.describe_tags()["Tags"]


def test_an_image_can_be_deregistered_with_its_snapshots(house, ec2, made):
    [disk] = described(ec2, made)["BlockDeviceMappings"]
    shared = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": disk["Ebs"]["SnapshotId"]}}
    other = ec2.register_image(Name="other", BlockDeviceMappings=[shared])["ImageId"]

    first = ec2.deregister_image(ImageId=made, DeleteAssociatedSnapshots=True)
    assert [one["ReturnCode"] for one in first["DeleteSnapshotResults"]] == ["skipped"]
    second = ec2.deregister_image(ImageId=other, DeleteAssociatedSnapshots=True)
    assert second["DeleteSnapshotResults"] == [{"SnapshotId": shared["Ebs"]["SnapshotId"], "ReturnCode": "success"}]
    assert ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []


def test_an_image_shared_with_an_account_is_launched_by_it_and_seen_by_no_other(house, ec2, made):
    friend = house.new_account("friend")
    theirs, others = house.client(account=friend), house.client(account=house.new_account("other"))
    assert refusal(theirs.describe_images, ImageIds=[made]) == "InvalidAMIID.NotFound"
    ec2.modify_image_attribute(ImageId=made, LaunchPermission={"Add": [{"UserId": friend[0]}]})

    assert permissions(ec2, made) == [{"UserId": friend[0]}]
    found = described(theirs, made)
    assert (found["OwnerId"], found["Public"], "Tags" in found) == (house.account[0], False, False)
    assert [one["ImageId"] for one in theirs.describe_images(ExecutableUsers=["self"])["Images"]] == [made]
    assert own(theirs) == set()
    twin = launch(theirs, made)
    house.settle()
    assert state(theirs, twin) == "running"
    for asked in ({"ImageId": made, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1},):
        assert refusal(others.run_instances, **asked) == "InvalidAMIID.NotFound"
    assert refusal(others.describe_images, ImageIds=[made]) == "InvalidAMIID.NotFound"
    ec2.modify_image_attribute(ImageId=made, LaunchPermission={"Remove": [{"UserId": friend[0]}]})
    assert permissions(ec2, made) == []
    assert refusal(theirs.describe_images, ImageIds=[made]) == "InvalidAMIID.NotFound"
    assert state(theirs, twin) == "running"


def test_who_an_image_is_shared_with_cannot_change_it(house, ec2, made):
    friend = house.new_account("friend")
    theirs = house.client(account=friend)
    ec2.modify_image_attribute(ImageId=made, LaunchPermission={"Add": [{"UserId": friend[0]}]})

    assert refusal(theirs.deregister_image, ImageId=made) == "AuthFailure"
    everyone = {"ImageId": made, "LaunchPermission": {"Add": [{"Group": "all"}]}}
    assert refusal(theirs.modify_image_attribute, **everyone) == "AuthFailure"
    assert refusal(theirs.modify_image_attribute, ImageId=made, Description={"Value": "x"}) == "AuthFailure"
    asked = {"ImageId": made, "Attribute": "launchPermission"}
    assert refusal(theirs.describe_image_attribute, **asked) == "AuthFailure"
    assert (described(ec2, made)["Description"], described(ec2, made)["Public"]) == ("as of today", False)


@pytest.mark.parametrize(
    ("on", "off"),
    [
        ({"LaunchPermission": {"Add": [{"Group": "all"}]}}, {"LaunchPermission": {"Remove": [{"Group": "all"}]}}),
        (
            {"Attribute": "launchPermission", "OperationType": "add", "UserGroups": ["all"]},
            {"Attribute": "launchPermission", "OperationType": "remove", "UserGroups": ["all"]},
        ),
    ],
)
def test_a_public_image_is_everyones_in_either_spelling(house, ec2, stranger, made, on, off):
    ec2.modify_image_attribute(ImageId=made, **on)

    assert permissions(ec2, made) == [{"Group": "all"}]
    assert described(stranger, made)["Public"] is True
    assert launch(stranger, made)
    ec2.modify_image_attribute(ImageId=made, **off)
    assert refusal(stranger.describe_images, ImageIds=[made]) == "InvalidAMIID.NotFound"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "InvalidParameterCombination"),
        ({"Attribute": "description"}, "MissingParameter"),
        ({"Attribute": "colour"}, "InvalidParameterCombination"),
        ({"LaunchPermission": {"Add": [{"UserId": "123"}]}}, "InvalidAMIAttributeItemValue"),
        ({"LaunchPermission": {"Add": [{"UserId": "999999999999"}]}}, "InvalidAMIAttributeItemValue"),
        ({"LaunchPermission": {"Add": [{"Group": "friends"}]}}, "InvalidAMIAttributeItemValue"),
        ({"LaunchPermission": {"Add": [{"OrganizationArn": "arn:x"}]}}, "UnsupportedOperation"),
        ({"OperationType": "toggle", "UserGroups": ["all"]}, "InvalidParameterValue"),
        ({"ProductCodes": ["x"]}, "UnsupportedOperation"),
        ({"Attribute": "kernel", "Value": "aki-0123456789abcdef0"}, "InvalidParameter"),
    ],
)
def test_a_change_that_cannot_be_is_refused(ec2, made, asked, code):
    assert refusal(ec2.modify_image_attribute, ImageId=made, **asked) == code
    assert permissions(ec2, made) == []


def test_the_description_can_be_changed_in_either_spelling(ec2, made):
    ec2.modify_image_attribute(ImageId=made, Description={"Value": "newer"})
    assert described(ec2, made)["Description"] == "newer"
    ec2.modify_image_attribute(ImageId=made, Attribute="description", Value="newest")
    answer = ec2.describe_image_attribute(ImageId=made, Attribute="description")
    assert answer["Description"] == {"Value": "newest"}


def test_attributes_of_an_image_can_be_read(ec2, made):
    found = described(ec2, made)

    def read(name):
        return ec2.describe_image_attribute(ImageId=made, Attribute=name)

    assert read("blockDeviceMapping")["BlockDeviceMappings"] == found["BlockDeviceMappings"]
    assert read("kernel")["KernelId"]["Value"] == found["KernelId"]
    assert read("ramdisk")["RamdiskId"]["Value"] == found["RamdiskId"]
    assert read("bootMode")["BootMode"] == {"Value": "legacy-bios"}
    asked = {"ImageId": made, "Attribute": "colour"}
    assert refusal(ec2.describe_image_attribute, **asked) == "InvalidRequest"
    asked = {"ImageId": NOBODY, "Attribute": "description"}
    assert refusal(ec2.describe_image_attribute, **asked) == "InvalidAMIID.NotFound"


def test_images_are_found_by_what_they_are(house, ec2, image, made):
    ec2.create_tags(Resources=[made], Tags=tags(Name="g"))
    [disk] = described(ec2, made)["BlockDeviceMappings"]
    wanted = {
        "name": "gold*",
        "description": "as of*",
        "image-id": made,
        "owner-id": house.account[0],
        "is-public": "false",
        "tag:Name": "g",
        "block-device-mapping.snapshot-id": disk["Ebs"]["SnapshotId"],
    }
    for name, value in wanted.items():
        found = ec2.describe_images(Filters=[{"Name": name, "Values": [value]}])["Images"]
        assert [one["ImageId"] for one in found] == [made], name
    of_both = {
        "architecture": "x86_64",
        "state": "available",
        "image-type": "machine",
        "root-device-type": "ebs",
        "root-device-name": "/dev/sda1",
        "virtualization-type": "hvm",
        "hypervisor": "xen",
        "ena-support": "true",
        "block-device-mapping.volume-size": "1",
    }
    for name, value in of_both.items():
        found = {one["ImageId"] for one in ec2.describe_images(Filters=[{"Name": name, "Values": [value]}])["Images"]}
        assert {made, image} <= found, name
    windows = ec2.describe_images(Filters=where(platform="windows"))["Images"]
    assert [one["Name"] for one in windows] == ["isthmus-windows"]
    mine = ec2.describe_images(Owners=["self", "amazon"])["Images"]
    assert {made, image} <= {one["ImageId"] for one in mine}
