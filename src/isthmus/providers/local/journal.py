"""What a machine leaves in files while it runs: its console, and QEMU's own account of its life.

That account is written whether anybody is connected to the machine or not. It is a monitor whose input is a file with
the one command that begins the conversation, and whose output is logged: QEMU then adds each of its events.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CONSOLE = "console.log"
EVENTS = "events.log"
ARGUMENTS = (
    *("-chardev", f"pipe,id=events,path=events,logfile={EVENTS},logappend=on"),
    *("-mon", "chardev=events,mode=control"),
)
"""In the machine's directory: `events.in` is read, what is written to `events.out` is in the log as well."""
READ = 1 << 18
"""Bytes from the end of a file that are looked at."""
LIMIT = 8 << 20
KEPT = 65536


def prepare(directory: Path) -> None:
    """A new, empty account, for a machine that is about to be started."""
    (directory / "events.in").write_text(json.dumps({"execute": "qmp_capabilities"}) + "\n")
    (directory / "events.out").unlink(missing_ok=True)
    (directory / "events.out").symlink_to("/dev/null")
    (directory / EVENTS).unlink(missing_ok=True)


def announce(directory: Path, words: str) -> None:
    """Say something on a machine's console, before it does."""
    with (directory / CONSOLE).open("ab") as console:
        console.write(f"Isthmus: {words}\r\n".encode())


def shut_down_from_within(directory: Path) -> bool:
    """Whether the last that is known of a machine is that its guest switched it off."""
    last = ""
    for event in events(directory):
        if event["event"] in ("SHUTDOWN", "RESET"):
            last = event["event"] if event.get("data", {}).get("guest") else ""
    return last == "SHUTDOWN"


def paused_by_a_full_disk(directory: Path) -> bool:
    """Whether a guest was stopped in mid-step because what it wrote could not be, and goes on once it is told to."""
    paused = False
    for event in events(directory):
        if event["event"] == "BLOCK_IO_ERROR":
            paused = event["data"]["action"] == "stop" or paused
        elif event["event"] in ("RESUME", "RESET"):
            paused = False
    return paused


def events(directory: Path) -> Iterator[dict[str, Any]]:
    """QEMU's events, the oldest first."""
    for line in tail(directory / EVENTS, READ).splitlines():
        with contextlib.suppress(ValueError):  # the first line may be cut, the last not yet be whole
            said = json.loads(line)
            if "event" in said:
                yield said


def tail(path: Path, most: int) -> bytes:
    """The last bytes of a file, which need not exist."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - most))
            return file.read(most)
    except FileNotFoundError:
        return b""


def trim(directory: Path) -> None:
    """A guest that prints without end must not fill the host's disk. QEMU appends, so a file may be cut."""
    for path in (directory / CONSOLE, directory / EVENTS):
        with contextlib.suppress(OSError):
            if path.stat().st_size > LIMIT:
                kept = tail(path, KEPT)
                os.truncate(path, 0)
                with path.open("ab") as file:
                    file.write(kept)
