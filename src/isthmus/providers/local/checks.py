"""Whether the files of disks are whole. Those that a machine writes to, or somebody works on, are left alone."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from isthmus.model import ImageState, SnapshotState, VolumeState
from isthmus.providers import Finding
from isthmus.providers.local import disks, process
from isthmus.providers.local.base import Base
from isthmus.providers.local.records import VolumeRecord

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def check(base: Base, *, repair: bool) -> Iterator[Finding]:
    """What is wrong with the disks of volumes, and with what snapshots and images are made of."""
    for record in base.volumes.everything():
        yield from _volume(base, record, repair)
    unfinished = _unfinished(base)
    for name in sorted(base.needed_blobs() - {""}):
        blob = base.blob(name)
        if not blob.exists() and name in unfinished:
            continue
        if not blob.exists():
            yield Finding(f"{name}, which snapshots, images or volumes are made of, has no file", mended=False)
        elif blob.suffix == ".qcow2":
            yield from _file(blob, name, repair)
        else:
            yield from _mode(blob, name, repair)


def _unfinished(base: Base) -> set[str]:
    """The files of snapshots and images that are not complete, or never will be."""
    snapshots = {one.blob for one in base.snapshots.everything() if one.noun.state is not SnapshotState.COMPLETED}
    return snapshots | {one.blob for one in base.images.everything() if one.noun.state is not ImageState.AVAILABLE}


def _volume(base: Base, record: VolumeRecord, repair: bool) -> Iterator[Finding]:
    native = record.noun.native
    lock = base.lock_of(native)
    if not lock.acquire(wait=False):
        return
    try:
        current = base.volumes.raw(native)
        if current is None or current.noun.state is VolumeState.CREATING:
            return
        path, name = base.disk(native), f"the volume {current.noun.ref or native}"
        if path.exists() and _used(base, current):
            yield from _mode(path, name, repair)
        elif path.exists():
            yield from _file(path, name, repair)
            yield from _size(base, current, path, name, repair)
        elif not current.blank and not _new(base, current):
            yield Finding(f"{name} has no file: its contents are lost", mended=False)
    finally:
        lock.release()


def _size(base: Base, record: VolumeRecord, path: Path, name: str, repair: bool) -> Iterator[Finding]:
    """A process that died between growing a file and saying so leaves a volume that seems smaller than it is."""
    with contextlib.suppress(disks.DiskError):
        held = disks.size(path)
        if held <= record.noun.size:
            return
        if repair:
            with base.lock:
                current = base.volumes.raw(record.noun.native) or record
                base.volumes.put(replace(current, noun=replace(current.noun, size=held)))
        yield Finding(f"{name} is said to have {record.noun.size} GiB, and has {held}", mended=repair)


def _used(base: Base, record: VolumeRecord) -> bool:
    """Whether a machine has the disk open."""
    servers = (base.servers.raw(link.server) for link in record.noun.attachments)
    return any(server and process.alive(server.pid, server.birth) for server in servers)


def _new(base: Base, record: VolumeRecord) -> bool:
    """Whether it belongs to a server that has never run: its file is made as it is started."""
    servers = (base.servers.raw(link.server) for link in record.noun.attachments)
    return any(server and not server.booted for server in servers)


def _file(path: Path, name: str, repair: bool) -> Iterator[Finding]:
    yield from _mode(path, name, repair)
    try:
        found = disks.check(path)
        if found.errors or found.leaks:
            left = disks.check(path, repair=True) if repair else found
            if found.errors:
                yield Finding(f"{name}: {found.errors} errors in its file", mended=not left.errors)
            if found.leaks:
                yield Finding(f"{name}: {found.leaks} clusters of its file are used by nothing", mended=not left.leaks)
    except disks.DiskError as error:
        yield Finding(f"{name} cannot be read: {error}", mended=False)


def _mode(path: Path, name: str, repair: bool) -> Iterator[Finding]:
    if path.stat().st_mode & _OTHERS:
        if repair:
            path.chmod(stat.S_IRUSR | stat.S_IWUSR)
        yield Finding(f"{name}: others on this host may open its file", mended=repair)
