"""What is asked of a cloud over a wire at the same time, for one request or several."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

AT_ONCE = 32
"""Calls that are made at the same time."""
_NAME = "together"
_here = threading.local()
_pool = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix=_NAME)


def together(*reads: Callable[[], Any]) -> list[Any]:
    """Ask several things at the same time."""
    if _is_one_of_them():
        return [read() for read in reads]
    return [one.result() for one in [_pool.submit(read) for read in reads]]


def for_each(act: Callable[[T], Any], things: Sequence[T]) -> list[Any]:
    """Do one thing for each, at the same time if there are several."""
    if len(things) <= 1 or _is_one_of_them():
        return [act(one) for one in things]
    return list(_pool.map(act, things))


@contextmanager
def one_by_one() -> Iterator[None]:
    """Ask for one thing after the other here: for who holds what others wait for, who may be all that ask."""
    before = getattr(_here, "alone", False)
    _here.alone = True
    try:
        yield
    finally:
        _here.alone = before


def _is_one_of_them() -> bool:
    """Whether this is done beside others already: were all of these to wait for others yet, nobody would be left."""
    return getattr(_here, "alone", False) or threading.current_thread().name.startswith(f"{_NAME}_")
