"""What lives in the store alone: what only the API knows, such as launch templates, and an account's settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from isthmus.context import Context
from isthmus.core.ids import Kind, mint
from isthmus.core.records import forget
from isthmus.core.registry import NO_TAGS
from isthmus.errors import Conflict, NotFound
from isthmus.store import Record

_SETTINGS = "settings"


class Kept(NamedTuple):
    """A thing of the store's own; `data` holds what JSON can."""

    id: str
    account: str
    data: Mapping[str, Any]
    created: datetime
    tags: Mapping[str, str]


def find(cx: Context, kind: Kind, ids: Collection[str] | None = None) -> list[Kept]:
    """The account's things of a kind by id; NotFound names the first of `ids` that is not there."""
    records = cx.view().of_kind(kind)
    for one in ids or ():
        if one not in records:
            raise NotFound(kind, one)
    return [_kept(cx, records[one]) for one in (dict.fromkeys(ids) if ids else sorted(records))]


def get(cx: Context, kind: Kind, known: str) -> Kept:
    return find(cx, kind, [known])[0]


def create(
    cx: Context, kind: Kind, data: Mapping[str, Any], tags: Mapping[str, str] | None = None, *, unique: bool = False
) -> Kept:
    """Keep a new thing; what a retry of the same request made before is the answer.

    Raises Conflict for the name of another one, if names are `unique`.
    """
    ref = mint(kind, cx.seed)
    if ref not in cx.view().records:
        with cx.store.change(cx.account) as change:
            others = change.view.of_kind(kind).values()
            if unique and any(one.data.get("name") == data["name"] for one in others):
                raise Conflict(kind, data["name"], f"The name '{data['name']}' is already in use.", "duplicate")
            change.put(Record(ref, cx.account, kind, "", ref, data, cx.now(), None))
            if tags:
                change.tag([ref], tags)
    return get(cx, kind, ref)


def update(cx: Context, kind: Kind, known: str, data: Mapping[str, Any]) -> Kept:
    """Change some of what a thing holds."""
    with cx.store.change(cx.account) as change:
        held = change.view.records.get(known)
        if held is None or held.kind != kind:
            raise NotFound(kind, known)
        change.update(known, data={**held.data, **data})
    return get(cx, kind, known)


def delete(cx: Context, kind: Kind, known: str) -> None:
    """Forget a thing and its tags. Raises NotFound."""
    get(cx, kind, known)
    forget(cx, known)


def settings(cx: Context) -> Mapping[str, Any]:
    """What the account has set for itself; empty until then."""
    record = cx.view().records.get(_settings_id(cx))
    return record.data if record else {}


def set_setting(cx: Context, name: str, value: Any) -> None:
    ref = _settings_id(cx)
    with cx.store.change(cx.account) as change:
        held = change.view.records.get(ref)
        data = {**(held.data if held else {}), name: value}
        change.put(Record(ref, cx.account, _SETTINGS, "", ref, data, held.created if held else cx.now(), None))


def _settings_id(cx: Context) -> str:
    return f"{_SETTINGS}-{cx.account}"


def _kept(cx: Context, record: Record) -> Kept:
    tags = cx.view().tags.get(record.id, NO_TAGS)
    return Kept(record.id, cx.account, record.data, record.created, tags)


def named(things: Sequence[Kept], name: str) -> Kept | None:
    """The first of these with this name."""
    return next((one for one in things if one.data.get("name") == name), None)
