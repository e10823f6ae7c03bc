"""Boots: at most so many at once in all processes as the host has processors, the rest wait in the state pending."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import subprocess
import time
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

from isthmus.errors import Fault, Unavailable, Unsupported
from isthmus.model import AttachmentState, ServerState, VolumeState
from isthmus.providers.local import (
    builtin,
    conditions,
    disks,
    firewalls,
    forwards,
    journal,
    layout,
    nics,
    owner,
    process,
    starting,
    wires,
)
from isthmus.providers.local.accel import Chooser
from isthmus.providers.local.base import Base
from isthmus.providers.local.machine import (
    BALLOON,
    BARE,
    CONTROLLERS,
    NICS,
    PARTITIONED,
    ROOTS,
    Drive,
    Kernel,
    Machine,
    Nic,
    Tap,
)
from isthmus.providers.local.qmp import QmpError
from isthmus.providers.local.records import ServerRecord, VolumeRecord
from isthmus.providers.local.starting import LaunchError
from isthmus.providers.local.tables import FileLock
from isthmus.providers.local.work import Work

_log = logging.getLogger(__name__)
READY = (b"tiny: ready", b"login:")
"""What a guest's console says when it needs the processor no more."""
READY_SECONDS = 20.0
"""How long a boot that does not say so is thought to be under way."""
NETWORK_TRIES, NETWORK_SECONDS = 5, 1.0
"""How often networks that cannot be made at once are tried for a server, and after how long."""
ONLY_ONE = (
    "user-mode networking has one interface with one address of 172.31.0.0/16 for each server, and this one has "
    "others: start it with network = 'namespaces' in the cloud's settings"
)
ACCELERATED = {"tcg": "an emulated machine (tcg)", "kvm": "a virtual machine (kvm)"}
FAILED = "the machine could not be started; the operator's log has QEMU's words"


class Boots:
    def __init__(self, base: Base, chooser: Chooser) -> None:
        self._base = base
        self._chooser = chooser
        self.work = Work(self.boot)

    def boot(self, native: str) -> None:
        """Start a pending server's machine, and keep its slot until its guest is up."""
        slot = self._slot()
        if slot is None:
            return
        try:
            console = self._base.run(native) / "console.log"
            before = console.stat().st_size if console.exists() else 0
            if pid := self._start(native):
                self._await(pid, console, before)
        finally:
            slot.release()

    def _slot(self) -> FileLock | None:
        while True:
            for number in range(os.cpu_count() or 1):
                slot = FileLock(self._base.state / "slots" / str(number))
                if slot.acquire(wait=False):
                    return slot
            if not self.work.pause(0.05):
                return None

    def _await(self, pid: int, console: Path, before: int) -> None:
        born = process.birth(pid)
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and process.alive(pid, born) and self.work.pause(0.05):
            if console.exists():
                with console.open("rb") as file:
                    file.seek(before)
                    if any(word in file.read() for word in READY):
                        return

    def _start(self, native: str) -> int:
        """The pid of the machine, or 0 if there is nothing to start, or it failed."""
        with ExitStack() as locks:
            locks.enter_context(self._base.lock_of(native))
            record = self._base.servers.raw(native)
            if record is None or record.noun.state is not ServerState.PENDING:
                return 0
            for volume in sorted(self._base.on_server(native), key=lambda one: one.noun.native):
                locks.enter_context(self._base.lock_of(volume.noun.native))
            try:
                pid = self._launch(record)
            except (Fault, LaunchError, OSError, subprocess.TimeoutExpired) as error:
                if isinstance(error, Unavailable) and self.work.closing.is_set():
                    return 0  # it stays pending, for who mends this cloud next
                _log.error("the server %s does not start: %s", native, error)
                self._failed(native, str(error) if isinstance(error, Fault) else FAILED)
                return 0
            self._listen(native)
            self._running(native, pid)
            forwards.sync_locked(self._base, native)
            nics.try_sync_locked(self._base, native)
            return pid

    def _launch(self, record: ServerRecord) -> int:
        """Start the machine, or find it started by a process that did not live to say so."""
        native = record.noun.native
        name = self._base.machine_name(native)
        pidfile = self._base.run(native) / "qemu.pid"
        if pid := process.of_pidfile(pidfile, name):
            if self._answers(native):
                return pid
            process.terminate(pid, name, patience=2)
        machine = self._machine(record)
        journal.announce(machine.directory, f"{ACCELERATED[machine.accelerator]}, {self._base.way.words}")
        try:
            self._run(machine, name, pidfile)
        finally:
            if isinstance(machine.nic, tuple):
                nics.close(machine.nic)
        if pid := process.of_pidfile(pidfile, name):
            return pid
        raise LaunchError("the machine ended as soon as it was started")

    def _run(self, machine: Machine, name: str, pidfile: Path) -> None:
        for attempt in (1, 2):
            pidfile.unlink(missing_ok=True)
            try:
                starting.start(machine)
            except LaunchError:
                others = [pid for pid, other in process.machines(name) if other == name]
                if attempt == 2 or not others:
                    raise
                for pid in others:
                    process.terminate(pid, name, patience=2)
            else:
                break

    def _answers(self, native: str) -> bool:
        try:
            with self._base.monitor(native) as monitor:
                monitor("query-status")
        except QmpError:
            return False
        return True

    def _listen(self, native: str) -> None:
        """Ask the guest for signs of life from now on."""
        with contextlib.suppress(QmpError), self._base.monitor(native) as monitor:
            path = f"/machine/peripheral/{BALLOON}"
            monitor("qom-set", path=path, property="guest-stats-polling-interval", value=conditions.ASKED_SECONDS)

    def _machine(self, record: ServerRecord) -> Machine:
        noun = record.noun
        flavor = self._base.flavor(noun.flavor)
        directory = self._base.run(noun.native)
        directory.mkdir(mode=0o700, exist_ok=True)
        accelerator = self._chooser.choose(builtin.kernel(self._base)).name
        identity = hashlib.sha256(noun.native.encode()).hexdigest()
        drives = self._drives(record)
        return Machine(
            native=noun.native,
            name=self._base.machine_name(noun.native),
            directory=directory,
            cpus=flavor.cpus,
            memory=flavor.memory,
            accelerator=accelerator,
            uuid=f"ec2{identity[:5]}-{identity[5:9]}-4{identity[9:12]}-8{identity[12:15]}-{identity[15:27]}",
            product=flavor.name,
            drives=drives,
            kernel=self._kernel(record, drives[0], accelerator),
            user=tuple(owner.arguments(self._base.user, owner.qemu_version())) if self._base.user else (),
            nic=self._nics(record),
        )

    def _nics(self, record: ServerRecord) -> Nic | tuple[Tap, ...]:
        """What connects the machine; taps are open from here on."""
        if not self._base.namespaces:
            return self._nic(record)
        tries = 0
        while True:
            try:
                wires.settle(self._base)
                return nics.taps(self._base, record)
            except Unavailable as error:
                tries += 1
                if tries == NETWORK_TRIES or not self.work.pause(NETWORK_SECONDS):
                    raise
                _log.warning("the networks of %s are tried again: %s", record.noun.native, error)

    def _nic(self, record: ServerRecord) -> Nic:
        port, *more = layout.ports_on(self._base, record.noun.native)
        subnet = IPv4Network(layout.subnet(self._base, record.tenant, port.subnet).noun.cidr)
        if more or len(port.addresses) > 1 or not subnet.subnet_of(layout.CIDR):
            raise Unsupported(ONLY_ONE)
        chosen = [firewalls.get(self._base, record.tenant, one).noun for one in port.firewalls]
        return Nic(
            mac=port.mac,
            address=port.address,
            gateway=str(subnet[1]),
            resolver=str(subnet[2]),
            restricted=firewalls.restricted(chosen),
            metadata_socket=self._base.metadata_socket,
            tenant=record.tenant,
            model=NICS.get(record.noun.platform, NICS[""]),
        )

    def _drives(self, record: ServerRecord) -> tuple[Drive, ...]:
        volumes = [volume for volume in self._base.on_server(record.noun.native) if not _leaving(volume)]
        volumes.sort(key=lambda volume: volume.noun.attachments[0].device != record.noun.root_device)
        if not volumes or volumes[0].noun.attachments[0].device != record.noun.root_device:
            raise LaunchError("there is no root volume")
        root, *others = [ensure(self._base, volume) for volume in volumes]
        if record.kernel_blob and not record.ramdisk_blob:
            root = replace(root, controller=BARE)
        return (root, *others)

    def _kernel(self, record: ServerRecord, root: Drive, accelerator: str) -> Kernel | None:
        if not record.kernel_blob:
            return None
        device = (PARTITIONED if record.partitioned else ROOTS)[root.controller]
        words = [f"root={device}", f"isthmus.root={root.serial}", "rw"]
        words += ["console=ttyS0", "panic=10"]
        words += ["quiet"] if record.kernel_blob.startswith(builtin.PREFIX) else []
        words += ["mitigations=off"] if accelerator == "tcg" else []
        ramdisk = self._base.blob(record.ramdisk_blob) if record.ramdisk_blob else None
        return Kernel(self._base.blob(record.kernel_blob), ramdisk, " ".join(words))

    def _running(self, native: str, pid: int) -> None:
        with self._base.lock:
            record = self._base.servers.raw(native)
            if record is None:
                return
            for volume in self._base.on_server(native):
                settle_offline(self._base, volume)
            state = ServerState.RUNNING if record.noun.state is ServerState.PENDING else record.noun.state
            noun = replace(record.noun, state=state, reason="")
            self._base.servers.put(
                replace(
                    record,
                    noun=noun,
                    pid=pid,
                    birth=process.birth(pid),
                    host=process.host_boot(),
                    booted=True,
                    rebooting=False,
                    tapped=any(word.startswith("tap,") for word in process.arguments(pid)),
                )
            )

    def _failed(self, native: str, reason: str) -> None:
        with self._base.lock:
            record = self._base.servers.raw(native)
            if record and record.noun.state is ServerState.PENDING:
                state = ServerState.STOPPED if record.booted else ServerState.ERROR
                self._base.servers.put(replace(record, noun=replace(record.noun, state=state, reason=reason), pid=0))


def _leaving(volume: VolumeRecord) -> bool:
    return volume.noun.attachments[0].state is AttachmentState.DETACHING


def ensure(base: Base, volume: VolumeRecord) -> Drive:
    """The volume as a drive; its file is made if it is not there yet. The caller holds the volume's lock."""
    native = volume.noun.native
    path = base.disk(native)
    backing = base.blob(volume.backing) if volume.backing else None
    if not path.exists():
        disks.create(path, volume.noun.size, backing)
    server = base.servers.raw(volume.noun.attachments[0].server) if volume.noun.attachments else None
    platform = server.noun.platform if server else ""
    return Drive(native, path, serial(volume), backing, CONTROLLERS.get(platform, CONTROLLERS[""]))


def serial(volume: VolumeRecord) -> str:
    """What the guest sees: EC2's form of the volume's id where the ref is one, else the native id; 20 characters."""
    ref = volume.noun.ref
    digits = ref.removeprefix("vol-")
    if ref.startswith("vol-") and len(digits) == 17 and set(digits) <= set("0123456789abcdef"):
        return f"vol{digits}"
    return volume.noun.native.replace("-", "")[:20]


def settle_offline(base: Base, volume: VolumeRecord) -> None:
    """End an attachment's change with a machine that runs not yet or no longer. Called with the lock held."""
    [link] = volume.noun.attachments
    if link.state is AttachmentState.DETACHING and volume.noun.state is not VolumeState.DELETING:
        base.volumes.put(
            replace(volume, noun=replace(volume.noun, state=VolumeState.AVAILABLE, attachments=()), forced=False)
        )
    elif link.state is AttachmentState.ATTACHING:
        attached = replace(link, state=AttachmentState.ATTACHED)
        base.volumes.put(replace(volume, noun=replace(volume.noun, attachments=(attached,))))
