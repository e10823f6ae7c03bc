"""Volumes in and out of running machines. `settle` makes a machine match the records, from wherever it was left."""

from __future__ import annotations

import contextlib
import os
import time
from contextlib import ExitStack
from dataclasses import replace

from isthmus.model import AttachmentState, ServerState, VolumeState
from isthmus.providers.local.base import Base
from isthmus.providers.local.boots import ensure, settle_offline
from isthmus.providers.local.disks import GIB
from isthmus.providers.local.machine import Drive, blockdev, device
from isthmus.providers.local.qmp import PERIPHERALS, Qmp, QmpError
from isthmus.providers.local.records import VolumeRecord
from isthmus.providers.local.work import Work

CHANGING = (AttachmentState.ATTACHING, AttachmentState.DETACHING)
SOON_SECONDS = 10.0


def changing(base: Base, server: str) -> list[VolumeRecord]:
    return [volume for volume in base.on_server(server) if volume.noun.attachments[0].state in CHANGING]


def settle(base: Base, server: str) -> dict[str, str]:
    """Bring every changing attachment of a server as far as it goes now. What a machine refused, by volume."""
    with base.lock_of(server):
        record = base.servers.raw(server)
        if record is None or not changing(base, server):
            return {}
        state = base.state_of(record)
        if state is ServerState.STOPPED:
            with base.lock:
                for volume in changing(base, server):
                    settle_offline(base, volume)
        if state is not ServerState.RUNNING:
            return {}
        with base.monitor(server) as monitor:
            return _settle_running(base, server, monitor)


def watch(base: Base, work: Work, server: str) -> None:
    """Go on settling in the background until nothing changes any more."""

    def task() -> None:
        began = time.monotonic()
        while changing(base, server):
            with contextlib.suppress(QmpError):  # the machine has just gone, or is busy: the next round will tell
                settle(base, server)
            if not work.pause(0.1 if time.monotonic() < began + SOON_SECONDS else 2.0):
                return

    work.start(f"settle {server}", task)


def _settle_running(base: Base, server: str, monitor: Qmp) -> dict[str, str]:
    refused: dict[str, str] = {}
    devices = {item["name"] for item in monitor("qom-list", path=PERIPHERALS)}
    nodes = {item["node-name"] for item in monitor("query-named-block-nodes", flat=True)}
    for volume in changing(base, server):
        native = volume.noun.native
        try:
            if volume.noun.attachments[0].state is AttachmentState.ATTACHING:
                _plug(base, volume, monitor, native in devices, nodes)
            else:
                _unplug(base, volume, monitor, native in devices, nodes)
        except QmpError as error:
            refused[native] = str(error)
    return refused


def _plug(base: Base, volume: VolumeRecord, monitor: Qmp, has_device: bool, nodes: set[str]) -> None:
    native = volume.noun.native
    if has_device and _null(native) in nodes:
        raise QmpError("the guest has not let go of this volume since it was taken away by force")
    lock = base.lock_of(native)
    if not lock.acquire(wait=False):
        return  # it is being copied: later
    try:
        drive = ensure(base, volume)
        if native not in nodes:
            _open(monitor, drive)
        if not has_device:
            try:
                monitor("device_add", **device(drive))
            except QmpError:
                monitor("blockdev-del", node_name=native)
                raise
    finally:
        lock.release()
    with base.lock:
        current = base.volumes.raw(native)
        if current and current.noun.attachments:
            settle_offline(base, current)


def _open(monitor: Qmp, drive: Drive) -> None:
    """Give the machine the drive's files, which it need not be able to open."""
    with ExitStack() as files:
        file = files.enter_context(monitor.opened(drive.path, os.O_RDWR))
        backing = files.enter_context(monitor.opened(drive.backing, os.O_RDONLY)) if drive.backing else ""
        monitor("blockdev-add", **blockdev(drive, file, backing))


def _unplug(base: Base, volume: VolumeRecord, monitor: Qmp, has_device: bool, nodes: set[str]) -> None:
    native = volume.noun.native
    if has_device:
        try:
            monitor("device_del", id=native)
        except QmpError as error:
            if "process of unplug" not in str(error) and error.name != "DeviceNotFound":
                raise
        if not volume.forced:
            return
        _cut(volume, monitor, nodes)
    if native in nodes:
        monitor("blockdev-del", node_name=native)
    null = _null(native)
    if not has_device and null in nodes:
        monitor("blockdev-del", node_name=null)
    with base.lock:
        current = base.volumes.raw(native)
        if current and current.noun.attachments:
            noun = replace(current.noun, state=VolumeState.AVAILABLE, attachments=())
            base.volumes.put(replace(current, noun=noun, forced=False))


def _null(native: str) -> str:
    return f"null-{native}"[:31]


def _cut(volume: VolumeRecord, monitor: Qmp, nodes: set[str]) -> None:
    """Leave the guest's device with nothing behind it: a guest that never lets go cannot be made to."""
    native = volume.noun.native
    null = _null(native)
    if null not in nodes:
        size = volume.noun.size * GIB
        monitor("blockdev-add", driver="null-co", node_name=null, size=size, read_zeroes=True)
    monitor("qom-set", path=f"{PERIPHERALS}/{native}", property="drive", value=null)


def failed(base: Base, native: str) -> None:
    """A volume that the machine would not take is free again."""
    with base.lock:
        record = base.volumes.raw(native)
        if record and record.noun.attachments and record.noun.attachments[0].state is AttachmentState.ATTACHING:
            base.volumes.put(replace(record, noun=replace(record.noun, state=VolumeState.AVAILABLE, attachments=())))
