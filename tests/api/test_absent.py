"""Listings of what a private cloud cannot have."""

from __future__ import annotations

from typing import Any

import pytest
from asking import refusal, where
from botocore.exceptions import ClientError


def test_what_cannot_exist_is_an_empty_list(ec2, image, launched):
    assert ec2.describe_fast_snapshot_restores()["FastSnapshotRestores"] == []
    assert ec2.describe_fast_launch_images(ImageIds=[image])["FastLaunchImages"] == []
    assert ec2.describe_import_image_tasks()["ImportImageTasks"] == []
    assert ec2.describe_import_image_tasks(Filters=where(task_state="active"))["ImportImageTasks"] == []
    assert refusal(ec2.describe_import_image_tasks, Filters=where(colour="red")) == "InvalidParameterValue"
    assert ec2.describe_bundle_tasks()["BundleTasks"] == []
    assert ec2.describe_instance_topology(InstanceIds=[launched])["Instances"] == []
    assert ec2.describe_import_snapshot_tasks()["ImportSnapshotTasks"] == []
    assert ec2.describe_conversion_tasks()["ConversionTasks"] == []
    assert ec2.describe_export_tasks()["ExportTasks"] == []
    assert ec2.describe_hosts(Filter=where(state="available"))["Hosts"] == []
    assert ec2.describe_flow_logs(Filter=where(traffic_type="ALL"))["FlowLogs"] == []
    assert refusal(ec2.describe_flow_logs, Filter=where(colour="red")) == "InvalidParameterValue"


def test_what_is_named_and_not_there_is_not_found(ec2):
    assert refusal(ec2.describe_fast_launch_images, ImageIds=["ami-0123456789abcdef0"]) == "InvalidAMIID.NotFound"
    assert refusal(ec2.describe_import_image_tasks, ImportTaskIds=["import-ami-1"]) == "InvalidConversionTaskId"
    assert refusal(ec2.describe_bundle_tasks, BundleIds=["bun-1"]) == "InvalidBundleID.NotFound"
    assert refusal(ec2.describe_import_snapshot_tasks, ImportTaskIds=["import-snap-1"]) == "InvalidConversionTaskId"
    assert refusal(ec2.describe_conversion_tasks, ConversionTaskIds=["import-i-1"]) == "InvalidConversionTaskId"
    assert refusal(ec2.describe_export_tasks, ExportTaskIds=["export-i-1"]) == "InvalidExportTaskID.NotFound"
    assert refusal(ec2.describe_hosts, HostIds=["h-0123456789abcdef0"]) == "InvalidHostID.NotFound"
    assert refusal(ec2.describe_flow_logs, FlowLogIds=["fl-0123456789abcdef0"]) == "InvalidFlowLogId.NotFound"
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


def test_each_flow_log_by_itself_cannot_be_deleted(ec2):
    answer = ec2.delete_flow_logs(FlowLogIds=["fl-1", "fl-2", "fl-1"])["Unsuccessful"]

    assert [one["ResourceId"] for one in answer] == ["fl-1", "fl-2"]
    assert {one["Error"]["Code"] for one in answer} == {"InvalidFlowLogId.NotFound"}


@pytest.mark.parametrize(
    ("action", "asked", "reason"),
    [
        ("allocate_hosts", {"AvailabilityZone": "us-east-1a"}, "no dedicated hosts"),
        ("modify_hosts", {"HostIds": ["h-0123456789abcdef0"]}, "no dedicated hosts"),
        ("release_hosts", {"HostIds": ["h-0123456789abcdef0"]}, "no dedicated hosts"),
        ("import_image", {}, "isthmus image import"),
        ("import_snapshot", {}, "isthmus image import"),
        ("export_image", {"ImageId": "ami-0123456789abcdef0"}, "S3"),
        ("create_flow_logs", {"ResourceIds": ["vpc-1"], "ResourceType": "VPC"}, "which connections"),
        ("bundle_instance", {"InstanceId": "i-0123456789abcdef0"}, "CreateImage"),
        ("confirm_product_instance", {"InstanceId": "i-0123456789abcdef0", "ProductCode": "x"}, "Marketplace"),
    ],
)
def test_what_means_nothing_here_is_refused_with_its_own_reason(ec2, action: str, asked: dict[str, Any], reason: str):
    with pytest.raises(ClientError) as refused:
        getattr(ec2, action)(**asked)

    error = refused.value.response["Error"]
    assert (error["Code"], reason in error["Message"]) == ("UnsupportedOperation", True), error["Message"]
