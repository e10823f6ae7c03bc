"""The disks of a new server: those of its image, with what was asked for laid over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from isthmus.context import Context
from isthmus.core.ids import Kind
from isthmus.core.registry import Found
from isthmus.core.volumes import encrypts, one_snapshot
from isthmus.errors import Invalid, NotFound
from isthmus.model import Image
from isthmus.providers import DiskSpec


@dataclass(frozen=True)
class DiskOrder:
    """A disk as asked for; None leaves the image's choice. `without` drops the image's disk of that device."""

    device: str
    size: int | None = None
    type: str = ""
    iops: int = 0
    snapshot: str = ""
    delete_with_server: bool | None = None
    encrypted: bool = False
    without: bool = False


def disks(cx: Context, image: Found[Image], orders: Sequence[DiskOrder]) -> tuple[DiskSpec, ...]:
    """The image's disks with what was asked for laid over them, the root first; what is asked for is a volume."""
    asked = {order.device: order for order in orders}
    disks = []
    for disk in image.noun.disks:
        over = asked.get(disk.device, DiskOrder(disk.device))
        root = disk.device == image.noun.root_device
        replaced = bool(over.snapshot) and one_snapshot(cx, over.snapshot).noun.native != disk.snapshot
        if root and (over.without or replaced):
            raise Invalid(f"The root device {disk.device} has the contents of the image.", "disks")
        if over.without or replaced:
            continue
        local = disk.local and over == DiskOrder(disk.device)
        asked.pop(disk.device, None)
        disks.append(
            DiskSpec(
                ref="",
                device=disk.device,
                size=_size(over, disk.size),
                type=over.type or disk.type,
                iops=over.iops,
                snapshot=disk.snapshot,
                root=root,
                delete_with_server=_or(over.delete_with_server, disk.delete_with_server),
                encrypted=not local and (over.encrypted or encrypts(cx)),
                local=local,
            )
        )
    disks += [_blank(cx, image.cloud, order) for order in asked.values() if not order.without]
    return tuple(sorted(disks, key=lambda disk: not disk.root))


def _blank(cx: Context, cloud: str, order: DiskOrder) -> DiskSpec:
    """A disk that the image does not have: from a snapshot, or empty."""
    source = one_snapshot(cx, order.snapshot) if order.snapshot else None
    if source and source.cloud != cloud:
        raise NotFound(Kind.SNAPSHOT, order.snapshot)
    if source is None and order.size is None:
        raise Invalid(f"The request must contain a size or a snapshot for the device {order.device}.", "disks")
    return DiskSpec(
        ref="",
        device=order.device,
        size=_size(order, source.noun.size if source else 1),
        type=order.type,
        iops=order.iops,
        snapshot=source.noun.native if source else "",
        delete_with_server=_or(order.delete_with_server, True),
        encrypted=order.encrypted or encrypts(cx),
    )


def _size(order: DiskOrder, least: int) -> int:
    if order.size is not None and order.size < least:
        raise Invalid(f"Volume of size {order.size}GB is smaller than snapshot, expect size >= {least}GB", "disks")
    return order.size or least


def _or(wanted: bool | None, otherwise: bool) -> bool:
    return otherwise if wanted is None else wanted
