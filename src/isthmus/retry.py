"""What a read over a wire is tried again for: it may have been a connection that the other side had closed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

RETRY_SECONDS, PAUSE_SECONDS = 1, 0.2
"""What fails later than this is not tried again: the other side is away. And how long lies between both."""


def twice(read: Callable[[], T], broken: type[Exception]) -> T:
    """Raises `broken` if that is what the second try raises too, or the first one after a while."""
    begun = time.monotonic()
    try:
        return read()
    except broken:
        if time.monotonic() - begun > RETRY_SECONDS:
            raise
        time.sleep(PAUSE_SECONDS)
        return read()
