"""What is asked of a cloud over a wire at the same time, for one request or several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

AT_ONCE = 32
"""Calls that are made at the same time."""
_pool = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="together")


def together(*reads: Callable[[], Any]) -> list[Any]:
    """Ask several things at the same time."""
    return [one.result() for one in [_pool.submit(read) for read in reads]]


def for_each(act: Callable[[T], Any], things: Sequence[T]) -> list[Any]:
    """Do one thing for each, at the same time if there are several."""
    return [act(things[0])] if len(things) == 1 else list(_pool.map(act, things))
