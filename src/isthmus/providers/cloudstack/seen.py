"""What was made of things as CloudStack told them: it is made anew only of what it tells otherwise."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Seen(Generic[T]):
    MOST = 10_000
    """Things that are kept: of more, all are forgotten."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[Any, T]] = {}

    def of(self, key: Hashable, said: Any, make: Callable[[], T]) -> T:
        """What `make` makes of a thing; `said` is all that this depends on, and is not changed later."""
        before = self._known.get(key)
        if before is not None and before[0] == said:
            return before[1]
        made = make()
        if len(self._known) >= self.MOST:
            self._known = {}
        self._known[key] = (said, made)
        return made
