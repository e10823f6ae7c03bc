"""What is left of a cloud that no record needs, and all of it once nobody wants it any more."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from isthmus.providers.local import conditions, process, wires
from isthmus.providers.local.base import Base

Cleaner = Callable[[Base, bool], Iterator[str]]
"""Removes what is left of one kind of thing, or all of it; says what."""
FRESH_SECONDS = 600.0
"""So long a file may be being written, or its record about to be."""


def clean(base: Base, *, everything: bool) -> Iterator[str]:
    """Remove what no record needs, or the whole cloud with its records; what was removed, a line for each."""
    for cleaner in CLEANERS:
        yield from cleaner(base, everything)
    if everything:
        size = _bytes(base.state)
        shutil.rmtree(base.state)
        yield f"removed {base.state} ({size >> 20} MiB)"


def machines(base: Base, everything: bool) -> Iterator[str]:
    """Processes; those of servers that have a record stay, unless everything goes."""
    for pid, name in list(process.machines(base.prefix)):
        native = name.removeprefix(base.prefix)
        with base.lock_of(native):
            if not everything and base.servers.raw(native):
                continue
            process.terminate(pid, name)
        yield f"ended the machine {native} (process {pid})"


def networks(base: Base, everything: bool) -> Iterator[str]:
    """The daemon of networks, its namespaces and all else that it has made, unless a server needs it."""
    if not base.netd_directory.exists():
        return
    with base.networks_lock:
        if not everything and wires.present(base).networks:
            return
        wires.clean(base)
    yield "removed the networks of guests, and ended their daemon"


def files(base: Base, everything: bool) -> Iterator[str]:
    """Disks, contents, sockets and locks."""
    if everything:
        return
    with base.lock:
        for path in strays(base):
            if not (path.name.startswith(".") and is_fresh(path)):
                size = _bytes(path)
                remove(path)
                yield f"removed {path.relative_to(base.state)} ({size >> 20} MiB)"


CLEANERS: list[Cleaner] = [machines, networks, files]
"""In the order in which they run: processes go before the files that they have open."""


def strays(base: Base) -> Iterator[Path]:
    """Disks, contents, sockets and locks that no record needs. Called with the lock held."""
    servers = {record.noun.native for record in base.servers.everything()}
    volumes = {record.noun.native for record in base.volumes.everything()}
    others = {record.noun.native for table in (base.snapshots, base.images) for record in table.everything()}
    locks = {"accelerator", "networks", *servers, *volumes, *others, *map(conditions.look_name, servers)}
    for directory, needed in (
        ("disks", {f"{native}.qcow2" for native in volumes}),
        ("blobs", base.needed_blobs()),
        ("run", servers),
        ("locks", locks),
    ):
        yield from (path for path in sorted((base.state / directory).iterdir()) if path.name not in needed)


def is_fresh(path: Path) -> bool:
    """Whether somebody may just be at it. OSError if it is gone."""
    return time.time() - path.lstat().st_mtime < FRESH_SECONDS


def remove(path: Path) -> None:
    """A file, or a directory with all that is in it."""
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _bytes(path: Path) -> int:
    """What it takes on the host's disk."""
    found = path.rglob("*") if path.is_dir() else [path]
    return sum(one.lstat().st_blocks * 512 for one in found)
