"""Where the traffic of subnets goes, as far as Neutron can be told.

A router has one table of routes for all of its subnets, so what differs between subnets is told to their servers, by
DHCP: a gateway and host routes lead to the router, to the port that a route names, or to an address that nobody has.
They hold for a server from its next lease on. As Neutron does not let go of a gateway that a router has, a subnet made
here has none of the kind until it is to lead outside; another way than by the gateway is told as two halves of the
internet. The routes as they were said are in the subnet's tags. A subnet that was made by other means has its gateway
for good, and so a route to wherever the router leads. One that was taken over from ec2-api is told what ec2-api told
it: without a way outside it has no gateway, but a route to the metadata.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from isthmus.errors import Invalid, NotFound, Unsupported
from isthmus.model import Dhcp, Hop, Route, SubnetWiring, Wiring
from isthmus.providers.openstack import landscape, notes, routers
from isthmus.providers.openstack.client import Client, Item
from isthmus.providers.openstack.landscape import Landscape, hosts, is_own
from isthmus.providers.openstack.neutron import change, listed, note, retag, v4
from isthmus.together import for_each

if TYPE_CHECKING:
    from isthmus.providers.openstack.cloud import OpenStack

EVERYWHERE = "0.0.0.0/0"
HALVES = ("0.0.0.0/1", "128.0.0.0/1")
"""What is told instead of the whole, where the gateway says otherwise."""
METADATA = "169.254.169.254/32"
NOWHERE = "127.0.0.1"
"""What ec2-api names as the next hop of a route that leads nowhere: any other address may be a server's."""
OUTSIDE = (Hop.INTERNET, Hop.EGRESS, Hop.NAT)
"""What the router's gateway is the way to; Neutron lends out the router's own address for it."""
NO_ACLS = "Neutron has no filters without state; use security groups"
NO_PEERING = "Neutron routers of two VPCs are not connected by tenants"
NO_DHCP = "Neutron tells all servers the operator's domain, and no time servers; set what differs by user data"
NO_SILENCE = "The cloud's own name server cannot be switched off for a VPC: Neutron always tells it by DHCP."
WIRED = f"{notes.MARK}wired"
"""The tag of a subnet whose routes were said, be they none."""
_HOPS = {Hop.INTERNET: "i", Hop.EGRESS: "e", Hop.NAT: "n", Hop.PORT: "p", Hop.NOWHERE: "x"}
_LETTERS = {letter: hop for hop, letter in _HOPS.items()}
_LONGEST_TAG = 60


def wiring_of(land: Landscape, network: str) -> Wiring:
    land.demand(network)
    subnets = sorted(land.subnets_of(network), key=lambda one: str(one["id"]))
    parts = (_part(land, one) for one in subnets)
    return Wiring(land.is_outside(network), (), tuple(part for part in parts if part))


def _part(land: Landscape, subnet: Item) -> SubnetWiring | None:
    """What was said of a subnet, or what its gateway does if nothing ever was."""
    if WIRED in subnet["tags"]:
        return SubnetWiring(subnet["id"], _said(subnet))
    if not is_own(subnet) and subnet["gateway_ip"] and land.is_linked(subnet) and land.is_outside(land.home(subnet)):
        return SubnetWiring(subnet["id"], (Route(EVERYWHERE, Hop.INTERNET),))
    return None


def _said(subnet: Item) -> tuple[Route, ...]:
    """The routes in a subnet's tags: their number, the destination, and what they lead to."""
    words = (tag.removeprefix(notes.MARK).split(" ") for tag in sorted(subnet["tags"]) if tag.startswith(notes.MARK))
    return tuple(
        Route(to[3:], _LETTERS[led[0]], _long(led[1:])) for to, led in (pair for pair in words if len(pair) == 2)
    )


def _tags(routes: Sequence[Route] | None) -> list[str]:
    """Raises Unsupported for a route that has no room in a tag."""
    if routes is None:
        return []
    tags = [
        f"{notes.MARK}{number:03}{route.destination} {_HOPS[route.hop]}{_short(route.native)}"
        for number, route in enumerate(routes)
    ]
    if any(len(tag) > _LONGEST_TAG for tag in tags):
        raise Unsupported("Neutron routes no IPv6 within a VPC.")
    return [WIRED, *tags]


def _short(native: str) -> str:
    return urlsafe_b64encode(UUID(native).bytes).decode().rstrip("=") if native else ""


def _long(short: str) -> str:
    return str(UUID(bytes=urlsafe_b64decode(f"{short}=="))) if short else ""


def wire(client: Client, cloud: OpenStack, network: str, wiring: Wiring) -> None:
    """To be called by one at a time for a network. Says first what cannot be; then nothing is changed."""
    _demand_able(wiring)
    land = landscape.read(client, cloud.zones)
    land.demand(network)
    parts = {part.subnet: part.routes for part in wiring.subnets}
    for subnet in parts:
        if subnet not in land.subnets or land.home(land.subnets[subnet]) != network:
            raise NotFound("subnet", subnet)
    addresses = _addresses(client, wiring)
    subnets = land.subnets_of(network)
    tables = [_table(land, one, parts.get(one["id"]), addresses, wiring) for one in subnets]
    tags = [_tags(parts.get(one["id"])) for one in subnets]
    _join(client, cloud, land, network, outside=wiring.internet)
    for_each(partial(_tell, client, land), list(zip(subnets, tables, tags, strict=True)))


def _demand_able(wiring: Wiring) -> None:
    """Raises Unsupported."""
    if wiring.peers:
        raise Unsupported(NO_PEERING)
    if wiring.dhcp != Dhcp():
        raise Unsupported(NO_DHCP)
    if not wiring.resolver:
        raise Unsupported(NO_SILENCE)
    if any(part.acl is not None for part in wiring.subnets):
        raise Unsupported(NO_ACLS)


def _addresses(client: Client, wiring: Wiring) -> Mapping[str, Mapping[str, str]]:
    """Of each port that a route leads to, its address in each subnet.

    Raises NotFound, and Invalid for a route to the internet where there is no way.
    """
    routes = [route for part in wiring.subnets for route in part.routes]
    if not wiring.internet and any(route.hop is Hop.INTERNET for route in routes):
        raise Invalid("the network has no way to the internet", "routes")
    for route in routes:
        if route.hop is Hop.PEER:
            raise NotFound("network", route.native)
    wanted = {route.native for route in routes if route.hop in (Hop.PORT, Hop.NAT)}
    there = listed(client, "port", id=sorted(wanted)) if wanted else []
    found = {port["id"]: {fixed["subnet_id"]: fixed["ip_address"] for fixed in reversed(v4(port))} for port in there}
    for native in wanted - found.keys():
        raise NotFound("port", native[:64])
    return found


def _table(
    land: Landscape,
    subnet: Item,
    routes: Sequence[Route] | None,
    addresses: Mapping[str, Mapping[str, str]],
    wiring: Wiring,
) -> Mapping[str, str]:
    """The next hops that a subnet's servers are told, by destination. Raises Unsupported."""
    made, taken = is_own(subnet), land.is_taken(subnet)
    gate, nobody, *_ = hosts(subnet["cidr"])
    nowhere = nobody if made else NOWHERE if taken else ""
    steps = [(route.destination, _step(subnet, route, addresses, nowhere)) for route in routes or ()]
    told = {to: step for to, step in steps if step and ":" not in to}
    if made:
        return {EVERYWHERE: nobody, **told, **dict.fromkeys(land.ranges(land.home(subnet)), gate)}
    if taken:
        told = {to: step for to, step in told.items() if (to, step) != (EVERYWHERE, NOWHERE)}
        beside = {} if told.get(EVERYWHERE) == gate else {METADATA: gate}
        return {**beside, **told, **dict.fromkeys(land.ranges(land.home(subnet)), gate)}
    everywhere = told.pop(EVERYWHERE, "")
    gateway = subnet["gateway_ip"]
    if not gateway and any(route.destination == EVERYWHERE and route.hop in OUTSIDE for route in routes or ()):
        raise Unsupported(
            f"The subnet {subnet['cidr']} has no gateway, and Isthmus did not make it: put what is to lead outside "
            "into a subnet of its own."
        )
    cut_off = gateway and not everywhere and wiring.internet and routes is not None
    if cut_off or everywhere not in ("", gateway):
        raise Unsupported(
            f"The subnet {subnet['cidr']} has a gateway that Isthmus did not make and that all of its traffic takes: "
            "put what is to be routed otherwise into a subnet of its own."
        )
    return told


def _step(subnet: Item, route: Route, addresses: Mapping[str, Mapping[str, str]], nowhere: str) -> str:
    """The address that traffic is to be handed to; empty for what is of no concern here. Raises Unsupported.

    `nowhere` is where nobody is; empty for a subnet whose gateway is not ours to change.
    """
    if route.hop in OUTSIDE:
        return hosts(subnet["cidr"])[0] if nowhere else str(subnet["gateway_ip"] or "")
    if route.hop is Hop.PORT and (address := addresses[route.native].get(subnet["id"])):
        return address
    if route.hop is Hop.PORT:
        raise Unsupported(
            "A Neutron router has one table for all subnets: let the network interface that a route leads to be in the "
            "same subnet."
        )
    if nowhere:
        return nowhere
    if route.destination != EVERYWHERE:
        raise Unsupported("Neutron's routers drop nothing: delete the route that leads nowhere.")
    return ""


def _join(client: Client, cloud: OpenStack, land: Landscape, network: str, *, outside: bool) -> None:
    """Let the router be what it should be: there, leading outside or not, and in each subnet made here."""
    own = [one for one in land.subnets_of(network) if is_own(one)]
    router = land.router_of(network)
    if not router and not outside and not own:
        return
    router = router or routers.ensure(client, land, network)
    if not outside and router["external_gateway_info"]:
        if routers.shared(land, router, network):
            raise Unsupported("The router of this VPC serves other Neutron networks, too: it cannot be cut off.")
        if network == land.default:
            note(client, "network", land.networks[network], default="1")
    routers.lead(client, cloud, router, outside=outside)
    for subnet in own:
        routers.connect(client, land, subnet, router)


def _tell(client: Client, land: Landscape, plan: tuple[Item, Mapping[str, str], Sequence[str]]) -> None:
    """The routes come first: what is in the tags has been done."""
    subnet, table, tags = plan
    others = [tag for tag in subnet["tags"] if tag != WIRED and not (tag.startswith(notes.MARK) and " " in tag)]
    old = {route.destination for route in _said(subnet)}
    if land.is_taken(subnet):
        gate = hosts(subnet["cidr"])[0]
        _change(client, subnet, table, {*old, EVERYWHERE, METADATA}, gate if table.get(EVERYWHERE) == gate else None)
    else:
        retell(client, subnet, table, old)
    retag(client, "subnet", subnet, [*others, *tags])


def retell(client: Client, subnet: Item, table: Mapping[str, str], old: Iterable[str]) -> None:
    """Let a subnet's servers be told of these next hops, and no longer of those of `old`."""
    everywhere, gateway = table.get(EVERYWHERE, ""), subnet["gateway_ip"]
    if everywhere == hosts(subnet["cidr"])[0]:
        gateway = everywhere
    halves = dict.fromkeys(HALVES, everywhere) if everywhere not in ("", gateway) else {}
    told = {**halves, **{to: step for to, step in table.items() if to != EVERYWHERE}}
    _change(client, subnet, told, {*old, *(HALVES if everywhere else ())}, gateway)


def _change(client: Client, subnet: Item, told: Mapping[str, str], old: Iterable[str], gateway: str | None) -> None:
    """Let a subnet have these host routes, and no longer those of `old`, and this gateway."""
    gone = {*told, *old}
    kept = [one for one in subnet["host_routes"] if one["destination"] not in gone]
    routes = [*kept, *({"destination": to, "nexthop": step} for to, step in sorted(told.items()))]
    changes: dict[str, object] = {}
    if sorted(subnet["host_routes"], key=str) != sorted(routes, key=str):
        changes["host_routes"] = routes
    if gateway != subnet["gateway_ip"]:
        changes["gateway_ip"] = gateway
    if changes:
        change(client, "subnet", subnet["id"], **changes)
