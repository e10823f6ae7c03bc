"""What is asked of a cloud over a wire at the same time, for one request or several."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

AT_ONCE, _APART = 32, 8
"""Calls that are made at the same time: by all, and by each who asks apart."""
_NAME = "together"
_here = threading.local()
_pool = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix=_NAME)


def together(*reads: Callable[[], Any]) -> list[Any]:
    """Ask several things at the same time."""
    pool = _pool_here()
    if pool is None:
        return [read() for read in reads]
    return [one.result() for one in [pool.submit(read) for read in reads]]


def for_each(act: Callable[[T], Any], things: Sequence[T]) -> list[Any]:
    """Do one thing for each, at the same time if there are several."""
    pool = _pool_here() if len(things) > 1 else None
    if pool is None:
        return [act(one) for one in things]
    return list(pool.map(act, things))


@contextmanager
def apart() -> Iterator[None]:
    """Ask by threads of one's own here: for who holds what others wait for, who may be all that ask."""
    before = getattr(_here, "pool", None)
    with ThreadPoolExecutor(_APART, thread_name_prefix=_NAME) as own:
        _here.pool = own
        try:
            yield
        finally:
            _here.pool = before


def _pool_here() -> ThreadPoolExecutor | None:
    """None for who asks beside others already: were all of these to wait for others yet, nobody would be left."""
    own: ThreadPoolExecutor | None = getattr(_here, "pool", None)
    beside = threading.current_thread().name.startswith(f"{_NAME}_")
    return own or (None if beside else _pool)
