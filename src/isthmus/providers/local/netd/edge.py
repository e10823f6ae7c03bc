"""The edge: one namespace of a cloud, between its networks and the world. Its rules and routes, as pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network

from isthmus.providers.local.netd import names
from isthmus.providers.local.netd.layout import Layout, is_v4
from isthmus.providers.local.netd.plan import PublicPlan
from isthmus.providers.local.netd.routes import LAST, MAIN, Line
from isthmus.providers.local.netd.rules import FRESH, chain, named

NEVER = ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")
"""Where no guest may go by way of the host: itself, its link's own services, nowhere."""
ANSWERS = 1
"""The mark of connections that began at the host, whose answers go back there; also their table's number."""


def with_edge(wanted: Mapping[str, Layout]) -> list[Layout]:
    """The networks that are linked to the edge."""
    return [layout for _, layout in sorted(wanted.items()) if layout.network.internet]


def publics(layout: Layout) -> list[PublicPlan]:
    """The public addresses that are routed to a network."""
    found = layout.publics() if layout.routed else []
    return [one for one in found if is_v4(one.address) and is_v4(one.private)]


def ruleset(layouts: Iterable[Layout], own: Iterable[str]) -> str:
    """`own` are the host's addresses: a guest never reaches the host's services by way of the host."""
    linked = list(layouts)
    senders = [f'"{names.edge_link(one.network.native)}" . {address}' for one in linked for address in _senders(one)]
    given = [public.address for one in linked for public in publics(one)]
    body = [
        *named("set", "senders", "ifname . ipv4_addr", senders),
        *named("set", "publics", "ipv4_addr", given),
        *named("set", "hosts", "ipv4_addr", [*NEVER, *(one for one in own if is_v4(one))], ranges=True),
        *chain("spoof", _spoof(), "filter hook prerouting priority -300"),
        *chain("stamp", _stamp(), "filter hook prerouting priority -150"),
        *chain("forward", _forward(), "filter hook forward priority 0", "drop"),
        *chain("input", (), "filter hook input priority 0", "drop"),
        *chain("depart", (f'oifname "{names.SLIRP}" masquerade',), "nat hook postrouting priority 100"),
    ]
    return FRESH.format("inet isthmus", "".join(f"  {line}\n" for line in body))


def _senders(layout: Layout) -> Iterator[str]:
    yield names.link_address(layout.link)
    yield from (one.address for one in publics(layout))


def _spoof() -> tuple[str, ...]:
    return (
        "meta nfproto ipv6 drop",
        'iifname "net*" iifname . ip saddr != @senders drop',
        f'iifname {{ "{names.SLIRP}", "{names.HOST}" }} ip saddr @publics drop',
    )


def _stamp() -> tuple[str, ...]:
    return (
        f'iifname "{names.HOST}" ct state new ct mark set {ANSWERS}',
        f'iifname "net*" ct direction reply ct mark {ANSWERS} meta mark set {ANSWERS}',
    )


def _forward() -> tuple[str, ...]:
    return (
        f'oifname "{names.SLIRP}" ip daddr @hosts drop',
        "ct state established,related accept",
        f'iifname "net*" oifname "{names.SLIRP}" accept',
        f'iifname "{names.HOST}" oifname "net*" ip daddr @publics accept',
        'iifname "net*" oifname "net*" ip daddr @publics accept',
    )


def lines(layouts: Iterable[Layout], routed: str, links: Iterable[str]) -> list[Line]:
    """The edge's routes; that of the way out comes from slirp4netns."""
    there = set(links)
    found = [Line(MAIN, str(IPv4Network(routed, strict=False)), metric=LAST)] if is_v4(routed) and routed else []
    for layout in layouts:
        link = names.edge_link(layout.network.native)
        if link in there:
            way = f"via {names.DOWN} dev {link} onlink"
            found += [Line(MAIN, f"{address}/32", way) for address in _senders(layout)]
    if names.HOST in there:
        found.append(Line(ANSWERS, "0.0.0.0/0", f"via {names.DOWN} dev {names.HOST} onlink"))
    return found


def neighbours(layouts: Iterable[Layout], links: Iterable[str]) -> list[str]:
    there = set(links)
    known = [names.edge_link(layout.network.native) for layout in layouts]
    ends = [(link, names.NEAR) for link in known if link in there]
    ends += [(names.HOST, names.NEAR)] if names.HOST in there else []
    return [f"neigh replace {names.DOWN} lladdr {mac} dev {link} nud permanent" for link, mac in ends]
