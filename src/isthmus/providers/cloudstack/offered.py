"""What an operator offers, for as long as it is believed to be so: each tenant sees its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

SECONDS = 60


class Offered:
    """Lists that are asked for again after a while. Two who ask at the same time may both do so."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], tuple[float, Sequence[Mapping[str, Any]]]] = {}

    def get(self, key: tuple[Any, ...], read: Callable[[], Sequence[Mapping[str, Any]]]) -> Sequence[Mapping[str, Any]]:
        until, found = self._known.get(key, (0.0, ()))
        now = time.monotonic()
        if until < now:
            found = read()
            self._known = {one: kept for one, kept in self._known.items() if kept[0] >= now}
            self._known[key] = (now + SECONDS, found)
        return found

    def forget(self, tenant: str) -> None:
        """What a tenant was offered: it has changed something of it."""
        self._known = {one: kept for one, kept in self._known.items() if one[0] != tenant}
