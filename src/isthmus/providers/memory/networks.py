"""Networks and subnets, through which nothing flows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError

from isthmus.errors import Conflict, Invalid, NotFound
from isthmus.model import Hop, Network, Route, Subnet, Wiring
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
            tenant = self._tenant
            if found := tenant.networks.by_ref(spec.ref):
                return found
            if not spec.ref:
                raise Invalid("a network needs a ref", "ref")
            cidr = str(_range(spec.cidr))
            if spec.default and any(one.default for one in tenant.networks):
                raise Conflict("network", "", "there is a default network", code="duplicate")
            self._world.room("network", len(tenant.networks))
            network = Network(self._world.native("network"), spec.ref, spec.name, cidr, spec.default)
            return tenant.add_network(network, self._world.native("firewall"))

    def delete_network(self, native: str) -> None:
        with self._world:
            tenant = self._tenant
            if tenant.networks.find(native) is None:
                return
            own = tenant.default_firewalls[native]
            users = [*tenant.subnets, *(wall for wall in tenant.firewalls if wall.native != own)]
            if any(user.network == native for user in users):
                raise Conflict("network", native, f"the network {native} has subnets or firewalls", code="in-use")
            if any(native in wiring.peers for wiring in tenant.wirings.values()):
                raise Conflict("network", native, f"the network {native} is connected with another", code="in-use")
            tenant.drop_network(native)

    def add_range(self, native: str, cidr: str) -> None:
        with self._world:
            network, wanted = self._tenant.networks.get(native), _range(cidr)
            if str(wanted) in network.ranges:
                return
            if any(wanted.overlaps(IPv4Network(one)) for one in network.ranges):
                raise Conflict("network", native, f"{cidr} overlaps another range of the network", code="duplicate")
            self._tenant.networks.put(replace(network, more=(*network.more, str(wanted))))

    def remove_range(self, native: str, cidr: str) -> None:
        with self._world:
            network = self._tenant.networks.get(native)
            if cidr not in network.more:
                raise Invalid(f"{cidr} is not a further range of the network", "cidr")
            within = [one for one in self._tenant.subnets if one.network == native]
            if any(IPv4Network(one.cidr).subnet_of(IPv4Network(cidr)) for one in within):
                raise Conflict("network", native, f"the range {cidr} has subnets", code="in-use")
            self._tenant.networks.put(replace(network, more=tuple(one for one in network.more if one != cidr)))

    def wire(self, native: str, wiring: Wiring) -> None:
        with self._world:
            tenant = self._tenant
            tenant.networks.get(native)
            for peer in wiring.peers:
                tenant.networks.get(peer)
            for part in wiring.subnets:
                if tenant.subnets.get(part.subnet).network != native:
                    raise NotFound("subnet", part.subnet)
                for route in part.routes:
                    _check_route(tenant, wiring, route)
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
            cidr = str(self._checked(spec))
            self._world.room("subnet", len(self._tenant.subnets))
            native = self._world.native("subnet")
            subnet = Subnet(native, spec.ref, spec.name, spec.network, cidr, spec.zone, 0, spec.default)
            return self._tenant.add_subnet(subnet)

    def delete_subnet(self, native: str) -> None:
        with self._world:
            tenant = self._tenant
            if tenant.subnets.find(native) is None:
                return
            if tenant.pools[native].used:
                raise Conflict("subnet", native, f"the subnet {native} has ports", code="in-use")
            tenant.subnets.drop(native)
            del tenant.pools[native]

    def _checked(self, spec: SubnetSpec) -> IPv4Network:
        if not spec.ref:
            raise Invalid("a subnet needs a ref", "ref")
        self._world.zone(spec.zone)
        network = self._tenant.networks.get(spec.network)
        cidr = _range(spec.cidr)
        if not any(cidr.subnet_of(IPv4Network(one)) for one in network.ranges):
            raise Invalid(f"{cidr} is not within {network.cidr}", "cidr")
        if cidr.prefixlen > SMALLEST:
            raise Invalid(f"{cidr} is too small", "cidr")
        for other in self._tenant.subnets:
            if other.network == spec.network and cidr.overlaps(IPv4Network(other.cidr)):
                raise Conflict("subnet", other.native, f"{cidr} overlaps {other.cidr}", code="duplicate")
        if spec.default and not network.default:
            raise Invalid("default subnets are in the default network", "default")
        if spec.default and any(one.default and one.zone == spec.zone for one in self._tenant.subnets):
            raise Conflict("subnet", "", f"there is a default subnet in {spec.zone}", code="duplicate")
        return cidr


def _range(cidr: str) -> IPv4Network:
    try:
        return IPv4Network(cidr)
    except (AddressValueError, NetmaskValueError, ValueError):
        raise Invalid(f"{cidr!r} is not a range of IPv4 addresses", "cidr") from None


def _check_route(tenant: Tenant, wiring: Wiring, route: Route) -> None:
    """NotFound or Invalid for a route that leads nowhere without saying so."""
    match route.hop:
        case Hop.PORT | Hop.NAT:
            tenant.ports.get(route.native)
        case Hop.PEER if route.native not in wiring.peers:
            raise NotFound("network", route.native)
        case Hop.INTERNET if not wiring.internet:
            raise Invalid("the network has no way to the internet", "routes")
