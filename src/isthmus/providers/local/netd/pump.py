"""Connections carried from one side to the other, in bounded number."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
PART = 1 << 16


@dataclass
class Limits:
    """How many there may be at once: in all, and of one guest or client."""

    total: int
    each: int
    _present: Counter[str] = field(default_factory=Counter)

    @contextlib.contextmanager
    def one(self, whose: str) -> Iterator[bool]:
        """Whether there is room for one more, which it takes for as long."""
        room = self._present.total() < self.total and self._present[whose] < self.each
        if not room:
            yield False
            return
        self._present[whose] += 1
        try:
            yield True
        finally:
            self._present[whose] -= 1
            if not self._present[whose]:
                del self._present[whose]


async def carry(one: Ends, other: Ends) -> None:
    """Both ways until both are done, or one side breaks off; closes both."""
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_carry(one[0], other[1]))
            tasks.create_task(_carry(other[0], one[1]))
    except* OSError:
        pass
    finally:
        one[1].close()
        other[1].close()


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(PART):
        sink.write(data)
        await sink.drain()
    with contextlib.suppress(OSError):
        sink.write_eof()
