"""Rules of firewalls: added, removed, described, and changed under the id they have.

No cloud changes a rule: the new one is added, then the old one removed. The record of the rule says meanwhile what is
to be added (`next`) or what is to be removed (`last`), so that a change which a crash cut short is finished later, by
the next one of the same firewall or by `mend`: until then both rules are there, and never none.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from isthmus.context import Context
from isthmus.core import firewalls
from isthmus.core.ids import Kind, adopt
from isthmus.core.quotas import demand
from isthmus.core.records import forget
from isthmus.core.registry import Found
from isthmus.core.rule_ids import DESCRIPTION, Ruled, free_id, listed, native_of, records_of, rule_of
from isthmus.errors import Conflict, Fault, NotFound, QuotaExceeded, Unavailable
from isthmus.model import Direction, Firewall, Rule
from isthmus.store import Record

_log = logging.getLogger(__name__)
_NEXT, _LAST, _SINCE = "next", "last", "since"
_OTHER = "other-description"
"""The note of the description of what `last` names."""
_OPEN = (_NEXT, _LAST, _SINCE, _OTHER)
_Wall = Found[Firewall]


def add(cx: Context, group: _Wall, rules: Sequence[Rule]) -> list[str]:
    """Permit more; the answer is the ids.

    Raises Conflict (`duplicate`) if one of them is permitted, and QuotaExceeded for too many; then none is.
    """
    group = settled(cx, group, rules)
    _demand_new(group, rules)
    _demand_room(cx, group, rules)
    natives = [native_of(group, rule) for rule in rules]
    ids = _reserve(cx, group, natives)
    try:
        firewalls.api(cx.session(group.cloud)).add_rules(group.noun.native, rules)
    except Unavailable:
        raise
    except Fault:
        forget(cx, *(one for one, native in zip(ids, natives, strict=True) if one != _derived(group, native)))
        raise
    try:  # again: others may have come in at the same time
        _demand_room(cx, after := firewalls.one(cx, group.id), rules)
    except QuotaExceeded:
        remove(cx, after, rules)
        raise
    return ids


def remove(cx: Context, group: _Wall, rules: Sequence[Rule]) -> list[Ruled]:
    """Permit less. Raises NotFound if one of them is not there; then none is. Those removed are the answer."""
    group = settled(cx, group)
    known = {one.rule.key: one for one in listed(cx.view(), group)}
    for rule in rules:
        if rule.key not in known:
            raise NotFound(Kind.RULE, "", "The specified rule does not exist in this security group.")
    gone = [known[rule.key] for rule in rules]
    firewalls.api(cx.session(group.cloud)).remove_rules(group.noun.native, rules)
    view = cx.view()
    if noted := [one.id for one in gone if one.id in view.tags or one.id in view.records]:
        forget(cx, *noted)
    return gone


def change(cx: Context, group: _Wall, wanted: Mapping[str, Rule]) -> None:
    """Let rules, by their ids, permit something else; all of them or none.

    Raises NotFound for an unknown id, Conflict (`duplicate`) for what another rule permits.
    """
    group = settled(cx, group)
    held = _by_id(cx, group, wanted)
    moved = {known: rule for known, rule in wanted.items() if rule.key != held[known].key}
    _demand_new(group, list(moved.values()))
    if moved:
        _move(cx, group, held, moved)
    describe(cx, group, {known: rule.description for known, rule in wanted.items() if known not in moved})


def describe(cx: Context, group: _Wall, texts: Mapping[str, str]) -> None:
    """Describe rules, by their ids. Raises NotFound. The cloud is not told: its rules cannot be described anew."""
    held = _by_id(cx, group, texts)
    changed = {known: text for known, text in texts.items() if text != held[known].description}
    if not changed:
        return
    with cx.store.change(cx.account) as change:
        records = change.view.records
        for known, text in changed.items():
            data = {**(records[known].data if known in records else {}), DESCRIPTION: text}
            change.put(_record(cx, group, known, native_of(group, held[known]), data))


def mend(cx: Context, oldest: datetime) -> None:
    """Finish the changes that a crash cut short, and forget the records of rules that are gone.

    What was begun after `oldest` is spared.
    """
    for group in firewalls.index(cx):
        open_ones = [one for one in records_of(cx.view(), group) if _is_open(one) and _since(one) <= oldest]
        if open_ones:
            _finish(cx, group, open_ones)
    there = {(group.cloud, native_of(group, rule)) for group in firewalls.index(cx) for rule in group.noun.rules}
    left = [
        known
        for known, one in cx.view().of_kind(Kind.RULE).items()
        if (one.cloud, one.native) not in there and one.created <= oldest
    ]
    if left:
        forget(cx, *left)


def _demand_room(cx: Context, group: _Wall, rules: Sequence[Rule]) -> None:
    """Raises QuotaExceeded if a firewall has, with these, too many rules of their direction."""
    for way in {rule.direction for rule in rules}:
        both = {rule.key for rule in (*group.noun.rules, *rules) if rule.direction is way}
        demand(cx, "rules_per_group", len(both), group.id, more=0)


def _demand_new(group: _Wall, rules: Iterable[Rule]) -> None:
    known = {rule.key for rule in group.noun.rules}
    for rule in rules:
        if rule.key in known:
            reason = f'the specified rule "{_say(rule)}" already exists'
            raise Conflict(Kind.RULE, "", reason, "duplicate")
        known.add(rule.key)


def _by_id(cx: Context, group: _Wall, wanted: Collection[str]) -> dict[str, Rule]:
    """The firewall's rules by id; NotFound names the first of `wanted` that is not there."""
    held = {one.id: one.rule for one in listed(cx.view(), group)}
    for known in wanted:
        if known not in held:
            raise NotFound("rule-id", known)
    return held


def _say(rule: Rule) -> str:
    ports = "" if rule.low < 0 else f", from port: {rule.low}, to port: {rule.high}"
    peer = rule.cidr or "a security group"
    allow = "ALLOW" if rule.direction is Direction.INGRESS else "ALLOW, egress"
    return f"peer: {peer}, {rule.protocol}{ports}, {allow}"


def _derived(group: _Wall, native: str) -> str:
    return adopt(Kind.RULE, group.cloud, native)


def _record(cx: Context, group: _Wall, known: str, native: str, data: Mapping[str, Any]) -> Record:
    return Record(known, cx.account, Kind.RULE, group.cloud, native, data, cx.now(), None)


def _reserve(cx: Context, group: _Wall, natives: Sequence[str]) -> list[str]:
    """Ids for rules that are about to be, with records of those that are not the derived ones."""
    _forget_stale(cx, group, natives)
    taken = cx.view().of_kind(Kind.RULE)
    ids = [free_id(taken, group.cloud, native) for native in natives]
    others = [pair for pair in zip(ids, natives, strict=True) if pair[0] != _derived(group, pair[1])]
    if others:
        with cx.store.change(cx.account) as change:
            for known, native in others:
                change.put(_record(cx, group, known, native, {}))
    return ids


def _forget_stale(cx: Context, group: _Wall, natives: Iterable[str]) -> None:
    """Drop what is left on record of rules that were removed behind our back, before there are new ones like them."""
    view = cx.view()
    stale = [one.id for native in natives if (one := view.by_native(group.cloud, Kind.RULE, native))]
    if stale:
        forget(cx, *stale)


def _move(cx: Context, group: _Wall, held: Mapping[str, Rule], moved: Mapping[str, Rule]) -> None:
    _forget_stale(cx, group, [native_of(group, rule) for rule in moved.values()])
    with cx.store.change(cx.account) as change:
        records = change.view.records
        for known, rule in moved.items():
            said = _closed(records[known].data) if known in records else {}
            data = {**said, _NEXT: native_of(group, rule), _SINCE: cx.now().isoformat()}
            change.put(_record(cx, group, known, native_of(group, held[known]), data))
    try:
        firewalls.api(cx.session(group.cloud)).add_rules(group.noun.native, list(moved.values()))
    except Unavailable:
        raise
    except Fault:
        _close(cx, moved)
        raise
    view = cx.view()
    if refusal := _finish(cx, group, [view.records[known] for known in moved if known in view.records]):
        raise refusal


def settled(cx: Context, group: _Wall, adding: Sequence[Rule] = ()) -> _Wall:
    """The firewall as it is once changes that were cut short are finished, if their new rules are there.

    A change whose rule is not there may just be under way; it is given up if somebody else adds that rule.
    """
    open_ones = [one for one in records_of(cx.view(), group) if _is_open(one)]
    if not open_ones:
        return group
    there = {native_of(group, rule) for rule in group.noun.rules}
    _finish(cx, group, [one for one in open_ones if one.data.get(_NEXT, one.native) in there])
    given_up = {native_of(group, rule) for rule in adding} - there
    _close(cx, [one.id for one in open_ones if one.data.get(_NEXT) in given_up])
    return firewalls.one(cx, group.id)


def _finish(cx: Context, group: _Wall, records: Sequence[Record]) -> Fault | None:
    """Let rules be what they were to be, or if the cloud keeps what they were, that again; the answer says why."""
    there = {native_of(group, rule) for rule in firewalls.one(cx, group.id).noun.rules}
    ids = [one.id for one in records if one.data.get(_NEXT, one.native) in there]
    _turn(cx, ids, _NEXT)
    refusal = _take_away(cx, group, ids)
    if refusal:
        _turn(cx, ids, _LAST)
        if kept := _take_away(cx, group, ids):
            _log.warning("the firewall %s keeps rules that were to be removed: %s", group.id, kept)
    _close(cx, [one.id for one in records])
    return refusal


def _turn(cx: Context, ids: Collection[str], which: str) -> None:
    """Give ids to the other rules that their records name so; what had them until then is what is to be removed."""
    with cx.store.change(cx.account) as change:
        for known in ids:
            record = change.view.records.get(known)
            if record is None or which not in record.data:
                continue  # somebody else has finished it
            data = {_LAST: record.native, _SINCE: record.data[_SINCE]}
            for was, now in ((DESCRIPTION, _OTHER), (_OTHER, DESCRIPTION)):
                if was in record.data:
                    data[now] = record.data[was]
            change.update(known, native=record.data[which], data=data)


def _take_away(cx: Context, group: _Wall, ids: Collection[str]) -> Fault | None:
    """Remove what these rules were, as far as it is there; the answer is the cloud's refusal."""
    view = cx.view()
    there = {native_of(group, rule) for rule in firewalls.one(cx, group.id).noun.rules}
    last = {view.records[known].data.get(_LAST, "") for known in ids if known in view.records}
    going = [rule_of(native) for native in sorted(last & there)]
    if not going:
        return None
    try:
        with suppress(NotFound):
            firewalls.api(cx.session(group.cloud)).remove_rules(group.noun.native, going)
    except Unavailable:
        raise
    except Fault as refusal:
        return refusal
    return None


def _close(cx: Context, ids: Iterable[str]) -> None:
    with cx.store.change(cx.account) as change:
        for known in ids:
            record = change.view.records.get(known)
            if record and _is_open(record):
                change.update(known, data=_closed(record.data))


def _closed(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in _OPEN}


def _is_open(record: Record) -> bool:
    return _NEXT in record.data or _LAST in record.data


def _since(record: Record) -> datetime:
    return datetime.fromisoformat(record.data[_SINCE])
