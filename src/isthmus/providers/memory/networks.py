"""Networks and subnets, through which nothing flows."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError

from isthmus.errors import Conflict, Denied, Invalid
from isthmus.model import Network, Subnet
from isthmus.providers import NetworkSpec, SubnetSpec
from isthmus.providers.memory.world import Tenant, World

SMALLEST = 29
"""The longest prefix of a subnet: of the eight addresses, five are the cloud's own."""


class MemoryNetworks:
    def __init__(self, world: World, tenant: Tenant) -> None:
        self._world = world
        self._tenant = tenant

    def list_networks(self) -> Sequence[Network]:
        with self._world:
            return self._tenant.networks.listing()

    def create_network(self, spec: NetworkSpec) -> Network:
        with self._world:
            if found := self._tenant.networks.by_ref(spec.ref):
                return found
            if not spec.ref:
                raise Invalid("a network needs a ref", "ref")
            cidr = str(_network(spec.cidr))
            self._world.room("network", len(self._tenant.networks))
            return self._tenant.networks.put(Network(self._world.native("network"), spec.ref, spec.name, cidr))

    def delete_network(self, native: str) -> None:
        with self._world:
            network = self._tenant.networks.find(native)
            if network is None:
                return
            if network.default:
                raise Denied("the default network cannot be deleted")
            users = [*self._tenant.subnets, *self._tenant.firewalls]
            if any(user.network == native for user in users):
                raise Conflict("network", native, f"the network {native} has subnets or firewalls", code="in-use")
            self._tenant.networks.drop(native)

    def list_subnets(self) -> Sequence[Subnet]:
        with self._world:
            return self._tenant.subnets.listing()

    def create_subnet(self, spec: SubnetSpec) -> Subnet:
        with self._world:
            if found := self._tenant.subnets.by_ref(spec.ref):
                return found
            cidr = str(self._checked(spec))
            self._world.room("subnet", len(self._tenant.subnets))
            native = self._world.native("subnet")
            return self._tenant.add_subnet(Subnet(native, spec.ref, spec.name, spec.network, cidr, spec.zone, free=0))

    def delete_subnet(self, native: str) -> None:
        with self._world:
            subnet = self._tenant.subnets.find(native)
            if subnet is None:
                return
            if subnet.default:
                raise Denied("a default subnet cannot be deleted")
            if self._tenant.pools[native].used:
                raise Conflict("subnet", native, f"the subnet {native} has servers", code="in-use")
            self._tenant.subnets.drop(native)
            del self._tenant.pools[native]

    def _checked(self, spec: SubnetSpec) -> IPv4Network:
        if not spec.ref:
            raise Invalid("a subnet needs a ref", "ref")
        self._world.zone(spec.zone)
        network = self._tenant.networks.get(spec.network)
        cidr = _network(spec.cidr)
        if not cidr.subnet_of(IPv4Network(network.cidr)):
            raise Invalid(f"{cidr} is not within {network.cidr}", "cidr")
        if cidr.prefixlen > SMALLEST:
            raise Invalid(f"{cidr} is too small", "cidr")
        for other in self._tenant.subnets:
            if other.network == spec.network and cidr.overlaps(IPv4Network(other.cidr)):
                raise Conflict("subnet", other.native, f"{cidr} overlaps {other.cidr}", code="duplicate")
        return cidr


def _network(cidr: str) -> IPv4Network:
    try:
        return IPv4Network(cidr)
    except (AddressValueError, NetmaskValueError, ValueError):
        raise Invalid(f"{cidr!r} is not a range of IPv4 addresses", "cidr") from None
