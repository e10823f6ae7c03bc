"""A moment at which a guest's file systems are clean: it shuts down, its machine stays, and starts it again."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from isthmus.providers.local.base import Base
from isthmus.providers.local.qmp import Qmp

SHUTDOWN_SECONDS = 20.0
AGAIN_SECONDS = 5.0
DOWN = ("shutdown", "paused")


@contextlib.contextmanager
def shut_down(base: Base, server: str, pause: Callable[[float], bool]) -> Iterator[None]:
    """Within, the guest is down, or stopped in mid-step if it does not listen. The caller holds the server's lock."""
    try:
        with base.monitor(server) as monitor:
            monitor("set-action", shutdown="pause")
        deadline = time.monotonic() + SHUTDOWN_SECONDS
        pressed = 0.0
        while time.monotonic() < deadline and not _is_down(base, server):
            if time.monotonic() - pressed > AGAIN_SECONDS:
                with base.monitor(server) as monitor:
                    monitor("system_powerdown")
                pressed = time.monotonic()
            pause(0.1)
        with base.monitor(server) as monitor:
            monitor("stop")
        yield
    finally:
        with base.monitor(server) as monitor:
            resume(monitor)


def resume(monitor: Qmp) -> None:
    """Start a guest that was shut down or stopped within its machine; nothing if it runs."""
    monitor("set-action", shutdown="poweroff")
    if monitor("query-status")["status"] in DOWN:
        restart(monitor)


def restart(monitor: Qmp) -> None:
    """Begin anew, whatever the guest does now."""
    monitor("set-action", shutdown="poweroff")
    monitor("system_reset")
    monitor("cont")


def _is_down(base: Base, server: str) -> bool:
    with base.monitor(server) as monitor:
        return monitor("query-status")["status"] in DOWN
