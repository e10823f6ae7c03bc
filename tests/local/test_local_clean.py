"""What is left over of a cloud goes, and nothing else; with everything, all of it."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from isthmus.model import ServerState
from isthmus.providers import SnapshotSpec, VolumeSpec
from isthmus.providers.local import Local, process
from isthmus.providers.local.machine import QEMU

from .conftest import ZONE, World, until
from .netd.conftest import names_of_namespaces

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


@pytest.mark.parametrize("killed", ["nothing", "networks", "networks and machines"])
def test_with_everything_nothing_is_left(world: World, killed: str) -> None:
    server = world.launched("first", ready=False)
    base = world.cloud.base
    networks = [int(path.read_text().split()[0]) for path in base.netd_directory.glob("*.pid")]
    machines = [pid for pid, _ in process.machines(base.prefix)]
    assert len(machines) == 1
    assert bool(networks) == base.namespaces
    doomed = [*(networks if "networks" in killed else ()), *(machines if "machines" in killed else ())]
    for pid in doomed:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not [pid for pid in doomed if process.birth(pid)])

    said = list(world.cloud.clean(everything=True))

    assert said[0].startswith(f"ended the machine {server.native} ") == ("machines" not in killed)
    assert said[-1].startswith(f"removed {base.state} ")
    assert not base.state.exists()
    until(lambda: not [pid for pid in (*networks, *machines) if process.birth(pid)])
    prefix = base.prefix.strip(".").replace(".", "-")
    assert not [name for name in names_of_namespaces() if name.startswith(prefix)]


def test_networks_of_machines_that_were_killed_go_and_what_is_recorded_stays(world: World) -> None:
    server = world.launched("first", ready=False)
    base = world.cloud.base
    if not base.namespaces:
        pytest.skip(f"no networks can be made of namespaces here: {base.way.reason}")
    networks = [int(path.read_text().split()[0]) for path in base.netd_directory.glob("*.pid")]
    for pid in [*networks, *(pid for pid, _ in process.machines(base.prefix))]:
        os.kill(pid, signal.SIGKILL)
    until(lambda: world.server(server.native).state is ServerState.STOPPED)

    assert ["removed the networks of guests, and ended their daemon"] == list(world.cloud.clean())

    assert not base.netd_directory.exists()
    prefix = base.prefix.strip(".").replace(".", "-")
    assert not [name for name in names_of_namespaces() if name.startswith(prefix)]
    assert [server.native] == [one.native for one in world.session.compute.list_servers()]
    assert all(base.disk(one.native).exists() for one in world.session.volumes.list_volumes())
