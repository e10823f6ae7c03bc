"""What was read once, for as long as nothing changes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class Memo:
    """What was read, by what was asked. Two who ask for the same thing at the same time ask for it once."""

    def __init__(self) -> None:
        self._read: dict[object, Any] = {}
        self._locks: dict[object, threading.Lock] = {}

    def get(self, asked: object, read: Callable[[], Any]) -> Any:
        """What is read while it is being cleared is kept for none but those who asked before."""
        kept = self._read
        with self._locks.setdefault(asked, threading.Lock()):
            if asked not in kept:
                kept[asked] = read()
            return kept[asked]

    def clear(self, keep: Callable[[Any], bool] | None = None) -> None:
        """Forget all, but for what was asked by that which is to be kept."""
        self._read = {asked: read for asked, read in list(self._read.items()) if keep and keep(asked)}
