"""Disk files by qemu-img: with limits, and never by a format that the file itself claims."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from isthmus.errors import Invalid, NoCapacity, Unavailable, Unsupported
from isthmus.providers.local.offline import without_network

QEMU_IMG = "qemu-img"
FORMATS = ("raw", "qcow2", "vmdk", "vpc")
GIB = 1 << 30
LARGEST = 16384
"""GiB."""
MEMORY = 2 * GIB
CPU_SECONDS = 3600
_CHECKED = (0, 2, 3)
"""What `qemu-img check` ends with: nothing found, errors, leaks."""
INFO_SECONDS = 30
INSTALL = "apt-get install qemu-system-x86 qemu-utils"


class DiskError(Exception):
    """qemu-img refused; the text is its own."""


def run(*arguments: str, seconds: int = CPU_SECONDS, good: Collection[int] = (0,), held: Collection[int] = ()) -> str:
    """qemu-img, limited in memory and time, without a network, and dead when we are; DiskError with its words.

    Its files are for this user alone. `good` are the codes that it ends with when all is well,
    `held` the descriptors that it is handed.
    """
    if not shutil.which(QEMU_IMG):
        raise Unsupported(f"disks need qemu-img: {INSTALL}")
    apart, _ = without_network()
    limits = [*apart, "prlimit", f"--as={MEMORY}", f"--cpu={seconds}", "setpriv", "--pdeathsig", "KILL"]
    try:
        done = subprocess.run(
            [*limits, QEMU_IMG, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=seconds * 2,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
            umask=0o077,
            pass_fds=held,
        )
    except subprocess.TimeoutExpired:
        raise DiskError("it takes too long") from None
    if done.returncode not in good:
        raise DiskError(done.stderr.strip()[-300:] or f"qemu-img ended with {done.returncode}")
    return done.stdout


def named(source: Path | int) -> tuple[Path, tuple[int, ...]]:
    """A file by its path or as it is open here: its path for a program, and the descriptors to hand to that.

    What is open stays the same file, whatever becomes of its name.
    """
    return (Path(f"/proc/self/fd/{source}"), (source,)) if isinstance(source, int) else (source, ())


def create(target: Path, size: int, backing: Path | None = None) -> None:
    """A new disk of `size` GiB; what is read of it is the backing file's until it is written. Appears complete."""
    draft = target.with_name(f".{target.name}.part")
    draft.unlink(missing_ok=True)
    base = ["-b", os.path.relpath(backing, target.parent), "-F", "qcow2"] if backing else []
    try:
        run("create", "-q", "-f", "qcow2", *base, str(draft), f"{size}G", seconds=60)
    except DiskError as error:
        draft.unlink(missing_ok=True)
        raise NoCapacity("volume", "", _reason(error)) from error
    draft.replace(target)


def copy(source: Path | int, target: Path, source_format: str = "qcow2") -> None:
    """A complete qcow2 copy with nothing beneath it; DiskError. Appears complete."""
    draft = target.with_name(f".{target.name}.part")
    draft.unlink(missing_ok=True)
    path, held = named(source)
    try:
        run("convert", "-q", "-f", source_format, "-O", "qcow2", str(path), str(draft), held=held)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


class Check(NamedTuple):
    """What qemu-img finds wrong with a file: errors, and clusters that nothing uses."""

    errors: int
    leaks: int


def check(path: Path, *, repair: bool = False) -> Check:
    """What is wrong with a qcow2 file that nobody has open, or is still after it was mended; DiskError."""
    mending = ("-r", "all") if repair else ()
    said = json.loads(run("check", "-f", "qcow2", "--output=json", *mending, str(path), good=_CHECKED))
    if repair:
        return check(path)
    return Check(said.get("corruptions", 0) + said.get("check-errors", 0), said.get("leaks", 0))


def grow(target: Path, size: int) -> None:
    try:
        run("resize", "-q", "-f", "qcow2", str(target), f"{size}G", seconds=60)
    except DiskError as error:
        raise Unavailable(_reason(error)) from error


def size(path: Path) -> int:
    """GiB of a qcow2 disk of our own, which nobody has open; DiskError."""
    known = json.loads(run("info", "-f", "qcow2", "--output=json", str(path), seconds=INFO_SECONDS))
    return int(known["virtual-size"]) // GIB


def virtual_size(source: Path | int, source_format: str) -> int:
    """Bytes of the disk in a file from outside; Invalid if the file is not what it should be, or names other files."""
    if source_format not in FORMATS:
        raise Invalid(f"the format is one of {', '.join(FORMATS)}, not {source_format!r}", "format")
    path, held = named(source)
    try:
        known: dict[str, Any] = json.loads(
            run("info", "-f", source_format, "--output=json", str(path), seconds=INFO_SECONDS, held=held)
        )
    except (DiskError, ValueError):
        raise Invalid(f"the file is not a readable {source_format} image", "path") from None
    if reason := _trick(known, path):
        raise Invalid(f"the image is refused: {reason}", "path")
    size = int(known["virtual-size"])
    if size <= 0 or size > LARGEST * GIB:
        raise Invalid(f"a disk has at most {LARGEST} GiB and at least one byte", "path")
    return size


def _trick(known: dict[str, Any], path: Path) -> str:
    data = (known.get("format-specific") or {}).get("data") or {}
    if known.get("backing-filename") or known.get("full-backing-filename"):
        return "it needs another file beneath it"
    if data.get("data-file") or data.get("data-file-raw"):
        return "its contents are in another file"
    if known.get("encrypted") or data.get("encrypt"):
        return "it is encrypted"
    if any(Path(extent.get("filename", "")) != path for extent in data.get("extents", ())):
        return "its contents are in other files"
    if known.get("format") == "qcow2" and data.get("corrupt"):
        return "it is marked as corrupt"
    return ""


def partitioned(disk: Path) -> bool:
    """Whether a qcow2 disk begins with a table of partitions."""
    draft = disk.with_name(f".{disk.name}.sector")
    try:
        run("dd", "-f", "qcow2", "-O", "raw", "bs=512", "count=1", f"if={disk}", f"of={draft}", seconds=60)
        sector = draft.read_bytes()
    except (DiskError, OSError):
        return False
    finally:
        draft.unlink(missing_ok=True)
    return sector[510:512] == b"\x55\xaa" and any(sector[446 + 16 * entry + 4] for entry in range(4))


def _reason(error: DiskError) -> str:
    return "the host's disk is full" if "No space left" in str(error) else "the host cannot make or change a disk file"
