"""Each tenant's default network: 172.31.0.0/16 with a subnet for every zone, as EC2 has it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

from isthmus.errors import Conflict, Denied, Invalid, NoCapacity, NotFound, Unsupported
from isthmus.model import Hop, Network, Route, Subnet, SubnetWiring, Wiring
from isthmus.providers import NetworkSpec, SubnetSpec
from isthmus.providers.local.base import Base

CIDR = IPv4Network("172.31.0.0/16")
SUBNETS = tuple(CIDR.subnets(new_prefix=20))
RESERVED = 4
"""At the start of a subnet, besides its last address: EC2's own."""
ONE_NETWORK = (
    "guests of the local cloud are connected by user-mode networking, which has one network for each tenant; "
    "networks of your own need a cloud such as OpenStack or CloudStack"
)


def _key(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:16]


def network_of(tenant: str) -> str:
    return f"net-{_key(tenant)}"


def subnet_of(tenant: str, zone: str) -> str:
    return f"subnet-{_key(tenant, zone)}"


class LocalNetworks:
    def __init__(self, base: Base, tenant: str) -> None:
        self._base = base
        self._tenant = tenant

    def list_networks(self) -> Sequence[Network]:
        return [Network(network_of(self._tenant), "", "default", str(CIDR), default=True)]

    def create_network(self, spec: NetworkSpec) -> Network:  # noqa: ARG002
        raise Unsupported(ONE_NETWORK)

    def delete_network(self, native: str) -> None:
        if native == network_of(self._tenant):
            raise Denied("the default network cannot be deleted")

    def add_range(self, native: str, cidr: str) -> None:  # noqa: ARG002
        raise Unsupported(ONE_NETWORK)

    def remove_range(self, native: str, cidr: str) -> None:
        self._demand(native)
        raise Invalid(f"{cidr} is not a further range of the network", "cidr")

    def wire(self, native: str, wiring: Wiring) -> None:
        self._demand(native)
        if wiring != self.wiring_of(native):
            raise Unsupported(ONE_NETWORK)

    def wiring_of(self, native: str) -> Wiring:
        self._demand(native)
        out = (Route("0.0.0.0/0", Hop.INTERNET),)
        names = sorted(subnet_of(self._tenant, zone.name) for zone in self._base.zones)
        return Wiring(internet=True, subnets=tuple(SubnetWiring(name, out) for name in names))

    def _demand(self, native: str) -> None:
        if native != network_of(self._tenant):
            raise NotFound("network", native)

    def list_subnets(self) -> Sequence[Subnet]:
        return [self._subnet(index) for index in range(len(self._base.zones))]

    def create_subnet(self, spec: SubnetSpec) -> Subnet:  # noqa: ARG002
        raise Unsupported(ONE_NETWORK)

    def delete_subnet(self, native: str) -> None:
        if any(native == subnet_of(self._tenant, zone.name) for zone in self._base.zones):
            raise Denied("a default subnet cannot be deleted")

    def _subnet(self, index: int) -> Subnet:
        zone = self._base.zones[index].name
        native = subnet_of(self._tenant, zone)
        free = SUBNETS[index].num_addresses - RESERVED - 1 - len(taken(self._base, self._tenant, native))
        network = network_of(self._tenant)
        return Subnet(native, "", f"default-{zone}", network, str(SUBNETS[index]), zone, max(free, 1), default=True)


def taken(base: Base, tenant: str, subnet: str) -> set[str]:
    """The addresses that servers have in a subnet."""
    servers = base.servers.owned(tenant)
    return {port.address for server in servers for port in server.noun.ports if port.subnet == subnet}


def range_of(base: Base, tenant: str, subnet: str) -> tuple[str, IPv4Network]:
    """The zone and the range of a subnet; NotFound."""
    for index, zone in enumerate(base.zones):
        if subnet == subnet_of(tenant, zone.name):
            return zone.name, SUBNETS[index]
    raise NotFound("subnet", subnet)


def choose(base: Base, tenant: str, subnet: str, wanted: str) -> str:
    """A free address, or the wanted one. Called with the lock held; Invalid, Conflict or NoCapacity."""
    _, cidr = range_of(base, tenant, subnet)
    used = taken(base, tenant, subnet)
    if wanted:
        return _wanted(cidr, used, wanted)
    first, last = int(cidr.network_address) + RESERVED, int(cidr.broadcast_address)
    for number in range(first, last):
        if str(IPv4Address(number)) not in used:
            return str(IPv4Address(number))
    raise NoCapacity("address", "", "the subnet has no free addresses")


def _wanted(cidr: IPv4Network, used: set[str], wanted: str) -> str:
    try:
        address = IPv4Address(wanted)
    except ValueError:
        raise Invalid(f"{wanted!r} is not an IPv4 address", "address") from None
    usable = int(cidr.network_address) + RESERVED <= int(address) < int(cidr.broadcast_address)
    if not usable:
        raise Invalid(f"{wanted} is not an address for servers of {cidr}", "address")
    if str(address) in used:
        raise Conflict("address", wanted, f"another server has {wanted}", code="in-use")
    return str(address)


def gateway(address: str) -> tuple[str, str]:
    """The gateway and the resolver of the subnet that an address is in: EC2's .1 and .2."""
    cidr = next(subnet for subnet in SUBNETS if IPv4Address(address) in subnet)
    return str(cidr.network_address + 1), str(cidr.network_address + 2)
