"""What only the API knows of a thing that a cloud has: it stands in the thing's record and goes with it."""

from __future__ import annotations

from typing import Any

from isthmus.context import Context
from isthmus.core.ids import Kind
from isthmus.core.kept import Check
from isthmus.core.registry import Found
from isthmus.errors import NotFound
from isthmus.store import Record


def note(cx: Context, kind: Kind, found: Found[Any], check: Check | None = None, /, **said: Any) -> None:
    """Write down what JSON can hold; None takes a note away. A thing made by other means gets a record by it.

    Raises NotFound for a thing that was deleted meanwhile, and what `check` raises.
    """
    with cx.store.change(cx.account) as change:
        held = change.view.records.get(found.id)
        if found.record and not held:
            raise NotFound(kind, found.id)
        if check:
            check(change.view)
        both = {**(held.data if held else {}), **said}
        data = {name: value for name, value in both.items() if value is not None}
        if not held:
            change.put(Record(found.id, cx.account, kind, found.cloud, found.noun.native, {}, cx.now()))
        change.update(found.id, native=found.noun.native, data=data)
