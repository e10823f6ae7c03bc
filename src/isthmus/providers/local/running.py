"""How each server runs: by which process, whose it is, on what it is emulated, and which way it is connected.

A machine stays what it was when it was started, so it is read off the process, and not off the settings.
"""

from __future__ import annotations

import contextlib
import pwd
from collections.abc import Iterator

from isthmus.model import ServerState
from isthmus.providers.local import process
from isthmus.providers.local.base import Base
from isthmus.providers.local.records import ServerRecord
from isthmus.providers.local.way import NAMESPACES, SLIRP


def told(base: Base) -> Iterator[str]:
    """A line for each server: its ref, its state; of one that runs the rest, of one that did not just stop why."""
    for record in base.servers.everything():
        yield f"{record.noun.ref}  {'  '.join(_facts(base, record))}"


def _facts(base: Base, record: ServerRecord) -> Iterator[str]:
    state = base.state_of(record)
    yield str(state)
    if state is ServerState.STOPPED and (reason := base.view(record).reason):
        yield reason
    if state in (ServerState.PENDING, ServerState.STOPPED) or not process.alive(record.pid, record.birth):
        return
    words = process.arguments(record.pid)
    yield NAMESPACES if record.tapped else SLIRP
    if "-accel" in words:
        yield words[words.index("-accel") + 1].partition(",")[0]
    yield f"process {record.pid} of {_name(process.user(record.pid))}"


def _name(user: int) -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(user).pw_name
    return f"user {user}"
