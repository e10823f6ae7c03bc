"""Network interfaces: of servers, and by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from isthmus import networking
from isthmus.errors import Conflict, Fault, NoCapacity
from isthmus.model import Port, need_ref
from isthmus.providers import PortSpec
from isthmus.providers.memory.world import Tenant, World


class MemoryPorts:
    def __init__(self, world: World, tenant: Tenant) -> None:
        self._world = world
        self._tenant = tenant

    def list_ports(self) -> Sequence[Port]:
        with self._world:
            return self._tenant.ports.listing()

    def create_port(self, spec: PortSpec) -> Port:
        with self._world:
            if found := self._tenant.ports.by_ref(spec.ref):
                return found
            need_ref(spec.ref, "port")
            self._world.room("port", len(self._tenant.ports))
            return make(self._world, self._tenant, spec)

    def delete_port(self, native: str) -> None:
        with self._world:
            port = self._tenant.ports.find(native)
            if port is None:
                return
            networking.demand_free(port)
            drop(self._tenant, port)

    def attach_port(self, native: str, server: str, index: int) -> None:
        with self._world as now:
            tenant = self._tenant
            port, found = tenant.ports.get(native), tenant.servers.get(server)
            networking.demand_attachable(port, tenant.subnets.get(port.subnet), found, index)
            tenant.put_port(replace(port, server=server, index=index, since=now))

    def detach_port(self, native: str) -> None:
        with self._world:
            port = self._tenant.ports.get(native)
            networking.demand_detachable(port)
            if port.server:
                release(self._tenant, port)

    def add_addresses(self, native: str, addresses: Sequence[str], count: int = 0) -> None:
        with self._world:
            tenant = self._tenant
            port = tenant.ports.get(native)
            fresh = [one for one in dict.fromkeys(addresses) if one not in port.secondary]
            taken = take(tenant, port.subnet, fresh, count)
            tenant.put_port(replace(port, secondary=(*port.secondary, *taken)))

    def remove_addresses(self, native: str, addresses: Sequence[str]) -> None:
        with self._world:
            tenant = self._tenant
            port = tenant.ports.get(native)
            left = networking.without_addresses(port, addresses)
            for one in addresses:
                tenant.unanswer(native, one)
                tenant.give_back(port.subnet, one)
            tenant.put_port(left)

    def set_firewalls(self, native: str, firewalls: Sequence[str]) -> None:
        with self._world:
            tenant = self._tenant
            port = tenant.ports.get(native)
            networking.demand_some(firewalls)
            tenant.put_port(replace(port, firewalls=guards(tenant, port.network, firewalls)))

    def set_source_check(self, native: str, value: bool) -> None:
        with self._world:
            self._tenant.put_port(replace(self._tenant.ports.get(native), source_check=value))

    def set_delete_with_server(self, native: str, value: bool) -> None:
        with self._world:
            port = self._tenant.ports.get(native)
            if not port.server:
                raise Conflict("port", native, f"the port {native} is on no server")
            self._tenant.put_port(replace(port, delete_with_server=value))


def make(world: World, tenant: Tenant, spec: PortSpec, *, server: str = "", since: datetime | None = None) -> Port:
    """A port of its own, or one that is made with its server."""
    subnet = tenant.subnets.get(spec.subnet)
    chosen = guards(tenant, subnet.network, spec.firewalls)
    addresses = take(tenant, subnet.native, [spec.address, *spec.secondary], spec.count)
    port = spec.port(world.native("port"), world.mac(), subnet, chosen, addresses)
    return tenant.put_port(replace(port, server=server, since=since))


def guards(tenant: Tenant, network: str, wanted: Iterable[str]) -> tuple[str, ...]:
    """The firewalls of a port; the network's default one if none is named."""
    return networking.chosen_firewalls(wanted, network, tenant.default_firewalls[network], tenant.firewalls.get)


def take(tenant: Tenant, subnet: str, wanted: Sequence[str], count: int) -> list[str]:
    """Addresses of a subnet, those wanted (empty: any) and `count` more; all or none."""
    if len(wanted) + count > tenant.pools[subnet].free:
        raise NoCapacity("address", reason="not so many addresses are left")
    places = [*wanted, *[""] * count]
    taken: dict[int, str] = {}
    try:
        for place in sorted(range(len(places)), key=lambda place: not places[place]):
            taken[place] = tenant.take(subnet, places[place])
    except Fault:
        for one in taken.values():
            tenant.give_back(subnet, one)
        raise
    return [taken[place] for place in range(len(places))]


def release(tenant: Tenant, port: Port) -> None:
    """Take a port off its server."""
    tenant.put_port(networking.released(port))


def drop(tenant: Tenant, port: Port) -> None:
    """Forget a port; its addresses are free again."""
    for one in port.addresses:
        tenant.unanswer(port.native, one)
        tenant.give_back(port.subnet, one)
    for firewall in port.firewalls:
        tenant.guarded[firewall].discard(port.native)
    tenant.ports.drop(port.native)
