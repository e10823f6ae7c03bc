"""Launch templates and their numbered versions: records of the store alone.

A version is a record of its own, under the template's id and its number, so that none grows with their count.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from isthmus.context import Context
from isthmus.core import kept
from isthmus.core.ids import Kind, mint
from isthmus.core.kept import Kept
from isthmus.core.quotas import demand, demand_record
from isthmus.errors import Conflict, NotFound
from isthmus.store import Record, View

_VERSION = "launch-template-version"
_NAME = "launch-template-name"


class Version(NamedTuple):
    """What a launch is to be like; `data` is a front's own words."""

    template: Kept
    number: int
    description: str
    data: Mapping[str, Any]
    created: datetime


def find(cx: Context, ids: Collection[str] = (), names: Collection[str] = ()) -> list[Kept]:
    """The account's templates; NotFound names the first of `ids` or `names` that is not there."""
    return kept.find_named(cx, Kind.TEMPLATE, ids, names, _NAME)


def latest(cx: Context, template: Kept) -> int:
    """The highest number that is still there."""
    return _latest(cx.view(), template.id, template.data)


def version(cx: Context, template: Kept, number: int) -> Version:
    """Raises NotFound."""
    record = cx.view().records.get(_key(template.id, number))
    if record is None:
        raise _no_version(template.id, number)
    return _version(template, record)


def versions(cx: Context, template: Kept) -> list[Version]:
    """All of a template's versions, the newest first."""
    records, numbers = cx.view().records, range(template.data["last"], 0, -1)
    found = (records.get(_key(template.id, number)) for number in numbers)
    return [_version(template, record) for record in found if record]


def create(cx: Context, name: str, description: str, data: Mapping[str, Any], tags: Mapping[str, str]) -> Kept:
    """A template with its first version. Raises Conflict for a name that is taken."""
    ref = mint(Kind.TEMPLATE, cx.seed)
    with cx.store.change(cx.account) as change:
        known = change.view.of_kind(Kind.TEMPLATE)
        if ref not in known:
            if any(record.data["name"] == name for record in known.values()):
                raise Conflict(Kind.TEMPLATE, name, "Launch template name already in use.", "duplicate")
            held = {"name": name, "default": 1, "last": 1}
            demand_record(cx, Kind.TEMPLATE, list(known.values()), held)
            change.put(Record(ref, cx.account, Kind.TEMPLATE, "", ref, held, cx.now(), None))
            change.put(_record(cx, ref, 1, description, data))
            if tags:
                change.tag([ref], tags)
    return kept.get(cx, Kind.TEMPLATE, ref)


def add_version(cx: Context, template: Kept, description: str, data: Mapping[str, Any]) -> Version:
    """The next version; what a retry of the same request made before is the answer."""
    with cx.store.change(cx.account) as change:
        held = change.view.records.get(template.id)
        if held is None:
            raise NotFound(Kind.TEMPLATE, template.id)
        number = _made_before(cx, change.view, held) or held.data["last"] + 1
        if number > held.data["last"]:
            demand(cx, "versions_per_template", _count(cx, change.view, held), template.id)
            change.update(template.id, data={**held.data, "last": number})
            change.put(_record(cx, template.id, number, description, data))
    return version(cx, kept.get(cx, Kind.TEMPLATE, template.id), number)


def set_default(cx: Context, template: Kept, number: int) -> Kept:
    """Raises NotFound for a version that is not there."""
    with cx.store.change(cx.account) as change:
        held = change.view.records.get(template.id)
        if held is None or _key(template.id, number) not in change.view.records:
            raise _no_version(template.id, number)
        change.update(template.id, data={**held.data, "default": number})
    return kept.get(cx, Kind.TEMPLATE, template.id)


def delete(cx: Context, template: Kept) -> None:
    """Forget a template with all its versions."""
    with cx.store.change(cx.account) as change:
        held = change.view.records.get(template.id, None)
        for number in range(1, (held.data["last"] if held else 0) + 1):
            if _key(template.id, number) in change.view.records:
                change.drop(_key(template.id, number))
        change.drop(template.id)


def delete_version(cx: Context, template: Kept, number: int) -> None:
    """Raises NotFound, and Conflict for the default version."""
    with cx.store.change(cx.account) as change:
        held = change.view.records.get(template.id)
        if held is None or _key(template.id, number) not in change.view.records:
            raise _no_version(template.id, number)
        if held.data["default"] == number:
            raise Conflict(Kind.TEMPLATE, template.id, "You cannot delete the default version of a launch template.")
        change.drop(_key(template.id, number))


def _count(cx: Context, view: View, template: Record) -> int:
    """How many versions there are; no more than have been made, which is told at once."""
    last: int = template.data["last"]
    if last < cx.world.limits.quota("versions_per_template"):
        return last
    return sum(_key(template.id, number) in view.records for number in range(1, last + 1))


def _made_before(cx: Context, view: View, template: Record) -> int:
    """The version that this very request made before a crash; 0 for none."""
    if not cx.token:
        return 0
    for number in range(template.data["last"], 0, -1):
        record = view.records.get(_key(template.id, number))
        if record and record.data["token"] == cx.token:
            return number
    return 0


def _record(cx: Context, template: str, number: int, description: str, data: Mapping[str, Any]) -> Record:
    key = _key(template, number)
    held = {"template": template, "number": number, "description": description, "data": data, "token": cx.token}
    return Record(key, cx.account, _VERSION, "", key, held, cx.now(), None)


def _version(template: Kept, record: Record) -> Version:
    data = record.data
    return Version(template, data["number"], data["description"], data["data"], record.created)


def _key(template: str, number: int) -> str:
    return f"{template}/{number}"


def _latest(view: View, template: str, data: Mapping[str, Any]) -> int:
    return next((one for one in range(data["last"], 0, -1) if _key(template, one) in view.records), data["default"])


def _no_version(template: str, number: int) -> NotFound:
    reason = f"Could not find the specified version {number} for the launch template with ID {template}."
    return NotFound(_VERSION, f"{template}/{number}", reason)
