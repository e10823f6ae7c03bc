"""Listings of what a private cloud cannot have: empty, once all that was asked about is known not to be there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.errors import AwsError
from isthmus.context import Context
from isthmus.core import images, instances, networks
from isthmus.core.ids import Kind
from isthmus.core.registry import find

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        DeleteFlowLogsRequestTypeDef,
        DescribeBundleTasksRequestTypeDef,
        DescribeConversionTasksRequestTypeDef,
        DescribeExportTasksRequestTypeDef,
        DescribeFastLaunchImagesRequestTypeDef,
        DescribeFlowLogsRequestTypeDef,
        DescribeHostsRequestTypeDef,
        DescribeImportImageTasksRequestTypeDef,
        DescribeImportSnapshotTasksRequestTypeDef,
        DescribeInstanceTopologyRequestTypeDef,
        DescribeVpcClassicLinkRequestTypeDef,
        VpcClassicLinkTypeDef,
    )

Nothing = Iterator[Mapping[str, Any]]
_NO_FLOW_LOG = "InvalidFlowLogId.NotFound"


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


@ec2.listing("DescribeImportSnapshotTasks", key="ImportTaskId", exclusive="ImportTaskIds")
def describe_import_snapshot_tasks(cx: Context, req: DescribeImportSnapshotTasksRequestTypeDef) -> Nothing:
    _none_of("InvalidConversionTaskId", "import task", req.get("ImportTaskIds", ()))
    return iter(())


@ec2.action("DescribeConversionTasks")
def describe_conversion_tasks(cx: Context, req: DescribeConversionTasksRequestTypeDef) -> Mapping[str, Any]:
    _none_of("InvalidConversionTaskId", "conversion task", req.get("ConversionTaskIds", ()))
    return {"ConversionTasks": []}


@ec2.action("DescribeExportTasks", refuses={"Filters": "There is no export task to tell from others."})
def describe_export_tasks(cx: Context, req: DescribeExportTasksRequestTypeDef) -> Mapping[str, Any]:
    _none_of("InvalidExportTaskID.NotFound", "export task", req.get("ExportTaskIds", ()))
    return {"ExportTasks": []}


@ec2.listing("DescribeHosts", key="HostId", exclusive="HostIds")
def describe_hosts(cx: Context, req: DescribeHostsRequestTypeDef) -> Nothing:
    _none_of("InvalidHostID.NotFound", "host", req.get("HostIds", ()))
    return iter(())


@ec2.listing("DescribeFlowLogs", key="FlowLogId", exclusive="FlowLogIds")
def describe_flow_logs(cx: Context, req: DescribeFlowLogsRequestTypeDef) -> Nothing:
    _none_of(_NO_FLOW_LOG, "flow log", req.get("FlowLogIds", ()))
    return iter(())


@ec2.action("DeleteFlowLogs")
def delete_flow_logs(cx: Context, req: DeleteFlowLogsRequestTypeDef) -> Mapping[str, Any]:
    """Each by itself, and none is there."""
    unknown = dict.fromkeys(req["FlowLogIds"])
    errors = {one: {"Code": _NO_FLOW_LOG, "Message": _absent("flow log", one)} for one in unknown}
    return {"Unsuccessful": [{"ResourceId": one, "Error": error} for one, error in errors.items()]}


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
    for found in find(cx, networks.networks(cx), Kind.NETWORK, req.get("VpcIds")):
        tags: Any = [{"Key": key, "Value": value} for key, value in found.tags.items()]
        yield {"VpcId": found.id, "ClassicLinkEnabled": False, "Tags": tags}


def _none_of(code: str, word: str, wanted: Sequence[str]) -> None:
    for one in wanted:
        raise AwsError(code, _absent(word, one))


def _absent(word: str, one: str) -> str:
    return f"The {word} '{one[:128]}' does not exist."
