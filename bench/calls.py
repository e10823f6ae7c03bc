"""What a gateway asked of a cloud, call by call: how long it waited for that, and the same made again in its order."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

_READS = 32
"""As many calls are made at a time as a gateway makes."""


class Span(Protocol):
    """A call, from its begin to its end in seconds of the monotonic clock."""

    @property
    def begun(self) -> float: ...

    @property
    def ended(self) -> float: ...


C = TypeVar("C", bound=Span)


class Trace(Generic[C]):
    """The calls of an Isthmus that notes them: an object in JSON in each line of a file."""

    def __init__(self, file: Path, call: Callable[..., C]) -> None:
        self._file = file
        self._call = call

    def between(self, begun: float, ended: float) -> list[C]:
        """In the order of their begin."""
        calls = [self._call(**json.loads(line)) for line in self._file.read_text().splitlines()]
        return sorted((one for one in calls if begun <= one.begun <= ended), key=lambda one: one.begun)


def waves(calls: Sequence[C]) -> list[list[C]]:
    """The calls in groups: those of a group were made at the same time, and after all of the one before."""
    made: list[list[C]] = []
    until = float("-inf")
    for one in calls:
        if one.begun >= until:
            made.append([])
        made[-1].append(one)
        until = max(until, one.ended)
    return made


def asking(calls: Sequence[Span]) -> float:
    """Seconds in which at least one of the calls, in the order of their begin, was under way."""
    taken, until = 0.0, float("-inf")
    for one in calls:
        taken += max(0.0, one.ended - max(one.begun, until))
        until = max(until, one.ended)
    return taken


def replayed(calls: Sequence[C], again: Callable[[C], Any]) -> float:
    """Seconds that the same calls take in the same order, made directly."""
    groups = waves(calls)
    begun = time.perf_counter()
    for group in groups:
        if len(group) == 1:
            again(group[0])
        else:
            at_once(again, group)
    return time.perf_counter() - begun


def at_once(act: Callable[[Any], Any], things: Sequence[Any], most: int = _READS) -> list[Any]:
    with ThreadPoolExecutor(most) as pool:
        return list(pool.map(act, things))
