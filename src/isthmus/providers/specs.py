"""What a cloud is asked to make: one spec for each kind of thing. A `ref` makes the same thing once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from isthmus.model import ImageDisk, ImageKind, Port, Subnet


@dataclass(frozen=True, slots=True)
class DiskSpec:
    """A disk of a new server. `snapshot` empty and `root` false: a blank disk. `ref` names the volume made for it."""

    ref: str
    device: str
    size: int
    type: str = ""
    iops: int = 0
    snapshot: str = ""
    root: bool = False
    delete_with_server: bool = True
    encrypted: bool = False
    local: bool = False
    """The server's own disk, no volume: it goes with the server. The root disk only, and without a `ref`."""


@dataclass(frozen=True, slots=True)
class ServerSpec:
    ref: str
    name: str
    image: str
    flavor: str
    zone: str
    disks: tuple[DiskSpec, ...]
    """The root disk first. Its contents are the image's."""
    subnet: str = ""
    address: str = ""
    """The wanted private address; empty leaves the choice to the cloud."""
    firewalls: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    """Ports that are there already, in the order of their index; then no other is made, and `subnet`, `address` and
    `firewalls` say nothing."""
    indexes: tuple[int, ...] = ()
    """The index of each of `ports`, the first one's 0; empty: 0, 1, 2 and so on."""
    further: tuple[PortSpec, ...] = ()
    """Ports made with it, at the indexes from 1 on: given only where PORTS is lacked, and SERVER_PORTS is not."""
    key: str = ""
    """The native id of a key of this cloud, where it has the family `keys`."""
    public_key: str = ""
    user_data: bytes = b""
    kernel: str = ""
    ramdisk: str = ""
    group: str = ""
    """Servers of one group share no host unless they are in the same `partition`, from 1; 0 is one's own. Given only
    where the cloud has PLACEMENT."""
    partition: int = 0


@dataclass(frozen=True, slots=True)
class VolumeSpec:
    ref: str
    size: int
    zone: str
    type: str = ""
    iops: int = 0
    snapshot: str = ""
    encrypted: bool = False
    name: str = ""
    source: str = ""
    """The volume to copy, as it is at this moment; it may be attached."""


@dataclass(frozen=True, slots=True)
class SnapshotSpec:
    """A new snapshot: of `volume`, or else a copy of the snapshot `source`."""

    ref: str
    volume: str
    description: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """A new image: of `server`, a copy of `source`, of what is at `url` (of `sha256`), or of `disks`, root first."""

    ref: str
    name: str
    description: str = ""
    server: str = ""
    disks: tuple[ImageDisk, ...] = ()
    """With `server`: what replaces or adds to the server's own disks, by device."""
    without: tuple[str, ...] = ()
    """With `server`: devices to leave out."""
    root_device: str = ""
    architecture: str = "x86_64"
    kernel: str = ""
    ramdisk: str = ""
    platform: str = ""
    snapshot_refs: tuple[str, ...] = ()
    """With `server` or `source`: the refs of the snapshots made on the way, in the order of its disks by device."""
    reboot: bool = True
    """With `server`: stop the file systems first, by a restart where the cloud needs one."""
    source: str = ""
    """The image to copy, with the name, description and refs given here and all else as it is."""
    url: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class ImportSpec:
    """An image from a file on this host, already checked: `format` is raw, qcow2, vmdk or vpc."""

    ref: str
    name: str
    path: Path
    format: str
    kind: ImageKind = ImageKind.MACHINE
    description: str = ""
    architecture: str = "x86_64"
    platform: str = ""
    public: bool = False
    kernel: str = ""
    ramdisk: str = ""


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """With `default`, the one that servers are in who name none; a tenant has at most one."""

    ref: str
    name: str
    cidr: str
    default: bool = False


@dataclass(frozen=True, slots=True)
class SubnetSpec:
    ref: str
    name: str
    network: str
    cidr: str
    zone: str
    default: bool = False
    """Whether it is that of its zone for servers who name none; there is at most one, in the default network."""


@dataclass(frozen=True, slots=True)
class PortSpec:
    ref: str
    subnet: str
    address: str = ""
    """The wanted private address; empty leaves the choice to the cloud."""
    secondary: tuple[str, ...] = ()
    """Further private addresses, and `count` more of the cloud's choice."""
    count: int = 0
    firewalls: tuple[str, ...] = ()
    """None: the network's default one."""
    delete_with_server: bool = False

    def port(self, native: str, mac: str, subnet: Subnet, firewalls: tuple[str, ...], addresses: Sequence[str]) -> Port:
        """What a cloud that keeps ports itself makes of it, on no server."""
        return Port(
            native=native,
            mac=mac,
            address=addresses[0],
            subnet=subnet.native,
            network=subnet.network,
            firewalls=firewalls,
            ref=self.ref,
            secondary=tuple(addresses[1:]),
            delete_with_server=self.delete_with_server,
        )


@dataclass(frozen=True, slots=True)
class FirewallSpec:
    ref: str
    name: str
    description: str
    network: str = ""


@dataclass(frozen=True, slots=True)
class AddressSpec:
    ref: str
    address: str = ""
    """A wanted address; empty leaves the choice to the cloud."""
    zone: str = ""
    """The zone whose servers it is to serve, where a cloud lacks ADDRESS_ANY_ZONE; empty: the first."""
    subnet: str = ""
    """A subnet that it is likely to be for; empty: nobody knows. A cloud may make use of that."""


@dataclass(frozen=True, slots=True)
class KeySpec:
    ref: str
    name: str
    public: str
