"""Taking snapshots: a running machine copies its own volumes as of one moment, qemu-img the others.

A snapshot's lock is held by whoever copies it, so that `mend` can tell what goes on from what was left behind.
Locks are taken in the order snapshot, server, volume, cloud.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from isthmus.errors import Fault
from isthmus.model import ImageState, Snapshot, SnapshotState, VolumeState
from isthmus.providers.local import boots, disks, process, quiesce
from isthmus.providers.local.base import Base, made, native, now
from isthmus.providers.local.qmp import Qmp, QmpError
from isthmus.providers.local.records import ServerRecord, SnapshotRecord, VolumeRecord
from isthmus.providers.local.work import Work

MOMENT_SECONDS = 1.0
"""How long a call waits for a copy by qemu-img to begin, so that it is of the moment of the call."""
STEP = 5
"""Percent of progress that are worth a write."""


def record_of(tenant: str, volume: VolumeRecord, ref: str, description: str) -> SnapshotRecord:
    """A pending snapshot, not yet written."""
    own = native("snapshot")
    noun = Snapshot(
        native=own,
        ref=ref,
        state=SnapshotState.PENDING,
        volume=volume.noun.native,
        size=volume.noun.size,
        created=now(),
        owner=tenant,
        description=description,
        progress=0,
    )
    return SnapshotRecord(tenant, noun, made(), f"{own}.qcow2")


def same(tenant: str, source: SnapshotRecord, ref: str, description: str) -> SnapshotRecord:
    """A copy of a completed snapshot: finished at once, for both are the same file, which never changes."""
    noun = replace(
        source.noun,
        native=native("snapshot"),
        ref=ref,
        owner=tenant,
        description=description,
        volume="",
        created=now(),
        public=False,
        shared_with=(),
    )
    return SnapshotRecord(tenant, noun, made(), source.blob)


def server_of(base: Base, volume: VolumeRecord) -> ServerRecord | None:
    """The server whose process has the volume open, or had it when last seen."""
    for link in volume.noun.attachments:
        server = base.servers.raw(link.server)
        if server and process.alive(server.pid, server.birth):
            return server
    return None


class Copies:
    def __init__(self, base: Base, work: Work) -> None:
        self._base = base
        self._work = work

    def begin(self, snapshots: Sequence[SnapshotRecord], server: str) -> None:
        """Start copying by the machine of `server`, whose lock the caller holds, all as of one moment."""
        started: list[SnapshotRecord] = []
        with self._base.monitor(server) as monitor:
            try:
                for snapshot in snapshots:
                    self._target(monitor, snapshot)
                    started.append(snapshot)
                actions = [{"type": "blockdev-backup", "data": _backup(snapshot)} for snapshot in snapshots]
                monitor("transaction", actions=actions)
            except QmpError:
                for snapshot in started:
                    monitor("blockdev-del", node_name=snapshot.noun.native)
                raise

    def follow(self, snapshot: str) -> None:
        """See a copy by a machine to its end, in the background."""
        self._work.start(f"copy {snapshot}", lambda: self._follow(snapshot))

    def convert(self, snapshot: str) -> None:
        """Copy a volume that no machine has open, in the background; returns when that has begun."""
        begun = threading.Event()
        self._work.start(f"copy {snapshot}", lambda: self._convert(snapshot, begun))
        begun.wait(MOMENT_SECONDS)

    def _target(self, monitor: Qmp, snapshot: SnapshotRecord) -> None:
        blob = self._base.blob(snapshot.blob)
        disks.create(blob, snapshot.noun.size)
        with monitor.opened(blob, os.O_RDWR) as name:
            file = {"driver": "file", "filename": name}
            monitor("blockdev-add", driver="qcow2", node_name=snapshot.noun.native, file=file)

    def _follow(self, snapshot: str) -> None:
        lock = self._base.lock_of(snapshot)
        if not lock.acquire(wait=False):
            return  # another process does
        try:
            pause = 0.05
            record = self._base.snapshots.raw(snapshot)
            while record and not self._look(snapshot, record.job):
                if not self._work.pause(pause):
                    return
                pause = min(1.0, pause * 1.5)
        finally:
            lock.release()

    def _look(self, snapshot: str, machine: str) -> bool:
        """Whether a copy by a machine has ended; if so, its record says how."""
        with self._base.lock_of(machine):
            server = self._base.servers.raw(machine)
            if server is None or not process.alive(server.pid, server.birth):
                self.end(snapshot, SnapshotState.ERROR)
                return True
            try:
                with self._base.monitor(machine) as monitor:
                    return self._ended(snapshot, monitor)
            except QmpError:
                return False  # it has just gone, or is busy: the next look will tell

    def _ended(self, own: str, monitor: Qmp) -> bool:
        job = next((job for job in monitor("query-jobs") if job["id"] == own), None)
        if job and job["status"] != "concluded":
            if record := self._base.snapshots.raw(own):
                self._progress(record, job)
            else:  # the snapshot was deleted meanwhile
                monitor("job-cancel", id=own)
            return False
        if job:
            monitor("job-dismiss", id=own)
        else:
            quiesce.resume(monitor)  # whoever was to copy it may have died with the guest shut down
        drop_node(monitor, own)
        failed = job is None or "error" in job
        self.end(own, SnapshotState.ERROR if failed else SnapshotState.COMPLETED)
        return True

    def _progress(self, record: SnapshotRecord, job: dict[str, Any]) -> None:
        percent = min(99, job["current-progress"] * 100 // max(1, job["total-progress"]))
        if percent >= record.noun.progress + STEP:
            with self._base.lock:
                if self._base.snapshots.raw(record.noun.native):
                    self._base.snapshots.put(replace(record, noun=replace(record.noun, progress=percent)))

    def _convert(self, snapshot: str, begun: threading.Event) -> None:
        with ExitStack() as locks:
            locks.enter_context(self._base.lock_of(snapshot))
            record = self._base.snapshots.raw(snapshot)
            volume = self._base.volumes.raw(record.noun.volume) if record else None
            if record is None or volume is None:
                self.end(snapshot, SnapshotState.ERROR)
                return
            while (server_of(self._base, volume)) and self._work.pause(0.1):
                volume = self._base.volumes.raw(record.noun.volume) or volume  # it is stopping: not for long
            locks.enter_context(self._base.lock_of(volume.noun.native))
            begun.set()
            try:
                disk = boots.ensure(self._base, volume)
                disks.copy(disk.path, self._base.blob(record.blob))
            except (disks.DiskError, Fault, OSError):
                self.end(snapshot, SnapshotState.ERROR)
            else:
                self.end(snapshot, SnapshotState.COMPLETED)

    def end(self, snapshot: str, state: SnapshotState) -> None:
        """Write how a copy ended, and what follows for the images it was made for."""
        with self._base.lock:
            record = self._base.snapshots.raw(snapshot)
            if record is None:
                self._base.release_blob(f"{snapshot}.qcow2")
                return
            if record.noun.state is SnapshotState.PENDING:
                progress = 100 if state is SnapshotState.COMPLETED else record.noun.progress
                self._base.snapshots.put(replace(record, noun=replace(record.noun, state=state, progress=progress)))
            settle_images(self._base, snapshot)
            settle_volume(self._base, snapshot)


def settle_volume(base: Base, snapshot: str) -> None:
    """A volume whose contents are complete is available, or failed without them. Called with the lock held."""
    record = base.snapshots.raw(snapshot)
    if record is None or not record.into or record.noun.state is SnapshotState.PENDING:
        return
    volume = base.volumes.raw(record.into)
    if volume and volume.noun.state is VolumeState.CREATING:
        complete = record.noun.state is SnapshotState.COMPLETED
        state = VolumeState.AVAILABLE if complete else VolumeState.ERROR
        base.volumes.put(replace(volume, noun=replace(volume.noun, state=state)))
    base.snapshots.drop(snapshot)
    base.release_blob(record.blob)


def settle_images(base: Base, snapshot: str = "") -> None:
    """Images whose snapshots have all ended are available, or failed. Called with the lock held."""
    for record in base.images.everything():
        if record.noun.state is not ImageState.PENDING or not record.noun.disks:
            continue
        if snapshot and all(disk.snapshot != snapshot for disk in record.noun.disks):
            continue
        states = {_state(base, disk.snapshot) for disk in record.noun.disks if disk.snapshot}
        if states & {SnapshotState.ERROR, None}:
            noun = replace(record.noun, state=ImageState.ERROR, reason="a disk could not be copied")
            base.images.put(replace(record, noun=noun))
        elif states <= {SnapshotState.COMPLETED}:
            base.images.put(replace(record, noun=replace(record.noun, state=ImageState.AVAILABLE)))


def _state(base: Base, snapshot: str) -> SnapshotState | None:
    record = base.snapshots.raw(snapshot)
    return record.noun.state if record else None


def _backup(snapshot: SnapshotRecord) -> dict[str, Any]:
    own = snapshot.noun.native
    return {"job-id": own, "device": snapshot.noun.volume, "target": own, "sync": "full", "auto-dismiss": False}


def drop_node(monitor: Qmp, node: str) -> None:
    """Close a file that a machine has open, if it has."""
    try:
        monitor("blockdev-del", node_name=node)
    except QmpError as error:
        if "find" not in str(error).lower():
            raise
