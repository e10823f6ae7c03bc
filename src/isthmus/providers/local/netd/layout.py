"""What of a plan concerns one network's namespace, looked up once: the input of its packet filter and its routes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from isthmus.model import Hop, Route
from isthmus.providers.local.netd.names import numbers, table
from isthmus.providers.local.netd.plan import NetworkPlan, Plan, PortPlan, PublicPlan, SubnetPlan


@dataclass(frozen=True)
class Layout:
    """One network of a plan, with those of its peers that have a namespace."""

    network: NetworkPlan
    peers: tuple[NetworkPlan, ...]
    routed: bool
    link: int
    """The number of its link to the edge."""

    @property
    def taps(self) -> list[PortPlan]:
        return [port for port in self.network.ports if port.server]

    @property
    def ranges(self) -> list[str]:
        return [one for one in self.network.ranges if is_v4(one)]

    @property
    def subnets(self) -> list[SubnetPlan]:
        return [subnet for subnet in self.network.subnets if is_v4(subnet.cidr)]

    def tables(self) -> dict[str, int]:
        """Subnet -> its table of routes."""
        found = numbers(subnet.native for subnet in self.network.subnets)
        return {native: table(number) for native, number in found.items()}

    def subnet(self, native: str) -> SubnetPlan | None:
        return next((one for one in self.subnets if one.native == native), None)

    def port(self, native: str) -> PortPlan | None:
        return next((one for one in self.network.ports if one.native == native), None)

    def publics(self) -> list[PublicPlan]:
        return list(self.network.publics) if self.network.internet else []

    def nats(self) -> dict[str, tuple[int, PublicPlan]]:
        """The ports through which subnets reach the internet: their numbers, and the public addresses that they lend.

        One that has none, or whose own subnet has no way to the internet, is no way out.
        """
        named = {r.native for s in self.subnets for r in s.routes if r.hop is Hop.NAT}
        found = {}
        for native, number in numbers(named).items():
            port = self.port(native)
            public = next((one for one in self.publics() if one.port == native), None)
            home = self.subnet(port.subnet) if port else None
            if public and home and any(route.hop is Hop.INTERNET for route in home.routes):
                found[native] = (number, public)
        return found

    def members(self, firewall: str) -> set[str]:
        """The private addresses of all that a firewall has as members, here and in the networks of peers."""
        return {
            address
            for network in (self.network, *self.peers)
            for port in network.ports
            if firewall in port.firewalls
            for address in port.addresses
            if is_v4(address)
        }


def layouts(plan: Plan) -> dict[str, Layout]:
    """The networks that need a namespace: any with a port on a server."""
    alive = {one.native: one for one in plan.networks if any(port.server for port in one.ports)}
    links = numbers(alive)
    found = {}
    for native, network in alive.items():
        peers = tuple(alive[one] for one in network.peers if one in alive and native in alive[one].peers)
        found[native] = Layout(network, peers, bool(plan.routed), links[native])
    return found


def pairs(wanted: Mapping[str, Layout]) -> Iterator[tuple[str, str]]:
    """The networks that are connected, each pair once."""
    for native, layout in wanted.items():
        yield from ((native, peer.native) for peer in layout.peers if native < peer.native)


def next_hop(routes: tuple[Route, ...], address: str) -> Route | None:
    """The route that traffic to an address takes, of what leaves the network."""
    to = IPv4Address(address)
    fitting = [route for route in routes if is_v4(route.destination) and to in IPv4Network(route.destination)]
    return max(fitting, key=lambda route: IPv4Network(route.destination).prefixlen, default=None)


def is_v4(text: str) -> bool:
    """Whether it is an IPv4 address or range; nothing else is carried, or written into rules."""
    try:
        IPv4Network(text)
    except ValueError:
        return False
    return True
