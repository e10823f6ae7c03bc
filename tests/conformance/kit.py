"""What the tests of every family use: looking until a state is there, making things and clearing them away."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from isthmus.errors import Conflict, Fault, NotFound
from isthmus.model import (
    Address,
    AttachmentState,
    Firewall,
    Image,
    ImageDisk,
    ImageState,
    Key,
    Network,
    Port,
    Server,
    ServerState,
    Snapshot,
    SnapshotState,
    Subnet,
    Volume,
    VolumeState,
)
from isthmus.providers import (
    AddressSpec,
    Capability,
    Cloud,
    DiskSpec,
    FirewallSpec,
    ImageSpec,
    KeySpec,
    NetworkSpec,
    PortSpec,
    ServerSpec,
    SnapshotSpec,
    SubnetSpec,
    VolumeSpec,
)

from .clouds import Candidate

T = TypeVar("T")

FAMILIES = ("compute", "volumes", "images", "networks", "ports", "firewalls", "addresses", "keys", "metrics", "labels")


RUN = f"conformance-{secrets.token_hex(3)}"
"""What all refs and names of this run begin with: the tenants of a real cloud may have things of others."""


def word() -> str:
    """A ref or name that nothing else has."""
    return f"{RUN}-{secrets.token_hex(6)}"


def public_key() -> str:
    key = Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


@contextmanager
def refused(fault: type[Fault], **expected: str) -> Iterator[None]:
    """The block raises `fault` with these attributes (`code`, `kind`, `field`)."""
    with pytest.raises(fault) as caught:
        yield
    assert expected == {name: getattr(caught.value, name) for name in expected}, str(caught.value)


def missing(cloud: Cloud, session: Any, needs: tuple[str, ...]) -> str:
    """Why a test with these needs (families and capabilities) does not apply, or empty."""
    for need in needs:
        if isinstance(need, Capability):
            if need in cloud.lacks:
                return f"{cloud.name} cannot {need}: {cloud.lacks[need]}"
        elif getattr(session, need) is None:
            return f"{cloud.name} has no {need}"
    return ""


@dataclass(frozen=True)
class Patience:
    """Looks at a cloud until something is so."""

    candidate: Candidate

    def until(self, look: Callable[[], T], good: Callable[[T], bool], what: str) -> T:
        deadline = time.monotonic() + self.candidate.limit
        while not good(seen := look()):
            assert time.monotonic() < deadline, f"not {what} after {self.candidate.limit} s; last seen: {seen}"
            time.sleep(self.candidate.pause)
        return seen

    def server(self, session: Any, native: str, state: ServerState) -> Server:
        found: Server = self._state(lambda: session.compute.list_servers([native]), state)
        return found

    def volume(self, session: Any, native: str, state: VolumeState = VolumeState.AVAILABLE) -> Volume:
        found: Volume = self._state(lambda: session.volumes.list_volumes([native]), state)
        return found

    def attached(self, session: Any, native: str) -> Volume:
        def good(found: list[Volume]) -> bool:
            return [link.state for link in found[0].attachments] == [AttachmentState.ATTACHED]

        look: Callable[[], list[Volume]] = partial(session.volumes.list_volumes, [native])
        return self.until(look, good, "attached")[0]

    def snapshot(self, session: Any, native: str) -> Snapshot:
        found: Snapshot = self._state(lambda: session.volumes.list_snapshots([native]), SnapshotState.COMPLETED)
        return found

    def image(self, session: Any, native: str) -> Image:
        found: Image = self._state(lambda: session.images.list_images([native]), ImageState.AVAILABLE)
        return found

    def gone(self, look: Callable[[], Any], native: str) -> None:
        self.until(look, lambda found: all(item.native != native for item in found), f"gone: {native}")

    def _state(self, look: Callable[[], Sequence[T]], state: str) -> T:
        """The one thing that is looked for, once it has the state."""

        def good(found: Sequence[Any]) -> bool:
            assert found, f"gone while waiting for {state}"
            assert found[0].state == state or found[0].state != "error", found[0]
            return bool(found[0].state == state)

        return self.until(look, good, state)[0]


@dataclass
class Maker:
    """Makes things of one tenant, and clears them away in the end."""

    session: Any
    patience: Patience
    zone: str
    host: Callable[[], str]
    """A server of the tenant, for a cloud that snapshots only volumes that were on one; empty: it snapshots all."""
    clearing: list[Callable[[], None]] = field(default_factory=list)

    def clear(self) -> None:
        while self.clearing:
            with suppress(NotFound):
                self.clearing.pop()()

    def later(self, step: Callable[[], None]) -> None:
        self.clearing.append(step)

    def server(self, spec: ServerSpec) -> Server:
        server: Server = self.session.compute.create_server(spec)

        def clear() -> None:
            self.session.compute.delete_server(server.native, force=True)
            self.patience.gone(lambda: self.session.compute.list_servers([server.native]), server.native)
            if self.session.volumes is not None:
                kept = {disk.ref for disk in spec.disks}
                for volume in self.session.volumes.list_volumes():
                    if volume.ref in kept:
                        self._clear_volume(volume.native)

        self.later(clear)
        return server

    def volume(self, ref: str = "", **changes: Any) -> Volume:
        """A volume that is available."""
        spec = replace(VolumeSpec(ref or word(), 1, self.zone), **changes)
        volume = self.session.volumes.create_volume(spec)
        self.later(lambda: self._clear_volume(volume.native))
        return self.patience.volume(self.session, volume.native)

    def used(self, **changes: Any) -> Volume:
        """A volume that can be snapshot."""
        volume = self.volume(**changes)
        if host := self.host():
            self.session.volumes.attach_volume(volume.native, host, "/dev/sdu")
            self.patience.attached(self.session, volume.native)
            self.session.volumes.detach_volume(volume.native, host)
            return self.patience.volume(self.session, volume.native)
        return volume

    def snapshot(self, ref: str = "", volume: str = "", **changes: Any) -> Snapshot:
        """A completed snapshot."""
        volume = volume or ("" if "source" in changes else self.used().native)
        spec = replace(SnapshotSpec(ref or word(), volume), **changes)
        snapshot = self.session.volumes.create_snapshot(spec)
        self.later(lambda: self.session.volumes.delete_snapshot(snapshot.native))
        return self.patience.snapshot(self.session, snapshot.native)

    def image(self, ref: str = "", **changes: Any) -> Image:
        """An available image of a snapshot, or of what `changes` say."""
        if not changes.keys() & {"server", "disks", "source", "url"}:
            changes["disks"] = (ImageDisk("/dev/sda1", 1, self.snapshot().native),)
        image = self.session.images.create_image(replace(ImageSpec(ref or word(), word()), **changes))
        return self._keep_image(image)

    def imported(self, spec: Any) -> Image:
        return self._keep_image(self.session.images.import_image(spec))

    def network(self, ref: str = "", **changes: Any) -> Network:
        network: Network = self.session.networks.create_network(
            replace(NetworkSpec(ref or word(), word(), "10.77.0.0/16"), **changes)
        )
        self.later(lambda: self.session.networks.delete_network(network.native))
        return network

    def subnet(self, ref: str = "", network: str = "", **changes: Any) -> Subnet:
        spec = SubnetSpec(ref or word(), word(), network or self.network().native, "10.77.1.0/24", self.zone)
        subnet: Subnet = self.session.networks.create_subnet(replace(spec, **changes))
        self.later(lambda: self.patience.until(lambda: self._cleared(subnet), bool, "deleted"))
        return subnet

    def _cleared(self, subnet: Subnet) -> bool:
        """A server that is gone may hold its address for a while."""
        with suppress(Conflict):
            self.session.networks.delete_subnet(subnet.native)
            return True
        return False

    def port(self, ref: str = "", **changes: Any) -> Port:
        """A port of no server, in the default subnet unless `subnet` says another."""
        subnet = changes.pop("subnet", "") or default_subnet(self.session, self.zone)
        port: Port = self.session.ports.create_port(replace(PortSpec(ref or word(), subnet), **changes))

        def clear() -> None:
            with suppress(Conflict):
                self.session.ports.detach_port(port.native)
            self.session.ports.delete_port(port.native)

        self.later(clear)
        return port

    def firewall(self, ref: str = "", **changes: Any) -> Firewall:
        firewall: Firewall = self.session.firewalls.create_firewall(
            replace(FirewallSpec(ref or word(), word(), "made by the conformance suite"), **changes)
        )
        self.later(lambda: self._clear_firewall(firewall))
        return firewall

    def address(self, ref: str = "", **changes: Any) -> Address:
        address: Address = self.session.addresses.allocate_address(replace(AddressSpec(ref or word()), **changes))

        def clear() -> None:
            self.session.addresses.disassociate_address(address.native)
            self.session.addresses.release_address(address.native)

        self.later(clear)
        return address

    def key(self, ref: str = "", **changes: Any) -> Key:
        key: Key = self.session.keys.import_key(replace(KeySpec(ref or word(), word(), public_key()), **changes))
        self.later(lambda: self.session.keys.delete_key(key.native))
        return key

    def attached(self, server: str, device: str, **changes: Any) -> Volume:
        """A volume on the server."""
        volume = self.volume(**changes)
        self.session.volumes.attach_volume(volume.native, server, device)
        return self.patience.attached(self.session, volume.native)

    def _keep_image(self, image: Image) -> Image:
        def clear() -> None:
            """The image, and the snapshots that were made for it alone."""
            found = self.session.images.list_images([image.native])
            self.session.images.delete_image(image.native)
            if self.session.volumes is not None:
                for disk in (disk for one in found for disk in one.disks if disk.snapshot):
                    self.session.volumes.delete_snapshot(disk.snapshot)

        self.later(clear)
        return self.patience.image(self.session, image.native)

    def _clear_volume(self, native: str) -> None:
        volumes = self.session.volumes
        for volume in volumes.list_volumes([native]):
            for link in volume.attachments:
                volumes.detach_volume(native, link.server)
                self.patience.volume(self.session, native)
        volumes.delete_volume(native)

    def _clear_firewall(self, firewall: Firewall) -> None:
        """A cloud may take it for used for a while by servers that are gone: then it stays, without rules."""
        [now] = [one for one in self.session.firewalls.list_firewalls() if one.native == firewall.native] or [None]
        if now is not None:
            self.session.firewalls.remove_rules(now.native, now.rules)
            with suppress(Conflict):
                self.session.firewalls.delete_firewall(now.native)


def root_disk(image: Image, **changes: Any) -> DiskSpec:
    return replace(DiskSpec(word(), image.root_device or "/dev/sda1", 0, root=True), **changes)


def default_subnet(session: Any, zone: str) -> str:
    return next(str(one.native) for one in session.networks.list_subnets() if one.default and one.zone == zone)


def first_port(session: Any, server: str) -> str:
    [found] = session.compute.list_servers([server])
    return str(found.ports[0].native)
