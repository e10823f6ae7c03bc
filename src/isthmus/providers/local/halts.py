"""How servers stop and go: the guest is asked, and after a while no longer asked."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from isthmus.model import AttachmentState, ServerState, SnapshotState, VolumeState
from isthmus.providers.local import ports, process, quiesce, wires
from isthmus.providers.local.base import Base
from isthmus.providers.local.boots import settle_offline
from isthmus.providers.local.qmp import QmpError
from isthmus.providers.local.records import ServerRecord
from isthmus.providers.local.work import LAST, Work

_log = logging.getLogger(__name__)
POWERDOWN_SECONDS = 20.0
AGAIN_SECONDS = 5.0
"""A guest that is still booting does not hear the power button."""
COPY_SECONDS = 120.0
"""How long the end of a machine waits for the snapshots it is copying."""
CUT_OFF = "the guest did not shut down within {:g} seconds, and was cut off"


class Halts:
    def __init__(self, base: Base, work: Work) -> None:
        self._base = base
        self._work = work

    def stop(self, native: str, *, force: bool) -> None:
        """Begin to stop a server whose record says stopping."""
        self._work.start(f"stop {native} {force}", lambda: self._stop(native, force=force))

    def reboot(self, native: str) -> None:
        """Begin to restart the guest of a server whose record says so."""
        self._work.start(f"reboot {native}", lambda: self._reboot(native))

    def delete(self, native: str, *, force: bool) -> None:
        """Begin to end a server whose record says deleting."""
        self._work.start(f"{LAST}{native} {force}", lambda: self._delete(native, force=force))

    def _stop(self, native: str, *, force: bool) -> None:
        self._await_copies(native)
        if not force and not self._power_down(native, partial(self._going, ServerState.STOPPING)):
            return  # the next process goes on with it
        with self._base.lock_of(native):
            record = self._base.servers.raw(native)
            if record is None or record.noun.state is not ServerState.STOPPING:
                return
            deaf = not force and process.alive(record.pid, record.birth)
            self._end(record)
            self._stopped(native, _cut_off(native) if deaf else "")
        wires.try_settle(self._base)

    def _reboot(self, native: str) -> None:
        """The guest shuts itself down, or is cut off after a while, and begins anew; its machine stays."""
        with contextlib.suppress(QmpError):  # it has just gone: nothing is left to restart
            with self._base.lock_of(native), self._base.monitor(native) as monitor:
                monitor("set-action", shutdown="pause")
            if not self._power_down(native, self._is_up):
                return  # the next process goes on with it
            with self._base.lock_of(native):
                with self._base.lock:
                    record = self._base.servers.raw(native)
                    if record is None or not record.rebooting:
                        return
                    self._base.servers.put(replace(record, rebooting=False))
                with self._base.monitor(native) as monitor:
                    if monitor("query-status")["status"] not in quiesce.DOWN:
                        _cut_off(native)
                    quiesce.restart(monitor)

    def _is_up(self, native: str) -> bool:
        """Whether a guest that is to be restarted has not shut down yet."""
        record = self._base.servers.raw(native)
        if record is None or not record.rebooting:
            return False
        with self._base.lock_of(native), self._base.monitor(native) as monitor:
            return monitor("query-status")["status"] not in quiesce.DOWN

    def _power_down(self, native: str, going_on: Callable[[str], bool]) -> bool:
        """Press the power button until that has worked, but not for ever. False if this process ends before."""
        deadline = time.monotonic() + POWERDOWN_SECONDS
        pressed = 0.0
        while time.monotonic() < deadline and going_on(native):
            if time.monotonic() - pressed > AGAIN_SECONDS:
                with contextlib.suppress(QmpError), self._base.lock_of(native), self._base.monitor(native) as monitor:
                    monitor("system_powerdown")
                pressed = time.monotonic()
            if not self._work.pause(0.05):
                return False
        return True

    def _going(self, state: ServerState, native: str) -> bool:
        """Whether a server that is to stop, or to end, is still in that state, and runs."""
        record = self._base.servers.raw(native)
        if record is None or record.noun.state is not state:
            return False
        return process.alive(record.pid, record.birth)

    def _stopped(self, native: str, reason: str) -> None:
        with self._base.lock:
            record = self._base.servers.raw(native)
            if record is None or record.noun.state is not ServerState.STOPPING:
                return
            for volume in self._base.on_server(native):
                settle_offline(self._base, volume)
            noun = replace(record.noun, state=ServerState.STOPPED, reason=reason)
            self._base.servers.put(replace(record, noun=noun, pid=0, birth=0))

    def _delete(self, native: str, *, force: bool) -> None:
        self._await_copies(native)
        if not force and not self._power_down(native, partial(self._going, ServerState.DELETING)):
            return  # the next process goes on with it
        with self._base.lock_of(native):
            record = self._base.servers.raw(native)
            if record is None or record.noun.state is not ServerState.DELETING:
                return
            if not force and process.alive(record.pid, record.birth):
                _cut_off(native)
            self._end(record)
            with self._base.lock:
                for volume in self._base.on_server(native):
                    finish_release(self._base, volume.noun.native)
                ports.leave(self._base, native)
                self._base.servers.drop(native)
                for blob in (record.kernel_blob, record.ramdisk_blob):
                    self._base.release_blob(blob)
            shutil.rmtree(self._base.run(native), ignore_errors=True)
        wires.try_settle(self._base)

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


def _cut_off(native: str) -> str:
    """Why a guest was cut off, which the operator's log says too."""
    reason = CUT_OFF.format(POWERDOWN_SECONDS)
    _log.warning("the server %s: %s", native, reason)
    return reason


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
