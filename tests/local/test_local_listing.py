"""Listings read records: no machine is asked of anything, however many there are."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest

from isthmus.model import (
    Attachment,
    AttachmentState,
    Server,
    ServerState,
    Snapshot,
    SnapshotState,
    Verdict,
    Volume,
    VolumeState,
)
from isthmus.providers.local import Local, process
from isthmus.providers.local.base import now
from isthmus.providers.local.qmp import Qmp, QmpError
from isthmus.providers.local.records import ServerRecord, SnapshotRecord, VolumeRecord

from .conftest import ZONE

COUNT = 1000


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked of machines, and which programs were started."""
    said: list[str] = []

    def connect(_: Qmp, path: Any, *__: Any) -> None:
        said.append(str(path))
        raise QmpError("nobody is there")

    def run(command: list[str], **_: Any) -> None:
        said.append(command[0])
        raise AssertionError("a program was started")

    monkeypatch.setattr(Qmp, "__init__", connect)
    monkeypatch.setattr(subprocess, "run", run)
    return said


@pytest.fixture
def crowded(quiet: Local, monkeypatch: pytest.MonkeyPatch) -> Local:
    """A thousand servers that seem to run, as their process is this one; each with a volume, and a snapshot of it."""
    monkeypatch.setattr(os, "fsync", lambda _: None)  # these need not outlive a power cut
    assert quiet.base.way.name  # what networks the host carries is tried once, not by a listing
    moment, own = now(), process.birth(os.getpid())
    for number in range(COUNT):
        server, volume, snapshot = f"server-{number}", f"disk-{number}", f"snapshot-{number}"
        running = Server(server, f"i-{number}", "", ServerState.RUNNING, ZONE, "nano", "image", moment, moment)
        quiet.base.servers.put(ServerRecord("acme", running, number, pid=os.getpid(), birth=own))
        link = Attachment(server, "/dev/sda1", AttachmentState.ATTACHED, moment)
        held = Volume(volume, f"vol-{number}", "", VolumeState.IN_USE, ZONE, 1, "", moment, attachments=(link,))
        quiet.base.volumes.put(VolumeRecord("acme", held, number))
        taken = Snapshot(snapshot, f"snap-{number}", SnapshotState.COMPLETED, volume, 1, moment, "acme")
        quiet.base.snapshots.put(SnapshotRecord("acme", taken, number, ""))
    return quiet


def test_no_listing_asks_a_machine(crowded: Local, asked: list[str]) -> None:
    session = crowded.session("acme")

    assert {ServerState.RUNNING} == {one.state for one in session.compute.list_servers()}
    assert COUNT == len(session.compute.list_servers())
    assert COUNT == len(session.volumes.list_volumes())
    assert 1 == len(session.volumes.list_volumes(["disk-7"]))
    assert COUNT <= len(session.volumes.list_snapshots())
    session.images.list_images()
    session.ports.list_ports()
    session.addresses.list_addresses()
    crowded.health()

    assert [] == asked


def test_only_those_that_were_asked_for_are_looked_into(crowded: Local, asked: list[str]) -> None:
    found = crowded.session("acme").compute.conditions(["server-7", "server-8"])

    assert {"server-7", "server-8"} == set(found)
    assert {Verdict.IMPAIRED} == {one.machine for one in found.values()}
    assert {str(crowded.base.run(native) / "rescue.sock") for native in found} == set(asked)
    assert len(found) == len(asked)
