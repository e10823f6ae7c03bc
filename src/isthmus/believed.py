"""What a cloud told that seldom changes, for as long as it is believed to be so."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
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
        known = self._kept(key)
        if known is not None:
            return known[1]
        found = read()
        self.put({key: found})
        return found

    def peek(self, key: tuple[Any, ...]) -> T | None:
        """What is believed by now; None if it is to be asked for."""
        known = self._kept(key)
        return known[1] if known else None

    def put(self, told: Mapping[tuple[Any, ...], T]) -> None:
        now = time.monotonic()
        left = {one: kept for one, kept in self._known.items() if kept[0] >= now}
        self._known = left | {key: (now + SECONDS, found) for key, found in told.items()}

    def _kept(self, key: tuple[Any, ...]) -> tuple[float, T] | None:
        known = self._known.get(key)
        return known if known and known[0] >= time.monotonic() else None

    def forget(self, tenant: str) -> None:
        """What a tenant was told: it has changed something of it."""
        self._known = {one: kept for one, kept in self._known.items() if one[0] != tenant}
