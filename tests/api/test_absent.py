"""Listings of what a private cloud cannot have."""

from __future__ import annotations

from asking import refusal, where


def test_what_cannot_exist_is_an_empty_list(ec2, image, launched):
    assert ec2.describe_fast_snapshot_restores()["FastSnapshotRestores"] == []
    assert ec2.describe_fast_launch_images(ImageIds=[image])["FastLaunchImages"] == []
    assert ec2.describe_import_image_tasks()["ImportImageTasks"] == []
    assert ec2.describe_import_image_tasks(Filters=where(task_state="active"))["ImportImageTasks"] == []
    assert refusal(ec2.describe_import_image_tasks, Filters=where(colour="red")) == "InvalidParameterValue"
    assert ec2.describe_bundle_tasks()["BundleTasks"] == []
    assert ec2.describe_instance_topology(InstanceIds=[launched])["Instances"] == []


def test_what_is_named_and_not_there_is_not_found(ec2):
    assert refusal(ec2.describe_fast_launch_images, ImageIds=["ami-0123456789abcdef0"]) == "InvalidAMIID.NotFound"
    assert refusal(ec2.describe_import_image_tasks, ImportTaskIds=["import-ami-1"]) == "InvalidConversionTaskId"
    assert refusal(ec2.describe_bundle_tasks, BundleIds=["bun-1"]) == "InvalidBundleID.NotFound"
    topology = ec2.describe_instance_topology
    assert refusal(topology, InstanceIds=["i-0123456789abcdef0"]) == "InvalidInstanceID.NotFound"
    assert refusal(ec2.describe_vpc_classic_link, VpcIds=["vpc-0123456789abcdef0"]) == "InvalidVpcID.NotFound"


def test_no_network_is_linked_to_the_classic_one(ec2):
    known = [one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"]]

    assert [(one["VpcId"], one["ClassicLinkEnabled"]) for one in ec2.describe_vpc_classic_link()["Vpcs"]] == [
        (one, False) for one in known
    ]
    assert ec2.describe_vpc_classic_link(Filters=where(is_classic_link_enabled="true"))["Vpcs"] == []


def test_fast_restores_are_refused_with_a_reason(ec2):
    asked = {"SourceSnapshotIds": ["snap-0123456789abcdef0"], "AvailabilityZones": ["us-east-1a"]}
    assert refusal(ec2.enable_fast_snapshot_restores, **asked) == "UnsupportedOperation"
