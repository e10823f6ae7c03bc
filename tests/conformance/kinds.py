"""Every kind of thing, every verb on one, and every capability: what the rules R go through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from isthmus.model import Dhcp, Direction, ImageDisk, Rule, Wiring
from isthmus.providers import (
    Capability,
    ImageSpec,
    ImportSpec,
    NetworkSpec,
    PortSpec,
    ServerSpec,
    SnapshotSpec,
    VolumeSpec,
)

from .kit import Maker, word


@dataclass(frozen=True)
class Kind:
    """A kind of thing: how a test makes one with a ref, lists them and deletes one."""

    needs: tuple[str, ...]
    make: Callable[[Maker, str], Any]
    every: Callable[[Any], Any]
    delete: Callable[[Any, str], None]
    some: Callable[[Any, list[str]], Any] | None = None
    """The list of given natives, where the family has it."""


KINDS = {
    "volume": Kind(
        ("volumes",),
        lambda made, ref: made.volume(ref),
        lambda session: session.volumes.list_volumes(),
        lambda session, native: session.volumes.delete_volume(native),
        lambda session, natives: session.volumes.list_volumes(natives),
    ),
    "snapshot": Kind(
        ("volumes",),
        lambda made, ref: made.snapshot(ref),
        lambda session: session.volumes.list_snapshots(),
        lambda session, native: session.volumes.delete_snapshot(native),
        lambda session, natives: session.volumes.list_snapshots(natives),
    ),
    "image": Kind(
        ("images", Capability.IMAGE_OF_SNAPSHOT),
        lambda made, ref: made.image(ref),
        lambda session: session.images.list_images(),
        lambda session, native: session.images.delete_image(native),
        lambda session, natives: session.images.list_images(natives),
    ),
    "network": Kind(
        ("networks", Capability.NETWORKS),
        lambda made, ref: made.network(ref),
        lambda session: session.networks.list_networks(),
        lambda session, native: session.networks.delete_network(native),
    ),
    "subnet": Kind(
        ("networks", Capability.NETWORKS),
        lambda made, ref: made.subnet(ref),
        lambda session: session.networks.list_subnets(),
        lambda session, native: session.networks.delete_subnet(native),
    ),
    "port": Kind(
        ("ports", Capability.PORTS),
        lambda made, ref: made.port(ref),
        lambda session: session.ports.list_ports(),
        lambda session, native: session.ports.delete_port(native),
    ),
    "firewall": Kind(
        ("firewalls",),
        lambda made, ref: made.firewall(ref),
        lambda session: session.firewalls.list_firewalls(),
        lambda session, native: session.firewalls.delete_firewall(native),
    ),
    "address": Kind(
        ("addresses",),
        lambda made, ref: made.address(ref),
        lambda session: session.addresses.list_addresses(),
        lambda session, native: session.addresses.release_address(native),
    ),
    "key": Kind(
        ("keys",),
        lambda made, ref: made.key(ref),
        lambda session: session.keys.list_keys(),
        lambda session, native: session.keys.delete_key(native),
    ),
}
SERVER = Kind(
    ("compute", Capability.LAUNCH),
    lambda made, _: made.session.compute.list_servers()[0],
    lambda session: session.compute.list_servers(),
    lambda session, native: session.compute.delete_server(native),
    lambda session, natives: session.compute.list_servers(natives),
)

A_RULE = Rule(Direction.INGRESS, "tcp", 22, 22, cidr="192.0.2.0/24")


@dataclass(frozen=True)
class Verb:
    """A verb on one thing of a kind."""

    kind: str
    needs: tuple[str, ...]
    call: Callable[[Any, str], Any]


VERBS = {
    "start": Verb("server", ("compute",), lambda on, native: on.compute.start_server(native)),
    "stop": Verb("server", ("compute",), lambda on, native: on.compute.stop_server(native)),
    "force-stop": Verb("server", ("compute",), lambda on, native: on.compute.stop_server(native, force=True)),
    "reboot": Verb("server", ("compute",), lambda on, native: on.compute.reboot_server(native)),
    "resize": Verb(
        "server",
        ("compute", Capability.RESIZE),
        lambda on, native: on.compute.resize_server(native, on.compute.list_flavors()[0].native),
    ),
    "user-data": Verb(
        "server", ("compute", Capability.USER_DATA), lambda on, native: on.compute.set_user_data(native, b"changed")
    ),
    "console": Verb("server", ("compute", Capability.CONSOLE), lambda on, native: on.compute.console_output(native)),
    "password": Verb("server", ("compute", Capability.PASSWORD), lambda on, native: on.compute.password_data(native)),
    "counters": Verb("server", ("metrics",), lambda on, native: on.metrics.counters(native)),
    "image-of": Verb(
        "server",
        ("images", Capability.IMAGE_OF_SERVER),
        lambda on, native: on.images.create_image(
            ImageSpec(word(), word(), server=native or "none", snapshot_refs=(word(), word()))
        ),
    ),
    "attach": Verb(
        "volume", ("volumes",), lambda on, native: on.volumes.attach_volume(native, "no-such-server", "/dev/sdh")
    ),
    "detach": Verb("volume", ("volumes",), lambda on, native: on.volumes.detach_volume(native, "no-such-server")),
    "grow": Verb(
        "volume", ("volumes", Capability.VOLUME_RESIZE), lambda on, native: on.volumes.resize_volume(native, 9)
    ),
    "retype": Verb(
        "volume", ("volumes", Capability.VOLUME_RETYPE), lambda on, native: on.volumes.retype_volume(native, "", 0)
    ),
    "keep": Verb(
        "volume",
        ("volumes",),
        lambda on, native: on.volumes.set_delete_with_server(native, "no-such-server", True),
    ),
    "snapshot": Verb(
        "volume", ("volumes",), lambda on, native: on.volumes.create_snapshot(SnapshotSpec(word(), native))
    ),
    "share-snapshot": Verb(
        "snapshot",
        ("volumes", Capability.SNAPSHOT_SHARE),
        lambda on, native: on.volumes.share_snapshot(native, public=True, tenants=[]),
    ),
    "describe-image": Verb(
        "image", ("images",), lambda on, native: on.images.describe_image(native, "changed by another")
    ),
    "share-image": Verb(
        "image",
        ("images", Capability.IMAGE_SHARE),
        lambda on, native: on.images.share_image(native, public=True, tenants=[]),
    ),
    "add-range": Verb(
        "network",
        ("networks", Capability.NETWORK_RANGES),
        lambda on, native: on.networks.add_range(native, "10.9.0.0/16"),
    ),
    "remove-range": Verb(
        "network",
        ("networks", Capability.NETWORK_RANGES),
        lambda on, native: on.networks.remove_range(native, "10.9.0.0/16"),
    ),
    "wire": Verb("network", ("networks",), lambda on, native: on.networks.wire(native, Wiring())),
    "wiring": Verb("network", ("networks",), lambda on, native: on.networks.wiring_of(native)),
    "attach-port": Verb(
        "port", ("ports", Capability.PORTS), lambda on, native: on.ports.attach_port(native, "no-such-server", 1)
    ),
    "detach-port": Verb("port", ("ports", Capability.PORTS), lambda on, native: on.ports.detach_port(native)),
    "add-addresses": Verb(
        "port", ("ports", Capability.PORT_ADDRESSES), lambda on, native: on.ports.add_addresses(native, [], 1)
    ),
    "remove-addresses": Verb(
        "port", ("ports", Capability.PORT_ADDRESSES), lambda on, native: on.ports.remove_addresses(native, ["10.0.0.1"])
    ),
    "set-firewalls": Verb(
        "port",
        ("ports", "firewalls", Capability.PORT_FIREWALLS),
        lambda on, native: on.ports.set_firewalls(native, [on.firewalls.list_firewalls()[0].native]),
    ),
    "source-check": Verb("port", ("ports",), lambda on, native: on.ports.set_source_check(native, False)),
    "keep-port": Verb("port", ("ports",), lambda on, native: on.ports.set_delete_with_server(native, True)),
    "add-rules": Verb("firewall", ("firewalls",), lambda on, native: on.firewalls.add_rules(native, [A_RULE])),
    "remove-rules": Verb("firewall", ("firewalls",), lambda on, native: on.firewalls.remove_rules(native, [A_RULE])),
    "associate": Verb(
        "address", ("addresses",), lambda on, native: on.addresses.associate_address(native, "no-such-port")
    ),
    "disassociate": Verb("address", ("addresses",), lambda on, native: on.addresses.disassociate_address(native)),
}

NONE = "no-such-thing"


def _rewire(wiring: Wiring, on: Any, _: ServerSpec) -> None:
    """Wire the default network in another way than it is."""
    on.networks.wire(on.networks.list_networks()[0].native, wiring)


LACKING: dict[Capability, tuple[str, Callable[[Any, ServerSpec], Any]]] = {
    Capability.LAUNCH: ("compute", lambda on, plain: on.compute.create_server(replace(plain, ref=word()))),
    Capability.CONSOLE: ("compute", lambda on, _: on.compute.console_output(NONE)),
    Capability.PASSWORD: ("compute", lambda on, _: on.compute.password_data(NONE)),
    Capability.RESIZE: ("compute", lambda on, _: on.compute.resize_server(NONE, NONE)),
    Capability.USER_DATA: ("compute", lambda on, _: on.compute.set_user_data(NONE, b"changed")),
    Capability.KERNEL: (
        "compute",
        lambda on, plain: on.compute.create_server(replace(plain, ref=word(), kernel=NONE)),
    ),
    Capability.PORTS: ("ports", lambda on, _: on.ports.create_port(PortSpec(word(), NONE))),
    Capability.SERVER_PORTS: (
        "compute",
        lambda on, plain: on.compute.create_server(
            replace(plain, ref=word(), further=(PortSpec("", NONE, delete_with_server=True),))
        ),
    ),
    Capability.PORT_FIREWALLS: ("ports", lambda on, _: on.ports.set_firewalls(NONE, [NONE])),
    Capability.PORT_ADDRESSES: ("ports", lambda on, _: on.ports.add_addresses(NONE, [], 1)),
    Capability.NETWORK_RANGES: ("networks", lambda on, _: on.networks.add_range(NONE, "10.9.0.0/16")),
    **{
        capability: ("networks", partial(_rewire, wiring))
        for capability, wiring in {
            Capability.ROUTES: Wiring(),
            Capability.DHCP: Wiring(dhcp=Dhcp("example.org")),
            Capability.PEERING: Wiring(internet=True, peers=(NONE,)),
        }.items()
    },
    Capability.VOLUME_RESIZE: ("volumes", lambda on, _: on.volumes.resize_volume(NONE, 2)),
    Capability.VOLUME_RETYPE: ("volumes", lambda on, _: on.volumes.retype_volume(NONE, "", 0)),
    Capability.VOLUME_COPY: (
        "volumes",
        lambda on, plain: on.volumes.create_volume(VolumeSpec(word(), 0, plain.zone, source=NONE)),
    ),
    Capability.IMAGE_OF_SERVER: (
        "images",
        lambda on, _: on.images.create_image(ImageSpec(word(), word(), server=NONE)),
    ),
    Capability.IMAGE_OF_SNAPSHOT: (
        "images",
        lambda on, _: on.images.create_image(ImageSpec(word(), word(), disks=(ImageDisk("/dev/sda1", 1, NONE),))),
    ),
    Capability.IMAGE_SHARE: ("images", lambda on, _: on.images.share_image(NONE, public=True, tenants=[])),
    Capability.SNAPSHOT_SHARE: ("volumes", lambda on, _: on.volumes.share_snapshot(NONE, public=True, tenants=[])),
    Capability.SNAPSHOT_COPY: (
        "volumes",
        lambda on, _: on.volumes.create_snapshot(SnapshotSpec(word(), "", source=NONE)),
    ),
    Capability.IMAGE_COPY: ("images", lambda on, _: on.images.create_image(ImageSpec(word(), word(), source=NONE))),
    Capability.IMAGE_URL: (
        "images",
        lambda on, _: on.images.create_image(ImageSpec(word(), word(), url="http://example.org/disk.qcow2")),
    ),
    Capability.IMAGE_IMPORT: (
        "images",
        lambda on, _: on.images.import_image(ImportSpec(word(), word(), Path("/nowhere"), "raw")),
    ),
    Capability.EGRESS_RULES: (
        "firewalls",
        lambda on, _: on.firewalls.add_rules(
            on.firewalls.list_firewalls()[0].native, [replace(A_RULE, direction=Direction.EGRESS)]
        ),
    ),
    Capability.PEER_RULES: (
        "firewalls",
        lambda on, _: on.firewalls.add_rules(
            on.firewalls.list_firewalls()[0].native,
            [replace(A_RULE, cidr="", peer=on.firewalls.list_firewalls()[0].native)],
        ),
    ),
    Capability.ENCRYPTION: (
        "volumes",
        lambda on, plain: on.volumes.create_volume(VolumeSpec(word(), 1, plain.zone, encrypted=True)),
    ),
    Capability.NETWORKS: (
        "networks",
        lambda on, _: on.networks.create_network(NetworkSpec(word(), word(), "10.77.0.0/16")),
    ),
}
