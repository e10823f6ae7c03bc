"""The record of a thing, written before the thing itself: a crash leaves nothing that no one knows of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from isthmus.context import Context
from isthmus.core.ids import Kind
from isthmus.core.registry import Noun
from isthmus.errors import Fault, NotFound, Unavailable
from isthmus.store import Record, View

T = TypeVar("T", bound=Noun)


@contextmanager
def creating(
    cx: Context,
    kind: Kind,
    ref: str,
    cloud: str,
    data: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    check: Callable[[View], None] | None = None,
) -> Iterator[Callable[[T], T]]:
    """Keep a record of what is being made; the block calls what it is given with the thing that was made.

    `check` may refuse it, by what is on record then; a retry of the same request has been let in before.
    A refusal takes the record away again. After an Unavailable nobody knows whether the thing exists: the
    record stays, and core/reconcile.py finds out.
    """
    with cx.store.change(cx.account) as change:
        if check and ref not in change.view.records:
            check(change.view)
        change.put(Record(ref, cx.account, kind, cloud, "", data or {}, cx.now(), None))
        if tags:
            change.tag([ref], tags)

    def made(noun: T) -> T:
        with cx.store.change(cx.account) as change:
            if ref not in change.view.records:  # somebody saw it already, and has deleted it
                raise NotFound(kind, ref)
            change.update(ref, native=noun.native)
        return noun

    try:
        yield made
    except Unavailable:
        raise
    except Fault:
        forget(cx, ref)
        raise


def forget(cx: Context, *ids: str) -> None:
    """Drop the records and tags of what is not there."""
    with cx.store.change(cx.account) as change:
        for one in ids:
            change.untag([one], None)
            change.drop(one)
