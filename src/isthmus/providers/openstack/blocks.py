"""The disks of images: a disk of the image's own data, or volumes of snapshots.

Nova notes the snapshots of a server whose root disk is a volume in the property `block_device_mapping` of an image
without data, and boots from such images; ours are made in the same way. An image of a server with a disk of its own has
data, and its further disks are told in properties `isthmus_disk_N`: Nova would add a mapping's to every launch.
Source: docs.openstack.org/nova/latest/user/block-device-mapping.html.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from isthmus.model import ImageDisk
from isthmus.providers.openstack.client import Client, Item
from isthmus.providers.openstack.disks import GENERAL_TYPES, ROOT_DEVICE

MAPPING = "block_device_mapping"
DISK = "isthmus_disk_"
_GIBIBYTE = 1 << 30


def root_device(image: Item) -> str:
    return str(image.get("root_device_name") or ROOT_DEVICE)


def disks(image: Item) -> tuple[ImageDisk, ...]:
    """All disks of a machine image, the root first."""
    mapped = list(_mapped(image))
    if any(is_root for is_root, _ in mapped):
        return tuple(disk for _, disk in sorted(mapped, key=lambda pair: not pair[0]))
    return (_own(image), *(disk for _, disk in mapped), *_told(image))


def root_snapshot(image: Item) -> str:
    """The snapshot that a root disk is made of; empty for an image with data."""
    return next((disk.snapshot for is_root, disk in _mapped(image) if is_root), "")


def mapping(volumes: Sequence[ImageDisk]) -> Mapping[str, str]:
    """The properties of an image of these disks, the root first."""
    return {"bdm_v2": "True", MAPPING: json.dumps([_entry(disk, number) for number, disk in enumerate(volumes)])}


def beside(volumes: Sequence[ImageDisk]) -> Mapping[str, str]:
    """The properties that tell of disks besides the image's own."""
    return {f"{DISK}{number}": _told_of(disk) for number, disk in enumerate(volumes)}


def image_with(client: Client, snapshot: str) -> str:
    """One of the tenant's images that a snapshot is a disk of, or empty."""
    for image in client.every("image", "/v2/images", "images", owner=client.project):
        if any(disk.snapshot == snapshot for disk in disks(image)):
            return str(image["id"])
    return ""


def _own(image: Item) -> ImageDisk:
    """The image's data on the server's own disk. `virtual_size` is that of the disk in a file."""
    size = image.get("virtual_size") or image.get("size") or 0
    least = max(1, image.get("min_disk") or 0, -(-size // _GIBIBYTE))
    return ImageDisk(root_device(image), least, local=True)


def _mapped(image: Item) -> Iterator[tuple[bool, ImageDisk]]:
    """Each disk of the mapping, and whether it is the root."""
    try:
        entries = json.loads(image.get(MAPPING) or "[]")
    except ValueError:
        return
    for number, entry in enumerate(one for one in entries if isinstance(one, dict)):
        if entry.get("no_device") or entry.get("destination_type", "volume") != "volume":
            continue
        is_root = str(entry.get("boot_index")) == "0"
        device = entry.get("device_name") or (
            root_device(image) if is_root else f"/dev/vd{chr(ord('a') + number % 26)}"
        )
        yield is_root, _disk(entry, device)


def _disk(entry: Mapping[str, Any], device: str) -> ImageDisk:
    return ImageDisk(
        device if device.startswith("/") else f"/dev/{device}",
        int(entry.get("volume_size") or 1),
        str(entry.get("snapshot_id") or ""),
        str(entry.get("volume_type") or ""),
        str(entry.get("delete_on_termination")).lower() in ("true", "1"),
    )


def _told(image: Item) -> Iterator[ImageDisk]:
    names = [name for name in image if name.startswith(DISK) and name.removeprefix(DISK).isdigit()]
    for name in sorted(names, key=lambda name: int(name.removeprefix(DISK))):
        snapshot, size, goes, kind, device = str(image[name]).split(" ", 4)
        yield ImageDisk(device, int(size), snapshot.strip("-"), kind.strip("-"), goes == "1")


def _told_of(disk: ImageDisk) -> str:
    """What `_told` reads."""
    return f"{disk.snapshot or '-'} {disk.size} {int(disk.delete_with_server)} {disk.type or '-'} {disk.device}"


def _entry(disk: ImageDisk, number: int) -> Mapping[str, Any]:
    source = {"source_type": "snapshot", "snapshot_id": disk.snapshot} if disk.snapshot else {"source_type": "blank"}
    return {
        **source,
        "destination_type": "volume",
        "boot_index": 0 if number == 0 else None,
        "device_name": disk.device,
        "volume_size": disk.size,
        "delete_on_termination": disk.delete_with_server,
        **({"volume_type": disk.type} if disk.type not in GENERAL_TYPES else {}),
    }
