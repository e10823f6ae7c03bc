"""What a subnet's filter says to traffic that its packet filter does not see."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from isthmus.model import WITH_PORTS, AclRule, Direction
from isthmus.providers.local.netd.layout import is_v4

_NUMBERS = {"tcp": "6", "udp": "17", "icmp": "1"}


def passes(acl: tuple[AclRule, ...] | None, direction: Direction, protocol: str, other: str, port: int) -> bool:
    """Whether TCP or UDP passes, by the other side's address and the port that it is sent to."""
    if acl is None:
        return True
    for rule in sorted(acl, key=lambda one: one.number):
        if rule.direction is direction and is_v4(rule.cidr) and IPv4Address(other) in IPv4Network(rule.cidr):
            if rule.protocol in ("-1", _NUMBERS[protocol]):
                return rule.allow
            if rule.protocol == protocol and protocol in WITH_PORTS and rule.low <= port <= rule.high:
                return rule.allow
    return False
