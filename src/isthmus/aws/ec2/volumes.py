"""Volumes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from isthmus.aws.codec import Item
from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.disks import THROUGHPUT, VOLUME_TYPES, demand_size, demand_type
from isthmus.aws.ec2.launch import zone_of
from isthmus.aws.ec2.states import VOLUME
from isthmus.aws.errors import AwsError
from isthmus.aws.rendered import rendered
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import instances, volumes
from isthmus.core.ids import Kind, adopt
from isthmus.core.instance import Instance
from isthmus.core.registry import Found, Native
from isthmus.core.volumes import VolumeOrder
from isthmus.model import Attachment, ServerState, Volume

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        AttachVolumeRequestTypeDef,
        CopyVolumesRequestTypeDef,
        CreateVolumeRequestTypeDef,
        DeleteVolumeRequestTypeDef,
        DescribeVolumesRequestTypeDef,
        DetachVolumeRequestTypeDef,
    )

_DEFAULT_TYPE = "gp2"
_REFUSES = {
    "KmsKeyId": "There is no KMS.",
    "MultiAttachEnabled": "A volume goes to one instance at a time.",
}
# IOPS that a type has by itself. Source: "Amazon EBS volume types"
_BASE_IOPS = {"gp3": 3000}


class Face(NamedTuple):
    """A volume with its instances' and snapshot's ids."""

    id: str
    account: str
    found: Found[Volume]
    zone: str
    zone_id: str
    snapshot: str
    servers: tuple[str, ...]


@ec2.listing("DescribeVolumes", key="VolumeId", ordered=True, exclusive="VolumeIds", least=5)
def describe_volumes(cx: Context, req: DescribeVolumesRequestTypeDef) -> Iterator[Item]:
    """IncludeManagedResources changes nothing: no volume is managed."""
    look = _Look(cx)
    return (render(look.face(one)) for one in volumes.find_volumes(cx, req.get("VolumeIds")))


@ec2.action(
    "CreateVolume",
    makes=["volume"],
    refuses={
        **_REFUSES,
        "OutpostArn": "There are no Outposts.",
        "VolumeInitializationRate": "Volumes need no initialization.",
        "Operator": "There are no managed volumes.",
    },
)
def create_volume(cx: Context, req: CreateVolumeRequestTypeDef) -> Mapping[str, Any]:
    if req.get("AvailabilityZone", "") not in ("", *cx.world.places):
        raise AwsError("InvalidZone.NotFound", f"The zone '{req['AvailabilityZone']}' does not exist.")
    zone = zone_of(cx, req)
    if not zone:
        raise AwsError("MissingParameter", "The request must contain the parameter availabilityZone")
    if "Size" not in req and not req.get("SnapshotId"):
        raise AwsError("MissingParameter", "The request must contain the parameter size/snapshotId")
    order = replace(_order(req), zone=zone, snapshot=req.get("SnapshotId", ""))
    return render(_Look(cx).face(volumes.create(cx, order)))


@ec2.action("CopyVolumes", makes=["volume"], refuses=_REFUSES)
def copy_volumes(cx: Context, req: CopyVolumesRequestTypeDef) -> Mapping[str, Any]:
    made = volumes.copy(cx, replace(_order(req), source=req["SourceVolumeId"]))
    return {"Volumes": [render(_Look(cx).face(made))]}


def _order(req: Mapping[str, Any]) -> VolumeOrder:
    """What a request says of the volume itself. Raises AwsError for what no volume can be."""
    kind, iops = req.get("VolumeType", _DEFAULT_TYPE), req.get("Iops", 0)
    if kind not in VOLUME_TYPES:
        raise AwsError("UnknownVolumeType", f"Unsupported volume type '{kind}' for volume creation.")
    demand_type(kind, iops, req.get("Throughput", 0))
    if "Size" in req:
        demand_size(req["Size"])
    return VolumeOrder("", req.get("Size", 0), kind, iops, encrypted=req.get("Encrypted", False))


@ec2.action("DeleteVolume")
def delete_volume(cx: Context, req: DeleteVolumeRequestTypeDef) -> Mapping[str, Any]:
    volumes.delete(cx, req["VolumeId"])
    return {}


@ec2.action("AttachVolume", refuses={"EbsCardIndex": "Instances have one EBS card."})
def attach_volume(cx: Context, req: AttachVolumeRequestTypeDef) -> Mapping[str, Any]:
    [one] = instances.pick(cx, [req["InstanceId"]])
    device = req["Device"]
    if one.server.state not in (ServerState.RUNNING, ServerState.STOPPED):
        raise AwsError("IncorrectState", f"Instance '{one.id}' is not 'running'.")
    found = volumes.one_volume(cx, req["VolumeId"])
    if (found.cloud, found.noun.zone) != (one.cloud, one.server.zone):
        message = f"The volume '{found.id}' is not in the same availability zone as instance '{one.id}'"
        raise AwsError("InvalidVolume.ZoneMismatch", message)
    volumes.demand_free(found)
    for disk in one.disks:
        if any(held.device == device and held.server == one.server.native for held in disk.noun.attachments):
            raise AwsError(
                "InvalidParameterValue",
                f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use",
            )
    after = volumes.attach(cx, found.id, one.cloud, one.server.native, device)
    return _attachment(after, one, "attaching")


@ec2.action("DetachVolume")
def detach_volume(cx: Context, req: DetachVolumeRequestTypeDef) -> Mapping[str, Any]:
    found = volumes.one_volume(cx, req["VolumeId"])
    known = instances.index(cx).by_native
    wanted = instances.pick(cx, [req["InstanceId"]]) if req.get("InstanceId") else []
    held = _held(found, known, wanted)
    if req.get("Device") and req["Device"] != held.device:
        raise AwsError("InvalidAttachment.NotFound", f"{found.id} is not attached as {req['Device']}.")
    one = known[found.cloud, held.server]
    if held.device == one.server.root_device and one.server.state is not ServerState.STOPPED:
        raise AwsError("OperationNotPermitted", f"Unable to detach root volume '{found.id}' from instance '{one.id}'")
    before = volumes.detach(cx, found.id, held.server, force=req.get("Force", False))
    return _attachment(before, one, "detaching")


@rendered
def render(face: Face) -> dict[str, Any]:
    """A Volume of the model."""
    volume = face.found.noun
    kind = type_of(volume)
    said: dict[str, Any] = {
        "VolumeId": face.id,
        "Size": volume.size,
        "SnapshotId": face.snapshot,
        "AvailabilityZone": face.zone,
        "AvailabilityZoneId": face.zone_id,
        "State": VOLUME[volume.state],
        "CreateTime": volume.created,
        "VolumeType": kind,
        "Encrypted": volume.encrypted,
        "MultiAttachEnabled": False,
        "Attachments": [
            _said(face.id, server, held) for server, held in zip(face.servers, volume.attachments, strict=True)
        ],
    }
    if kind == "gp3":
        said["Throughput"] = THROUGHPUT
    if source := face.found.data.get(volumes.SOURCE):
        said["SourceVolumeId"] = source
    if iops := volume.iops or own_iops(kind, volume.size):
        said["Iops"] = iops
    if face.found.tags:
        said["Tags"] = tag_set(face.found.tags)
    return said


class _Look:
    """Ids for the native ones that volumes name."""

    def __init__(self, cx: Context) -> None:
        self._cx = cx
        self._servers = instances.index(cx).by_native
        self._snapshots = volumes.snapshots(cx)

    def face(self, found: Found[Volume]) -> Face:
        volume, cloud = found.noun, found.cloud
        place = self._cx.world.place_of(cloud, volume.zone)
        return Face(
            found.id,
            found.account,
            found,
            place.zone,
            self._cx.world.zone_id(place.zone),
            self._snapshots.id_of(Kind.SNAPSHOT, cloud, volume.snapshot),
            tuple(self._server(cloud, held.server) for held in volume.attachments),
        )

    def _server(self, cloud: str, native: str) -> str:
        one = self._servers.get((cloud, native))
        return one.id if one else adopt(Kind.SERVER, cloud, native)


def type_of(volume: Volume) -> str:
    """EC2's word for a volume's type; the default for one that is none of EC2's."""
    return volume.type if volume.type in VOLUME_TYPES else _DEFAULT_TYPE


def own_iops(kind: str, size: int) -> int:
    """The IOPS that a type has by itself, 0 for none. gp2: 3 a GiB, from 100 to 16,000."""
    return min(max(3 * size, 100), 16000) if kind == "gp2" else _BASE_IOPS.get(kind, 0)


def _held(found: Found[Volume], known: Mapping[Native, Instance], wanted: list[Instance]) -> Attachment:
    """Where a volume is attached; with an instance that is gone, its attachment goes too."""
    there = [held for held in found.noun.attachments if (found.cloud, held.server) in known]
    natives = [one.server.native for one in wanted]
    for held in there:
        if not natives or held.server in natives:
            return held
    where = f" from instance {wanted[0].id}" if wanted else ""
    if wanted and there:
        raise AwsError("InvalidAttachment.NotFound", f"Unable to detach volume {found.id}{where}: it is not attached.")
    raise AwsError("IncorrectState", f"Volume '{found.id}' is in the 'available' state.")


def _attachment(found: Found[Volume], one: Instance, state: str) -> dict[str, Any]:
    held = next(item for item in found.noun.attachments if item.server == one.server.native)
    return {**_said(found.id, one.id, held), "State": state}


def _said(volume: str, server: str, held: Attachment) -> dict[str, Any]:
    """A VolumeAttachment."""
    return {
        "VolumeId": volume,
        "InstanceId": server,
        "Device": held.device,
        "State": held.state.value,
        "AttachTime": held.since,
        "DeleteOnTermination": held.delete_with_server,
    }
