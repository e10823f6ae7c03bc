"""Taking back what a request has written, and nothing of what others have written meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from isthmus.context import Context
from isthmus.store import Change, Edit, Record

_ABSENT = object()


def undo(cx: Context, edits: Sequence[Edit]) -> None:
    """Records as they would be without these edits, the last of them first."""
    with cx.store.change(cx.account) as change:
        held: dict[str, Record | None] = dict(change.view.records)
        for edit in reversed(edits):
            held[edit.known] = _undone(edit, held.get(edit.known))
        for known in dict.fromkeys(edit.known for edit in edits):
            _write(change, known, held[known])
        for edit in edits:
            if edit.after is None and edit.before and held[edit.known]:
                change.tag([edit.known], edit.tags)


def _write(change: Change, known: str, record: Record | None) -> None:
    if record is None:
        change.drop(known)
    else:
        change.put(record)


def _undone(edit: Edit, now: Record | None) -> Record | None:
    before, after = edit.before, edit.after
    if after is None:
        return now or before
    if before is None or now is None:
        return None if now == after else now
    gone = before.gone if now.gone == after.gone else now.gone
    return replace(now, data=without(before.data, after.data, now.data), gone=gone)


def without(before: Mapping[str, Any], after: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """What is held `now`, without what led from `before` to `after`; what others changed since in the same place stays.

    Of a list, what was added is taken away and what was taken away is added again.
    """
    held = dict(now)
    for name in {*before, *after}:
        was, became, present = (one.get(name, _ABSENT) for one in (before, after, now))
        if was == became:
            continue
        if present == became:
            held[name] = was
        elif all(isinstance(one, list) for one in (was, became, present)):
            kept = [one for one in present if one in was or one not in became]
            held[name] = [*kept, *(one for one in was if one not in became and one not in kept)]
    return {name: value for name, value in held.items() if value is not _ABSENT}
