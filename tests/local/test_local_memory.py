"""What a guest takes of the host while it does nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from isthmus.providers.local import process

from .conftest import World

pytestmark = pytest.mark.qemu
CEILING = 190
"""MiB of an emulated guest's whole process, measured 140 to 157: PSS, as the libraries are everybody's."""
SETTLED_SECONDS = 10
"""Free memory is told to the host some seconds after it became free."""


def test_an_idle_guest_takes_little_memory(world: World) -> None:
    server = world.launched("first")
    [pid] = [pid for pid, _ in process.machines(world.cloud.base.prefix)]
    time.sleep(SETTLED_SECONDS)

    assert resident(pid) < CEILING
    assert world.server(server.native).state == "running"


def resident(pid: int) -> float:
    """MiB."""
    [line] = [one for one in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if one.startswith("Pss:")]
    return int(line.split()[1]) / 1024
