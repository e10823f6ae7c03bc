"""What networks, subnets, ports and firewalls may be, for clouds that keep them themselves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from ipaddress import IPv4Network

from isthmus.errors import Conflict, Invalid, NotFound
from isthmus.model import (
    Direction,
    Firewall,
    Hop,
    Network,
    Port,
    Route,
    Rule,
    Server,
    ServerState,
    Subnet,
    Wiring,
    demand_rule,
)

SMALLEST = 29
"""The longest prefix of a subnet: of the eight addresses, five are the cloud's own."""
RESERVED = 4
"""Addresses at the start of a subnet that are the cloud's own, besides its last one."""
THERE = (ServerState.PENDING, ServerState.RUNNING, ServerState.STOPPING, ServerState.STOPPED)
"""States of a server that can be connected."""
ALL_OUT = Rule(Direction.EGRESS, "-1", cidr="0.0.0.0/0")
"""What a new firewall has: everything may leave."""


def demand_range(cidr: str) -> IPv4Network:
    """The range; Invalid if it is none, or has host bits."""
    try:
        return IPv4Network(cidr)
    except ValueError:
        raise Invalid(f"{cidr!r} is not a range of IPv4 addresses", "cidr") from None


def demand_one_default(default: bool, networks: Iterable[Network]) -> None:
    """Conflict if there would be two default networks."""
    if default and any(one.default for one in networks):
        raise Conflict("network", "", "there is a default network", code="duplicate")


def demand_empty(
    native: str, own: str, subnets: Iterable[Subnet], firewalls: Iterable[Firewall], wirings: Iterable[Wiring]
) -> None:
    """Conflict unless a network, whose default firewall is `own`, can be deleted."""
    walls = (wall.network for wall in firewalls if wall.native != own)
    if native in walls or any(subnet.network == native for subnet in subnets):
        raise Conflict("network", native, f"the network {native} has subnets or firewalls", code="in-use")
    if any(native in wiring.peers for wiring in wirings):
        raise Conflict("network", native, f"the network {native} is connected with another", code="in-use")


def with_range(network: Network, cidr: str) -> Network:
    """The network with a further range; Invalid or Conflict."""
    wanted = demand_range(cidr)
    if str(wanted) in network.ranges:
        return network
    if any(wanted.overlaps(IPv4Network(one)) for one in network.ranges):
        raise Conflict("network", network.native, f"{cidr} overlaps another range of the network", code="duplicate")
    return replace(network, more=(*network.more, str(wanted)))


def without_range(network: Network, cidr: str, subnets: Iterable[Subnet]) -> Network:
    """The network without a further range; Invalid or Conflict."""
    if cidr not in network.more:
        raise Invalid(f"{cidr} is not a further range of the network", "cidr")
    within = (one for one in subnets if one.network == network.native)
    if any(IPv4Network(one.cidr).subnet_of(IPv4Network(cidr)) for one in within):
        raise Conflict("network", network.native, f"the range {cidr} has subnets", code="in-use")
    return replace(network, more=tuple(one for one in network.more if one != cidr))


def demand_subnet(wanted: Subnet, network: Network, others: Iterable[Subnet]) -> str:
    """The range of a new subnet of the network, as it is written; Invalid or Conflict."""
    cidr = demand_range(wanted.cidr)
    if not any(cidr.subnet_of(IPv4Network(one)) for one in network.ranges):
        raise Invalid(f"{cidr} is not within {network.cidr}", "cidr")
    if cidr.prefixlen > SMALLEST:
        raise Invalid(f"{cidr} is too small", "cidr")
    if wanted.default and not network.default:
        raise Invalid("default subnets are in the default network", "default")
    for other in others:
        if other.network == network.native and cidr.overlaps(IPv4Network(other.cidr)):
            raise Conflict("subnet", other.native, f"{cidr} overlaps {other.cidr}", code="duplicate")
        if wanted.default and other.default and other.zone == wanted.zone:
            raise Conflict("subnet", "", f"there is a default subnet in {wanted.zone}", code="duplicate")
    return str(cidr)


def demand_wiring(
    native: str, wiring: Wiring, networks: Collection[str], subnets: Iterable[Subnet], ports: Collection[str]
) -> None:
    """NotFound or Invalid for a wiring of a network that names what is not there, given the natives of what is."""
    own = {one.native for one in subnets if one.network == native}
    for peer in wiring.peers:
        if peer not in networks:
            raise NotFound("network", peer)
    for part in wiring.subnets:
        if part.subnet not in own:
            raise NotFound("subnet", part.subnet)
        for route in part.routes:
            _demand_route(wiring, route, ports)


def _demand_route(wiring: Wiring, route: Route, ports: Collection[str]) -> None:
    """NotFound or Invalid for a route that leads nowhere without saying so."""
    match route.hop:
        case Hop.PORT | Hop.NAT if route.native not in ports:
            raise NotFound("port", route.native)
        case Hop.PEER if route.native not in wiring.peers:
            raise NotFound("network", route.native)
        case Hop.INTERNET if not wiring.internet:
            raise Invalid("the network has no way to the internet", "routes")


def demand_zone(subnet: Subnet, zone: str) -> None:
    """Invalid unless the subnet is in the server's zone."""
    if subnet.zone != zone:
        raise Invalid(f"the subnet {subnet.native} is not in the zone {zone}", "subnet")


def demand_free(port: Port) -> None:
    """Conflict if the port is on a server."""
    if port.server:
        raise Conflict("port", port.native, f"the port {port.native} is on a server", code="in-use")


def demand_there(server: Server) -> None:
    """Conflict unless the server's state is one of THERE."""
    if server.state not in THERE:
        raise Conflict("server", server.native, f"the server {server.native} is {server.state}")


def demand_attachable(port: Port, subnet: Subnet, server: Server, index: int) -> None:
    """Conflict or Invalid unless the port can be attached to the server under the index."""
    demand_free(port)
    demand_there(server)
    if subnet.zone != server.zone:
        raise Invalid(f"the port {port.native} is not in the zone {server.zone}", "zone")
    if index < 0:
        raise Invalid(f"{index} is no index of a port", "index")
    if any(other.index == index for other in server.ports):
        raise Conflict("index", str(index), f"the server {server.native} has a port at {index}", code="in-use")


def demand_detachable(port: Port) -> None:
    """Conflict for the first port of a server."""
    if port.server and port.index == 0:
        raise Conflict("port", port.native, "a server keeps its first port")


def released(port: Port) -> Port:
    """The port, off its server."""
    return replace(port, server="", index=0, since=None, delete_with_server=False)


def without_addresses(port: Port, addresses: Sequence[str]) -> Port:
    """The port without some of its further addresses; Invalid for others than these."""
    for one in addresses:
        if one not in port.secondary:
            raise Invalid(f"{one} is not a further address of the port {port.native}", "addresses")
    return replace(port, secondary=tuple(one for one in port.secondary if one not in addresses))


def demand_some(firewalls: Sequence[str]) -> None:
    if not firewalls:
        raise Invalid("a port has at least one firewall", "firewalls")


def default_firewall(native: str, network: str) -> Firewall:
    """That of a new network: its members reach each other and everything outside."""
    rules = (Rule(Direction.INGRESS, "-1", peer=native), ALL_OUT)
    return Firewall(native, "", "default", "default VPC security group", network, rules)


def chosen_firewalls(
    wanted: Iterable[str], network: str, default: str, find: Callable[[str], Firewall]
) -> tuple[str, ...]:
    """The firewalls of a port, `default` if none is named; NotFound, as `find` says it, or Invalid."""
    chosen = [find(one) for one in dict.fromkeys(wanted)]
    for one in chosen:
        if one.network != network:
            raise Invalid(f"the firewall {one.native} is of another network", "firewalls")
    return tuple(one.native for one in chosen) or (default,)


def demand_name(name: str, network: str, firewalls: Iterable[Firewall]) -> None:
    """Invalid or Conflict unless a firewall of the network can have the name."""
    if not name:
        raise Invalid("a firewall needs a name", "name")
    if any(other.name == name and other.network == network for other in firewalls):
        raise Conflict("firewall", name, f"there is a firewall {name!r}", code="duplicate")


def demand_unused(native: str, ports: Iterable[Port], firewalls: Iterable[Firewall]) -> None:
    """Conflict if a port has the firewall, or another firewall's rule names it."""
    others = (other for other in firewalls if other.native != native)
    if any(native in port.firewalls for port in ports) or any(
        rule.peer == native for other in others for rule in other.rules
    ):
        raise Conflict("firewall", native, f"the firewall {native} is in use", code="in-use")


def with_rules(firewall: Firewall, rules: Sequence[Rule], check: Callable[[Rule], object]) -> Firewall:
    """The firewall with rules added; Conflict for one that is there, Invalid, or whatever else `check` says of one."""
    known = {rule.key for rule in firewall.rules}
    for rule in rules:
        demand_rule(rule)
        check(rule)
        if rule.key in known:
            raise Conflict("rule", firewall.native, f"the firewall {firewall.native} has this rule", code="duplicate")
        known.add(rule.key)
    return replace(firewall, rules=(*firewall.rules, *rules))


def without_rules(firewall: Firewall, rules: Iterable[Rule]) -> Firewall:
    """The firewall with rules removed; NotFound for one that is not there."""
    going = {rule.key for rule in rules}
    if going - {rule.key for rule in firewall.rules}:
        raise NotFound("rule", firewall.native, f"the firewall {firewall.native} has no such rule")
    return replace(firewall, rules=tuple(rule for rule in firewall.rules if rule.key not in going))
