"""Network interfaces: those made with servers, and where the daemon of networks can run, others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network

from isthmus import networking
from isthmus.errors import Conflict, Fault, Invalid, NoCapacity, Unavailable, Unsupported
from isthmus.model import Port, Subnet, need_ref
from isthmus.networking import RESERVED
from isthmus.providers import PortSpec
from isthmus.providers.local import addresses as publics
from isthmus.providers.local import firewalls as guards
from isthmus.providers.local import forwards, layout, nics, wires
from isthmus.providers.local.base import Base, made, native, now
from isthmus.providers.local.qmp import QmpError
from isthmus.providers.local.records import PortRecord

ONE_PORT = (
    "guests of the local cloud are connected by user-mode networking here, which gives each one interface with one "
    "address; more need network = 'namespaces' in the cloud's settings, or a cloud such as OpenStack or CloudStack"
)


class LocalPorts:
    def __init__(self, base: Base, tenant: str) -> None:
        self._base = base
        self._tenant = tenant

    def list_ports(self) -> Sequence[Port]:
        return [record.noun for record in self._base.ports.owned(self._tenant)]

    def create_port(self, spec: PortSpec) -> Port:
        self._demand_namespaces()
        need_ref(spec.ref, "port")
        with self._base.lock:
            if found := self._base.ports.by_ref(self._tenant, spec.ref):
                return found.noun
            port = draft(self._base, self._tenant, spec)
            self._base.ports.put(PortRecord(self._tenant, port, made()))
        wires.try_settle(self._base)
        return port

    def delete_port(self, native: str) -> None:
        with self._base.lock:
            record = self._base.ports.find(self._tenant, native)
            if record is None:
                return
            networking.demand_free(record.noun)
            drop(self._base, record)
        wires.try_settle(self._base)

    def attach_port(self, native: str, server: str, index: int) -> None:
        self._demand_namespaces()
        with self._base.lock:
            record = self._base.ports.get(self._tenant, native)
            found = self._base.servers.get(self._tenant, server)
            state = self._base.state_of(found)
            ports = layout.ports_on(self._base, server)
            subnet = layout.subnet(self._base, self._tenant, record.noun.subnet).noun
            noun = replace(found.noun, state=state, ports=ports)
            networking.demand_attachable(record.noun, subnet, noun, index)
            if state in guards.ACTIVE and not self._base.tapped(found):
                raise Unsupported(
                    f"the server {server} was started on user-mode networking: stop it and start it first"
                )
            attached = replace(record.noun, server=server, index=index, since=now())
            self._base.ports.put(replace(record, noun=attached))
        try:
            wires.try_settle(self._base)
            nics.sync(self._base, server)
        except (Fault, QmpError) as error:
            self._take_back(attached)
            raise Unavailable(f"the port {native} could not be attached: {error}") from error

    def _take_back(self, attached: Port) -> None:
        """A port that the machine would not take is free again."""
        with self._base.lock:
            record = self._base.ports.raw(attached.native)
            if record and record.noun == attached:
                self._base.ports.put(replace(record, noun=networking.released(attached)))

    def detach_port(self, native: str) -> None:
        with self._base.lock:
            record = self._base.ports.get(self._tenant, native)
            networking.demand_detachable(record.noun)
            server = record.noun.server
            if not server:
                return
            self._base.ports.put(replace(record, noun=networking.released(record.noun)))
        nics.try_sync(self._base, server)
        wires.try_settle(self._base)

    def add_addresses(self, native: str, addresses: Sequence[str], count: int = 0) -> None:
        self._demand_namespaces()
        with self._base.lock:
            record = self._base.ports.get(self._tenant, native)
            port = record.noun
            fresh = [one for one in dict.fromkeys(addresses) if one not in port.secondary]
            subnet = layout.subnet(self._base, self._tenant, port.subnet).noun
            more = take(self._base, self._tenant, subnet, fresh, count)
            self._base.ports.put(replace(record, noun=replace(port, secondary=(*port.secondary, *more))))
        wires.try_settle(self._base)

    def remove_addresses(self, native: str, addresses: Sequence[str]) -> None:
        with self._base.lock:
            record = self._base.ports.get(self._tenant, native)
            left = networking.without_addresses(record.noun, addresses)
            publics.free(self._base, native, addresses)
            self._base.ports.put(replace(record, noun=left))
        wires.try_settle(self._base)

    def set_firewalls(self, native: str, firewalls: Sequence[str]) -> None:
        with self._base.lock:
            record = self._base.ports.get(self._tenant, native)
            port = record.noun
            networking.demand_some(firewalls)
            chosen = guards.choose(self._base, self._tenant, port.network, firewalls)
            if server := self._base.servers.raw(port.server):
                networking.demand_there(replace(server.noun, state=self._base.state_of(server)))
            guards.demand_same_egress(self._base, record, chosen)
            self._base.ports.put(replace(record, noun=replace(port, firewalls=chosen)))
        forwards.sync(self._base, port.server)
        wires.try_settle(self._base)

    def set_source_check(self, native: str, value: bool) -> None:
        """On user-mode networking it is kept, and without effect: no traffic of others ever reaches a guest there."""
        with self._base.lock:
            record = self._base.ports.get(self._tenant, native)
            self._base.ports.put(replace(record, noun=replace(record.noun, source_check=value)))
        wires.try_settle(self._base)

    def set_delete_with_server(self, native: str, value: bool) -> None:
        with self._base.lock:
            record = self._base.ports.get(self._tenant, native)
            if not value and not self._base.namespaces:
                raise Unsupported(ONE_PORT)
            if not record.noun.server:
                raise Conflict("port", native, f"the port {native} is on no server")
            self._base.ports.put(replace(record, noun=replace(record.noun, delete_with_server=value)))

    def _demand_namespaces(self) -> None:
        if not self._base.namespaces:
            raise Unsupported(ONE_PORT)


def draft(base: Base, tenant: str, spec: PortSpec, *, server: str = "", since: datetime | None = None) -> Port:
    """A port after all checks, with addresses that are free while the lock is held."""
    subnet = layout.subnet(base, tenant, spec.subnet).noun
    chosen = guards.choose(base, tenant, subnet.network, spec.firewalls)
    addresses = take(base, tenant, subnet, [spec.address, *spec.secondary], spec.count)
    own = native("port")
    digits = hashlib.sha256(own.encode()).hexdigest()
    mac = "02:" + ":".join(digits[place : place + 2] for place in range(0, 10, 2))
    return replace(spec.port(own, mac, subnet, chosen, addresses), server=server, since=since)


def take(base: Base, tenant: str, subnet: Subnet, wanted: Sequence[str], count: int) -> list[str]:
    """Addresses of a subnet, those wanted (empty: any) and `count` more. Invalid, Conflict or NoCapacity."""
    used = layout.taken(base, tenant, subnet.native)
    if len(wanted) + count > layout.counted(subnet, len(used)).free:
        raise NoCapacity("address", "", "the subnet has not so many free addresses")
    for one in wanted:
        if one:
            _demand_address(IPv4Network(subnet.cidr), used, one)
            used.add(one)
    places = [*wanted, *[""] * count]
    fresh = (one for one in _usable(IPv4Network(subnet.cidr)) if one not in used)
    return [place or next(fresh) for place in places]


def _usable(cidr: IPv4Network) -> Iterator[str]:
    first, last = int(cidr.network_address) + RESERVED, int(cidr.broadcast_address)
    return (str(IPv4Address(number)) for number in range(first, last))


def _demand_address(cidr: IPv4Network, used: set[str], wanted: str) -> None:
    try:
        address = IPv4Address(wanted)
    except ValueError:
        raise Invalid(f"{wanted!r} is not an IPv4 address", "address") from None
    if not int(cidr.network_address) + RESERVED <= int(address) < int(cidr.broadcast_address):
        raise Invalid(f"{wanted} is not an address for servers of {cidr}", "address")
    if wanted in used:
        raise Conflict("address", wanted, f"another port has {wanted}", code="in-use")


def drop(base: Base, record: PortRecord) -> None:
    """Forget a port; its addresses are free again. Called with the lock held."""
    publics.free(base, record.noun.native, record.noun.addresses)
    base.ports.drop(record.noun.native)


def leave(base: Base, server: str) -> None:
    """A server is gone: its ports go with it, or are free. Called with the lock held."""
    for record in base.ports.everything():
        if record.noun.server != server:
            continue
        if record.noun.delete_with_server:
            drop(base, record)
        else:
            base.ports.put(replace(record, noun=networking.released(record.noun)))


def free_publics(base: Base, server: str) -> None:
    """A server goes: the public addresses of the ports that go with it are free. Called with the lock held."""
    for port in layout.ports_on(base, server):
        if port.delete_with_server:
            publics.free(base, port.native, port.addresses)
