"""The firewalls of isolated networks: by public address, and what goes out by private one. Here groups are exact.

Source: CloudStack's API, createFirewallRule and createEgressFirewallRule. Its router knows `tcp`, `udp`, `icmp` here,
and `all` for what goes out. A network whose offering lets out all takes outgoing rules for what it is not to let out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from isthmus.model import Direction
from isthmus.providers.cloudstack import openings
from isthmus.providers.cloudstack.client import Item
from isthmus.providers.cloudstack.grounds import Ground
from isthmus.providers.cloudstack.membership import Member, Sight
from isthmus.providers.cloudstack.openings import ALL, ANY, EVERYWHERE, PORTS, Opening
from isthmus.providers.cloudstack.tenant import Tenant
from isthmus.together import for_each, together

PROTOCOLS = ("-1", "tcp", "udp", "icmp", "icmpv6", "1", "6", "17", "58")
"""Those of rules that can be carried out here."""
_EACH = (("tcp", *PORTS), ("udp", *PORTS), ("icmp", *ANY))
"""What stands for all that comes in."""
REF = "isthmus-ref"
"""The tag of a public address of Isthmus' own; it is written right after, as CloudStack takes none with it."""


class Rule(NamedTuple):
    """One rule of a firewall."""

    at: str
    """The public address, or for what goes out the network, by its id."""
    sources: tuple[str, ...]
    opening: Opening
    """For what goes out by where it goes, else by where it comes from."""


class _Way(NamedTuple):
    """How CloudStack speaks of one direction."""

    create: str
    delete: str
    at: str
    """The parameter, and the field, that says where a rule is."""
    read: Callable[[Item], Rule]


def filters_out(network: Item) -> bool:
    """Whether a network lets out only what rules say: as its offering has it."""
    return not network.get("egressdefaultpolicy")


def tend(tenant: Tenant, sight: Sight, networks: Sequence[Ground]) -> bool:
    """Make the rules of an account's isolated networks what they shall be. Whether that was a change."""
    if not networks:
        return False
    addresses, coming, going = together(
        partial(tenant.all, "listPublicIpAddresses", "publicipaddress"),
        partial(tenant.client.every, "listFirewallRules", "firewallrule"),
        partial(tenant.client.every, "listEgressFirewallRules", "firewallrule"),
    )
    known = {one.item["id"] for one in networks if one.item}
    own = [one for one in addresses if one.get("associatednetworkid") in known and _is_own(one)]
    natives = {one["id"] for one in own}
    came = _settle(
        tenant, IN, [one for one in coming if one.get("ipaddressid") in natives], _apart(_coming(sight, own))
    )
    filtered = {one.item["id"] for one in networks if one.item and filters_out(one.item)}
    went = _settle(
        tenant, OUT, [one for one in going if one.get("networkid") in filtered], set(_going(sight, filtered))
    )
    return came or went


def _is_own(address: Item) -> bool:
    """Others, such as those of port forwarding, are left as they are."""
    tagged = any(tag["key"] == REF for tag in address.get("tags", ()))
    return not address.get("issourcenat") and bool(address.get("isstaticnat") or tagged)


def _coming(sight: Sight, addresses: Sequence[Item]) -> Iterator[Rule]:
    """What comes to public addresses: who is within comes there by none."""
    for address in addresses:
        for one in sight.members:
            if address.get("isstaticnat") and _is_behind(address, one):
                for opening in openings.openings(sight.rules([one]), {}):
                    if opening.direction is Direction.INGRESS:
                        yield from (Rule(address["id"], opening.cidrs, each) for each in _told(opening))


def _told(opening: Opening) -> Iterable[Opening]:
    if opening.protocol != ALL:
        return [opening._replace(cidrs=())]
    return [Opening(opening.direction, *each, ()) for each in _EACH]


def _is_behind(address: Item, one: Member) -> bool:
    return (address.get("virtualmachineid"), address.get("vmipaddress")) == (one.server, one.address)


def _going(sight: Sight, networks: Iterable[str]) -> Iterator[Rule]:
    """For each machine rules of its own: those of others stay as they are. To who is within, it needs none."""
    for network in networks:
        for one in sight.on(network):
            for opening in openings.openings(sight.rules([one]), {}):
                if opening.direction is Direction.EGRESS:
                    yield Rule(network, (f"{one.address}/32",), opening)


def _read_in(item: Item) -> Rule:
    said = openings.opening(item, Direction.INGRESS, item.get("cidrlist"))
    return Rule(str(item.get("ipaddressid")), said.cidrs, said._replace(cidrs=()))


def _read_out(item: Item) -> Rule:
    said = openings.opening(item, Direction.EGRESS, item.get("destcidrlist"))
    sources = openings.ranges(item.get("cidrlist"))
    return Rule(str(item.get("networkid")), sources, said)


IN = _Way("createFirewallRule", "deleteFirewallRule", "ipaddressid", _read_in)
OUT = _Way("createEgressFirewallRule", "deleteEgressFirewallRule", "networkid", _read_out)


def _settle(tenant: Tenant, way: _Way, held: Sequence[Item], wanted: set[Rule]) -> bool:
    """What is not to pass is closed before anything is opened: rules of one range cannot overlap."""
    there: Mapping[Rule, str] = {way.read(one): one["id"] for one in held}
    kept = {rule: native for rule, native in there.items() if rule in wanted}
    gone = [one["id"] for one in held if one["id"] not in kept.values()]
    for_each(lambda native: tenant.client.do(way.delete, "rule", native, id=native), gone)
    new = [one for one in sorted(wanted) if one not in kept]
    for_each(partial(_open, tenant, way), new)
    return bool(gone or new)


def _apart(wanted: Iterable[Rule]) -> set[Rule]:
    """The same, with one rule for the same ports of the same place."""
    found: dict[tuple[str, Opening], set[str]] = {}
    for rule in wanted:
        found.setdefault((rule.at, rule.opening), set()).update(rule.sources)
    return {Rule(at, tuple(sorted(sources)), opening) for (at, opening), sources in found.items()}


def _open(tenant: Tenant, way: _Way, rule: Rule) -> None:
    to = None if rule.opening.cidrs == (EVERYWHERE,) else list(rule.opening.cidrs) or None
    asked = {way.at: rule.at, "cidrlist": list(rule.sources), "destcidrlist": to, **rule.opening.said}
    tenant.client.do(way.create, "rule", rule.at, **asked)
