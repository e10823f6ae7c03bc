"""Images."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from isthmus.aws.codec import Item
from isthmus.aws.ec2 import permissions
from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.disks import disk_orders
from isthmus.aws.ec2.owners import ALIAS, account_of, is_self
from isthmus.aws.ec2.states import IMAGE, ROOT_TYPES
from isthmus.aws.errors import AwsError
from isthmus.aws.rendered import rendered
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import image_notes, images, instances, locks, volumes
from isthmus.core.ids import Kind
from isthmus.core.registry import Found
from isthmus.errors import Conflict
from isthmus.model import Image, ImageDisk, ServerState, Snapshot
from isthmus.providers import ImageSpec

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        CreateImageRequestTypeDef,
        DeregisterImageRequestTypeDef,
        DescribeImageAttributeRequestTypeDef,
        DescribeImagesRequestTypeDef,
        ModifyImageAttributeRequestTypeDef,
        RegisterImageRequestTypeDef,
    )


class Face(NamedTuple):
    id: str
    account: str
    found: Found[Image]
    owner: str
    alias: str
    kernel: str
    ramdisk: str
    snapshots: tuple[str, ...]
    """Of the image's disks, in their order."""
    deprecated: str
    """When it is deprecated, as EC2 says it, or empty."""
    region: str


@ec2.listing("DescribeImages", key="ImageId", ordered=True, exclusive="ImageIds")
def describe_images(cx: Context, req: DescribeImagesRequestTypeDef) -> Iterator[Item]:
    """IncludeDisabled changes nothing: no image is disabled."""
    hidden = not req.get("ImageIds") and not req.get("IncludeDeprecated")
    owners, users = req.get("Owners"), req.get("ExecutableUsers")
    look = _Look(cx)
    for found in images.find_images(cx, req.get("ImageIds")):
        face = look.face(found)
        if hidden and face.owner != cx.account and _past(cx, found):
            continue
        if owners and not any(is_self(cx, said, face.owner) for said in owners):
            continue
        if users and not any(_executable(cx, found, said) for said in users):
            continue
        yield render(face)


@ec2.action(
    "CreateImage",
    makes=["image", "snapshot"],
    refuses={"SnapshotLocation": "There are no Local Zones.", "BootModeOverride": "Guests boot with a BIOS."},
)
def create_image(cx: Context, req: CreateImageRequestTypeDef) -> Mapping[str, Any]:
    [one] = instances.pick(cx, [req["InstanceId"]])
    if one.server.state not in (ServerState.RUNNING, ServerState.STOPPED):
        raise Conflict(Kind.SERVER, one.id, f"The instance '{one.id}' is not in the state 'running' or 'stopped'.")
    orders = disk_orders(req.get("BlockDeviceMappings", ()))
    held = {attachment.device: disk for disk in one.disks for attachment in disk.noun.attachments}
    disks = []
    for order in orders:
        if order.without and order.device == one.server.root_device:
            raise AwsError("InvalidBlockDeviceMapping", f"The root device {order.device} cannot be left out.")
        if order.without:
            continue
        size = order.size or (held[order.device].noun.size if order.device in held else 0)
        if not size and not order.snapshot:
            raise AwsError("MissingParameter", f"The device {order.device} needs a VolumeSize or a SnapshotId")
        disks.append(_disk(cx, order.device, size, order.snapshot, order.type, order.delete_with_server))
    spec = ImageSpec(
        ref="",
        name=ami_name(req["Name"]),
        description=req.get("Description", ""),
        disks=tuple(disks),
        without=tuple(order.device for order in orders if order.without),
        reboot=not req.get("NoReboot", False),
        architecture=one.server.architecture,
        platform=one.server.platform,
    )
    return {"ImageId": images.create_of(cx, one, spec).id}


@ec2.action(
    "RegisterImage",
    makes=["image", "snapshot"],
    refuses={
        "BillingProducts": "There is no marketplace.",
        "TpmSupport": "There is no TPM.",
        "UefiData": "Guests boot with a BIOS.",
    },
)
def register_image(cx: Context, req: RegisterImageRequestTypeDef) -> Mapping[str, Any]:
    if req.get("VirtualizationType", "hvm") != "hvm":
        raise AwsError("UnsupportedOperation", "Images are of the virtualization type hvm.")
    if req.get("BootMode", "legacy-bios") != "legacy-bios":
        raise AwsError("UnsupportedOperation", "Guests boot with a BIOS.")
    if req.get("ImdsSupport"):
        raise AwsError("UnsupportedOperation", "The metadata options are an instance's own.")
    url = req.get("ImageLocation", "")
    cloud, disks = _at_url(cx, req) if url else _mapped(cx, req)
    spec = ImageSpec(
        ref="",
        name=ami_name(req.get("Name", "")),
        description=req.get("Description", ""),
        disks=tuple(disks),
        root_device=disks[0].device,
        architecture=req.get("Architecture", "x86_64"),
        kernel=images.boot_part(cx, cloud, Kind.KERNEL, req.get("KernelId", "")),
        ramdisk=images.boot_part(cx, cloud, Kind.RAMDISK, req.get("RamdiskId", "")),
        url=url,
    )
    if req.get("SriovNetSupport", "simple") != "simple":
        raise AwsError("InvalidParameterValue", f"Invalid value '{req['SriovNetSupport']}' for sriovNetSupport.")
    data = {
        "ena": req.get("EnaSupport", False),
        "sriov": req.get("SriovNetSupport", ""),
        "boot": req.get("BootMode", ""),
    }
    return {"ImageId": images.create(cx, cloud, spec, data=data).id}


def _mapped(cx: Context, req: RegisterImageRequestTypeDef) -> tuple[str, list[ImageDisk]]:
    """The cloud and the disks of an image of snapshots, the root first."""
    orders = disk_orders(req.get("BlockDeviceMappings", ()))
    root = req.get("RootDeviceName") or next((order.device for order in orders if order.snapshot), "")
    source = next((order for order in orders if order.device == root and order.snapshot), None)
    if source is None:
        raise AwsError("InvalidBlockDeviceMapping", "The root device must be mapped to a snapshot.")
    return volumes.one_snapshot(cx, source.snapshot).cloud, [
        _disk(cx, order.device, order.size or 0, order.snapshot, order.type, order.delete_with_server)
        for order in sorted(orders, key=lambda order: order is not source)
        if not order.without
    ]


def _at_url(cx: Context, req: RegisterImageRequestTypeDef) -> tuple[str, list[ImageDisk]]:
    """The same of an image whose root disk is a file that the cloud fetches."""
    if not re.match("https?://", req["ImageLocation"], re.IGNORECASE):
        reason = "There are no S3 manifests: an ImageLocation is the URL of a disk's file, which the cloud fetches."
        raise AwsError("UnsupportedOperation", reason)
    if req.get("BlockDeviceMappings"):
        raise AwsError("InvalidParameterCombination", "An image is of an ImageLocation or of snapshots, not of both.")
    return images.fetching(cx), [ImageDisk(req.get("RootDeviceName") or "/dev/sda1", 0)]


@ec2.action("DeregisterImage")
def deregister_image(cx: Context, req: DeregisterImageRequestTypeDef) -> Mapping[str, Any]:
    found = own(cx, req["ImageId"])
    images.delete(cx, found.id)
    results = []
    if req.get("DeleteAssociatedSnapshots"):
        by_native = volumes.snapshots(cx).by_native
        sources = (by_native.get((found.cloud, disk.snapshot)) for disk in found.noun.disks)
        results = [{"SnapshotId": one.id, "ReturnCode": _delete_snapshot(cx, one)} for one in sources if one]
    return {"Return": True, "DeleteSnapshotResults": results}


def _delete_snapshot(cx: Context, found: Found[Snapshot]) -> str:
    """Delete a snapshot of an image that is gone; what became of it in EC2's words."""
    if account_of(cx, found.cloud, found.noun.owner) != cx.account:
        return "missing-permissions"
    if user_of(cx, found):
        return "skipped"
    if locks.held(cx, found):
        return "client-error"
    volumes.delete_snapshot(cx, found.id)
    return "success"


def user_of(cx: Context, found: Found[Snapshot]) -> str:
    """The id of an image of the snapshot's owner that needs it, or empty."""
    for image in images.index(cx):
        mine = (image.cloud, image.noun.owner) == (found.cloud, found.noun.owner)
        if mine and any(disk.snapshot == found.noun.native for disk in image.noun.disks):
            return image.id
    return ""


def own(cx: Context, image: str) -> Found[Image]:
    """An image that the account may change. Raises AwsError for one that it merely sees."""
    [found] = images.find_images(cx, [image])
    if account_of(cx, found.cloud, found.noun.owner) != cx.account:
        raise AwsError("AuthFailure", f"Not authorized for image:{image}", 403)
    return found


@ec2.action("DescribeImageAttribute")
def describe_image_attribute(cx: Context, req: DescribeImageAttributeRequestTypeDef) -> Mapping[str, Any]:
    name = req["Attribute"]
    if name not in _READ:
        raise AwsError("InvalidRequest", f"Value ({name[:64]}) for parameter attribute is invalid. Unknown attribute.")
    face = _Look(cx).face(own(cx, req["ImageId"]))
    member, read = _READ[name]
    return {"ImageId": face.id, member: read(cx, face)}


@ec2.action(
    "ModifyImageAttribute",
    refuses={
        "ProductCodes": "There is no marketplace.",
        "OrganizationArns": "There are no organizations.",
        "OrganizationalUnitArns": "There are no organizations.",
        "ImdsSupport": "The metadata options are an instance's own.",
    },
)
def modify_image_attribute(cx: Context, req: ModifyImageAttributeRequestTypeDef) -> Mapping[str, Any]:
    image, said = req["ImageId"], req.get("Attribute", "")
    if "Description" in req or said == "description":
        text = req.get("Description", {}).get("Value", req.get("Value"))
        if text is None:
            raise AwsError("MissingParameter", "The request must contain the parameter value")
        own(cx, image)
        images.describe(cx, image, text)
        return {}
    if said in _READ and said != "launchPermission":
        raise AwsError("InvalidParameter", f"The attribute {said} of an image cannot be modified.")
    users = [*req.get("UserIds", ()), *req.get("UserGroups", ())]
    change = permissions.asked(req.get("LaunchPermission", {}), users, req.get("OperationType", ""))
    if not change or said not in ("", "launchPermission"):
        raise AwsError(
            "InvalidParameterCombination", "Say which attribute is modified: LaunchPermission or Description."
        )
    found = own(cx, image)
    public, accounts = permissions.changed(cx, found, change, "InvalidAMIAttributeItemValue")
    images.share(cx, image, public=public, accounts=accounts)
    return {}


@rendered
def render(face: Face) -> dict[str, Any]:
    """An Image of the model."""
    image = face.found.noun
    said: dict[str, Any] = {
        "ImageId": face.id,
        "ImageLocation": f"{face.owner}/{image.name}",
        "State": IMAGE[image.state],
        "OwnerId": face.owner,
        "Public": image.public,
        "Architecture": image.architecture,
        "ImageType": image.kind.value,
        "Name": image.name,
        "CreationDate": f"{image.created:%Y-%m-%dT%H:%M:%S}.000Z",
        "Hypervisor": "xen",
        "VirtualizationType": "hvm",
        "ProductCodes": [],
        "RootDeviceType": ROOT_TYPES[image.local_root],
        "BlockDeviceMappings": mappings(face),
        "EnaSupport": face.found.data.get("ena", True),
        "PlatformDetails": "Windows" if image.platform else "Linux/UNIX",
        "UsageOperation": "RunInstances",
        "DeregistrationProtection": _PROTECTION[image_notes.protection(face.found)],
    }
    optional = {
        "Description": image.description,
        "RootDeviceName": image.root_device,
        "BootMode": _boot(face),
        "SriovNetSupport": _sriov(face),
        "SourceInstanceId": face.found.data.get("instance"),
        "SourceImageId": face.found.data.get("source"),
        "SourceImageRegion": face.region if "source" in face.found.data else "",
        "Platform": image.platform,
        "DeprecationTime": face.deprecated,
        "ImageOwnerAlias": face.alias,
        "KernelId": face.kernel,
        "RamdiskId": face.ramdisk,
        "Tags": tag_set(face.found.tags),
        "StateReason": {"Code": "Server.InternalError", "Message": image.reason} if image.reason else None,
    }
    return {**said, **{name: value for name, value in optional.items() if value}}


def mappings(face: Face) -> list[dict[str, Any]]:
    """The BlockDeviceMappings of an image; a `local` disk is no EBS volume, and stands in none."""
    return [
        {
            "DeviceName": disk.device,
            "Ebs": {
                **({"SnapshotId": snapshot} if snapshot else {}),
                "VolumeSize": disk.size,
                "VolumeType": disk.type or "gp2",
                "DeleteOnTermination": disk.delete_with_server,
                "Encrypted": False,
            },
        }
        for disk, snapshot in zip(face.found.noun.disks, face.snapshots, strict=True)
        if not disk.local
    ]


class _Look:
    """Ids for the native ones that images name."""

    def __init__(self, cx: Context) -> None:
        self._cx = cx
        self._images = images.index(cx)
        self._snapshots = volumes.snapshots(cx)

    def face(self, found: Found[Image]) -> Face:
        image, cloud = found.noun, found.cloud
        return Face(
            found.id,
            found.account,
            found,
            account_of(self._cx, cloud, image.owner),
            "" if image.owner else ALIAS,
            self._images.id_of(Kind.KERNEL, cloud, image.kernel),
            self._images.id_of(Kind.RAMDISK, cloud, image.ramdisk),
            tuple(self._snapshots.id_of(Kind.SNAPSHOT, cloud, disk.snapshot) for disk in image.disks),
            f"{when:%Y-%m-%dT%H:%M:%S}.000Z" if (when := image_notes.deprecated(self._cx, found)) else "",
            self._cx.world.region,
        )


def _disk(cx: Context, device: str, size: int, snapshot: str, kind: str, delete: bool | None) -> ImageDisk:
    source = volumes.one_snapshot(cx, snapshot).noun if snapshot else None
    if source and size and size < source.size:
        raise AwsError("InvalidBlockDeviceMapping", f"{device} is smaller than its snapshot of {source.size} GiB.")
    size = size or (source.size if source else 0)
    return ImageDisk(device, size, source.native if source else "", kind, delete is not False)


def ami_name(name: str) -> str:
    if not name:
        raise AwsError("MissingParameter", "The request must contain the parameter name")
    allowed = set("()[] ./-'@_")
    if not 3 <= len(name) <= 128 or not all((char.isalnum() and char.isascii()) or char in allowed for char in name):
        raise AwsError(
            "InvalidAMIName.Malformed",
            "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, and ()[] ./-'@_",
        )
    return name


def _executable(cx: Context, found: Found[Image], said: str) -> bool:
    """Whether an image is open to whom ExecutableUsers names: `all`, `self` or an account."""
    if said == "all":
        return found.noun.public
    wanted = cx.account if said == "self" else said
    return wanted in {account_of(cx, found.cloud, tenant) for tenant in found.noun.shared_with}


_PROTECTION = {"": "disabled", "plain": "enabled-without-cooldown", "cooldown": "enabled-with-cooldown"}


def _protection(_: Context, face: Face) -> dict[str, str]:
    return {"Value": _PROTECTION[image_notes.protection(face.found)]}


def _sriov(face: Face) -> str:
    return str(face.found.data.get("sriov", ""))


def _boot(face: Face) -> str:
    """As an image was registered: empty if nothing was said then."""
    return str(face.found.data.get("boot", "legacy-bios"))


def _past(cx: Context, found: Found[Image]) -> bool:
    """Whether an image is deprecated by now."""
    when = image_notes.deprecated(cx, found)
    return when is not None and when <= cx.now()


# attribute -> the member of the answer and what stands in it
_READ: Mapping[str, tuple[str, Callable[[Context, Face], Any]]] = {
    "description": ("Description", lambda cx, face: {"Value": face.found.noun.description}),
    "kernel": ("KernelId", lambda cx, face: {"Value": face.kernel} if face.kernel else {}),
    "ramdisk": ("RamdiskId", lambda cx, face: {"Value": face.ramdisk} if face.ramdisk else {}),
    "launchPermission": ("LaunchPermissions", lambda cx, face: permissions.listed(cx, face.found)),
    "productCodes": ("ProductCodes", lambda cx, face: []),
    "blockDeviceMapping": ("BlockDeviceMappings", lambda cx, face: mappings(face)),
    "sriovNetSupport": ("SriovNetSupport", lambda cx, face: {"Value": said} if (said := _sriov(face)) else {}),
    "bootMode": ("BootMode", lambda cx, face: {"Value": said} if (said := _boot(face)) else {}),
    "tpmSupport": ("TpmSupport", lambda cx, face: {}),
    "uefiData": ("UefiData", lambda cx, face: {}),
    "imdsSupport": ("ImdsSupport", lambda cx, face: {}),
    "deregistrationProtection": ("DeregistrationProtection", _protection),
}
