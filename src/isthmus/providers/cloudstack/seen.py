"""What was made of what CloudStack told: it is made anew only of what it tells otherwise."""

from __future__ import annotations

import threading
from collections import OrderedDict
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

    def last(self, key: Hashable) -> T | None:
        """What was made of a thing the last time."""
        before = self._known.get(key)
        return before[1] if before else None


class Parsed:
    """Answers, of which the same bytes are the very same object again. Those asked for lately are kept."""

    MOST = 8 * 1024 * 1024
    """Bytes of answers that are kept: what is parsed of them takes several times as much."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[Hashable, tuple[bytes, Any]] = OrderedDict()
        self._size = 0

    def of(self, key: Hashable, text: bytes, parse: Callable[[], Any]) -> Any:
        """What `parse` makes of the text that answers `key`. It is not changed later."""
        with self._lock:
            before = self._known.get(key)
            if before is not None and before[0] == text:
                self._known.move_to_end(key)
                return before[1]
        made = parse()
        with self._lock:
            self._size += len(text) - len(self._known.pop(key, (b"", None))[0])
            self._known[key] = (text, made)
            while self._size > self.MOST:
                self._size -= len(self._known.popitem(last=False)[1][0])
        return made
