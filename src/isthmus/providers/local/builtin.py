"""The tiny image as public images of the cloud itself, if it has been built."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from isthmus.model import Image, ImageDisk, ImageKind, ImageState, Snapshot, SnapshotState
from isthmus.providers.local import tiny
from isthmus.providers.local.base import Base, now
from isthmus.providers.local.records import ImageRecord, SnapshotRecord

PREFIX = "tiny-"
"""What the names of the built-in blobs begin with."""
MACHINE, KERNEL, RAMDISK, SNAPSHOT = "image-tiny", "kernel-tiny", "ramdisk-tiny", "snapshot-tiny"
ROOT_DEVICE = "/dev/sda1"
NAME = "isthmus-tiny"
BUILD = "python -m isthmus.providers.local.tiny"


def kernel(base: Base) -> Path | None:
    """The built-in kernel, with which an accelerator can be tried."""
    record = base.images.raw(KERNEL)
    return base.blob(record.blob) if record else None


def adopt(base: Base) -> None:
    """Take a built image into the cloud; nothing if there is none, or it is there already."""
    built = tiny.find(base.state / "tiny")
    if built is None:
        return
    version = built.manifest.parent.name.removeprefix("tiny-")
    names = {part: f"{PREFIX}{version}-{part.name}" for part in (built.kernel, built.ramdisk, built.disk)}
    present = base.snapshots.raw(SNAPSHOT)
    if present and present.blob == names[built.disk] and base.images.raw(MACHINE):
        return
    with base.lock:
        for source, name in names.items():
            _take(source, base.blob(name))
        _record(base, names[built.kernel], names[built.ramdisk], names[built.disk])


def _take(source: Path, target: Path) -> None:
    if target.exists():
        return
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    shutil.copyfile(source, draft)
    draft.chmod(0o600)
    draft.replace(target)


def _record(base: Base, kernel_blob: str, ramdisk_blob: str, disk_blob: str) -> None:
    words = "Linux and busybox in 24 MB, for trying things out"
    loadables = ((KERNEL, ImageKind.KERNEL, kernel_blob), (RAMDISK, ImageKind.RAMDISK, ramdisk_blob))
    for order, (native, kind, blob) in enumerate(loadables):
        image = Image(native, "", native, ImageState.AVAILABLE, "", now(), kind, public=True, root_device="")
        base.images.put(ImageRecord("", image, order, blob))
    snapshot = Snapshot(SNAPSHOT, "", SnapshotState.COMPLETED, "", 1, now(), "", NAME, words, public=True)
    base.snapshots.put(SnapshotRecord("", snapshot, 0, disk_blob))
    machine = Image(
        native=MACHINE,
        ref="",
        name=NAME,
        state=ImageState.AVAILABLE,
        owner="",
        created=now(),
        description=words,
        public=True,
        root_device=ROOT_DEVICE,
        disks=(ImageDisk(ROOT_DEVICE, 1, SNAPSHOT),),
        kernel=KERNEL,
        ramdisk=RAMDISK,
    )
    base.images.put(ImageRecord("", machine, len(loadables)))
