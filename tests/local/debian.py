"""A disk with Debian and cloud-init, made of Debian's packages: as their installer does it, and a boot loader in front.

Needs root for the packages' own scripts, which run in a tree of their own, without network and with other processes
out of sight.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

PACKAGES = (
    *("?essential", "cloud-init", "systemd-sysv", "dbus", "udev", "iproute2", "ifupdown"),
    *("isc-dhcp-client", "netbase", "passwd", "mount"),
    *("linux-image-cloud-amd64", "initramfs-tools", "busybox", "apt", "grub-pc-bin", "grub-common"),
)
NEEDS = ("apt-get", "dpkg-deb", "tar", "chroot", "unshare", "mke2fs", "qemu-img")
FIRST = ("base-passwd", "base-files", "dpkg", "libc6", "perl-base", "mawk", "debconf")
"""What the scripts of all other packages take for granted."""
DISK_MIB, START_MIB = 2048, 1
SECTOR = 512
GRUB = """\
set timeout=0
linux /vmlinuz root=LABEL=root ro console=ttyS0 net.ifnames=0 mitigations=off
initrd /initrd.img
boot
"""
LOADED = ("biosdisk", "part_msdos", "ext2", "linux", "normal", "configfile")


def missing() -> str:
    """Why it cannot be built here, or empty."""
    absent = [program for program in NEEDS if not shutil.which(program)]
    if absent:
        return f"not installed: {', '.join(absent)}"
    if os.geteuid() != 0:
        return "a Debian image is built by root"
    known = subprocess.run(["apt-cache", "show", "cloud-init"], capture_output=True, check=False)
    return "" if known.returncode == 0 else "apt does not know cloud-init: run apt-get update on a Debian"


def cached() -> Path:
    """Where the image is kept; its name changes with the recipe."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "isthmus" / f"debian-{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]}.qcow2"


def build(target: Path, scratch: Path) -> None:
    """Make the image; CalledProcessError, with the words of what failed on standard error."""
    tree, debs = scratch / "tree", scratch / "debs"
    for directory in (tree, debs / "partial"):
        directory.mkdir(parents=True, mode=0o755)
    _download(debs, scratch)
    _unpack(tree, debs)
    _configure(tree, debs)
    _adapt(tree)
    raw = scratch / "disk.raw"
    _disk(tree, raw)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.part")
    _run(["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", str(raw), str(draft)])
    draft.replace(target)


def _download(debs: Path, scratch: Path) -> None:
    (scratch / "status").touch()
    places = (f"Dir::State::status={scratch}/status", f"Dir::Cache::archives={debs}")
    options = [word for one in (*places, "Debug::NoLocking=1", "APT::Sandbox::User=root") for word in ("-o", one)]
    _run(["apt-get", "-qq", "-y", "--no-install-recommends", *options, "--download-only", "install", *PACKAGES])


def _unpack(tree: Path, debs: Path) -> None:
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / "usr" / name).mkdir(parents=True, exist_ok=True)
        (tree / name).symlink_to(f"usr/{name}")
    for deb in sorted(debs.glob("*.deb")):
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as files:
            _run(["tar", "-C", str(tree), "--keep-directory-symlink", "-xf", "-"], stdin=files.stdout)


def _configure(tree: Path, debs: Path) -> None:
    (tree / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    (tree / "etc/group").write_text("root:x:0:\nmail:x:8:\nutmp:x:43:\n")
    (tree / "usr/bin/awk").symlink_to("mawk")
    (tree / "usr/bin/sh").unlink(missing_ok=True)
    (tree / "usr/bin/sh").symlink_to("dash")
    (tree / "var/lib/dpkg/status").touch()
    (tree / "etc/fstab").write_text("LABEL=root / ext4 defaults 0 1\n")
    policy = tree / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    (tree / "debs").mkdir()
    for deb in debs.glob("*.deb"):
        os.link(deb, tree / "debs" / deb.name)
    first = " ".join(f"/debs/{name}_*.deb" for name in FIRST)
    for script in (
        f"for deb in {first}; do dpkg --force-depends --force-overwrite --install $deb; done",
        "dpkg --force-depends --force-overwrite --unpack /debs/*.deb",
        "dpkg --configure -a",
    ):
        _within(tree, script)
    shutil.rmtree(tree / "debs")
    policy.unlink()


def _within(tree: Path, script: str) -> None:
    apart = ["unshare", "--mount", "--pid", "--fork", "--net", "--mount-proc=" + str(tree / "proc")]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    command = f'mount --rbind /dev "{tree}/dev" && exec chroot "{tree}" sh -ec "$0"'
    _run([*apart, "sh", "-c", command, script], env=environment)


def _adapt(tree: Path) -> None:
    (tree / "etc/cloud/cloud.cfg.d/99_test.cfg").write_text("apt: {preserve_sources_list: true}\n")
    (tree / "etc/hostname").write_text("localhost\n")
    (tree / "boot/grub").mkdir(exist_ok=True)
    (tree / "boot/grub/grub.cfg").write_text(GRUB)
    for link, name in (("vmlinuz", "vmlinuz-*"), ("initrd.img", "initrd.img-*")):
        (tree / link).unlink(missing_ok=True)
        (tree / link).symlink_to(Path("boot") / next((tree / "boot").glob(name)).name)
    for waste in ("usr/share/doc", "usr/share/locale", "usr/share/man", "var/cache"):
        shutil.rmtree(tree / waste)
        (tree / waste).mkdir()


def _disk(tree: Path, raw: Path) -> None:
    """One partition, and the boot loader in the sectors before it."""
    with raw.open("wb") as file:
        file.truncate(DISK_MIB << 20)
    offset = START_MIB << 20
    size = (DISK_MIB << 10) - (START_MIB << 10)
    options = f"root_owner=0:0,lazy_itable_init=1,nodiscard,offset={offset}"
    make = ["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^metadata_csum_seed", "-E", options, "-L", "root"]
    _run([*make, "-d", str(tree), str(raw), f"{size}k"])
    _within(
        tree,
        f"grub-mkimage -O i386-pc -p '(hd0,msdos1)/boot/grub' -o /core.img {' '.join(LOADED)}",
    )
    boot = bytearray((tree / "usr/lib/grub/i386-pc/boot.img").read_bytes())
    entry = struct.pack(
        "<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x83, b"\xfe\xff\xff", offset // SECTOR, size * 1024 // SECTOR
    )
    boot[446:512] = entry.ljust(64, b"\0") + b"\x55\xaa"
    core = (tree / "core.img").read_bytes()
    assert len(core) < offset - SECTOR
    with raw.open("r+b") as file:
        file.write(bytes(boot) + core)


def _run(command: Sequence[str], **more: object) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **more)  # type: ignore[call-overload]
