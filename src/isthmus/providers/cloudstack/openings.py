"""What rules of groups let pass, in the words of CloudStack's filters: ranges of ports that overlap nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any, NamedTuple

from isthmus.model import Direction, Rule
from isthmus.providers.cloudstack.client import Item

ALL = "all"
_NUMBERS = {"1": "icmp", "6": "tcp", "17": "udp", "-1": ALL}
_NEVER = ("icmpv6", "58")
"""CloudStack's networks here are of IPv4: there is no such traffic."""
ANY = (-1, -1)
EVERYWHERE = "0.0.0.0/0"
PORTS = (1, 65535)
"""All ports: CloudStack has no port 0."""


class Opening(NamedTuple):
    direction: Direction
    protocol: str
    """`tcp`, `udp`, `icmp`, a number, or `all`."""
    low: int
    high: int
    """Ports; for ICMP type and code; -1 for all of them."""
    cidrs: tuple[str, ...]

    @property
    def said(self) -> dict[str, Any]:
        """Its protocol in CloudStack's parameters."""
        match self.protocol:
            case "tcp" | "udp":
                return {"protocol": self.protocol, "startport": self.low, "endport": self.high}
            case "icmp":
                return {"protocol": self.protocol, "icmptype": self.low, "icmpcode": self.high}
        return {"protocol": self.protocol}


def opening(item: Item, direction: Direction, cidrs: str | None) -> Opening:
    """Of an item of a list of filters, or of a rule of a firewall."""
    protocol = str(item["protocol"]).lower()
    match protocol:
        case "tcp" | "udp":
            span = int(item.get("startport") or PORTS[0]), int(item.get("endport") or PORTS[1])
        case "icmp":
            span = int(item.get("icmptype", -1)), int(item.get("icmpcode", -1))
        case _:
            span = ANY
    return Opening(direction, protocol, *span, ranges(cidrs))


def ranges(text: str | None) -> tuple[str, ...]:
    """As CloudStack tells them: with commas, or none for all."""
    return tuple(sorted(one for one in (text or EVERYWHERE).split(",") if one))


def openings(
    rules: Iterable[Rule], addresses: Mapping[str, Sequence[str]], within: IPv4Network | None = None
) -> list[Opening]:
    """What rules let pass: peers by their members' addresses; with `within` only from there and to there."""
    spans: dict[tuple[Direction, str, str], set[tuple[int, int]]] = {}
    for rule in rules:
        if rule.protocol not in _NEVER:
            protocol, span = _span(rule)
            for cidr in _ranges(rule, addresses, within):
                spans.setdefault((rule.direction, protocol, cidr), set()).add(span)
    whole = {(direction, cidr) for direction, protocol, cidr in spans if protocol == ALL}
    found: dict[tuple[Direction, str, int, int], list[str]] = {}
    for (direction, protocol, cidr), each in spans.items():
        if protocol == ALL or (direction, cidr) not in whole:
            for low, high in _apart(protocol, each):
                found.setdefault((direction, protocol, low, high), []).append(cidr)
    return sorted(Opening(*key, _all_or(cidrs)) for key, cidrs in found.items())


def _all_or(cidrs: Sequence[str]) -> tuple[str, ...]:
    """Beside the range of all others say nothing."""
    return (EVERYWHERE,) if EVERYWHERE in cidrs else tuple(sorted(cidrs))


def _span(rule: Rule) -> tuple[str, tuple[int, int]]:
    protocol = _NUMBERS.get(rule.protocol, rule.protocol)
    if rule.protocol in ("tcp", "udp"):
        return protocol, (max(rule.low, PORTS[0]), rule.high)
    if protocol in ("tcp", "udp"):
        return protocol, PORTS
    return protocol, (rule.low, rule.high) if rule.protocol == "icmp" else ANY


def _ranges(rule: Rule, addresses: Mapping[str, Sequence[str]], within: IPv4Network | None) -> Iterator[str]:
    for text in [rule.cidr] if rule.cidr else [f"{one}/32" for one in addresses.get(rule.peer, ())]:
        if ":" in text:
            continue
        cidr = IPv4Network(text)
        if within is None or cidr.subnet_of(within):
            yield str(cidr)
        elif within.subnet_of(cidr):
            yield str(within)


def _apart(protocol: str, spans: set[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The same, without overlaps."""
    if protocol in ("tcp", "udp"):
        yield from _joined(spans)
    elif ANY in spans:
        yield ANY
    else:
        yield from (one for one in spans if one[1] == -1 or (one[0], -1) not in spans)


def _joined(spans: set[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    low, high = min(spans)
    for start, end in sorted(spans):
        if start > high + 1:
            yield low, high
            low, high = start, end
        high = max(high, end)
    yield low, high
