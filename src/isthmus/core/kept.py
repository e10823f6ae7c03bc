"""What lives in the store alone: what only the API knows, such as launch templates, and an account's settings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from isthmus.context import Context
from isthmus.core.ids import Kind, mint
from isthmus.core.leaving import demand_staying
from isthmus.core.quotas import demand_record
from isthmus.core.registry import NO_TAGS
from isthmus.errors import Conflict, NotFound
from isthmus.store import Record, View

_SETTINGS = "settings"
DELETED = "deleted"
EVER = datetime.min.replace(tzinfo=UTC)
NO_DEFAULTS: Mapping[str, Mapping[str, Any]] = {}


class Kept(NamedTuple):
    """A thing of the store's own; `data` holds what JSON can."""

    id: str
    account: str
    data: Mapping[str, Any]
    created: datetime
    tags: Mapping[str, str]
    gone: datetime | None = None
    """When it was deleted, for what is shown for a while after that; see `bury`."""


Defaults = Mapping[str, Mapping[str, Any]]
"""What is there before anyone made it, by id: a record of it is written when it is changed first, or deleted."""
Check = Callable[[View], object]
"""Raises what stands against a change, by all that the account has on record at the moment of the change."""


def find(cx: Context, kind: Kind, ids: Collection[str] | None = None, defaults: Defaults = NO_DEFAULTS) -> list[Kept]:
    """The account's things of a kind by id; NotFound names the first of `ids` that is not there."""
    view = cx.view()
    records = view.of_kind(kind)
    oldest = cx.now() - cx.world.limits.terminated_visible

    def one(known: str) -> Kept | None:
        record = records.get(known)
        if record is None and known not in defaults:
            return None
        if record is None:
            return Kept(known, cx.account, defaults[known], EVER, view.tags.get(known, NO_TAGS))
        if record.data.get(DELETED) or (record.gone and record.gone < oldest):
            return None
        return Kept(known, cx.account, record.data, record.created, view.tags.get(known, NO_TAGS), record.gone)

    if not ids:
        return [held for known in sorted({*defaults, *records}) if (held := one(known))]
    found = []
    for known in dict.fromkeys(ids):
        held = one(known)
        if held is None:
            raise NotFound(kind, known)
        found.append(held)
    return found


def get(cx: Context, kind: Kind, known: str, defaults: Defaults = NO_DEFAULTS) -> Kept:
    return find(cx, kind, [known], defaults)[0]


def create(
    cx: Context,
    kind: Kind,
    data: Mapping[str, Any] | Callable[[View], Mapping[str, Any]],
    tags: Mapping[str, str] | None = None,
    *,
    unique: bool = False,
    check: Check | None = None,
    defaults: Defaults = NO_DEFAULTS,
    same: Callable[[Mapping[str, Any]], bool] | None = None,
    buried: bool = False,
) -> Kept:
    """Keep a new thing, `buried` from the first; what a retry of the same request made before is the answer.

    So is one that is there already and is the `same` by what it holds. `data` can depend on the others there are.
    Raises Conflict for the name of another one, if names are `unique`, what `check` raises of the others, NotFound for
    a network that is being deleted, and QuotaExceeded.
    """
    ref = mint(kind, cx.seed)
    if ref not in cx.view().records:
        with cx.store.change(cx.account) as change:
            others = there(change.view, kind)
            if same and (like := next((one.id for one in others if same(one.data)), "")):
                return get(cx, kind, like)
            if check:
                check(change.view)
            holds = data(change.view) if callable(data) else data
            demand_staying(change.view, holds)
            if unique and any(one.data.get("name") == holds["name"] for one in others):
                raise Conflict(kind, holds["name"], f"The name '{holds['name']}' is already in use.", "duplicate")
            demand_record(cx, kind, others, holds, defaults)
            change.put(Record(ref, cx.account, kind, "", ref, holds, cx.now(), cx.now() if buried else None))
            if tags:
                change.tag([ref], tags)
    return get(cx, kind, ref)


def held(view: View, kind: Kind, known: str, defaults: Defaults = NO_DEFAULTS) -> Mapping[str, Any]:
    """What a thing that is there, and not buried, holds. Raises NotFound."""
    record = view.records.get(known)
    if record is None and known in defaults:
        return defaults[known]
    if record is None or record.kind != kind or record.gone or record.data.get(DELETED):
        raise NotFound(kind, known)
    return record.data


def there(view: View, kind: Kind) -> list[Record]:
    """The records of things of a kind that are there, and not buried: without defaults that nobody has changed."""
    return [one for one in view.of_kind(kind).values() if one.gone is None and not one.data.get(DELETED)]


def update(cx: Context, kind: Kind, known: str, data: Mapping[str, Any], defaults: Defaults = NO_DEFAULTS) -> Kept:
    """Change some of what a thing holds. Raises NotFound."""
    return alter(cx, kind, known, lambda _: data, defaults)


def alter(
    cx: Context,
    kind: Kind,
    known: str,
    new: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    defaults: Defaults = NO_DEFAULTS,
    check: Check | None = None,
) -> Kept:
    """Change some of what a thing holds by what it holds then, so that none of several changes at once is lost.

    What `new` or `check` raises leaves everything as it is. Raises NotFound.
    """
    with cx.store.change(cx.account) as change:
        before = held(change.view, kind, known, defaults)
        data = {**before, **new(before)}
        demand_staying(change.view, data)
        if check:
            check(change.view)
        if known not in change.view.records:
            change.put(Record(known, cx.account, kind, "", known, before, cx.now(), None))
        change.update(known, data=data)
    return get(cx, kind, known, defaults)


def delete(cx: Context, kind: Kind, known: str, defaults: Defaults = NO_DEFAULTS, check: Check | None = None) -> None:
    """Forget a thing and its tags, unless `check` says what it is needed for. Raises NotFound."""
    with cx.store.change(cx.account) as change:
        before = held(change.view, kind, known, defaults)
        if check:
            check(change.view)
        if known in defaults:
            change.put(Record(known, cx.account, kind, "", known, {**before, DELETED: True}, cx.now(), None))
        else:
            change.drop(known)
        change.untag([known])


def bury(cx: Context, kind: Kind, known: str, data: Mapping[str, Any], check: Check | None = None) -> Kept:
    """Delete a thing that is shown as deleted for as long as a terminated server is; `data` says how it ended.

    Raises NotFound if it is not there, or buried already, and what `check` raises.
    """
    with cx.store.change(cx.account) as change:
        before = held(change.view, kind, known)
        if check:
            check(change.view)
        change.update(known, data={**before, **data}, gone=cx.now())
    return get(cx, kind, known)


def live(cx: Context, kind: Kind, ids: Collection[str] | None = None) -> list[Kept]:
    """As `find`, without what is buried."""
    found = find(cx, kind, ids)
    for one in found if ids else ():
        if one.gone:
            raise NotFound(kind, one.id)
    return [one for one in found if not one.gone]


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


def find_named(cx: Context, kind: Kind, ids: Collection[str], names: Collection[str], what: str) -> list[Kept]:
    """Things with these ids or names, or all of the kind; NotFound, of `what`, for a name that is not there."""
    everything = find(cx, kind)
    if not ids and not names:
        return everything
    found = {one.id: one for one in (find(cx, kind, ids) if ids else ())}
    by_name = {one.data["name"]: one for one in reversed(everything)}
    for name in names:
        if name not in by_name:
            raise NotFound(what, name)
        found[by_name[name].id] = by_name[name]
    return list(found.values())
