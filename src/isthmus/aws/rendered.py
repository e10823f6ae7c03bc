"""Remembers how a thing was rendered for as long as all it is made of stays equal."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, Protocol, TypeVar

from isthmus.aws.codec import Item

_MOST = 200_000


class Rendering(Protocol):
    """What is rendered: an immutable value that knows whose and which it is."""

    @property
    def id(self) -> str: ...
    @property
    def account(self) -> str: ...


V = TypeVar("V", bound=Rendering)


def rendered(render: Callable[[V], dict[str, Any]]) -> Callable[[V], Item]:
    """A `render` that gives the same Item again, with its XML, for an equal value. Holds 200,000 at most."""
    memo: dict[tuple[str, str], tuple[V, Item]] = {}
    lock = Lock()

    def remembered(value: V) -> Item:
        name = (value.account, value.id)
        known = memo.get(name)
        if known is not None and known[0] == value:
            return known[1]
        item = Item(render(value))
        with lock:
            if len(memo) >= _MOST:
                del memo[next(iter(memo))]
            memo[name] = (value, item)
        return item

    return remembered
