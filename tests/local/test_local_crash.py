"""Processes that share a cloud, and processes that die."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.model import ServerState, SnapshotState, VolumeState
from isthmus.providers import DiskSpec, ServerSpec, SnapshotSpec, VolumeSpec
from isthmus.providers.local import Local, boots, process
from isthmus.providers.local.machine import QEMU

from .conftest import FLAVORS, ZONE, World, until

pytestmark = pytest.mark.qemu

LAUNCHER = """
import sys, time
from dataclasses import replace
from pathlib import Path
from isthmus.model import Flavor
from isthmus.providers import DiskSpec, ServerSpec
from isthmus.providers.local import Local, boots

boots.READY_SECONDS = 600.0  # however busy this host is
cloud = Local("local", Path(sys.argv[1]), ("us-east-1a",), [Flavor("nano", "nano", 1, 128)], accelerator="tcg")
session = cloud.session("acme,ltd")
print("begun", flush=True)
for number in range(int(sys.argv[2])):
    disk = DiskSpec(f"root-{number}", "/dev/sda1", 0, root=True)
    session.compute.create_server(ServerSpec(f"server-{number}", "name", "image-tiny", "nano", "us-east-1a", (disk,)))
time.sleep(60)
"""


def launcher(state: Path, servers: int) -> subprocess.Popen[str]:
    """Another process that launches servers; it has begun when this returns."""
    command = [sys.executable, "-c", LAUNCHER, str(state), str(servers)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout
    assert child.stdout.readline() == "begun\n"
    return child


def kill(child: subprocess.Popen[str]) -> None:
    child.send_signal(signal.SIGKILL)
    child.communicate()


def another(world: World) -> Local:
    return Local("local", world.cloud.base.state, (ZONE,), FLAVORS, accelerator="tcg")


def machines(world: World) -> list[str]:
    return sorted(name.removeprefix(world.cloud.base.prefix) for _, name in process.machines(world.cloud.base.prefix))


@pytest.mark.parametrize("trial", range(10))
def test_a_launch_that_was_killed_anywhere_is_finished_by_the_next_process(world: World, trial: int) -> None:
    child = launcher(world.cloud.base.state, 2)
    time.sleep(random.Random(trial).uniform(0, 0.4))
    kill(child)

    world.cloud.mend()

    servers = world.session.compute.list_servers()
    for server in servers:
        world.wait(server.native, ServerState.RUNNING)
    until(lambda: machines(world) == sorted(server.native for server in servers))
    attached = [link.server for volume in world.session.volumes.list_volumes() for link in volume.attachments]
    assert sorted(attached) == sorted(server.native for server in servers)


def test_a_launch_that_was_cut_off_before_its_server_leaves_no_volume(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(world.cloud.base.servers, "put", die)
    disks = (
        DiskSpec("root", "/dev/sda1", 0, root=True),
        DiskSpec("data", "/dev/sdb", 1, delete_with_server=False),
    )
    with pytest.raises(KeyboardInterrupt):
        world.session.compute.create_server(ServerSpec("server", "name", "image-tiny", "nano", ZONE, disks))
    monkeypatch.undo()
    assert len(world.session.volumes.list_volumes()) == 2

    world.cloud.mend()

    assert list(world.session.volumes.list_volumes()) == []


def test_a_machine_outlives_its_process_and_is_taken_up_by_the_next(world: World) -> None:
    child = launcher(world.cloud.base.state, 1)
    [server] = until(world.session.compute.list_servers)
    world.wait(server.native, ServerState.RUNNING)
    kill(child)

    world.cloud.mend()
    assert ServerState.RUNNING is world.server(server.native).state
    world.says(server.native, b"tiny: ready")
    world.session.compute.stop_server(server.native)
    world.wait(server.native, ServerState.STOPPED)


def test_a_machine_without_a_record_is_ended(world: World) -> None:
    stray = world.cloud.base.machine_name("server-0123456789abcdef")
    quiet = ["-machine", "none", "-display", "none", "-nodefaults", "-S"]
    child = subprocess.Popen([QEMU, "-name", f"guest={stray}", *quiet])
    other = subprocess.Popen([QEMU, "-name", "guest=isthmus.somebody-else.server-1", *quiet])
    try:
        until(lambda: process.machine_name(child.pid) == stray)
        world.cloud.mend()
        child.wait(10)
        assert other.poll() is None
    finally:
        for one in (child, other):
            one.kill()
            one.wait()


def test_a_process_that_only_has_the_number_of_a_machine_is_left_alone(world: World) -> None:
    server = world.launched("first", ready=False)
    [pid] = [pid for pid, _ in process.machines(world.cloud.base.prefix)]
    os.kill(pid, signal.SIGKILL)
    bystander = subprocess.Popen(["sleep", "60"])
    (world.cloud.base.run(server.native) / "qemu.pid").write_text(str(bystander.pid))
    try:
        world.wait(server.native, ServerState.STOPPED)
        world.session.compute.delete_server(server.native)
        until(lambda: not world.session.compute.list_servers())
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_boots_are_limited_over_all_processes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boots, "READY_SECONDS", 600.0)
    count = (os.cpu_count() or 1) + 2
    child = launcher(world.cloud.base.state, count)
    until(lambda: len(world.session.compute.list_servers()) == count)
    world.cloud.mend()
    most = 0
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        servers = world.session.compute.list_servers()
        consoles = [world.session.compute.console_output(server.native).output for server in servers]
        running = [server.state is ServerState.RUNNING for server in servers]
        most = max(most, sum(up and b"tiny: ready" not in said for up, said in zip(running, consoles, strict=True)))
        if all(running):
            break
        time.sleep(0.02)
    kill(child)
    assert all(running)
    assert most <= (os.cpu_count() or 1)


def test_two_processes_launch_one_server_for_one_ref(world: World) -> None:
    children = [launcher(world.cloud.base.state, 1) for _ in range(2)]
    [server] = until(world.session.compute.list_servers)
    world.wait(server.native, ServerState.RUNNING)
    time.sleep(1)
    for child in children:
        kill(child)

    assert len(world.session.compute.list_servers()) == 1
    assert machines(world) == [server.native]


def test_a_snapshot_by_a_running_machine_is_finished_by_the_next_process(world: World) -> None:
    server = world.launched("first", ready=False)
    [root] = world.session.volumes.list_volumes()
    other = another(world)
    other.boots.work.closing.set()  # it begins the copy, and never looks again
    snapshot = other.session("acme,ltd").volumes.create_snapshot(SnapshotSpec("ref", root.native))
    assert SnapshotState.PENDING is world.session.volumes.list_snapshots([snapshot.native])[0].state

    world.cloud.mend()

    until(lambda: world.session.volumes.list_snapshots([snapshot.native])[0].state is SnapshotState.COMPLETED)
    assert ServerState.RUNNING is world.server(server.native).state


def test_what_ran_when_the_host_went_down_runs_again(world: World) -> None:
    base = world.cloud.base
    running, stopped = world.launched("first").native, world.launched("second", ready=False).native
    for native in (running, stopped):
        os.kill(base.servers.raw(native).pid, signal.SIGKILL)
    until(lambda: {world.server(native).state for native in (running, stopped)} == {ServerState.STOPPED})
    record, ports = base.servers.raw(running), world.server(running).ports
    base.servers.put(replace(record, host="an earlier boot"))
    assert world.server(running).state is ServerState.PENDING

    world.cloud.mend()

    world.wait(running, ServerState.RUNNING)
    world.says(running, b"tiny: ready", times=2)
    assert world.server(running).ports == ports
    assert world.server(stopped).state is ServerState.STOPPED


def test_a_snapshot_by_a_process_that_died_is_an_error(quiet: Local) -> None:
    session = quiet.session("acme")
    volume = session.volumes.create_volume(VolumeSpec("volume", 1, ZONE))
    quiet.close()  # nothing is done in the background any more
    snapshot = session.volumes.create_snapshot(SnapshotSpec("ref", volume.native))

    later = Local("local", quiet.base.state, (ZONE,), FLAVORS, accelerator="tcg")
    later.mend()

    [found] = later.session("acme").volumes.list_snapshots([snapshot.native])
    assert SnapshotState.ERROR is found.state
    later.close()


def test_a_copy_of_a_volume_by_a_running_machine_is_finished_by_the_next_process(world: World) -> None:
    world.launched("first", ready=False)
    [root] = world.session.volumes.list_volumes()
    other = another(world)
    other.boots.work.closing.set()  # it begins the copy, and never looks again
    spec = VolumeSpec("ref", 0, ZONE, source=root.native)
    copy = other.session("acme,ltd").volumes.create_volume(spec)
    assert VolumeState.CREATING is world.session.volumes.list_volumes([copy.native])[0].state

    world.cloud.mend()

    until(lambda: world.session.volumes.list_volumes([copy.native])[0].state is VolumeState.AVAILABLE)
    assert not world.cloud.base.snapshots.owned("acme,ltd")
    assert world.session.volumes.create_volume(spec).native == copy.native


def test_a_copy_of_a_volume_by_a_process_that_died_is_an_error_and_leaves_nothing(quiet: Local) -> None:
    session = quiet.session("acme")
    volume = session.volumes.create_volume(VolumeSpec("volume", 1, ZONE))
    quiet.close()  # nothing is done in the background any more
    copy = session.volumes.create_volume(VolumeSpec("ref", 0, ZONE, source=volume.native))

    later = Local("local", quiet.base.state, (ZONE,), FLAVORS, accelerator="tcg")
    later.mend()

    volumes = later.session("acme").volumes
    assert VolumeState.ERROR is volumes.list_volumes([copy.native])[0].state
    assert not later.base.snapshots.owned("acme")
    volumes.delete_volume(copy.native)
    assert [volume.native] == [one.native for one in volumes.list_volumes()]
    later.close()


def test_a_volume_half_made_is_finished(quiet: Local) -> None:
    session = quiet.session("acme")
    volume = session.volumes.create_volume(VolumeSpec("volume", 1, ZONE))
    record = quiet.base.volumes.raw(volume.native)
    assert record
    quiet.base.volumes.put(replace(record, noun=replace(record.noun, state=VolumeState.CREATING)))
    quiet.base.disk(volume.native).unlink()

    quiet.mend()

    assert VolumeState.AVAILABLE is session.volumes.list_volumes()[0].state
    assert quiet.base.disk(volume.native).exists()
