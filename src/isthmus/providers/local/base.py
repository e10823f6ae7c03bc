"""What all families of one cloud share: its directory, records, locks and settings."""

from __future__ import annotations

import hashlib
import logging
import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from isthmus.errors import Conflict, Invalid, NotFound, Unavailable
from isthmus.model import Flavor, Server, ServerState, SnapshotState, Zone
from isthmus.providers.local import disks, journal, process
from isthmus.providers.local.netd.client import Netd
from isthmus.providers.local.qmp import Qmp
from isthmus.providers.local.records import (
    AddressRecord,
    FirewallRecord,
    ImageRecord,
    KeyRecord,
    NetworkRecord,
    PortRecord,
    ServerRecord,
    SnapshotRecord,
    SubnetRecord,
    VolumeRecord,
)
from isthmus.providers.local.tables import CloudLock, FileLock, Table
from isthmus.providers.local.way import NAMESPACES, SLIRP, Way, choose

_log = logging.getLogger(__name__)
FLAVORS = (
    Flavor("t2.nano", "t2.nano", 1, 512),
    Flavor("t2.micro", "t2.micro", 1, 1024),
    Flavor("t2.small", "t2.small", 1, 2048),
    Flavor("t2.medium", "t2.medium", 2, 4096),
)
FROM_WITHIN = "the guest was shut down from within"
KILLED = "the machine's process was killed, or ended by itself"


class Limits(NamedTuple):
    """How much all guests together may use, by their flavors; 0 for as much as there is."""

    memory: int = 0
    """MiB."""
    cpus: int = 0


NO_LIMITS = Limits()


class Base:
    """One cloud's state. Several processes, each with a Base of its own, may share one directory."""

    def __init__(
        self,
        name: str,
        state: Path,
        zones: Sequence[str],
        flavors: Sequence[Flavor],
        metadata_socket: Path | None,
        limits: Limits = NO_LIMITS,
        network: str = SLIRP,
        public: str = "",
        user: str = "",
    ) -> None:
        self.name = name
        self.state = state.absolute()
        self.zones = tuple(Zone(zone) for zone in zones)
        self.limits = limits
        self.flavors = {flavor.native: flavor for flavor in flavors or FLAVORS}
        self.metadata_socket = (metadata_socket or state / "metadata.sock").absolute()
        self.prefix = f"isthmus.{hashlib.sha256(os.fsencode(self.state)).hexdigest()[:12]}."
        """What the names of this cloud's machines begin with, so that their processes can be told from all others."""
        self.routed = public
        """The range of public addresses that is routed to guests; empty: they are loopback addresses of this host."""
        self.netd_directory = self.state / "net"
        self.netd = Netd(self.netd_directory, self.prefix.strip(".").replace(".", "-"))
        self._network = network
        self._user = user
        try:
            for directory in ("blobs", "disks", "run", "locks", "slots"):
                (self.state / directory).mkdir(mode=0o700, parents=True, exist_ok=True)
            self.servers = Table(self.state / "servers", ServerRecord, "server")
            self.volumes = Table(self.state / "volumes", VolumeRecord, "volume")
            self.snapshots = Table(self.state / "snapshots", SnapshotRecord, "snapshot")
            self.images = Table(self.state / "images", ImageRecord, "image")
            self.networks = Table(self.state / "networks", NetworkRecord, "network")
            self.subnets = Table(self.state / "subnets", SubnetRecord, "subnet")
            self.ports = Table(self.state / "ports", PortRecord, "port")
            self.firewalls = Table(self.state / "firewalls", FirewallRecord, "firewall")
            self.addresses = Table(self.state / "addresses", AddressRecord, "address")
            self.keys = Table(self.state / "keys", KeyRecord, "key")
        except OSError as error:
            raise Unavailable(f"the directory of the cloud {name} cannot be written: {error.strerror}") from error
        self.lock = CloudLock(self.state / "lock")

    @cached_property
    def way(self) -> Way:
        """Which way guests are connected, chosen once."""
        return choose(self._network)

    @property
    def namespaces(self) -> bool:
        """Whether guests that are started now are in the networks of the daemon."""
        return self.way.name == NAMESPACES

    @property
    def user(self) -> str:
        """Whom machines belong to that are started now; empty for this process's own user.

        User-mode networking starts a relay for each connection to the metadata service, by a program and to a socket
        that another user may not reach.
        """
        return self._user if self.namespaces else ""

    def tapped(self, record: ServerRecord) -> bool:
        """Whether a server is in the networks of the daemon: a machine stays on what it was started on."""
        return self.namespaces if record.noun.state is ServerState.PENDING else record.tapped

    @property
    def networks_lock(self) -> FileLock:
        """Held while the daemon of networks is told what to do. Taken after `lock_of`, and never with `lock` held."""
        return FileLock(self.state / "locks" / "networks")

    def disk(self, volume: str) -> Path:
        return self.state / "disks" / f"{volume}.qcow2"

    def blob(self, name: str) -> Path:
        return self.state / "blobs" / name

    def run(self, server: str) -> Path:
        return self.state / "run" / server

    def lock_of(self, native: str) -> FileLock:
        """Held while a server's machine, or a volume's file, is being worked on. Taken before `lock`, never within."""
        return FileLock(self.state / "locks" / native)

    def monitor(self, server: str, timeout: float = 10) -> Qmp:
        """Connect to a running machine; the caller holds the server's lock."""
        return Qmp(self.run(server) / "qmp.sock", timeout)

    def machine_name(self, server: str) -> str:
        return self.prefix + server

    def zone(self, name: str) -> None:
        if all(zone.name != name for zone in self.zones):
            raise Invalid(f"there is no zone {name!r}", "zone")

    def flavor(self, native: str) -> Flavor:
        if flavor := self.flavors.get(native):
            return flavor
        raise Invalid(f"there is no flavor {native!r}", "flavor")

    def state_of(self, record: ServerRecord) -> ServerState:
        """The state that holds now: a machine may have ended since the record was written.

        One that the host has taken down with itself is to run again.
        """
        if record.noun.state is ServerState.RUNNING and not process.alive(record.pid, record.birth):
            rebooted = record.host and record.host != process.host_boot()
            return ServerState.PENDING if rebooted else ServerState.STOPPED
        return record.noun.state

    def view(self, record: ServerRecord) -> Server:
        """The server as it is now, without its ports; of one whose machine ended by itself, why."""
        state = self.state_of(record)
        if state is record.noun.state:
            return record.noun
        within = journal.shut_down_from_within(self.run(record.noun.native)) and not record.rebooting
        if state is not ServerState.STOPPED:
            return replace(record.noun, state=state, reason="")
        return replace(record.noun, state=state, reason=FROM_WITHIN if within else KILLED, shut_down=within)

    def on_server(self, server: str) -> list[VolumeRecord]:
        """The volumes attached to a server, in whatever state, by device."""
        found = [
            volume
            for volume in self.volumes.everything()
            if any(link.server == server for link in volume.noun.attachments)
        ]
        return sorted(found, key=lambda volume: volume.noun.attachments[0].device)

    def snapshot_for(self, tenant: str, native: str) -> SnapshotRecord:
        """A completed snapshot that the tenant may use; NotFound or Conflict."""
        record = self.snapshots.raw(native)
        if record is None or not seen(record, tenant):
            raise NotFound("snapshot", native)
        if record.noun.state is not SnapshotState.COMPLETED:
            raise Conflict("snapshot", native, f"the snapshot {native} is {record.noun.state}")
        return record

    def image_for(self, tenant: str, native: str) -> ImageRecord:
        record = self.images.raw(native)
        if record is None or not seen(record, tenant):
            raise NotFound("image", native)
        return record

    def release_blob(self, name: str) -> None:
        """Delete a blob that nothing needs any more. Called with the lock held, after the record is gone."""
        if name and name not in self.needed_blobs():
            self.blob(name).unlink(missing_ok=True)

    def needed_blobs(self) -> set[str]:
        needed = {record.blob for record in self.snapshots.everything()}
        needed |= {record.blob for record in self.images.everything()}
        needed |= {record.backing for record in self.volumes.everything()}
        for server in self.servers.everything():
            needed |= {server.kernel_blob, server.ramdisk_blob}
        return needed


def seen(record: SnapshotRecord | ImageRecord, tenant: str) -> bool:
    """Whether the tenant may see and use it."""
    if isinstance(record, SnapshotRecord) and record.into:
        return False
    noun = record.noun
    return record.tenant == tenant or noun.public or tenant in noun.shared_with


def native(word: str) -> str:
    """A new native id."""
    return f"{word}-{uuid.uuid4().hex[:16]}"


def now() -> datetime:
    return datetime.now(UTC)


def made() -> int:
    return time.time_ns()


def fitting_size(asked: int, least: int) -> int:
    """`asked` GiB, or `least` for 0; Invalid if it is too small or too large."""
    size = asked or least
    if size < max(1, least):
        raise Invalid(f"a size of {asked} GiB is less than {max(1, least)} GiB", "size")
    if size > disks.LARGEST:
        raise Invalid(f"a disk has at most {disks.LARGEST} GiB", "size")
    return size
