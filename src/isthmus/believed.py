"""What a cloud told that seldom changes, for as long as it is believed to be so."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")

SECONDS = 60


class Believed(Generic[T]):
    """Things that are asked for again after a while, by keys that begin with whose they are.

    Two who ask at the same time may both do so.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], tuple[float, T]] = {}

    def get(self, key: tuple[Any, ...], read: Callable[[], T]) -> T:
        known, now = self._known.get(key), time.monotonic()
        if known is not None and known[0] >= now:
            return known[1]
        found = read()
        self._known = {one: kept for one, kept in self._known.items() if kept[0] >= now}
        self._known[key] = (now + SECONDS, found)
        return found

    def forget(self, tenant: str) -> None:
        """What a tenant was told: it has changed something of it."""
        self._known = {one: kept for one, kept in self._known.items() if one[0] != tenant}
