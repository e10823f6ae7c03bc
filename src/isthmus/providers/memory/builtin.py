"""What a simulated cloud has from the start: flavors, and public images that belong to the cloud itself."""

from __future__ import annotations

from datetime import datetime

from isthmus.model import Flavor, Image, ImageDisk, ImageKind, ImageState, Snapshot, SnapshotState
from isthmus.providers.memory.world import World

FLAVORS = (
    Flavor("m1.tiny", "m1.tiny", cpus=1, memory=512),
    Flavor("m1.small", "m1.small", cpus=1, memory=2048),
    Flavor("m1.medium", "m1.medium", cpus=2, memory=4096),
)

KERNEL = "kernel-isthmus-tiny"
RAMDISK = "ramdisk-isthmus-tiny"

OWN_DISK = "isthmus-own-disk"

# name, description, platform, GiB, kernel, ramdisk
MACHINES = (
    ("isthmus-tiny", "A simulated small Linux", "", 1, KERNEL, RAMDISK),
    ("amzn2-ami-hvm-2.0-simulated-x86_64-gp2", "A simulated Linux, under a name that clients look for", "", 8, "", ""),
    ("isthmus-windows", "A simulated Windows", "windows", 30, "", ""),
    (OWN_DISK, "A simulated Linux whose root disk is no volume", "", 1, "", ""),
)
# native, kind, description
LOADABLES = (
    (KERNEL, ImageKind.KERNEL, "The kernel of the simulated small Linux"),
    (RAMDISK, ImageKind.RAMDISK, "The ramdisk of the simulated small Linux"),
)


def furnish(world: World) -> None:
    """Put the built-in images, and the snapshots behind them, into the world."""
    with world as now:
        for native, kind, description in LOADABLES:
            world.images.put(_loadable(native, kind, description, now))
        for name, description, platform, size, kernel, ramdisk in MACHINES:
            local = name == OWN_DISK
            snapshot = "" if local else world.snapshots.put(_snapshot(name, size, now)).native
            world.images.put(
                Image(
                    native=f"image-{name}",
                    ref="",
                    name=name,
                    state=ImageState.AVAILABLE,
                    owner="",
                    created=now,
                    description=description,
                    platform=platform,
                    public=True,
                    disks=(ImageDisk("/dev/sda1", size, snapshot, local=local),),
                    kernel=kernel,
                    ramdisk=ramdisk,
                )
            )


def _loadable(native: str, kind: ImageKind, description: str, now: datetime) -> Image:
    return Image(
        native=native,
        ref="",
        name=native,
        state=ImageState.AVAILABLE,
        owner="",
        created=now,
        kind=kind,
        description=description,
        public=True,
        root_device="",
    )


def _snapshot(name: str, size: int, now: datetime) -> Snapshot:
    return Snapshot(
        native=f"snapshot-{name}",
        ref="",
        state=SnapshotState.COMPLETED,
        volume="",
        size=size,
        created=now,
        owner="",
        name=name,
        description=f"The root disk of {name}",
        public=True,
    )
