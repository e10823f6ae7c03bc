"""A firewall's rules, in our words and in Neutron's.

A rule of ours that names a peer is for IPv4, as servers' addresses are; what Neutron says of its default group for both
is one rule here. Neutron has no port 0: from 0 to 65535 is all ports, which it says by naming none.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_network
from typing import Any

from isthmus.errors import NotFound, Unsupported
from isthmus.model import HIGHEST, WITH_PORTS, Direction, Rule, demand_rule
from isthmus.providers.openstack.client import Item

ALL_PORTS = (0, 65535)
EVERYWHERE = {"IPv4": "0.0.0.0/0", "IPv6": "::/0"}
NEUTRONS = {"icmpv6": "ipv6-icmp", "-1": None}
"""Neutron's words where they are not ours."""
NUMBERS = {"tcp": "6", "udp": "17", "icmp": "1", "icmpv6": "58"}
NAMES = (
    "ah=51 dccp=33 egp=8 esp=50 gre=47 igmp=2 ipip=4 ospf=89 pgm=113 rsvp=46 sctp=132 udplite=136 vrrp=112 "
    "ipv6-encap=41 ipv6-frag=44 ipv6-nonxt=59 ipv6-opts=60 ipv6-route=43"
)
"""Neutron's names of protocols that have none here, with their numbers."""
OURS = {
    "any": "-1",
    "0": "-1",
    "ipv6-icmp": "icmpv6",
    **{number: name for name, number in NUMBERS.items()},
    **dict(pair.split("=") for pair in NAMES.split()),
}


def rule_of(item: Item) -> Rule | None:
    """None for a rule that no words of ours can say: one for a list of addresses kept elsewhere."""
    if item.get("remote_address_group_id"):
        return None
    named = item["protocol"] or "any"
    protocol = OURS.get(named, named)
    low, high = (-1 if one is None else one for one in (item["port_range_min"], item["port_range_max"]))
    if protocol in WITH_PORTS and low == -1:
        low, high = ALL_PORTS
    elif protocol not in HIGHEST:
        low, high = -1, -1
    peer = item["remote_group_id"] or ""
    wide = str(ip_network(item["remote_ip_prefix"] or EVERYWHERE[item["ethertype"]], strict=False))
    return Rule(
        direction=Direction(item["direction"]),
        protocol=protocol,
        low=low,
        high=high,
        cidr="" if peer else wide,
        peer=peer,
        description=item["description"] or "",
    )


def body_of(group: str, rule: Rule) -> dict[str, Any]:
    """The request for a rule that can be. Raises Unsupported."""
    wide = not rule.peer and rule.cidr in EVERYWHERE.values()
    low, high = (None if one == -1 else one for one in (rule.low, rule.high))
    if rule.protocol in WITH_PORTS and (rule.low, rule.high) == ALL_PORTS:
        low, high = None, None
    elif rule.protocol in WITH_PORTS and rule.low == 0:
        raise Unsupported("Neutron has no port 0: let the range begin at 1, or name all ports.")
    elif rule.protocol in WITH_PORTS and (rule.low, rule.high) == (1, 65535):
        raise Unsupported("Neutron makes all ports of the ports 1 to 65535: name all ports, 0 to 65535.")
    v6 = ":" in rule.cidr or (bool(rule.peer) and rule.protocol == "icmpv6")
    return {
        "security_group_id": group,
        "direction": rule.direction.value,
        "ethertype": "IPv6" if v6 else "IPv4",
        "protocol": NEUTRONS.get(rule.protocol, rule.protocol),
        "port_range_min": low,
        "port_range_max": high,
        "remote_ip_prefix": None if wide else rule.cidr or None,
        "remote_group_id": rule.peer or None,
        "description": rule.description,
    }


def check(rule: Rule, groups: Collection[str]) -> None:
    """Raises Invalid, and NotFound for a peer that is not among the tenant's groups."""
    demand_rule(rule)
    if rule.peer and rule.peer not in groups:
        raise NotFound("firewall", rule.peer[:64])
