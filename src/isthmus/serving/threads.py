"""Threads for the work of one event loop: as few as keep its queue moving.

Threads that compute get into each other's way, and into the loop's; only those that wait (for a cloud, for the store)
need company. So there is one, and another one whenever nothing was taken from the queue for a moment.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue

_LOOK_SECONDS = 0.003
"""How long the queue may stand still before a thread is added."""
_EXTRA_SECONDS = 1.0
"""How long an added thread is kept."""


class Threads:
    """To be used from the loop's own thread. Work must not raise: it has nobody to tell."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._queue: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._count = 0
        self._taken = 0
        self._seen = 0
        self._watched = False

    def do(self, work: Callable[[], object], loop: asyncio.AbstractEventLoop) -> None:
        """Have something done soon."""
        self._queue.put(work)
        if not self._count:
            self._grow()
        if not self._watched:
            self._watched = True
            self._seen = self._taken
            loop.call_later(_LOOK_SECONDS, self._look, loop)

    def close(self) -> None:
        """Let the threads end once the queue is empty; they do not hold up the end of the process."""
        for _ in range(self._count):
            self._queue.put(None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._queue.empty():
            self._watched = False
            return
        if self._taken == self._seen and self._count < self._most:
            self._grow()
            loop.call_later(_EXTRA_SECONDS, self._shrink)
        self._seen = self._taken
        loop.call_later(_LOOK_SECONDS, self._look, loop)

    def _grow(self) -> None:
        self._count += 1
        threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def _shrink(self) -> None:
        self._count -= 1
        self._queue.put(None)

    def _run(self) -> None:
        while work := self._queue.get():
            self._taken += 1
            work()
