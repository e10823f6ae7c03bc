"""The processes of one cloud's networks: noted with their birth, so that only they are ever ended."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from isthmus.providers.local.process import alive, birth, host_boot
from isthmus.providers.local.tables import write

END_SECONDS = 5.0
CODE = hashlib.sha256(b"".join(one.read_bytes() for one in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()
"""What tells this daemon's code from another's, as it was when this process began."""


@dataclass(frozen=True, slots=True)
class Noted:
    """A process that a file tells of: its pid, and when it was born, by the clock of which boot of the host."""

    path: Path
    directory: Path

    def note(self, pid: int) -> None:
        write(self.path, f"{pid} {birth(pid)} {host_boot()}\n")

    def pid(self) -> int:
        """The pid while it lives, else 0."""
        try:
            pid, born, *boot = self.path.read_text("ascii").split()
            there = alive(int(pid), int(born)) and [host_boot()] == (boot or [""])
        except (OSError, ValueError):
            return 0
        return int(pid) if there else 0

    def end(self) -> None:
        """End it, politely first, and wait until it is gone; does nothing if it is."""
        if pid := self.pid():
            end(pid, birth(pid))
            self.path.unlink(missing_ok=True)


def end(pid: int, born: int) -> None:
    for word in (signal.SIGTERM, signal.SIGKILL):
        if not alive(pid, born):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, word)
        deadline = time.monotonic() + END_SECONDS
        while alive(pid, born) and time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            time.sleep(0.01)


def anchor(directory: Path) -> int:
    """The pid of the process that holds an ordinary user's namespaces; it is started if there is none. OSError."""
    noted = Noted(directory / "anchor.pid", directory)
    if pid := noted.pid():
        return pid
    words = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", "echo; exec sleep infinity"]
    process = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout  # noqa: S101
    assert process.stderr  # noqa: S101
    with process.stdout, process.stderr:
        if not process.stdout.readline():
            raise OSError(process.stderr.read(500).decode(errors="replace").strip())
    noted.note(process.pid)
    return process.pid


def entered(pid: int) -> list[str]:
    """What a command begins with to run in the user and mount namespaces of a process."""
    return ["nsenter", "--target", str(pid), "--user", "--mount", "--preserve-credentials"]
