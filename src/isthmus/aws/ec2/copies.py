"""Copies of snapshots and images, within the one region."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.images import ami_name
from isthmus.aws.ec2.owners import account_of
from isthmus.aws.errors import AwsError
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import images, tags, volumes

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import CopyImageRequestTypeDef, CopySnapshotRequestTypeDef

_REFUSES = {
    "DestinationAvailabilityZone": "There are no Local Zones.",
    "DestinationOutpostArn": "There are no Outposts.",
    "KmsKeyId": "There is no KMS.",
}


@ec2.action(
    "CopySnapshot",
    makes=["snapshot"],
    refuses={**_REFUSES, "CompletionDurationMinutes": "A copy takes the time it takes."},
)
def copy_snapshot(cx: Context, req: CopySnapshotRequestTypeDef) -> Mapping[str, Any]:
    """PresignedUrl changes nothing: it is for another region to read."""
    source = volumes.one_snapshot(cx, req["SourceSnapshotId"])
    _demand_here(cx, req["SourceRegion"])
    _demand_here(cx, req.get("DestinationRegion", ""))
    if req.get("Encrypted") and not source.noun.encrypted:
        raise AwsError("UnsupportedOperation", "A copy is encrypted if its source is, and only then.")
    made = volumes.copy_snapshot(cx, source.id, req.get("Description", ""))
    return {"SnapshotId": made.id, "Tags": tag_set(made.tags)}


@ec2.action(
    "CopyImage",
    makes=["image", "snapshot"],
    refuses={
        **_REFUSES,
        "DestinationAvailabilityZoneId": "There are no Local Zones.",
        "Encrypted": "A copy is encrypted as its source is.",
        "SnapshotCopyCompletionDurationMinutes": "A copy takes the time it takes.",
    },
)
def copy_image(cx: Context, req: CopyImageRequestTypeDef) -> Mapping[str, Any]:
    source = images.one_image(cx, req["SourceImageId"])
    _demand_here(cx, req["SourceRegion"])
    made = images.copy(cx, source.id, ami_name(req["Name"]), req.get("Description", ""))
    mine = account_of(cx, source.cloud, source.noun.owner) == cx.account
    if req.get("CopyImageTags") and mine and source.tags:
        tags.add(cx, [made.id], {**source.tags, **cx.tags.get("image", {})})
    return {"ImageId": made.id}


def _demand_here(cx: Context, region: str) -> None:
    if region not in ("", cx.world.region):
        raise AwsError("InvalidParameterValue", f"Invalid region provided: {region[:128]}. There is {cx.world.region}.")
