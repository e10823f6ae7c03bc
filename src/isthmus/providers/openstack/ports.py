"""Neutron's ports as network interfaces: those of servers, and those that nobody has yet.

What is noted of one: `ref`; `first`, its first address; `index` and `since`, how it was attached; and `keep`: `1` for
one that stays when its server goes, `0` for one that Isthmus deletes then. One without is Nova's own, and goes with it.
`claim` is there while a launch has named a port and Nova has not taken it yet. `server` is the ref or native id of the
server that a port is to go with.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from itertools import count as numbers
from types import MappingProxyType
from typing import TYPE_CHECKING

from isthmus.errors import Conflict, Invalid, NotFound, Unsupported
from isthmus.model import Port, need_ref
from isthmus.providers import PortSpec
from isthmus.providers.openstack import networks, notes
from isthmus.providers.openstack.client import Client, Item, known
from isthmus.providers.openstack.firewalls import for_port
from isthmus.providers.openstack.landscape import hosts, is_own
from isthmus.providers.openstack.neutron import change, create, delete, listed, note, own, said, v4
from isthmus.together import for_each, together

if TYPE_CHECKING:
    from isthmus.providers.openstack.cloud import OpenStack

ANY = "0.0.0.0/0"
"""Among the pairs of addresses that a port may use besides its own: whatever it likes."""
CLAIM_SECONDS = 120
"""How long after a launch a port is taken for its server's, though Nova has not taken it."""
NONE: Mapping[str, str] = MappingProxyType({})
"""No members of networks."""
DETACHING_SECONDS, PAUSE_SECONDS = 30, 0.3
"""How long Nova may take to take a port off a server, and how long lies between two looks."""


class OpenStackPorts:
    def __init__(self, cloud: OpenStack, client: Client) -> None:
        self._cloud = cloud
        self._client = client

    def list_ports(self) -> Sequence[Port]:
        items, members = together(lambda: listed(self._client, "port"), lambda: self._cloud.members.of(self._client))
        return numbered(items, members)

    def create_port(self, spec: PortSpec) -> Port:
        need_ref(spec.ref, "port")
        with self._cloud.turn(spec.ref):
            members = self._cloud.members.of(self._client)
            for one in listed(self._client, "port", name=spec.ref):
                if said(one).get("ref") == spec.ref:
                    return port_of(one, members)
            subnet = own(self._client, "subnet", spec.subnet)
            guards = for_port(self._client, members, subnet["network_id"], spec.firewalls)
            wanted = [spec.address, *spec.secondary, *[""] * spec.count]
            noted = notes.dump(ref=spec.ref, first=spec.address, keep="0" if spec.delete_with_server else "1")
            item = make(self._client, subnet, guards, noted, *wanted, name=spec.ref)
            if len(wanted) > 1 and not spec.address:
                note(self._client, "port", item, first=_first(item, spec.secondary))
                item = own(self._client, "port", item["id"])
        return port_of(item, members, spec.secondary)

    def delete_port(self, native: str) -> None:
        try:
            item = self._own(native)
        except NotFound:
            return
        _demand_free(item)
        delete(self._client, "port", native)

    def attach_port(self, native: str, server: str, index: int) -> None:
        item = self._own(native)
        with self._cloud.turn(server):
            _demand_free(item)
            self._demand_place(item, server, index)
            note(self._client, "port", item, index=str(index), since=_now(), keep="1")
            body = {"interfaceAttachment": {"port_id": native}}
            self._client.post("compute", f"/servers/{server}/os-interface", body, "server", server)

    def detach_port(self, native: str) -> None:
        """Waits for Nova, as a port says nothing of being on its way."""
        item = self._own(native)
        server = item["device_id"]
        if not server:
            return
        beside = numbered(listed(self._client, "port", device_id=server))
        if any(one.native == native and one.index == 0 for one in beside):
            raise Conflict("port", native, "a server keeps its first port")
        self._client.delete("compute", f"/servers/{server}/os-interface/{native}", "server", server)
        until = time.monotonic() + DETACHING_SECONDS
        while time.monotonic() < until and any(one["id"] == native for one in self._on(server)):
            time.sleep(PAUSE_SECONDS)
            self._client.again()
        if said(item).get("keep"):
            note(self._client, "port", item, index="", since="", claim="", server="", keep="1")

    def add_addresses(self, native: str, addresses: Sequence[str], count: int = 0) -> None:
        with self._cloud.turn(native):
            item = self._own(native)
            port = port_of(item)
            fresh = [one for one in dict.fromkeys(addresses) if one not in port.secondary]
            if not fresh and not count:
                return
            subnet = own(self._client, "subnet", port.subnet)
            more = [_fixed(subnet, one) for one in [*fresh, *[""] * count]]
            note(self._client, "port", item, first=port.address)
            change(self._client, "port", native, fixed_ips=[*item["fixed_ips"], *more])

    def remove_addresses(self, native: str, addresses: Sequence[str]) -> None:
        with self._cloud.turn(native):
            item = self._own(native)
            port = port_of(item)
            for one in addresses:
                if one not in port.secondary:
                    raise Invalid(f"{one} is not a further address of the port {native}", "addresses")
            left = [one for one in item["fixed_ips"] if one["ip_address"] not in addresses]
            change(self._client, "port", native, fixed_ips=left)

    def set_firewalls(self, native: str, firewalls: Sequence[str]) -> None:
        item = self._own(native)
        if not firewalls:
            raise Invalid("a port has at least one firewall", "firewalls")
        guards = for_port(self._client, self._cloud.members.of(self._client), item["network_id"], firewalls)
        change(self._client, "port", native, security_groups=list(guards))

    def set_source_check(self, native: str, value: bool) -> None:
        """Without the check, any address may be used by the side of its own."""
        with self._cloud.turn(native):
            item = self._own(native)
            pairs = [one for one in item["allowed_address_pairs"] if one["ip_address"] != ANY]
            change(
                self._client, "port", native, allowed_address_pairs=pairs if value else [*pairs, {"ip_address": ANY}]
            )

    def set_delete_with_server(self, native: str, value: bool) -> None:
        with self._cloud.turn(native):
            item = self._own(native)
            if not item["device_id"]:
                raise Conflict("port", native, f"the port {native} is on no server")
            if said(item).get("keep"):
                note(self._client, "port", item, keep="0" if value else "1", server=item["device_id"] if value else "")
            elif not value:
                raise Unsupported("Nova made this network interface with its server, and deletes it with it.")

    def _own(self, native: str) -> Item:
        """A port that is a server's or nobody's. Raises NotFound."""
        item = own(self._client, "port", native)
        if not _usable(item):
            raise NotFound("port", native)
        return item

    def _on(self, server: str) -> list[Item]:
        return listed(self._client, "port", device_id=server)

    def _demand_place(self, item: Item, server: str, index: int) -> None:
        """Raises what stands against attaching a port to a server under an index."""
        native = item["id"]
        found = self._client.get("compute", f"/servers/{known('server', server)}", "server", server)["server"]
        if found["tenant_id"] != self._client.project:
            raise NotFound("server", server)
        zone = found["OS-EXT-AZ:availability_zone"]
        subnet = own(self._client, "subnet", port_of(item).subnet)
        if zone in self._cloud.zones and networks.zone_of(subnet, self._cloud.zones) != zone:
            raise Invalid(f"the port {native} is not in the zone {zone}", "zone")
        if index < 0:
            raise Invalid(f"{index} is no index of a port", "index")
        if any(one.index == index for one in numbered(self._on(server))):
            raise Conflict("index", str(index), f"the server {server} has a port at {index}", code="in-use")


def port_of(item: Item, members: Mapping[str, str] = NONE, order: Sequence[str] = ()) -> Port:
    """A port, of a server if one has it; its further addresses in an order. Its network is told by `members`.

    Without an address of its own (a port just being made) it has none yet.
    """
    noted = said(item)
    fixed = sorted(v4(item), key=lambda one: (*order, one["ip_address"]).index(one["ip_address"]))
    first = next((one for one in fixed if one["ip_address"] == noted.get("first")), fixed[0] if fixed else None)
    on = item["device_id"] if item["device_owner"].startswith("compute:") else ""
    return Port(
        native=item["id"],
        mac=item["mac_address"],
        address=first["ip_address"] if first else "",
        subnet=first["subnet_id"] if first else "",
        network=members.get(item["network_id"], item["network_id"]),
        firewalls=tuple(item["security_groups"]),
        index=int(noted.get("index", 0)) if on else 0,
        source_check=all(pair["ip_address"] != ANY for pair in item["allowed_address_pairs"]),
        ref=noted.get("ref", ""),
        secondary=tuple(one["ip_address"] for one in fixed if one is not first),
        server=on,
        since=notes.moment(noted.get("since") or item.get("created_at")) if on else None,
        delete_with_server=noted.get("keep", "") != "1" if on else False,
    )


def numbered(items: Iterable[Item], members: Mapping[str, str] = NONE) -> list[Port]:
    """The ports of servers and those of nobody; what was attached by other means has the next free index."""
    there = [one for one in items if _usable(one) and v4(one)]
    taken: defaultdict[str, set[int]] = defaultdict(set)
    for one in there:
        if index := said(one).get("index"):
            taken[one["device_id"]].add(int(index))
    ports = []
    for one in sorted(there, key=lambda one: (one.get("created_at") or "", one["id"])):
        port = port_of(one, members)
        if port.server and "index" not in said(one):
            port = replace(port, index=next(index for index in numbers() if index not in taken[port.server]))
            taken[port.server].add(port.index)
        ports.append(port)
    return ports


def make(client: Client, subnet: Item, guards: Sequence[str], noted: str, *addresses: str, name: str = "") -> Item:
    """A new port in a subnet, with one address of the cloud's choice unless others are named (empty: any)."""
    return create(client, "port", **_body(subnet, guards, noted, *addresses, name=name))


def make_all(client: Client, subnet: Item, guards: Sequence[str], noted: Mapping[str, str]) -> Sequence[Item]:
    """New ports by name, each with its notes: all or none, and much sooner than one after another."""
    bodies = [_body(subnet, guards, text, name=name) for name, text in noted.items()]
    made: Sequence[Item] = client.post("network", "/v2.0/ports", {"ports": bodies}, "port")["ports"]
    return made


def _body(subnet: Item, guards: Sequence[str], noted: str, *addresses: str, name: str) -> dict[str, object]:
    return {
        "name": name,
        "network_id": subnet["network_id"],
        "fixed_ips": [_fixed(subnet, one) for one in addresses or ("",)],
        "security_groups": list(guards),
        "description": noted,
    }


def claim(client: Client, natives: Sequence[str], indexes: Sequence[int], server: str) -> list[Item]:
    """Note what a new server's ports are attached as, by its ref; the ports as they are then.

    Raises NotFound, and Conflict or Invalid if they are not free.
    """
    if len(set(natives)) < len(natives):
        raise Invalid("a server has each of its ports once", "ports")
    there = {one["id"]: one for one in listed(client, "port", id=natives) if _usable(one)}
    for native in natives:
        if native not in there:
            raise NotFound("port", native[:64])
        _demand_free(there[native])
    since, places = _now(), indexes or range(len(natives))

    def write(one: tuple[str, int]) -> None:
        item = there[one[0]]
        keep = said(item).get("keep") or "1"
        note(client, "port", item, index=str(one[1]), since=since, claim="1", keep=keep, server=server)

    for_each(write, list(zip(natives, places, strict=False)))
    now = {one["id"]: one for one in listed(client, "port", id=natives)}
    return [now[native] for native in natives if native in now]


def let_go(client: Client, natives: Sequence[str]) -> None:
    """Ports that were claimed are anybody's again."""
    claimed = [one for one in listed(client, "port", id=natives) if said(one).get("claim")] if natives else []
    for_each(lambda one: note(client, "port", one, index="", since="", claim="", server=""), claimed)


def _demand_free(item: Item) -> None:
    """Raises Conflict (`in-use`) for a port that a server has or is about to."""
    noted = said(item)
    young = datetime.now(UTC) - notes.moment(noted.get("since")) < timedelta(seconds=CLAIM_SECONDS)
    if item["device_id"] or ("claim" in noted and young):
        raise Conflict("port", item["id"], f"the port {item['id']} is on a server", code="in-use")


def _usable(item: Item) -> bool:
    """Whether a port is a server's or can be: not one of the network's own."""
    return item["device_owner"].startswith("compute:") or not (item["device_owner"] or said(item).get("router"))


def _fixed(subnet: Item, address: str) -> Item:
    """An address of a port in a subnet, as it is asked for; empty: any. Raises Invalid."""
    if not address:
        return {"subnet_id": subnet["id"]}
    try:
        wanted, within = IPv4Address(address), IPv4Network(subnet["cidr"])
    except AddressValueError:
        raise Invalid(f"{address!r} is not an IPv4 address", "address") from None
    low, high = map(IPv4Address, hosts(subnet["cidr"])[2:]) if is_own(subnet) else (within[1], within[-2])
    if not low <= wanted <= high:
        raise Invalid(f"the address {address} cannot be given out in {within}", "address")
    return {"subnet_id": subnet["id"], "ip_address": address}


def _first(item: Item, others: Sequence[str]) -> str:
    """The first address of a port whose further ones are others."""
    addresses = [str(one["ip_address"]) for one in v4(item)]
    return next((one for one in addresses if one not in others), addresses[0])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
