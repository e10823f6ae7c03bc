"""Names a process so that others can tell whether it still lives."""

from __future__ import annotations

import os
import uuid
from functools import cache
from pathlib import Path

_PROC = Path("/proc")


def this_process() -> str:
    """This boot of this host and its process namespace, the process, and when it was started."""
    return f"{_host()}/{os.getpid()}/{_started(os.getpid())}"


def is_dead(holder: str) -> bool:
    """Whether the process is certainly gone. Of another host, or another container's, nothing is known."""
    host, _, rest = holder.rpartition("/")[0].rpartition("/")
    started = holder.rpartition("/")[2]
    return host == _host() and rest.isdigit() and _started(int(rest)) != started


@cache
def _host() -> str:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').stat().st_ino}"
    except OSError:
        return f"{uuid.uuid4()}/0"


def _started(process: int) -> str:
    """Clock ticks since the boot; empty for a process that has ended, even if nobody has asked how."""
    try:
        words = (_PROC / str(process) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if words[0] in "ZX" else words[19]
