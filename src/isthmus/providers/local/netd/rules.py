"""A network's packet filter, as nftables reads it: a pure function of the plan.

Each packet between two guests crosses `forward` once. There it is judged three times, each by a chain of its own, so
that what one accepts the next still sees: the subnets' filters without state, what may leave, and what may enter.
Names are hashes, addresses are parsed, the rest are numbers: nothing of a plan's text can end up as a rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network

from isthmus.model import WITH_PORTS, AclRule, Direction, Rule
from isthmus.providers.local.netd import names
from isthmus.providers.local.netd.layout import Layout, is_v4
from isthmus.providers.local.netd.names import short
from isthmus.providers.local.netd.plan import FirewallPlan, PortPlan, SubnetPlan

FRESH = "table {0}\ndelete table {0}\ntable {0} {{\n{1}}}\n"
"""Replaces a table at once: both deletions and additions are one transaction."""
EVERYTHING = "-1"
ANY = IPv4Network("0.0.0.0/0")


def ruleset(layout: Layout) -> str:
    body = [*_sets(layout), *_spoof(layout), *_acl(layout), *_groups(layout), *_own(layout), *_translation(layout)]
    return FRESH.format("inet isthmus", _text(body)) + FRESH.format("arp isthmus", _text(_arp(layout)))


def _text(lines: Iterable[str]) -> str:
    return "".join(f"  {line}\n" for line in lines)


def chain(name: str, rules: Iterable[str], hook: str = "", policy: str = "accept") -> Iterator[str]:
    yield f"chain {name} {{"
    if hook:
        yield f"  type {hook}; policy {policy};"
    yield from (f"  {rule}" for rule in rules)
    yield "}"


def named(word: str, name: str, kind: str, elements: Iterable[str], *, ranges: bool = False) -> Iterator[str]:
    """A set or a map, which may be empty."""
    listed = ", ".join(sorted(set(elements)))
    flags = " flags interval; auto-merge;" if ranges else ""
    yield f"{word} {name} {{ type {kind};{flags}{f' elements = {{ {listed} }};' if listed else ''} }}"


def _sets(layout: Layout) -> Iterator[str]:
    taps = layout.taps
    tables = layout.tables()
    yield from named("set", "macs", "ifname . ether_addr", (f"{_name(port)} . {_mac(port)}" for port in taps))
    yield from named("set", "owners", "ifname . ipv4_addr", _owners(taps))
    yield from named("set", "checked", "ifname", (_name(port) for port in taps if port.source_check))
    yield from named("set", "ranges", "ipv4_addr", layout.ranges, ranges=True)
    known = ((port, tables[port.subnet]) for port in taps if port.subnet in tables)
    yield from named("map", "tables", "ifname : mark", (f"{_name(port)} : {mark}" for port, mark in known))
    if layout.network.internet:
        yield from named("set", "published", "ipv4_addr", _published(layout))
    for native in sorted({rule.peer for one in layout.network.firewalls for rule in one.rules if rule.peer}):
        yield from named("set", f"of_{short(native)}", "ipv4_addr", layout.members(native))


def _name(port: PortPlan) -> str:
    return f'"{port.tap}"'


def _mac(port: PortPlan) -> str:
    return ":".join(f"{int(part, 16):02x}" for part in port.mac.split(":"))


def _owners(taps: Iterable[PortPlan]) -> Iterator[str]:
    return (f"{_name(port)} . {address}" for port in taps for address in port.addresses if is_v4(address))


def _published(layout: Layout) -> Iterator[str]:
    return (one.private for one in layout.publics() if is_v4(one.private) and is_v4(one.address))


def _spoof(layout: Layout) -> Iterator[str]:
    """Before all else: nobody sends as another, from any side."""
    rules = [
        "meta nfproto ipv6 drop",
        'iifname "tap*" iifname . ether saddr != @macs drop',
        'iifname "tap*" ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept',
        "iifname @checked iifname . ip saddr != @owners drop",
        f'iifname "{names.EDGE}" ip saddr @ranges drop',
    ]
    for peer in layout.peers:
        listed = ", ".join(sorted(one for one in peer.ranges if is_v4(one)))
        rules.append(f'iifname "{names.peer_link(peer.native)}" ip saddr != {{ {listed} }} drop')
        rules.append(f'iifname "{names.EDGE}" ip saddr {{ {listed} }} drop')
    yield from chain("spoof", rules, "filter hook prerouting priority -300")
    yield from chain("stamp", ["meta mark set iifname map @tables"], "filter hook prerouting priority -150")


def _arp(layout: Layout) -> Iterator[str]:
    """Guests ask as their own addresses; others, of those that may forward, only now and then: the table of
    neighbours is one for the whole host, and each that asks gets an entry."""
    yield from named("set", "owners", "ifname . ipv4_addr", _owners(layout.taps))
    rules = ['iifname "tap*" arp saddr ip 0.0.0.0 accept', "iifname . arp saddr ip @owners accept"]
    free = (_name(port) for port in layout.taps if not port.source_check)
    rules += [f"iifname {tap} limit rate 5/second burst 20 packets accept" for tap in free]
    rules.append('iifname "tap*" drop')
    yield from chain("input", rules, "filter hook input priority 0")


# -- subnets' filters: no state, and only what crosses the subnet's border ------------------------------------------


def _acl(layout: Layout) -> Iterator[str]:
    rules: list[str] = []
    for subnet in layout.subnets:
        if subnet.acl is None:
            continue
        name = short(subnet.native)
        taps = [_name(port) for port in layout.taps if port.subnet == subnet.native]
        yield from named("set", f"in_{name}", "ifname", taps)
        yield from chain(f"leaves_{name}", _acl_rules(subnet, Direction.EGRESS))
        yield from chain(f"enters_{name}", _acl_rules(subnet, Direction.INGRESS))
        rules.append(f"iifname @in_{name} oifname != @in_{name} jump leaves_{name}")
        rules.append(f"oifname @in_{name} iifname != @in_{name} jump enters_{name}")
    rules += _acl_of_nats(layout)
    yield from chain("acl", rules, "filter hook forward priority -20")


def _acl_rules(subnet: SubnetPlan, direction: Direction) -> Iterator[str]:
    for rule in sorted(subnet.acl or (), key=lambda one: one.number):
        if rule.direction is direction and (match := _match(rule, rule.cidr)) is not None:
            yield f"{match} {'return' if rule.allow else 'drop'}".strip()
    yield "drop"


def _acl_of_nats(layout: Layout) -> Iterator[str]:
    """What a NAT carries enters and leaves its own subnet too."""
    for native, (number, _) in layout.nats().items():
        port = layout.port(native)
        subnet = layout.subnet(port.subnet) if port else None
        mark = names.nat_mark(number)
        out = f'oifname "{names.EDGE}" rt ip nexthop {names.nat_hop(number)}'
        yield f"{out} ct state new ct mark set {mark}"
        if subnet and subnet.acl is not None:
            name = short(subnet.native)
            back = f'iifname "{names.EDGE}" ct mark {mark}'
            inside = f"iifname != @in_{name}"  # a guest beside the NAT crosses the border once
            yield from (f"{out} {inside} jump enters_{name}", f"{out} {inside} jump leaves_{name}")
            beside = f"oifname != @in_{name}"
            yield from (f"{back} {beside} jump enters_{name}", f"{back} {beside} jump leaves_{name}")


# -- firewalls: with state, per port ---------------------------------------------------------------------------------


def _groups(layout: Layout) -> Iterator[str]:
    for firewall in layout.network.firewalls:
        name = short(firewall.native)
        yield from chain(f"from_{name}", _group_rules(firewall, Direction.EGRESS))
        yield from chain(f"to_{name}", _group_rules(firewall, Direction.INGRESS))
    there = {one.native for one in layout.network.firewalls}
    for port in layout.taps:
        chosen = [short(one) for one in port.firewalls if one in there]
        yield from chain(f"from_{port.tap}", (*(f"jump from_{name}" for name in chosen), "drop"))
        yield from chain(f"to_{port.tap}", (*(f"jump to_{name}" for name in chosen), "drop"))
    taps = layout.taps
    yield from named("map", "leaving", "ifname : verdict", (f"{_name(p)} : jump from_{p.tap}" for p in taps))
    yield from named("map", "entering", "ifname : verdict", (f"{_name(p)} : jump to_{p.tap}" for p in taps))
    yield from chain(
        "leaves",
        (
            "oifname @checked oifname . ip daddr != @owners drop",
            *_ways(layout),
            "ct state established,related accept",
            "iifname vmap @leaving",
            'iifname "tap*" drop',
        ),
        "filter hook forward priority -10",
    )
    yield from chain(
        "enters",
        ("ct state established,related accept", "oifname vmap @entering", 'oifname "tap*" drop'),
        "filter hook forward priority 0",
    )


def _group_rules(firewall: FirewallPlan, direction: Direction) -> Iterator[str]:
    for rule in firewall.rules:
        other = f"@of_{short(rule.peer)}" if rule.peer else rule.cidr
        if rule.direction is direction and (match := _match(rule, other)) is not None:
            yield f"{match} accept".strip()


def _ways(layout: Layout) -> Iterator[str]:
    """Who may take which way out, and what only enters as an answer."""
    if not layout.network.internet:
        return
    out = f'oifname "{names.EDGE}" rt ip nexthop'
    yield f"{out} {names.INTERNET} ip saddr != @published drop"
    for number, _ in layout.nats().values():
        yield f"{out} {names.nat_hop(number)} ct direction reply drop"
    yield f"{out} {names.EGRESS} ct direction reply drop"


def _match(rule: Rule | AclRule, other: str) -> str | None:
    """What a rule applies to; None if that is nothing which is carried here."""
    side = "saddr" if rule.direction is Direction.INGRESS else "daddr"
    protocol = _protocol(rule.protocol, rule.low, rule.high)
    if protocol is None:
        return None
    if other.startswith("@"):
        return f"ip {side} {other} {protocol}".strip()
    if not is_v4(other):
        return None
    return protocol if IPv4Network(other) == ANY else f"ip {side} {IPv4Network(other)} {protocol}".strip()


def _protocol(protocol: str, low: int, high: int) -> str | None:
    if protocol == EVERYTHING:
        return ""
    if protocol in WITH_PORTS:
        every = low <= 0 and high in (-1, 65535)
        return f"meta l4proto {protocol}" if every else f"{protocol} dport {int(low)}-{int(high)}"
    if protocol == "icmp":
        if low < 0:
            return "meta l4proto icmp"
        return f"icmp type {int(low)}" + (f" icmp code {int(high)}" if high >= 0 else "")
    return f"meta l4proto {int(protocol)}" if protocol.isdigit() else None


# -- what the namespace itself answers, and what addresses become ------------------------------------------------------


def _own(layout: Layout) -> Iterator[str]:
    servers: Sequence[str] = [names.RESOLVER, *(names.name_server(one) for one in layout.ranges)]
    rules = [
        'iifname "lo" accept',
        'iifname "tap*" ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept',
        "iifname . ip saddr != @owners drop",
        "ct state established,related accept",
        "udp sport 68 udp dport 67 accept",
        f"ip daddr {names.METADATA} tcp dport 80 accept",
    ]
    if layout.network.resolver:
        rules.append(f"ip daddr {{ {', '.join(servers)} }} meta l4proto {{ tcp, udp }} th dport 53 accept")
    yield from chain("input", rules, "filter hook input priority 0", "drop")


def _translation(layout: Layout) -> Iterator[str]:
    """Between private and public addresses at the edge's link. Without public ones of this host's own network, all
    of a network goes out as its link's address, and nothing comes in."""
    if not layout.network.internet:
        return
    link = names.link_address(layout.link)
    publics = [one for one in layout.publics() if is_v4(one.address) and is_v4(one.private)]
    out, into = f'oifname "{names.EDGE}"', f'iifname "{names.EDGE}"'
    if layout.routed:
        yield from named("map", "inward", "ipv4_addr : ipv4_addr", (f"{p.address} : {p.private}" for p in publics))
        yield from named("map", "outward", "ipv4_addr : ipv4_addr", (f"{p.private} : {p.address}" for p in publics))
        yield from chain("arrive", [f"{into} dnat ip to ip daddr map @inward"], "nat hook prerouting priority -100")
    rules = []
    if layout.routed:
        nats = layout.nats().values()
        rules = [f"{out} rt ip nexthop {names.nat_hop(n)} snat ip to {public.address}" for n, public in nats]
        rules.append(f"{out} rt ip nexthop {names.INTERNET} snat ip to ip saddr map @outward")
    rules.append(f"{out} snat ip to {link}")
    yield from chain("depart", rules, "nat hook postrouting priority 100")
