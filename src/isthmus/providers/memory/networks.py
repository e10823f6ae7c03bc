"""Networks and subnets, through which nothing flows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from isthmus import networking
from isthmus.errors import Conflict
from isthmus.model import Network, Subnet, Wiring, need_ref
from isthmus.providers import NetworkSpec, SubnetSpec
from isthmus.providers.memory.world import Tenant, World


class MemoryNetworks:
    def __init__(self, world: World, tenant: Tenant) -> None:
        self._world = world
        self._tenant = tenant

    def list_networks(self) -> Sequence[Network]:
        with self._world:
            return self._tenant.networks.listing()

    def create_network(self, spec: NetworkSpec) -> Network:
        with self._world:
            tenant = self._tenant
            if found := tenant.networks.by_ref(spec.ref):
                return found
            need_ref(spec.ref, "network")
            cidr = str(networking.demand_range(spec.cidr))
            networking.demand_one_default(spec.default, tenant.networks)
            self._world.room("network", len(tenant.networks))
            network = Network(self._world.native("network"), spec.ref, spec.name, cidr, spec.default)
            return tenant.add_network(network, self._world.native("firewall"))

    def delete_network(self, native: str) -> None:
        with self._world:
            tenant = self._tenant
            if tenant.networks.find(native) is None:
                return
            own = tenant.default_firewalls[native]
            networking.demand_empty(native, own, tenant.subnets, tenant.firewalls, tenant.wirings.values())
            tenant.drop_network(native)

    def add_range(self, native: str, cidr: str) -> None:
        with self._world:
            networks = self._tenant.networks
            networks.put(networking.with_range(networks.get(native), cidr))

    def remove_range(self, native: str, cidr: str) -> None:
        with self._world:
            networks = self._tenant.networks
            networks.put(networking.without_range(networks.get(native), cidr, self._tenant.subnets))

    def wire(self, native: str, wiring: Wiring) -> None:
        with self._world:
            tenant = self._tenant
            tenant.networks.get(native)
            natives = {one.native for one in tenant.networks}
            networking.demand_wiring(native, wiring, natives, tenant.subnets, {one.native for one in tenant.ports})
            tenant.wirings[native] = wiring

    def wiring_of(self, native: str) -> Wiring:
        with self._world:
            self._tenant.networks.get(native)
            return self._tenant.wirings[native]

    def list_subnets(self) -> Sequence[Subnet]:
        with self._world:
            return self._tenant.subnets.listing()

    def create_subnet(self, spec: SubnetSpec) -> Subnet:
        with self._world:
            if found := self._tenant.subnets.by_ref(spec.ref):
                return found
            need_ref(spec.ref, "subnet")
            zone = self._world.zone(spec.zone)
            network = self._tenant.networks.get(spec.network)
            native = self._world.native("subnet")
            subnet = Subnet(native, spec.ref, spec.name, spec.network, spec.cidr, zone, 0, spec.default)
            cidr = networking.demand_subnet(subnet, network, self._tenant.subnets)
            self._world.room("subnet", len(self._tenant.subnets))
            return self._tenant.add_subnet(replace(subnet, cidr=cidr))

    def delete_subnet(self, native: str) -> None:
        with self._world:
            tenant = self._tenant
            if tenant.subnets.find(native) is None:
                return
            if tenant.pools[native].used:
                raise Conflict("subnet", native, f"the subnet {native} has ports", code="in-use")
            tenant.subnets.drop(native)
            del tenant.pools[native]
