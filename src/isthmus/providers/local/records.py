"""What is kept of each thing: the noun as it is shown, whose it is, and what only this cloud needs to know."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.model import Address, Firewall, Image, Key, Network, Port, Server, Snapshot, Subnet, Volume, Wiring


@dataclass(frozen=True, slots=True)
class ServerRecord:
    tenant: str
    noun: Server
    """Without its ports, which have records of their own."""
    made: int
    """When it was made, in nanoseconds: the order of lists."""
    kernel_blob: str = ""
    ramdisk_blob: str = ""
    partitioned: bool = False
    pid: int = 0
    birth: int = 0
    """The process's start time in clock ticks since the host's boot: a pid alone may be somebody else's by now."""
    host: str = ""
    """The boot of the host in which the process was started, or empty if that is not known."""
    booted: bool = False
    """It has run before."""
    rebooting: bool = False
    """Its guest is being shut down, to be started again within the same machine."""
    tapped: bool = False
    """The process that runs is in the networks of the daemon, else on a user-mode network of its own."""


@dataclass(frozen=True, slots=True)
class VolumeRecord:
    tenant: str
    noun: Volume
    made: int
    backing: str = ""
    """The blob beneath the volume, or empty."""
    blank: bool = False
    """The file has not been made yet."""
    forced: bool = False
    """It is being taken away whatever the guest says."""


@dataclass(frozen=True, slots=True)
class SnapshotRecord:
    tenant: str
    noun: Snapshot
    made: int
    blob: str
    job: str = ""
    """The native of the server whose machine copies it, if one does."""
    into: str = ""
    """The volume that this is the contents of: nobody sees it as a snapshot, and it goes when it is complete."""


@dataclass(frozen=True, slots=True)
class ImageRecord:
    tenant: str
    noun: Image
    made: int
    blob: str = ""
    """Of a kernel or a ramdisk: the file."""
    partitioned: bool = False
    """The root disk has a table of partitions, the first of which is the root."""


@dataclass(frozen=True, slots=True)
class NetworkRecord:
    tenant: str
    noun: Network
    made: int
    firewall: str
    """The native of its default firewall."""
    wiring: Wiring | None = None
    """None for a default network that was never wired anew."""
    gone: bool = False
    """It was deleted: a tenant's first default network is there unless a record says otherwise."""


@dataclass(frozen=True, slots=True)
class SubnetRecord:
    tenant: str
    noun: Subnet
    """Its `free` is counted when it is shown."""
    made: int
    gone: bool = False
    """It was deleted, as in NetworkRecord."""


@dataclass(frozen=True, slots=True)
class PortRecord:
    tenant: str
    noun: Port
    made: int


@dataclass(frozen=True, slots=True)
class FirewallRecord:
    tenant: str
    noun: Firewall
    made: int


@dataclass(frozen=True, slots=True)
class AddressRecord:
    tenant: str
    noun: Address
    """Its `server` is that of its port, and is looked up when it is shown."""
    made: int


@dataclass(frozen=True, slots=True)
class KeyRecord:
    tenant: str
    noun: Key
    made: int
