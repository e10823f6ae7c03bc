"""Machines that root starts belong to a user that has nothing on this host, and work with volumes all the same."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from isthmus.errors import Invalid
from isthmus.model import ServerState, VolumeState
from isthmus.providers import SnapshotSpec, VolumeSpec
from isthmus.providers.local import Local, disks, owner, process, tiny, way
from isthmus.providers.local.base import KILLED
from isthmus.providers.local.machine import Machine, Nic
from isthmus.providers.local.netd.client import able
from isthmus.providers.local.qmp import QmpError
from isthmus.providers.local.starting import LaunchError, start

from .conftest import ZONE, World, make_world, until
from .test_local_contents import acknowledged, completed, sectors, writing

pytestmark = pytest.mark.qemu
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run machines as another user")
NETWORKS = pytest.mark.skipif(not able()[0], reason=f"no networks can be made of namespaces here: {able()[1]}")


@pytest.fixture
def apart(tmp_path: Path, tiny_image: tiny.Tiny, key: Path) -> Iterator[World]:
    yield from make_world(tmp_path, key, network=way.NAMESPACES)


def status(pid: int) -> dict[str, list[str]]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.split() for name, _, value in (line.partition(":") for line in lines)}


@ROOT
@NETWORKS
def test_a_machine_has_no_rights_and_its_volumes_change_while_it_runs(apart: World, tmp_path: Path) -> None:
    server, first, _ = writing(apart)
    record = apart.cloud.base.servers.raw(server.native)
    assert record
    found = status(record.pid)
    assert set(found["Uid"]) == {apart.cloud.base.user.partition(":")[0]} != {"0"}
    assert (["0000000000000000"], ["1"], ["2"]) == (found["CapEff"], found["NoNewPrivs"], found["Seccomp"])
    assert apart.cloud.health().details["user"] == apart.cloud.base.user
    [line] = apart.cloud.machines()
    assert line.startswith("writer  running  namespaces  tcg  process ")
    assert line.endswith(f" of user {found['Uid'][0]}") or apart.cloud.base.user == owner.USER

    volumes = apart.session.volumes
    before = acknowledged(apart, server.native)
    snapshot = volumes.create_snapshot(SnapshotSpec("snapshot", first.native))
    assert sectors(completed(apart, snapshot.native), tmp_path) >= before
    copy = volumes.create_volume(VolumeSpec("copy", 1, ZONE, snapshot=snapshot.native))
    for size in (2, 3):
        volumes.attach_volume(copy.native, server.native, "/dev/sdh")
        volumes.resize_volume(copy.native, size)
        volumes.detach_volume(copy.native, server.native)
        until(lambda: volumes.list_volumes([copy.native])[0].state is VolumeState.AVAILABLE)
        assert disks.size(apart.cloud.base.disk(copy.native)) == size
    with apart.cloud.base.monitor(server.native) as monitor:
        assert [] == monitor("query-fdsets")
    owned = {path.stat().st_uid for path in apart.cloud.base.state.rglob("*") if path.exists()}
    assert owned == {0}

    apart.session.compute.stop_server(server.native)
    apart.wait(server.native, ServerState.STOPPED)
    assert [f"{server.ref}  stopped"] == list(apart.cloud.machines())
    apart.session.compute.start_server(server.native)
    apart.says(server.native, b"tiny: ready", times=2)


@NETWORKS
def test_a_machine_in_namespaces_that_starts_a_program_is_ended_by_its_filter(apart: World) -> None:
    server = apart.launched("first")
    record = apart.cloud.base.servers.raw(server.native)
    assert record
    words = process.arguments(record.pid)
    denied = words[words.index("-sandbox") + 1].split(",")
    assert {"on", "spawn=deny", "obsolete=deny", "resourcecontrol=deny"} <= set(denied)
    assert ("elevateprivileges=deny" in denied) == (not apart.cloud.base.user)

    with suppress(QmpError), apart.cloud.base.monitor(server.native) as monitor:
        monitor("migrate", uri="exec:cat >/dev/null")

    assert KILLED == apart.wait(server.native, ServerState.STOPPED).reason


def test_a_machine_that_cannot_be_started_says_why(tmp_path: Path) -> None:
    nic = Nic("02:00:00:00:00:01", "no address", "172.31.0.1", "172.31.0.2", True, tmp_path / "socket", "x")
    machine = Machine("server-1", f"{tmp_path}.server-1", tmp_path, 1, 128, "tcg", "ec2", "t2", (), nic, None)
    with pytest.raises(LaunchError, match="uuid|address"):
        start(machine)
    assert not [name for _, name in process.machines(machine.name)]


@ROOT
def test_who_machines_may_belong_to(tmp_path: Path) -> None:
    for wrong in ("root", "no-such-user-here"):
        with pytest.raises(Invalid):
            Local("local", tmp_path, user=wrong)
    one, other = owner.chosen("", tmp_path / "one"), owner.chosen("", tmp_path / "other")
    assert one == owner.USER or one != other
    assert "nobody" == owner.chosen("nobody", tmp_path)


def test_qemu_is_told_in_the_words_of_its_version() -> None:
    assert ("-runas", "7:7") == owner.arguments("7:7", (7, 2))
    assert ("-run-with", "user=7:7") == owner.arguments("7:7", (9, 1))
    assert owner.qemu_version() > (5, 0)
