"""The ids of firewalls' rules, which no cloud has.

An id is derived from the firewall and what the rule permits, so that it needs no record. One is kept where that does
not do: a rule that was changed keeps its id, and its description may be another than the cloud's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from typing import NamedTuple

from isthmus.core.ids import Kind, adopt
from isthmus.core.registry import Found
from isthmus.model import Direction, Firewall, Rule
from isthmus.store import Record, View

DESCRIPTION = "description"
"""The note of a description that is not the cloud's."""


class Ruled(NamedTuple):
    """A rule under its id."""

    id: str
    rule: Rule


def listed(view: View, group: Found[Firewall]) -> list[Ruled]:
    """The rules of a firewall, in its order, as they were last described."""
    return [_ruled(view, group, rule) for rule in group.noun.rules]


def native_of(group: Found[Firewall], rule: Rule) -> str:
    """What stands for a rule in its record: the firewall and what the rule permits."""
    return "\n".join(map(str, (group.noun.native, *rule.key)))


def rule_of(native: str) -> Rule:
    """The rule that a record stands for, without its description."""
    _, direction, protocol, low, high, cidr, peer = native.split("\n")
    return Rule(Direction(direction), protocol, int(low), int(high), cidr, peer)


def records_of(view: View, group: Found[Firewall]) -> Iterator[Record]:
    """The records of a firewall's rules, also of rules that are not there."""
    for record in view.of_kind(Kind.RULE).values():
        if (record.cloud, record.native.partition("\n")[0]) == (group.cloud, group.noun.native):
            yield record


def all_ids(view: View, group: Found[Firewall]) -> set[str]:
    """Whatever goes with a firewall that is deleted."""
    return {*(one.id for one in listed(view, group)), *(one.id for one in records_of(view, group))}


def free_id(taken: Mapping[str, Record], cloud: str, native: str) -> str:
    """The id of a rule that has no record: the derived one, or if a changed rule took that along, the next."""
    candidates = (adopt(Kind.RULE, cloud, native + "\n" * turn) for turn in count())
    return next(known for known in candidates if known not in taken)


def _ruled(view: View, group: Found[Firewall], rule: Rule) -> Ruled:
    native = native_of(group, rule)
    record = view.by_native(group.cloud, Kind.RULE, native)
    if record is None:
        return Ruled(free_id(view.of_kind(Kind.RULE), group.cloud, native), rule)
    return Ruled(record.id, replace(rule, description=record.data.get(DESCRIPTION, rule.description)))
