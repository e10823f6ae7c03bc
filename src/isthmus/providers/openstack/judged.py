"""Signatures that Keystone took a moment ago, so that it is asked once for a request that is sent again and again.

Times in signatures are of whole seconds: a client that looks twice within one sends the very same request.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

T = TypeVar("T")

JUDGED_SECONDS = 5
"""How long Keystone's yes counts: a revoked credential is good that long at most, for the same requests only."""
_MOST = 10_000


class Judged(Generic[T]):
    """Who signed, by a digest of all that Keystone was told of a request. Its refusals are not remembered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, tuple[float, T]] = OrderedDict()

    def get(self, told: Mapping[str, Any]) -> T | None:
        with self._lock:
            since, found = self._known.get(_digest(told), (float("-inf"), None))
        return found if time.monotonic() - since < JUDGED_SECONDS else None

    def keep(self, told: Mapping[str, Any], found: T, since: float) -> None:
        """`since` is when Keystone was asked, by the monotonic clock. What counts no longer is forgotten."""
        with self._lock:
            self._known[_digest(told)] = since, found
            self._known.move_to_end(_digest(told))
            while len(self._known) > _MOST or self._is_over():
                self._known.popitem(last=False)

    def _is_over(self) -> bool:
        """Whether the one that was kept first counts no longer."""
        first = next(iter(self._known.values()), None)
        return first is not None and time.monotonic() - first[0] >= JUDGED_SECONDS


def _digest(told: Mapping[str, Any]) -> bytes:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).digest()
