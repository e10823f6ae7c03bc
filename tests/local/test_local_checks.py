"""What is broken of disks is told, and mended where it can be."""

from __future__ import annotations

import os
import signal
import struct
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from isthmus.model import ServerState
from isthmus.providers import Finding, VolumeSpec
from isthmus.providers.local import Local, disks
from isthmus.providers.local.layout import first_firewall

from .conftest import SSH, ZONE, World

pytestmark = pytest.mark.qemu
CLUSTER = 65536


def volume(cloud: Local, ref: str = "volume") -> Path:
    """The file of a new volume."""
    return cloud.base.disk(cloud.session("acme").volumes.create_volume(VolumeSpec(ref, 1, ZONE)).native)


def found(cloud: Local, *, repair: bool = False) -> Sequence[Finding]:
    return list(cloud.check(repair=repair))


def refer(path: Path, cluster: int, count: int) -> None:
    """Say in a qcow2 file how often a cluster is used."""
    with path.open("r+b") as file:
        file.seek(48)
        [table] = struct.unpack(">Q", file.read(8))
        file.seek(table)
        [block] = struct.unpack(">Q", file.read(8))
        file.seek(block + 2 * cluster)
        file.write(struct.pack(">H", count))


def test_nothing_is_said_of_what_is_whole(quiet: Local) -> None:
    path = volume(quiet)

    assert not found(quiet)
    assert 0o600 == path.stat().st_mode & 0o777


def test_what_nothing_uses_is_mended(quiet: Local) -> None:
    path = volume(quiet)
    size = -(-path.stat().st_size // CLUSTER)
    os.truncate(path, (size + 1) * CLUSTER)
    refer(path, size, 1)

    assert [Finding("the volume volume: 1 clusters of its file are used by nothing", mended=False)] == found(quiet)
    assert [True] == [one.mended for one in found(quiet, repair=True)]
    assert not found(quiet)


def test_errors_are_mended(quiet: Local) -> None:
    path = volume(quiet)
    refer(path, 0, 0)  # of the header itself

    [told] = found(quiet)
    assert "errors in its file" in told.what
    assert not told.mended
    assert all(one.mended for one in found(quiet, repair=True))
    assert not found(quiet)


def test_a_file_that_is_lost_or_none_of_ours_is_told(quiet: Local) -> None:
    volume(quiet, "lost").unlink()
    volume(quiet, "other").write_bytes(b"no disk")

    for repair in (False, True):
        told = {one.what.split(":")[0]: one.mended for one in found(quiet, repair=repair)}
        assert {"the volume lost has no file": False, "the volume other cannot be read": False} == told


def test_a_file_that_others_may_open_is_closed_to_them(quiet: Local) -> None:
    path = volume(quiet)
    path.chmod(0o644)

    assert ["the volume volume: others on this host may open its file"] == [one.what for one in found(quiet)]
    assert [True] == [one.mended for one in found(quiet, repair=True)]
    assert 0o600 == path.stat().st_mode & 0o777


def test_what_a_machine_writes_to_is_left_alone(world: World) -> None:
    server = world.launched("first")
    assert not found(world.cloud, repair=True)
    assert world.server(server.native).state is ServerState.RUNNING


def test_after_the_death_of_a_writing_machine_its_disk_can_be_used_and_mended(world: World) -> None:
    world.session.firewalls.add_rules(first_firewall("acme,ltd"), [SSH])
    server = world.launched("first")
    address = world.address(server.native)
    writing = "while dd if=/dev/zero of=/new bs=64k count=256; do sync; done"
    world.ssh(address, f"dd if=/dev/zero of=/old bs=1M count=4; sync; ({writing}) >/dev/null 2>&1 &")
    time.sleep(1)
    record = world.cloud.base.servers.raw(server.native)
    assert record
    os.kill(record.pid, signal.SIGKILL)
    world.wait(server.native, ServerState.STOPPED)

    assert all(one.mended for one in found(world.cloud, repair=True))
    assert not found(world.cloud)
    world.session.compute.start_server(server.native)
    world.says(server.native, b"tiny: ready", times=2)
    assert world.ssh(address, "wc -c < /old") == "4194304"


def test_a_copy_is_for_this_user_alone(tmp_path: Path) -> None:
    disks.create(tmp_path / "one", 1)
    disks.copy(tmp_path / "one", tmp_path / "two")

    assert {0o600} == {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
