"""Listings of what a private cloud cannot have: empty, once all that was asked about is known not to be there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.errors import AwsError
from isthmus.context import Context
from isthmus.core import images, instances, networks
from isthmus.core.ids import Kind
from isthmus.core.registry import find

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        DescribeBundleTasksRequestTypeDef,
        DescribeFastLaunchImagesRequestTypeDef,
        DescribeImportImageTasksRequestTypeDef,
        DescribeInstanceTopologyRequestTypeDef,
        DescribeVpcClassicLinkRequestTypeDef,
        VpcClassicLinkTypeDef,
    )

Nothing = Iterator[Mapping[str, Any]]


@ec2.listing("DescribeFastSnapshotRestores", key=("SnapshotId", "AvailabilityZone"))
def describe_fast_snapshot_restores(cx: Context, req: Mapping[str, Any]) -> Nothing:
    return iter(())


@ec2.listing("DescribeFastLaunchImages", key="ImageId", exclusive="ImageIds")
def describe_fast_launch_images(cx: Context, req: DescribeFastLaunchImagesRequestTypeDef) -> Nothing:
    if wanted := req.get("ImageIds"):
        images.find_images(cx, wanted)
    return iter(())


@ec2.listing("DescribeImportImageTasks", key="ImportTaskId", exclusive="ImportTaskIds")
def describe_import_image_tasks(cx: Context, req: DescribeImportImageTasksRequestTypeDef) -> Nothing:
    """Images are imported with `isthmus image import`, which leaves no tasks."""
    _none_of("InvalidConversionTaskId", "import task", req.get("ImportTaskIds", ()))
    return iter(())


@ec2.listing("DescribeBundleTasks", key="BundleId")
def describe_bundle_tasks(cx: Context, req: DescribeBundleTasksRequestTypeDef) -> Nothing:
    _none_of("InvalidBundleID.NotFound", "bundle task", req.get("BundleIds", ()))
    return iter(())


@ec2.listing("DescribeInstanceTopology", key="InstanceId", exclusive="InstanceIds")
def describe_instance_topology(cx: Context, req: DescribeInstanceTopologyRequestTypeDef) -> Nothing:
    """Empty, whatever GroupNames say: no cloud tells which host a server is on."""
    instances.pick(cx, req.get("InstanceIds", ()))
    return iter(())


@ec2.listing("DescribeVpcClassicLink", key="VpcId")
def describe_vpc_classic_link(
    cx: Context, req: DescribeVpcClassicLinkRequestTypeDef
) -> Iterator[VpcClassicLinkTypeDef]:
    for found in find(networks.networks(cx), Kind.NETWORK, req.get("VpcIds")):
        tags: Any = [{"Key": key, "Value": value} for key, value in found.tags.items()]
        yield {"VpcId": found.id, "ClassicLinkEnabled": False, "Tags": tags}


def _none_of(code: str, word: str, wanted: Any) -> None:
    for one in wanted:
        raise AwsError(code, f"The {word} '{str(one)[:128]}' does not exist.")
