"""What the tiny image is made of, and where a built one is kept."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

HERE = Path(__file__).parent
GUEST = HERE / "guest"
CONFIGURATION = HERE / "kernel.config"
"""What the small kernel has."""
KERNEL_META = "linux-image-cloud-amd64"
"""Debian's meta package that depends on the newest kernel for virtual machines."""
PACKAGES = (
    *("busybox-static", "dropbear-bin", "openssh-client", "openssh-sftp-server"),
    *("libtomcrypt1", "libtommath1", "libgmp10", "zlib1g", "libcrypt1", "libc6"),
)
PROGRAMS = {
    "usr/sbin/dropbear": "sbin/dropbear",
    "usr/bin/dropbearkey": "bin/dropbearkey",
    "usr/bin/scp": "bin/scp",
    "usr/lib/openssh/sftp-server": "usr/lib/openssh/sftp-server",
}
"""Where a program of these packages stands in the guest."""
LIBRARIES = (
    "libtomcrypt.so.1",
    "libtommath.so.1",
    "libgmp.so.10",
    "libz.so.1",
    "libcrypt.so.1",
    "libc.so.6",
    "ld-linux-x86-64.so.2",
)
RAMDISK_MODULES = ("virtio_pci", "virtio_blk")
MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "virtio_rng", "virtio_balloon", "pvpanic_pci", "button", "evdev")
DIRECTORIES = (
    *("bin", "sbin", "dev", "proc", "sys", "tmp", "run", "root", "mnt", "home/ec2-user", "usr/bin", "usr/sbin"),
    "usr/lib/openssh",
    *("etc/acpi/PWRF", "etc/dropbear", "var/lib/tiny", "var/log", "lib/tiny", "lib/x86_64-linux-gnu", "lib64"),
)
GUEST_FILES = {
    "init": "sbin/init",
    "rc": "etc/rc",
    "interfaces": "etc/interfaces",
    "udhcpc.script": "etc/udhcpc.script",
    "imds": "bin/imds",
    "power": "etc/acpi/PWRF/00000080",
    "inittab": "etc/inittab",
    "passwd": "etc/passwd",
    "group": "etc/group",
}
PLAIN = frozenset({"interfaces", "inittab", "passwd", "group"})
REVISION = 2
"""To be raised when builder.py makes something else of the same recipe."""
DISK_MIB = 1024
NEEDS = {
    "apt-get": "apt",
    "apt-cache": "apt",
    "dpkg-deb": "dpkg",
    "mke2fs": "e2fsprogs",
    "qemu-img": "qemu-utils",
}
"""The programs that a build runs, each with its Debian package."""


class Kernel(StrEnum):
    """Which kernel an image has."""

    DEBIAN = "debian"
    """Debian's for virtual machines, as it is."""
    SMALL = "small"
    """Compiled from Debian's sources, with what the guest uses and nothing else."""


@dataclass(frozen=True, slots=True)
class Tiny:
    """A built image: a directory with a kernel, a ramdisk, a root disk and a manifest."""

    path: Path

    @property
    def kernel(self) -> Path:
        return self.path / "vmlinuz"

    @property
    def ramdisk(self) -> Path:
        return self.path / "initrd.gz"

    @property
    def disk(self) -> Path:
        return self.path / "root.qcow2"

    @property
    def manifest(self) -> Path:
        return self.path / "manifest.json"


def digest() -> str:
    """The hash of the recipe: what is built changes with it, and only with it (but for Debian's own updates)."""
    files = sorted([*GUEST.iterdir(), CONFIGURATION, HERE / "recipe.py"])
    total = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        total.update(f"{file.name} {len(content)}\n".encode())
        total.update(content)
    return total.hexdigest()[:12]


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "isthmus"


def cached(which: Kernel = Kernel.DEBIAN) -> Path:
    """The shared place for the built image: $XDG_CACHE_HOME/isthmus/tiny-HASH, or tiny-HASH-small."""
    return cache() / (f"tiny-{digest()}" + (f"-{which}" if which is Kernel.SMALL else ""))


def find(*places: Path) -> Tiny | None:
    """The first built image among `places` and the shared cache, where that with the small kernel goes first."""
    for place in (*places, cached(Kernel.SMALL), cached()):
        if (place / "manifest.json").is_file():
            return Tiny(place)
    return None
