"""What a launch says of its disks: Nova makes the volumes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from isthmus.errors import Invalid, Unsupported
from isthmus.providers import DiskSpec, ServerSpec
from isthmus.providers.openstack import blocks, snapshots
from isthmus.providers.openstack.client import Client, Item
from isthmus.providers.openstack.disks import GENERAL_TYPES, NO_ENCRYPTION, NO_SPEED, tag_of

TYPES = "2.67"
"""Nova's of Stein: its volumes can have a type."""


def mappings(client: Client, spec: ServerSpec, image: Item) -> Sequence[Item]:
    """Nova's block device mapping. Raises Invalid (`disks`, `size`), NotFound and Conflict of snapshots."""
    _check(spec.disks)
    volumes = [_volume(client, disk, image) for disk in spec.disks if not disk.local]
    if volumes and spec.disks[0].local:
        return [{"source_type": "image", "uuid": image["id"], "destination_type": "local", "boot_index": 0}, *volumes]
    return volumes


def version(spec: ServerSpec) -> str:
    """The microversion that the disks need, empty for that of all calls."""
    return TYPES if any(disk.type not in GENERAL_TYPES for disk in spec.disks) else ""


def accepted(native: str, asked: Item, flavor: str, since: datetime) -> Item:
    """A server just asked for, as Nova tells of it until it does something: Nova answers a launch with an id alone.

    `since`, when it was asked for, is in the place of its creation, as much earlier as Nova took to answer.
    """
    return {
        "id": native,
        "name": asked["name"],
        "description": asked["description"],
        "metadata": asked["metadata"],
        "status": "BUILD",
        "OS-EXT-STS:task_state": "scheduling",
        "OS-EXT-AZ:availability_zone": asked["availability_zone"],
        "created": since.isoformat(timespec="seconds"),
        "flavor": {"original_name": flavor},
        "image": {"id": asked["imageRef"]} if "imageRef" in asked else None,
        "key_name": asked.get("key_name"),
    }


def _check(disks: Sequence[DiskSpec]) -> None:
    refs = [disk.ref for disk in disks if not disk.local]
    if len({disk.device for disk in disks}) < len(disks) or "" in (disk.device for disk in disks):
        raise Invalid("each disk needs a device of its own", "disks")
    if len(set(refs)) < len(refs) or "" in refs:
        raise Invalid("each disk needs a ref of its own", "disks")
    if sum(disk.root for disk in disks) > 1:
        raise Invalid("a server has one root disk", "disks")
    if any(disk.encrypted for disk in disks):
        raise Unsupported(NO_ENCRYPTION)
    if any(disk.iops for disk in disks):
        raise Unsupported(NO_SPEED)


def _volume(client: Client, disk: DiskSpec, image: Item) -> dict[str, Any]:
    source, least = _source(client, disk, image)
    if disk.size and disk.size < least:
        raise Invalid(f"a size of {disk.size} GiB is less than {least} GiB", "size")
    return {
        **source,
        "destination_type": "volume",
        "volume_size": disk.size or least,
        "boot_index": 0 if disk.root else -1,
        "tag": tag_of(disk),
        "delete_on_termination": disk.delete_with_server,
        **({"volume_type": disk.type} if disk.type not in GENERAL_TYPES else {}),
    }


def _source(client: Client, disk: DiskSpec, image: Item) -> tuple[dict[str, Any], int]:
    """What a volume is made of, and its least size."""
    if disk.root:
        root = blocks.disks(image)[0]
        if root.snapshot:
            return {"source_type": "snapshot", "uuid": root.snapshot}, root.size
        return {"source_type": "image", "uuid": image["id"]}, root.size
    if disk.snapshot:
        return {"source_type": "snapshot", "uuid": disk.snapshot}, snapshots.usable(client, disk.snapshot)["size"]
    return {"source_type": "blank"}, 1
