"""Network ACLs: filters of a subnet's traffic that keep no state. Each network begins with one that lets all pass.

An ACL is a record of the store: its network and its rules. Which one a subnet uses stands in the subnet's record.
What changes how traffic goes is to be called while the wiring of the network is `changing`; see core/wiring.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, NamedTuple

from isthmus.context import Context
from isthmus.core import kept, networks
from isthmus.core.ids import Kind, adopt, mint
from isthmus.core.kept import Defaults, Kept
from isthmus.core.notes import note
from isthmus.core.quotas import demand
from isthmus.core.registry import Found
from isthmus.errors import Conflict, Invalid, NotFound
from isthmus.model import AclRule, Direction, Network, Subnet
from isthmus.store import View

_ALL = tuple(AclRule(100, direction, True, "-1", "0.0.0.0/0") for direction in Direction)


class Association(NamedTuple):
    id: str
    acl: str
    subnet: str


def default_id(network: Found[Network]) -> str:
    """The id of the ACL that a network begins with."""
    return adopt(Kind.ACL, network.cloud, network.id)


def defaults(cx: Context) -> Defaults:
    rules = [asdict(rule) for rule in _ALL]
    return {default_id(one): {"network": one.id, "rules": rules} for one in networks.networks(cx)}


def find(cx: Context, ids: Collection[str] | None = None) -> list[Kept]:
    return kept.find(cx, Kind.ACL, ids, defaults(cx))


def one(cx: Context, acl: str) -> Kept:
    return find(cx, [acl])[0]


def is_default(cx: Context, acl: Kept) -> bool:
    network = networks.networks(cx).by_id.get(acl.data["network"])
    return network is not None and acl.id == default_id(network)


def rules(acl: Kept) -> list[AclRule]:
    """Its rules, by direction and number; what none of them fits is dropped."""
    return _rules(acl.data)


def _rules(data: Mapping[str, Any]) -> list[AclRule]:
    found = [AclRule(**{**said, "direction": Direction(said["direction"])}) for said in data["rules"]]
    return sorted(found, key=lambda rule: (rule.direction == Direction.INGRESS, rule.number))


def acl_of(cx: Context, subnet: Found[Subnet]) -> str:
    """The id of the ACL that a subnet uses."""
    return subnet.data.get("acl") or default_id(networks.network_of(cx, subnet))


def effect(cx: Context, subnet: Found[Subnet]) -> tuple[AclRule, ...] | None:
    """What a subnet's cloud is to filter by; None to let all pass."""
    found = tuple(rules(one(cx, acl_of(cx, subnet))))
    return None if set(found) == set(_ALL) else found


def associations(cx: Context) -> Iterator[Association]:
    for subnet in networks.subnets(cx):
        with suppress(NotFound):  # a network that went meanwhile took its subnets along
            yield _association(subnet, subnet.data, acl_of(cx, subnet))


def _association(subnet: Found[Subnet], data: Mapping[str, Any], acl: str) -> Association:
    known = data.get("acl_association") or adopt(Kind.ACL_ASSOCIATION, subnet.cloud, f"{subnet.id}\n{acl}")
    return Association(known, acl, subnet.id)


def create(cx: Context, network: Found[Network]) -> Kept:
    """Raises QuotaExceeded for one too many in a network."""
    data = {"network": network.id, "rules": []}
    return kept.create(cx, Kind.ACL, data, cx.tags.get("network-acl"), defaults=defaults(cx))


def delete(cx: Context, known: str) -> None:
    """Raises Invalid for a network's first ACL, Conflict (`in-use`) for one that a subnet uses."""
    if is_default(cx, one(cx, known)):
        raise Invalid(f"cannot delete default network ACL {known}", "acl")

    def check(view: View) -> None:
        if any(subnet.data.get("acl") == known for subnet in view.of_kind(Kind.SUBNET).values()):
            reason = f"The networkAcl '{known}' has dependencies and cannot be deleted."
            raise Conflict(Kind.ACL, known, reason, "in-use")

    kept.delete(cx, Kind.ACL, known, check=check)


def add(cx: Context, acl: Kept, rule: AclRule) -> None:
    """Raises Conflict (`duplicate`) for a number that is taken, QuotaExceeded for one too many."""

    def new(held: list[AclRule]) -> list[AclRule]:
        same = [other.number for other in held if other.direction == rule.direction]
        if rule.number in same:
            reason = f"The network acl entry identified by {rule.number} already exists."
            raise Conflict("acl-rule", str(rule.number), reason, "duplicate")
        demand(cx, "rules_per_acl", len(same), acl.id)
        return [*held, rule]

    _change(cx, acl, new)


def exchange(cx: Context, acl: Kept, rule: AclRule) -> None:
    """Put a rule in the place of the one with its number. Raises NotFound."""
    _change(cx, acl, lambda held: [*_without(acl, held, rule.number, rule.direction), rule])


def remove(cx: Context, acl: Kept, number: int, direction: Direction) -> None:
    """Raises NotFound."""
    _change(cx, acl, lambda held: _without(acl, held, number, direction))


def _without(acl: Kept, held: Sequence[AclRule], number: int, direction: Direction) -> list[AclRule]:
    left = [rule for rule in held if (rule.number, rule.direction) != (number, direction)]
    if len(left) == len(held):
        raise NotFound("acl-rule", str(number), f"There is no {direction} entry {number} in {acl.id}.")
    return left


def _change(cx: Context, acl: Kept, new: Callable[[list[AclRule]], list[AclRule]]) -> None:
    """Change the rules that an ACL has then, whatever it had when it was read."""

    def data(held: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"rules": [asdict(rule) for rule in new(_rules(held))]}

    kept.alter(cx, Kind.ACL, acl.id, data, defaults(cx))


def association(cx: Context, known: str) -> Association:
    """Raises NotFound."""
    for held in associations(cx):
        if held.id == known:
            return held
    raise NotFound(Kind.ACL_ASSOCIATION, known)


def reassociate(cx: Context, held: Association, acl: Kept) -> str:
    """Let the subnet of an association use another ACL of its network; the new association's id."""
    subnet = networks.one_subnet(cx, held.subnet)
    network = networks.network_of(cx, subnet)
    if network.id != acl.data["network"]:
        raise Invalid(f"Network ACL {acl.id} and subnet {subnet.id} belong to different networks.", "network")
    first = defaults(cx)

    def check(view: View) -> None:
        kept.held(view, Kind.ACL, acl.id, first)
        record = view.records.get(subnet.id)
        data = record.data if record else {}
        if _association(subnet, data, data.get("acl") or default_id(network)) != held:
            raise NotFound(Kind.ACL_ASSOCIATION, held.id)

    known = mint(Kind.ACL_ASSOCIATION, cx.seed)
    note(cx, Kind.SUBNET, subnet, check, acl=acl.id, acl_association=known)
    return known
