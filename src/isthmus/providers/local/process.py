"""QEMU processes: which are ours, which live, and how they end."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

TERM_SECONDS = 10.0
"""QEMU writes back what its disks have cached when it is asked to go; after that it is killed."""


def birth(pid: int) -> int:
    """When the process started, in clock ticks since the host's boot; 0 if there is none, or only its remains."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


def host_boot() -> str:
    """What tells this boot of the host from all others; empty where the kernel does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def parent(pid: int) -> int:
    """The process that started it, or 0."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


def alive(pid: int, born: int) -> bool:
    return pid > 0 and birth(pid) == born != 0


def cpu_seconds(pid: int) -> float:
    """User and system time used so far."""
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def arguments(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def machine_name(pid: int) -> str:
    """The `-name guest=` of a QEMU process, or empty for any other process."""
    words = arguments(pid)
    if not words or "qemu-system" not in words[0] or "-name" not in words[:-1]:
        return ""
    return words[words.index("-name") + 1].removeprefix("guest=")


def user(pid: int) -> int:
    """Whom a process belongs to by its effective user id, or -1 if it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("Uid:"):
                return int(line.split()[2])
    return -1


def machines(prefix: str) -> Iterator[tuple[int, str]]:
    """The pid and the name of each machine whose name begins with `prefix`."""
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit() and (name := machine_name(int(entry.name))).startswith(prefix):
                yield int(entry.name), name


def of_pidfile(path: Path, name: str) -> int:
    """The pid of the living machine `name` that wrote `path`, or 0."""
    try:
        pid = int(path.read_text())
    except (OSError, ValueError):
        return 0
    return pid if machine_name(pid) == name and birth(pid) else 0


def terminate(pid: int, name: str, patience: float = TERM_SECONDS) -> None:
    """End the machine `name`, and nothing else: politely, then not."""
    born = birth(pid)
    for word, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, patience)):
        if not alive(pid, born) or machine_name(pid) != name:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, word)
        deadline = time.monotonic() + seconds
        while alive(pid, born) and time.monotonic() < deadline:
            time.sleep(0.01)
