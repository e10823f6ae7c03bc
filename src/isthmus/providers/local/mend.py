"""What is done at start, and now and then: whatever a dead process left half done is finished or removed."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace

from isthmus.errors import Fault
from isthmus.model import ImageState, ServerState, SnapshotState, VolumeState
from isthmus.providers.local import (
    builtin,
    clean,
    copies,
    forwards,
    halts,
    journal,
    layout,
    nics,
    plug,
    ports,
    process,
    wires,
)
from isthmus.providers.local.base import Base
from isthmus.providers.local.boots import Boots, settle_offline
from isthmus.providers.local.copies import Copies
from isthmus.providers.local.halts import Halts
from isthmus.providers.local.qmp import QmpError
from isthmus.providers.local.records import ImageRecord, ServerRecord, SnapshotRecord, VolumeRecord
from isthmus.providers.local.volumes import LocalVolumes

_log = logging.getLogger(__name__)
WITHOUT_MACHINE = (ServerState.STOPPED, ServerState.ERROR)


class Mender:
    def __init__(self, base: Base, boots: Boots, stops: Halts, copying: Copies) -> None:
        self._base = base
        self._boots = boots
        self._halts = stops
        self._copies = copying
        self._work = boots.work

    def mend(self) -> None:
        builtin.adopt(self._base)
        self._ports()
        wires.mend(self._base)
        for server in self._base.servers.everything():
            self._server(server)
        self._strays()
        for volume in self._base.volumes.everything():
            self._volume(volume)
        for snapshot in self._base.snapshots.everything():
            if snapshot.noun.state is SnapshotState.PENDING:
                self._snapshot(snapshot)
            elif snapshot.into:
                with self._base.lock:
                    copies.settle_volume(self._base, snapshot.noun.native)
        for image in self._base.images.everything():
            if image.noun.state is ImageState.PENDING:
                self._image(image)
        self._sweep()

    def _server(self, record: ServerRecord) -> None:
        native = record.noun.native
        match record.noun.state:
            case ServerState.PENDING:
                self._boots.work.boot(native)
            case ServerState.STOPPING:
                self._halts.stop(native, force=False)
            case ServerState.DELETING:
                self._halts.delete(native, force=False)
            case ServerState.RUNNING:
                self._running(native)
                if record.rebooting:
                    self._halts.reboot(native)
        if any(volume.noun.state is not VolumeState.DELETING for volume in plug.changing(self._base, native)):
            plug.watch(self._base, self._work, native)

    def _running(self, native: str) -> None:
        lock = self._base.lock_of(native)
        if not lock.acquire(wait=False):
            return
        try:
            if self._is_gone(native):
                return
            forwards.sync_locked(self._base, native)
            nics.try_sync_locked(self._base, native)
            if journal.paused_by_a_full_disk(self._base.run(native)):
                self._go_on(native)
            journal.trim(self._base.run(native))
        finally:
            lock.release()

    def _go_on(self, native: str) -> None:
        """Let a guest try again to write: if there still is no room, it is stopped again at once."""
        with contextlib.suppress(QmpError), self._base.monitor(native) as monitor:
            if monitor("query-status")["status"] == "io-error":
                _log.warning("the host's disk was full: the server %s goes on", native)
                monitor("cont")

    def _is_gone(self, native: str) -> bool:
        """Whether the machine has ended by itself, or with the host; if so, the record says so from now on."""
        with self._base.lock:
            record = self._base.servers.raw(native)
            if record is None or record.noun.state is not ServerState.RUNNING:
                return True
            state = self._base.state_of(record)
            if state is ServerState.RUNNING:
                return False
            for volume in self._base.on_server(native):
                settle_offline(self._base, volume)
            noun = self._base.view(record)
            self._base.servers.put(replace(record, noun=noun, pid=0, birth=0, rebooting=False))
            if state is ServerState.PENDING:
                _log.info("the server %s ran when the host went down, and is started again", native)
                self._work.boot(native)
            return True

    def _ports(self) -> None:
        """Free or remove ports of servers that never came to be, and firewalls of networks that did not."""
        layout.adopt_ports(self._base)
        with self._base.lock:
            servers = {record.noun.native for record in self._base.servers.everything()}
            for server in {record.noun.server for record in self._base.ports.everything()} - servers - {""}:
                ports.leave(self._base, server)
            networks = {record.noun.native for record in self._base.networks.everything()}
            for record in self._base.firewalls.everything():
                if record.noun.network not in networks | {layout.first_network(record.tenant)}:
                    self._base.firewalls.drop(record.noun.native)

    def _strays(self) -> None:
        """End machines of this cloud that no record speaks of."""
        for pid, name in process.machines(self._base.prefix):
            native = name.removeprefix(self._base.prefix)
            lock = self._base.lock_of(native)
            if not lock.acquire(wait=False):
                continue  # it is just being started or ended
            try:
                record = self._base.servers.raw(native)
                if _astray(record, pid):
                    _log.warning("the machine %s (process %d) has no record and is ended", name, pid)
                    process.terminate(pid, name)
            finally:
                lock.release()

    def _volume(self, record: VolumeRecord) -> None:
        native = record.noun.native
        lost = record.noun.attachments and not self._base.servers.raw(record.noun.attachments[0].server)
        unfinished = record.noun.state in (VolumeState.CREATING, VolumeState.DELETING)
        if not lost and (not unfinished or record.noun.attachments):
            return
        lock = self._base.lock_of(native)
        if not lock.acquire(wait=False):
            return
        try:
            if record.noun.state is VolumeState.CREATING:
                with contextlib.suppress(Fault):
                    LocalVolumes(self._base, record.tenant, self._work, self._copies).finish(record)
                return
            with self._base.lock:
                self._release(native)
        finally:
            lock.release()

    def _release(self, native: str) -> None:
        """Free a volume of a server that is gone; remove that of one that never came to be. With the lock held."""
        record = self._base.volumes.raw(native)
        if record is None or (record.noun.attachments and self._base.servers.raw(record.noun.attachments[0].server)):
            return
        if record.noun.state is VolumeState.IN_USE:
            halts.remove_volume(self._base, native)
        else:
            halts.finish_release(self._base, native)

    def _snapshot(self, record: SnapshotRecord) -> None:
        native = record.noun.native
        if record.job:
            self._copies.follow(native)
        elif record.noun.volume:
            self._abandoned(native, lambda: self._copies.end(native, SnapshotState.ERROR))

    def _image(self, record: ImageRecord) -> None:
        native = record.noun.native

        def give_up() -> None:
            for disk in record.noun.disks:
                snapshot = self._base.snapshots.raw(disk.snapshot)
                if snapshot and snapshot.noun.state is SnapshotState.PENDING and not snapshot.noun.volume:
                    self._copies.end(disk.snapshot, SnapshotState.ERROR)
            with self._base.lock:
                current = self._base.images.raw(native)
                if current and current.noun.state is ImageState.PENDING and not current.noun.disks:
                    reason = "the import was interrupted"
                    self._base.images.put(
                        replace(current, noun=replace(current.noun, state=ImageState.ERROR, reason=reason))
                    )
                copies.settle_images(self._base)

        self._abandoned(native, give_up)

    def _abandoned(self, native: str, give_up: Callable[[], None]) -> None:
        """Give something up unless a living process is at work on it."""
        lock = self._base.lock_of(native)
        if lock.acquire(wait=False):
            try:
                give_up()
            finally:
                lock.release()

    def _sweep(self) -> None:
        """Remove files that no record needs and that nobody has touched for a while."""
        with self._base.lock:
            for path in clean.strays(self._base):
                with contextlib.suppress(OSError):
                    if not clean.is_fresh(path):
                        clean.remove(path)


def _astray(record: ServerRecord | None, pid: int) -> bool:
    """Whether a process is neither the one that its record knows, nor about to be, nor just handing over to it."""
    if record is None or record.noun.state in WITHOUT_MACHINE:
        return True
    if record.noun.state is not ServerState.RUNNING or record.pid == pid:
        return False
    return process.parent(record.pid) != pid
