"""How servers stop and go: the guest is asked, and after a while no longer asked."""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import replace

from isthmus.model import AttachmentState, ServerState, SnapshotState, VolumeState
from isthmus.providers.local import addresses, process
from isthmus.providers.local.base import Base
from isthmus.providers.local.boots import settle_offline
from isthmus.providers.local.qmp import QmpError
from isthmus.providers.local.records import ServerRecord
from isthmus.providers.local.work import LAST, Work

POWERDOWN_SECONDS = 20.0
AGAIN_SECONDS = 5.0
"""A guest that is still booting does not hear the power button."""
COPY_SECONDS = 120.0
"""How long the end of a machine waits for the snapshots it is copying."""


class Halts:
    def __init__(self, base: Base, work: Work) -> None:
        self._base = base
        self._work = work

    def stop(self, native: str, *, force: bool) -> None:
        """Begin to stop a server whose record says stopping."""
        self._work.start(f"stop {native} {force}", lambda: self._stop(native, force=force))

    def delete(self, native: str) -> None:
        """Begin to end a server whose record says deleting."""
        self._work.start(f"{LAST}{native}", lambda: self._delete(native))

    def _stop(self, native: str, *, force: bool) -> None:
        self._await_copies(native)
        if not force:
            self._power_down(native)
        with self._base.lock_of(native):
            record = self._base.servers.raw(native)
            if record is None or record.noun.state is not ServerState.STOPPING:
                return
            self._end(record)
            self._stopped(native)

    def _power_down(self, native: str) -> None:
        deadline = time.monotonic() + POWERDOWN_SECONDS
        pressed = 0.0
        while time.monotonic() < deadline and self._stopping(native):
            if time.monotonic() - pressed > AGAIN_SECONDS:
                with contextlib.suppress(QmpError), self._base.lock_of(native), self._base.monitor(native) as monitor:
                    monitor("system_powerdown")
                pressed = time.monotonic()
            if not self._work.pause(0.05):
                return

    def _stopping(self, native: str) -> bool:
        record = self._base.servers.raw(native)
        if record is None or record.noun.state is not ServerState.STOPPING:
            return False
        return process.alive(record.pid, record.birth)

    def _stopped(self, native: str) -> None:
        with self._base.lock:
            record = self._base.servers.raw(native)
            if record is None or record.noun.state is not ServerState.STOPPING:
                return
            for volume in self._base.on_server(native):
                settle_offline(self._base, volume)
            noun = replace(record.noun, state=ServerState.STOPPED)
            self._base.servers.put(replace(record, noun=noun, pid=0, birth=0))

    def _delete(self, native: str) -> None:
        self._await_copies(native)
        with self._base.lock_of(native):
            record = self._base.servers.raw(native)
            if record is None or record.noun.state is not ServerState.DELETING:
                return
            self._end(record)
            with self._base.lock:
                for volume in self._base.on_server(native):
                    finish_release(self._base, volume.noun.native)
                addresses.free_of(self._base, native)
                self._base.servers.drop(native)
                for blob in (record.kernel_blob, record.ramdisk_blob):
                    self._base.release_blob(blob)
            shutil.rmtree(self._base.run(native), ignore_errors=True)

    def _end(self, record: ServerRecord) -> None:
        """End the server's process; the caller holds the server's lock."""
        name = self._base.machine_name(record.noun.native)
        known = process.of_pidfile(self._base.run(record.noun.native) / "qemu.pid", name)
        for pid in {known, record.pid if process.machine_name(record.pid) == name else 0} - {0}:
            process.terminate(pid, name)

    def _await_copies(self, native: str) -> None:
        deadline = time.monotonic() + COPY_SECONDS
        while time.monotonic() < deadline and self._copying(native) and self._work.pause(0.1):
            pass

    def _copying(self, native: str) -> bool:
        return any(
            snapshot.job == native and snapshot.noun.state is SnapshotState.PENDING
            for snapshot in self._base.snapshots.everything()
        )


def begin_release(base: Base, server: str) -> None:
    """A server goes: its volumes begin to leave it, or to go with it. Called with the lock held."""
    for volume in base.on_server(server):
        [link] = volume.noun.attachments
        state = VolumeState.DELETING if link.delete_with_server else volume.noun.state
        leaving = replace(link, state=AttachmentState.DETACHING)
        base.volumes.put(replace(volume, noun=replace(volume.noun, state=state, attachments=(leaving,))))


def finish_release(base: Base, volume: str) -> None:
    """A server is gone: its volume is free, or gone with it. Called with the lock held."""
    record = base.volumes.raw(volume)
    if record is None:
        return
    if record.noun.state is VolumeState.DELETING:
        remove_volume(base, volume)
    else:
        noun = replace(record.noun, state=VolumeState.AVAILABLE, attachments=())
        base.volumes.put(replace(record, noun=noun, forced=False))


def remove_volume(base: Base, native: str) -> None:
    """Called with the lock held."""
    record = base.volumes.raw(native)
    base.disk(native).unlink(missing_ok=True)
    base.volumes.drop(native)
    if record:
        base.release_blob(record.backing)
