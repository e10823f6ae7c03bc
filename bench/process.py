"""The measurements of the process itself: how soon it listens, what it takes while idle."""

from __future__ import annotations

import time
from pathlib import Path

from bench import servers
from bench.figures import Figure, under

_IDLE_SECONDS = 2.0


def start(scratch: Path, cache: Path, rounds: int) -> tuple[Figure, Figure]:
    """From the start of the process until it says that it listens; and its memory a little later, without a request."""
    state = scratch / "start"
    listening, resident, other = [], [], []
    with servers.isthmus(state, "--cloud", "memory") as first:
        cold = first.listening
    for _ in range(rounds):
        with servers.isthmus(state, "--cloud", "memory") as server:
            listening.append(server.listening)
            time.sleep(_IDLE_SECONDS)
            resident.append(server.resident())
    with servers.moto(cache, scratch) as moto:
        other.append(moto.listening)
        time.sleep(_IDLE_SECONDS)
        held = [moto.resident()]
    return (
        Figure(
            "from start to listening", "s", {"isthmus": listening, "moto": other}, (under(1.0, "s"),),
            f"the very first start, which makes the store: {cold:.2f} s",
        ),
        Figure("memory while idle", "MB", {"isthmus": resident, "moto": held}, (under(120, "MB"),)),
    )  # fmt: skip
