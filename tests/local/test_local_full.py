"""A host whose disk is full: guests wait, and go on when there is room."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from isthmus.model import Verdict
from isthmus.providers.local import tiny

from .conftest import World, make_world, until

pytestmark = pytest.mark.qemu
WRITES = b"""#!/bin/sh
(dd if=/dev/urandom of=/dev/shm/part bs=64k count=64 2>/dev/null
many() { for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do cat /dev/shm/part; done; }
many >/many && sync && echo 3 >/proc/sys/vm/drop_caches
want=$(many | md5sum)
[ "$want" = "$(md5sum </many)" ] && echo ALL IS THERE >/dev/console || echo SOMETHING IS LOST >/dev/console) &
"""
"""64 MiB, read back from the disk."""


@pytest.fixture
def small(tmp_path: Path, tiny_image: tiny.Tiny, key: Path) -> Iterator[tuple[World, Path]]:
    """A cloud on a file system of its own that has little room."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=56m", "small", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"NOT TESTED: no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        for world in make_world(place / "cloud", key):
            yield world, place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_guest_waits_while_the_disk_is_full_and_then_goes_on(small: tuple[World, Path]) -> None:
    world, place = small
    world.metadata.user_data["acme,ltd"] = WRITES
    server = world.launched("first")
    until(lambda: world.session.compute.conditions([server.native])[server.native].machine is Verdict.IMPAIRED)
    world.cloud.mend()
    until(lambda: world.session.compute.conditions([server.native])[server.native].machine is Verdict.IMPAIRED)

    subprocess.run(["mount", "-o", "remount,size=400m", str(place)], check=True)
    world.cloud.mend()

    console = until(lambda: (said := world.says(server.native, b"tiny: ready")).count(" IS ") and said, seconds=120)
    assert "ALL IS THERE" in console
    assert world.session.compute.conditions([server.native])[server.native].machine is Verdict.OK
