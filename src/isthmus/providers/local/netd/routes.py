"""A network's routes, as `ip` reads them: a pure function of the plan and of the links that there are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from isthmus.model import Hop, Route
from isthmus.providers.local.netd import names
from isthmus.providers.local.netd.layout import Layout, is_v4
from isthmus.providers.local.netd.plan import SubnetPlan

PROTOCOL = 77
"""Marks the routes that are ours."""
MAIN = 254
LAST = 4000
"""The metric of what holds while a route's link is away: its traffic goes nowhere, not to a wider route."""
PRIORITY = 40000
"""The rules come after the kernel's own: what stays within the network is settled by the main table."""


@dataclass(frozen=True, slots=True)
class Line:
    """A route: to what range, by which table; `way` is empty for one that swallows its traffic."""

    table: int
    range: str
    way: str = ""
    metric: int = 0

    @property
    def key(self) -> tuple[int, str, int]:
        return self.table, self.range, self.metric

    def add(self) -> str:
        kind, metric = "" if self.way else "blackhole ", f" metric {self.metric}" if self.metric else ""
        way = f" {self.way}" if self.way else ""
        return f"route replace {kind}{self.range}{way} table {self.table} proto {PROTOCOL}{metric}"


def remove(key: tuple[int, str, int], *, kind: str = "") -> str:
    table, to, metric = key
    words = f"{kind} " if kind else ""
    return f"route del {words}{to} table {table} proto {PROTOCOL}" + (f" metric {metric}" if metric else "")


def lines(layout: Layout, links: Collection[str]) -> list[Line]:
    """All routes of the namespace."""
    found = [Line(MAIN, str(IPv4Network(one)), metric=LAST) for one in layout.ranges]
    for port in layout.taps:
        home = layout.subnet(port.subnet)
        if port.tap in links and home:
            way = f"dev {port.tap} src {names.router(home.cidr)}"
            found += [Line(MAIN, f"{one}/32", way) for one in port.addresses if is_v4(one)]
    tables = layout.tables()
    for subnet in layout.subnets:
        found += _of_subnet(layout, subnet, tables[subnet.native], links)
    return found


def _of_subnet(layout: Layout, subnet: SubnetPlan, table: int, links: Collection[str]) -> Iterator[Line]:
    yield Line(table, "0.0.0.0/0", metric=LAST)
    for route in subnet.routes:
        if not is_v4(route.destination):
            continue
        to = str(IPv4Network(route.destination))
        if to != "0.0.0.0/0":
            yield Line(table, to, metric=LAST)
        link, hop = _way(layout, route)
        if link in links:
            yield Line(table, to, f"via {hop} dev {link} onlink")


def _way(layout: Layout, route: Route) -> tuple[str, str]:
    """A route's link and next hop; no link if it leads nowhere."""
    if route.hop is Hop.PORT:
        port = layout.port(route.native)
        return (port.tap, port.addresses[0]) if port and port.server else ("", "")
    if route.hop is Hop.PEER:
        there = any(peer.native == route.native for peer in layout.peers)
        return (names.peer_link(route.native), names.PEER) if there else ("", "")
    if not layout.network.internet:
        return "", ""
    if route.hop is Hop.NAT:
        nat = layout.nats().get(route.native)
        return (names.EDGE, names.nat_hop(nat[0])) if nat else ("", "")
    return {Hop.INTERNET: (names.EDGE, names.INTERNET), Hop.EGRESS: (names.EDGE, names.EGRESS)}.get(route.hop, ("", ""))


def neighbours(layout: Layout, links: Collection[str]) -> list[str]:
    """Who is behind a link is settled, not asked: a guest cannot claim more than its own, nor fill a table."""
    found = []
    for port in layout.taps:
        if port.tap in links:
            found += [_neighbour(one, port.mac, port.tap) for one in port.addresses if is_v4(one)]
    if names.EDGE in links:
        hops = [names.INTERNET, names.EGRESS, *(names.nat_hop(number) for number, _ in layout.nats().values())]
        found += [_neighbour(hop, names.FAR, names.EDGE) for hop in hops]
    for peer in layout.peers:
        if (link := names.peer_link(peer.native)) in links:
            found.append(_neighbour(names.PEER, names.FAR if layout.network.native < peer.native else names.NEAR, link))
    return found


def _neighbour(address: str, mac: str, link: str) -> str:
    return f"neigh replace {address} lladdr {mac} dev {link} nud permanent"


def rules(layout: Layout) -> dict[int, int]:
    """Which marks use which table, by the priority of the rule."""
    return {PRIORITY + (table & 0xFFFFFF): table for table in layout.tables().values()}


def changes(wanted: list[Line], listed: Sequence[Mapping[str, Any]]) -> list[str]:
    """What makes the routes that `ip` lists (ours alone) the wanted ones. What is wanted comes first."""
    present = {_key(entry): str(entry.get("type", "")) for entry in listed}
    keys = {line.key for line in wanted}
    return [line.add() for line in wanted] + [
        remove(key, kind=kind) for key, kind in sorted(present.items()) if key not in keys
    ]


def _key(entry: Mapping[str, Any]) -> tuple[int, str, int]:
    table = entry.get("table", "main")
    to = "0.0.0.0/0" if entry["dst"] == "default" else str(IPv4Network(entry["dst"]))
    return MAIN if table == "main" else int(table), to, int(entry.get("metric", 0))


def rule_changes(layout: Layout, listed: Sequence[Mapping[str, Any]]) -> list[str]:
    """What makes the rules that `ip` lists those of the subnets."""
    wanted = rules(layout)
    present = {int(entry["priority"]) for entry in listed if int(entry["priority"]) >= PRIORITY}
    added = [f"rule add priority {p} fwmark {wanted[p]} lookup {wanted[p]}" for p in sorted(wanted.keys() - present)]
    return added + [f"rule del priority {priority}" for priority in sorted(present - wanted.keys())]
