"""Networks and subnets: the default ones, and where the daemon of networks can run, more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from isthmus import networking
from isthmus.errors import Conflict, Denied, Unsupported
from isthmus.model import Network, Subnet, Wiring, need_ref
from isthmus.providers import NetworkSpec, SubnetSpec
from isthmus.providers.local import layout, wires
from isthmus.providers.local.base import Base, made, native
from isthmus.providers.local.firewalls import all_of
from isthmus.providers.local.records import FirewallRecord, NetworkRecord, SubnetRecord

ONE_NETWORK = (
    "guests of the local cloud are connected by user-mode networking here, which has one network for each tenant; "
    "networks of your own need network = 'namespaces' in the cloud's settings, or a cloud such as OpenStack"
)


class LocalNetworks:
    def __init__(self, base: Base, tenant: str) -> None:
        self._base = base
        self._tenant = tenant

    def list_networks(self) -> Sequence[Network]:
        return [record.noun for record in layout.networks(self._base, self._tenant)]

    def create_network(self, spec: NetworkSpec) -> Network:
        self._demand_namespaces()
        need_ref(spec.ref, "network")
        with self._base.lock:
            if found := self._base.networks.by_ref(self._tenant, spec.ref):
                return found.noun
            cidr = str(networking.demand_range(spec.cidr))
            networking.demand_one_default(spec.default, self.list_networks())
            network = Network(native("net"), spec.ref, spec.name, cidr, spec.default)
            own = native("fw")
            # The firewall first: one of no network is not listed, and goes when the cloud is mended.
            firewall = networking.default_firewall(own, network.native)
            self._base.firewalls.put(FirewallRecord(self._tenant, firewall, made()))
            wiring = Wiring(internet=network.default)
            self._base.networks.put(NetworkRecord(self._tenant, network, made(), own, wiring))
            return network

    def delete_network(self, native: str) -> None:
        with self._base.lock:
            record = next((one for one in self._records() if one.noun.native == native), None)
            if record is None:
                return
            if record.noun.default and not self._base.namespaces:
                raise Denied("the default network cannot be deleted")
            firewalls = [one.noun for one in all_of(self._base, self._tenant)]
            wirings = [layout.wiring(self._base, one) for one in self._records()]
            networking.demand_empty(native, record.firewall, self._subnets(), firewalls, wirings)
            if native == layout.first_network(self._tenant):
                self._base.networks.put(replace(record, gone=True))
            else:
                self._base.networks.drop(native)
            self._base.firewalls.drop(record.firewall)

    def add_range(self, native: str, cidr: str) -> None:
        self._demand_namespaces()
        with self._base.lock:
            record = self._get(native)
            self._base.networks.put(replace(record, noun=networking.with_range(record.noun, cidr)))
        wires.try_settle(self._base)

    def remove_range(self, native: str, cidr: str) -> None:
        with self._base.lock:
            record = self._get(native)
            self._base.networks.put(replace(record, noun=networking.without_range(record.noun, cidr, self._subnets())))
        wires.try_settle(self._base)

    def wire(self, native: str, wiring: Wiring) -> None:
        with self._base.lock:
            record = self._get(native)
            if wiring == layout.wiring(self._base, record):
                return
            self._demand_namespaces()
            networks = {one.native for one in self.list_networks()}
            ports = {one.noun.native for one in self._base.ports.owned(self._tenant)}
            networking.demand_wiring(native, wiring, networks, self._subnets(), ports)
            self._base.networks.put(replace(record, wiring=wiring))
        wires.try_settle(self._base)

    def wiring_of(self, native: str) -> Wiring:
        return layout.wiring(self._base, self._get(native))

    def list_subnets(self) -> Sequence[Subnet]:
        used = Counter[str]()
        for port in self._base.ports.owned(self._tenant):
            used[port.noun.subnet] += len(port.noun.addresses)
        return [layout.counted(one, used[one.native]) for one in self._subnets()]

    def create_subnet(self, spec: SubnetSpec) -> Subnet:
        self._demand_namespaces()
        need_ref(spec.ref, "subnet")
        with self._base.lock:
            if found := self._base.subnets.by_ref(self._tenant, spec.ref):
                used = len(layout.taken(self._base, self._tenant, found.noun.native))
                return layout.counted(found.noun, used)
            self._base.zone(spec.zone)
            network = self._get(spec.network).noun
            own = native("subnet")
            subnet = Subnet(own, spec.ref, spec.name, spec.network, spec.cidr, spec.zone, 0, spec.default)
            subnet = replace(subnet, cidr=networking.demand_subnet(subnet, network, self._subnets()))
            self._base.subnets.put(SubnetRecord(self._tenant, subnet, made()))
        wires.try_settle(self._base)
        return layout.counted(subnet, 0)

    def delete_subnet(self, native: str) -> None:
        with self._base.lock:
            found = next((one for one in layout.subnets(self._base, self._tenant) if one.noun.native == native), None)
            if found is None:
                return
            if found.noun.default and not self._base.namespaces:
                raise Denied("a default subnet cannot be deleted")
            if layout.taken(self._base, self._tenant, native):
                raise Conflict("subnet", native, f"the subnet {native} has ports", code="in-use")
            if native == layout.first_subnet(self._tenant, found.noun.zone):
                self._base.subnets.put(replace(found, gone=True))
            else:
                self._base.subnets.drop(native)
        wires.try_settle(self._base)

    def _records(self) -> list[NetworkRecord]:
        return layout.networks(self._base, self._tenant)

    def _get(self, native: str) -> NetworkRecord:
        return layout.network(self._base, self._tenant, native)

    def _subnets(self) -> list[Subnet]:
        return [record.noun for record in layout.subnets(self._base, self._tenant)]

    def _demand_namespaces(self) -> None:
        if not self._base.namespaces:
            raise Unsupported(ONE_NETWORK)
