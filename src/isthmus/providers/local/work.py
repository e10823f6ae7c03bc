"""What goes on after a call has returned: a few threads for boots, and one for each other thing under way."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable

_log = logging.getLogger(__name__)
LAST = "delete "
"""What the names of tasks begin with that `close` waits for."""
CLOSE_SECONDS = 3.0


class Work:
    """All threads are daemons: whatever they leave half done at the end of the process, `mend` takes up."""

    def __init__(self, boot: Callable[[str], None]) -> None:
        self.closing = threading.Event()
        self._boot = boot
        self._boots: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._under_way: set[str] = set()
        self._again: dict[str, Callable[[], None]] = {}
        self._mutex = threading.Lock()
        self._booters: list[threading.Thread] = []

    def boot(self, native: str) -> None:
        """Queue a boot; one for the same server that is under way is followed by another look at it."""
        if self._begin(f"boot {native}", lambda: self.boot(native)):
            self._queue(native)

    def _queue(self, native: str) -> None:
        self._boots.put(native)
        with self._mutex:
            if len(self._booters) < (os.cpu_count() or 1):
                self._booters.append(threading.Thread(target=self._booter, name="boots", daemon=True))
                self._booters[-1].start()

    def start(self, name: str, task: Callable[[], None]) -> None:
        """Run `task` in a thread of its own: now, or again when the one of this name that is under way has ended."""
        if self._begin(name, lambda: self.start(name, task)):
            threading.Thread(target=self._run, args=(name, task), name=name, daemon=True).start()

    def close(self) -> None:
        """Begin nothing more, and let what frees machines come to its end: it takes a moment."""
        self.closing.set()
        deadline = time.monotonic() + CLOSE_SECONDS
        while time.monotonic() < deadline and any(name.startswith(LAST) for name in self._names()):
            time.sleep(0.01)

    def _names(self) -> list[str]:
        with self._mutex:
            return list(self._under_way)

    def pause(self, seconds: float) -> bool:
        """Wait; False if the cloud is being closed."""
        return not self.closing.wait(seconds)

    def _begin(self, name: str, again: Callable[[], None]) -> bool:
        with self._mutex:
            if self.closing.is_set():
                return False
            if name in self._under_way:
                self._again[name] = again
                return False
            self._under_way.add(name)
            return True

    def _booter(self) -> None:
        while not self.closing.is_set():
            native = self._boots.get()
            self._run(f"boot {native}", lambda native=native: self._boot(native))  # type: ignore[misc]

    def _run(self, name: str, task: Callable[[], None]) -> None:
        try:
            task()
        except Exception:
            _log.exception("%s failed", name)
        finally:
            with self._mutex:
                self._under_way.discard(name)
                again = self._again.pop(name, None)
            if again:
                again()
