"""One QEMU machine: its command line. Nothing here reads or changes state."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from isthmus.providers.local import journal

QEMU = "qemu-system-x86_64"
RELAY = Path(__file__).with_name("relay.py")
BALLOON = "balloon0"
"""By this device a guest gives signs of life, and memory that it does not use back to the host."""
METADATA = "169.254.169.254"
NETWORK = "168.0.0.0/5"
"""The narrowest network that holds both 172.31.0.0/16 and the metadata address: slirp forwards only inside its own."""
ACCELERATORS = {
    "tcg": ("tcg,tb-size={code}", "max,la57=off"),
    "kvm": ("kvm", "host"),
}
"""code: MiB for translated code, by default several times as much as a small guest. la57: it costs a fifth."""
SMALL_MIB, SMALL_CODE, CODE = 512, 16, 32
NICS = {"": "virtio-net-pci", "windows": "e1000"}
CONTROLLERS = {"": "virtio-blk-pci", "windows": "nvme"}
"""By platform: Windows has its own drivers only for the latter, and QEMU grows only the former while the guest runs."""
BARE = "nvme"
"""For the root of a guest without a ramdisk: a driver that kernels have built in."""
ROOTS = {"virtio-blk-pci": "/dev/vda", "nvme": "/dev/nvme0n1"}
PARTITIONED = {"virtio-blk-pci": "/dev/vda1", "nvme": "/dev/nvme0n1p1"}


@dataclass(frozen=True, slots=True)
class Drive:
    """A qcow2 file as a disk; `node` names it in the monitor, `serial` in the guest."""

    node: str
    path: Path
    serial: str
    backing: Path | None = None
    """The file beneath it."""
    controller: str = CONTROLLERS[""]


@dataclass(frozen=True, slots=True)
class Nic:
    """The one interface of a guest on user-mode networking."""

    mac: str
    address: str
    gateway: str
    resolver: str
    restricted: bool
    """Nothing may leave but answers, and what goes to the metadata service."""
    metadata_socket: Path
    tenant: str
    model: str = NICS[""]


@dataclass(frozen=True, slots=True)
class Tap:
    """An interface in the networks of the daemon, by an open descriptor of this process."""

    name: str
    mac: str
    descriptor: int
    model: str = NICS[""]

    @property
    def netdev(self) -> str:
        return self.netdev_of(self.name)

    @staticmethod
    def netdev_of(name: str) -> str:
        return f"tap-{name}"


@dataclass(frozen=True, slots=True)
class Kernel:
    kernel: Path
    ramdisk: Path | None
    arguments: str


@dataclass(frozen=True, slots=True)
class Machine:
    native: str
    name: str
    """The process's name, by which a machine is found again."""
    directory: Path
    cpus: int
    memory: int
    accelerator: str
    uuid: str
    product: str
    drives: tuple[Drive, ...]
    nic: Nic | tuple[Tap, ...]
    kernel: Kernel | None
    user: tuple[str, ...] = ()
    """Options by which QEMU becomes another user once it has opened all that it was started with; none: it stays."""


def escape(text: str) -> str:
    """QEMU's option lists are separated by commas; a doubled one is part of a value."""
    return text.replace(",", ",,")


def command(machine: Machine) -> list[str]:
    """The command that is a machine, to be run in the machine's directory."""
    hardware = [*_base(machine), *_kernel(machine), *_drives(machine), *_network(machine)]
    return ["setpriv", "--no-new-privs", QEMU, *machine.user, *hardware, *_control(machine)]


def _base(machine: Machine) -> Iterator[str]:
    accelerator, cpu = ACCELERATORS[machine.accelerator]
    accelerator = accelerator.format(code=SMALL_CODE if machine.memory <= SMALL_MIB else CODE)
    yield from ("-name", f"guest={machine.name}", "-machine", "pc", "-accel", accelerator, "-cpu", cpu)
    yield from ("-smp", str(machine.cpus), "-m", f"{machine.memory}M")
    yield from ("-nodefaults", "-no-user-config", "-display", "none", "-rtc", "base=utc")
    yield from ("-sandbox", _sandbox(machine))
    identity = f"uuid={machine.uuid},serial={machine.uuid}"
    yield from ("-smbios", f"type=1,manufacturer=Amazon EC2,product={escape(machine.product)},{identity}")
    yield from ("-device", "virtio-rng-pci")
    yield from ("-device", f"virtio-balloon-pci,id={BALLOON},free-page-reporting=on")
    yield from ("-device", "pvpanic-pci", "-action", "panic=none")
    if machine.kernel is None:
        yield from ("-vga", "std")  # boot loaders of imported images may insist on a screen


def _sandbox(machine: Machine) -> str:
    """What the machine may ask of the host's kernel.

    User-mode networking starts a program for each connection to the metadata service, and a machine that becomes
    another user has to change its ids; those rights are taken from all others.
    """
    denied = ["obsolete", "resourcecontrol"]
    if not isinstance(machine.nic, Nic):
        denied += ["spawn"] if machine.user else ["spawn", "elevateprivileges"]
    return ",".join(["on", *(f"{one}=deny" for one in denied)])


def _kernel(machine: Machine) -> Iterator[str]:
    if kernel := machine.kernel:
        yield from ("-kernel", str(kernel.kernel), "-append", kernel.arguments)
        if kernel.ramdisk:
            yield from ("-initrd", str(kernel.ramdisk))


def blockdev(drive: Drive, file: str, backing: str = "") -> dict[str, object]:
    """The drive as QMP's `blockdev-add` takes it, by what QEMU knows its file, and the one beneath it, as."""
    beneath = {"driver": "qcow2", "read-only": True, "file": {"driver": "file", "filename": backing}}
    own: dict[str, object] = {"driver": "qcow2", "node-name": drive.node, "discard": "unmap"}
    own |= {"file": {"driver": "file", "filename": file}}
    return {**own, "backing": beneath} if backing else own


def device(drive: Drive) -> dict[str, object]:
    """The drive's controller as QMP's `device_add` takes it."""
    return {"driver": drive.controller, "id": drive.node, "drive": drive.node, "serial": drive.serial}


def _drives(machine: Machine) -> Iterator[str]:
    for index, drive in enumerate(machine.drives):
        file = f"file.driver=file,file.filename={escape(str(drive.path))}"
        yield from ("-blockdev", f"driver=qcow2,node-name={drive.node},discard=unmap,{file}")
        options = ",".join(f"{key}={value}" for key, value in device(drive).items())
        yield from ("-device", options + (",bootindex=0" if index == 0 and machine.kernel is None else ""))


def tap_device(tap: Tap) -> dict[str, object]:
    """The interface as QMP's `device_add` takes it."""
    return {"driver": tap.model, "id": tap.name, "netdev": tap.netdev, "mac": tap.mac, "romfile": ""}


def _network(machine: Machine) -> Iterator[str]:
    if isinstance(machine.nic, Nic):
        yield from _slirp(machine, machine.nic)
        return
    for tap in machine.nic:
        yield from ("-netdev", f"tap,id={tap.netdev},fd={tap.descriptor}")
        yield from ("-device", ",".join(f"{key}={value}" for key, value in tap_device(tap).items()))


def _slirp(machine: Machine, nic: Nic) -> Iterator[str]:
    python = (sys.executable, "-S", "-E", "-I", str(RELAY))
    relay = shlex.join([*python, str(nic.metadata_socket), nic.tenant, machine.native])
    options = [
        f"user,id=net0,ipv6=off,net={NETWORK},host={nic.gateway},dns={nic.resolver},dhcpstart={nic.address}",
        f"restrict={'on' if nic.restricted else 'off'}",
        f"guestfwd=tcp:{METADATA}:80-cmd:{escape(relay)}",
    ]
    yield from ("-netdev", ",".join(options))
    yield from ("-device", f"{nic.model},netdev=net0,mac={nic.mac},romfile=")


def _control(machine: Machine) -> Iterator[str]:
    """All paths are relative: a socket's path may be at most 107 bytes long."""
    yield from ("-chardev", "socket,id=console,path=console.sock,server=on,wait=off,logfile=console.log,logappend=on")
    yield from ("-serial", "chardev:console")
    yield from journal.ARGUMENTS
    for name in ("qmp", "rescue"):
        yield from ("-qmp", f"unix:{name}.sock,server=on,wait=off")
    yield from ("-pidfile", str(machine.directory / "qemu.pid"))
