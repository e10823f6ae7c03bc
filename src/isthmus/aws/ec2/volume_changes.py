"""Volumes that grow and change their type, and how volumes fare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.disks import THROUGHPUT, VOLUME_TYPES, demand_size, demand_type
from isthmus.aws.ec2.volumes import own_iops, type_of
from isthmus.aws.errors import AwsError
from isthmus.context import Context
from isthmus.core import instances, volumes
from isthmus.core.ids import Kind
from isthmus.core.notes import note
from isthmus.core.registry import Found
from isthmus.errors import Conflict
from isthmus.model import Volume, VolumeState

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        DescribeVolumeAttributeRequestTypeDef,
        DescribeVolumesModificationsRequestTypeDef,
        DescribeVolumeStatusRequestTypeDef,
        ModifyVolumeAttributeRequestTypeDef,
        ModifyVolumeRequestTypeDef,
    )

_CHANGE, _AUTO_IO = "change", "auto-io"
_OPTIMIZING = timedelta(seconds=2)
"""How long a change is said to be under way, so that clients see the states they wait for."""
_FIRST_IOPS = {"gp3": 3000, "io1": 3000, "io2": 3000}
"""IOPS after a change to a type, where none are asked for. Source: ModifyVolume in the EC2 API reference."""
_HEALTH = {
    VolumeState.ERROR: ("impaired", "failed"),
    VolumeState.CREATING: ("insufficient-data", "not-applicable"),
}


class Shape(NamedTuple):
    """What of a volume can be changed. 0 IOPS: the type's own."""

    size: int
    type: str
    iops: int


@ec2.action("ModifyVolume")
def modify_volume(cx: Context, req: ModifyVolumeRequestTypeDef) -> Mapping[str, Any]:
    if req.get("MultiAttachEnabled"):
        raise AwsError("UnsupportedOperation", "A volume goes to one instance at a time.")
    found = volumes.one_volume(cx, req["VolumeId"])
    if found.noun.state not in (VolumeState.AVAILABLE, VolumeState.IN_USE):
        raise Conflict(Kind.VOLUME, found.id, f"The volume '{found.id}' is not 'available' or 'in-use'.")
    if _change(cx, found, "ModificationState") not in (None, "completed"):
        raise AwsError("IncorrectModificationState", f"The volume '{found.id}' is still being modified.")
    before = Shape(found.noun.size, type_of(found.noun), found.noun.iops)
    after = _wanted(req, before)
    kind = found.noun.type if after.type == before.type else after.type
    volumes.reshape(cx, found.id, after.size, kind, after.iops)
    said = {"before": before, "after": after, "at": cx.now().isoformat()}
    note(cx, Kind.VOLUME, found, **{_CHANGE: said})
    return {"VolumeModification": {**_told(found.id, before, after, cx.now()), **_begun}}


@ec2.listing("DescribeVolumesModifications", key="VolumeId", exclusive="VolumeIds")
def describe_volumes_modifications(
    cx: Context, req: DescribeVolumesModificationsRequestTypeDef
) -> Iterator[Mapping[str, Any]]:
    """The last modification of each volume; none is managed, so IncludeManagedResources changes nothing."""
    wanted = req.get("VolumeIds")
    for found in volumes.find_volumes(cx, wanted):
        if said := _modification(cx, found):
            yield said
        elif wanted:
            message = f"Modification for volume '{found.id}' does not exist."
            raise AwsError("InvalidVolumeModification.NotFound", message)


@ec2.listing("DescribeVolumeStatus", key="VolumeId", exclusive="VolumeIds", least=5)
def describe_volume_status(cx: Context, req: DescribeVolumeStatusRequestTypeDef) -> Iterator[Mapping[str, Any]]:
    """IncludeManagedResources changes nothing: no volume is managed."""
    servers = instances.index(cx).by_native
    for found in volumes.find_volumes(cx, req.get("VolumeIds")):
        place = cx.world.place_of(found.cloud, found.noun.zone)
        status, io = _HEALTH.get(found.noun.state, ("ok", "passed"))
        held = [one for link in found.noun.attachments if (one := servers.get((found.cloud, link.server)))]
        yield {
            "VolumeId": found.id,
            "AvailabilityZone": place.zone,
            "AvailabilityZoneId": cx.world.zone_id(place.zone),
            "Actions": [],
            "Events": [],
            "VolumeStatus": {
                "Status": status,
                "Details": [
                    {"Name": "io-enabled", "Status": io},
                    {"Name": "io-performance", "Status": "not-applicable"},
                ],
            },
            "AttachmentStatuses": [{"InstanceId": one.id, "IoPerformance": "not-applicable"} for one in held],
        }


@ec2.action("DescribeVolumeAttribute")
def describe_volume_attribute(cx: Context, req: DescribeVolumeAttributeRequestTypeDef) -> Mapping[str, Any]:
    found = volumes.one_volume(cx, req["VolumeId"])
    match req["Attribute"]:
        case "autoEnableIO":
            return {"VolumeId": found.id, "AutoEnableIO": {"Value": found.data.get(_AUTO_IO, False)}}
        case "productCodes":
            return {"VolumeId": found.id, "ProductCodes": []}
        case other:
            raise AwsError("InvalidParameterValue", f"Value ({other}) for parameter attribute is invalid.")


@ec2.action("ModifyVolumeAttribute")
def modify_volume_attribute(cx: Context, req: ModifyVolumeAttributeRequestTypeDef) -> Mapping[str, Any]:
    found = volumes.one_volume(cx, req["VolumeId"])
    value = req.get("AutoEnableIO", {}).get("Value")
    if value is None:
        raise AwsError("MissingParameter", "The request must contain the parameter AutoEnableIO")
    note(cx, Kind.VOLUME, found, **{_AUTO_IO: value})
    return {}


def _wanted(req: ModifyVolumeRequestTypeDef, before: Shape) -> Shape:
    """What a volume is to become. Raises AwsError for what EC2 would refuse."""
    if not req.keys() & {"Size", "VolumeType", "Iops", "Throughput", "MultiAttachEnabled"}:
        raise AwsError(
            "MissingParameter", "The request must contain the parameter size, volumeType, iops or throughput"
        )
    size, kind = req.get("Size", before.size), req.get("VolumeType", before.type)
    if kind not in VOLUME_TYPES:
        raise AwsError("UnknownVolumeType", f"Unsupported volume type '{kind}'.")
    if size < before.size:
        raise AwsError("InvalidParameterValue", "New size cannot be smaller than existing size")
    demand_size(size)
    kept = before.iops if kind == before.type else _FIRST_IOPS.get(kind, 0)
    demand_type(kind, req.get("Iops", 0) or kept, req.get("Throughput", 0))
    return Shape(size, kind, req.get("Iops", kept))


def _change(cx: Context, found: Found[Volume], name: str) -> Any:
    said = _modification(cx, found)
    return said[name] if said else None


def _modification(cx: Context, found: Found[Volume]) -> dict[str, Any] | None:
    """The VolumeModification that was begun last: complete once the cloud shows it and clients saw it under way."""
    said = found.data.get(_CHANGE)
    if not said:
        return None
    before, after, start = Shape(*said["before"]), Shape(*said["after"]), datetime.fromisoformat(said["at"])
    told, there = _told(found.id, before, after, start), found.noun.size >= after.size
    if not there:
        return {**told, **_begun}
    if cx.now() < start + _OPTIMIZING:
        return {**told, "ModificationState": "optimizing", "Progress": 50}
    return {**told, "ModificationState": "completed", "Progress": 100, "EndTime": start + _OPTIMIZING}


_begun: Mapping[str, Any] = {"ModificationState": "modifying", "Progress": 0}


def _told(volume: str, before: Shape, after: Shape, start: datetime) -> dict[str, Any]:
    sides = {
        f"{side}{name}": value
        for side, shape in (("Original", before), ("Target", after))
        for name, value in _side(shape).items()
    }
    return {"VolumeId": volume, "StartTime": start, **sides}


def _side(shape: Shape) -> dict[str, Any]:
    said = {"Size": shape.size, "VolumeType": shape.type, "MultiAttachEnabled": False}
    if iops := shape.iops or own_iops(shape.type, shape.size):
        said["Iops"] = iops
    if shape.type == "gp3":
        said["Throughput"] = THROUGHPUT
    return said
