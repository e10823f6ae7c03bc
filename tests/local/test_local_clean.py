"""What is left over of a cloud goes, and nothing else; with everything, all of it."""

from __future__ import annotations

import subprocess

import pytest

from isthmus.model import ServerState
from isthmus.providers import SnapshotSpec, VolumeSpec
from isthmus.providers.local import Local, process
from isthmus.providers.local.machine import QEMU

from .conftest import ZONE, World, until

pytestmark = pytest.mark.qemu


def test_files_that_no_record_needs_go_and_the_others_stay(quiet: Local) -> None:
    session = quiet.session("acme")
    volume = session.volumes.create_volume(VolumeSpec("volume", 1, ZONE))
    snapshot = session.volumes.create_snapshot(SnapshotSpec("snapshot", volume.native))
    until(lambda: session.volumes.list_snapshots([snapshot.native])[0].progress == 100)
    state = quiet.base.state
    left = [state / "disks" / "disk-1.qcow2", state / "blobs" / "snapshot-1.qcow2", state / "locks" / "server-1"]
    for path in left:
        path.write_bytes(b"left over")
    (state / "run" / "server-1").mkdir()
    (state / "run" / "server-1" / "qmp.sock").touch()
    draft = state / "blobs" / ".snapshot-2.qcow2.part"
    draft.touch()

    said = list(quiet.clean())

    names = ["disks/disk-1.qcow2", "blobs/snapshot-1.qcow2", "run/server-1", "locks/server-1"]
    assert [f"removed {name} (0 MiB)" for name in names] == said
    assert not any(path.exists() for path in (*left, state / "run" / "server-1"))
    assert draft.exists()
    assert [] == list(quiet.clean()) == list(quiet.check())


def test_machines_without_a_record_go(world: World) -> None:
    server = world.launched("first", ready=False)
    stray = world.cloud.base.machine_name("server-0123456789abcdef")
    child = subprocess.Popen([QEMU, "-name", f"guest={stray}", "-machine", "none", "-display", "none", "-nodefaults"])
    try:
        until(lambda: process.machine_name(child.pid) == stray)
        said = list(world.cloud.clean())
        child.wait(10)
        assert [f"ended the machine server-0123456789abcdef (process {child.pid})"] == said[:1]
        assert ServerState.RUNNING is world.server(server.native).state
    finally:
        child.kill()
        child.wait()


def test_with_everything_nothing_is_left(world: World) -> None:
    server = world.launched("first", ready=False)

    said = list(world.cloud.clean(everything=True))

    assert said[0].startswith(f"ended the machine {server.native} ")
    assert said[-1].startswith(f"removed {world.cloud.base.state} ")
    assert not world.cloud.base.state.exists()
    assert [] == list(process.machines(world.cloud.base.prefix))
