"""Copies of volumes and snapshots: what CloudStack makes on the way is seen by nobody, and goes."""

from __future__ import annotations

from typing import Any

import pytest
from emulated_cloudstack import Emulated, fresh_ref, launched
from emulators.cloudstack.world import Refusal
from served import eventually

from isthmus.errors import Fault, Unavailable
from isthmus.model import SnapshotState, VolumeState
from isthmus.providers import SnapshotSpec, VolumeSpec
from isthmus.providers.cloudstack import copies
from isthmus.providers.cloudstack.client import Client


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(copies, "LOOK_SECONDS", 0.01)


@pytest.fixture
def volume(stack: Emulated, session: Any) -> str:
    """One with data: a server's root disk."""
    launched(stack, session)
    [found] = session.volumes.list_volumes()
    return str(found.native)


@pytest.fixture
def snapshot(stack: Emulated, session: Any, volume: str) -> str:
    made = session.volumes.create_snapshot(SnapshotSpec(fresh_ref(), volume)).native
    stack.settle()
    assert [SnapshotState.COMPLETED] == [one.state for one in session.volumes.list_snapshots()]
    return str(made)


def there(stack: Emulated, kind: str) -> int:
    """How many there are in CloudStack."""
    return sum(item["state"] != "Destroy" for _, item in stack.emulator.world.things[kind].values())


def gone(stack: Emulated, session: Any, kind: str, left: int) -> None:
    """Whoever lists such things has what was on the way deleted."""

    def look() -> int:
        stack.settle()
        session.volumes.list_volumes()
        session.volumes.list_snapshots()
        return there(stack, kind)

    eventually(look, lambda count: count == left)


def test_a_copy_of_a_volume_leaves_no_snapshot(stack: Emulated, session: Any, volume: str) -> None:
    made = session.volumes.create_volume(VolumeSpec(fresh_ref(), 0, "zone-1", "gp9", source=volume))

    assert (1, []) == (there(stack, "snapshot"), session.volumes.list_snapshots())
    gone(stack, session, "snapshot", 0)
    [copy] = session.volumes.list_volumes([made.native])
    assert (VolumeState.AVAILABLE, "gp9", "") == (copy.state, copy.type, copy.snapshot)


def test_a_copy_of_a_volume_without_data_is_a_new_one(stack: Emulated, session: Any) -> None:
    empty = session.volumes.create_volume(VolumeSpec(fresh_ref(), 3, "zone-1")).native
    stack.settle()

    copy = session.volumes.create_volume(VolumeSpec(fresh_ref(), 0, "zone-1", source=empty))

    assert (3, "", 0) == (copy.size, copy.snapshot, there(stack, "snapshot"))


def test_a_copy_of_a_snapshot_leaves_no_volume(stack: Emulated, session: Any, snapshot: str) -> None:
    before = session.volumes.list_volumes()

    made = session.volumes.create_snapshot(SnapshotSpec(fresh_ref(), "", "once more", source=snapshot))

    assert (2, before) == (there(stack, "volume"), session.volumes.list_volumes())
    gone(stack, session, "volume", 1)
    [copy] = session.volumes.list_snapshots([made.native])
    assert (SnapshotState.COMPLETED, "", "once more") == (copy.state, copy.volume, copy.description)


@pytest.mark.parametrize("what", ["volume", "snapshot"])
def test_a_copy_that_takes_too_long_is_gone_on_with(
    stack: Emulated, session: Any, what: str, volume: str, snapshot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.emulator.world.job_seconds = 60
    monkeypatch.setattr(Client.done, "__defaults__", ("", "", 0.05))
    monkeypatch.setattr(copies, "JOB_SECONDS", 0.05)
    word = fresh_ref()

    def ask() -> Any:
        if what == "volume":
            return session.volumes.create_volume(VolumeSpec(word, 0, "zone-1", source=volume))
        return session.volumes.create_snapshot(SnapshotSpec(word, "", source=snapshot))

    for _ in range(2):
        with pytest.raises(Unavailable, match="still busy"):
            ask()
    stack.emulator.world.pass_by(61)
    made = ask()

    assert word == made.ref
    assert (2, 2) == (there(stack, "volume"), there(stack, "snapshot"))
    stack.emulator.world.pass_by(61)
    stack.emulator.world.job_seconds = 0
    gone(stack, session, "snapshot", 1 if what == "volume" else 2)
    gone(stack, session, "volume", 2 if what == "volume" else 1)


def test_what_nobody_goes_on_with_is_deleted_after_an_hour(stack: Emulated, session: Any, volume: str) -> None:
    stack.emulator.world.wrong_next("createVolume", Refusal(503, "busy", 4285))
    with pytest.raises(Unavailable):
        session.volumes.create_volume(VolumeSpec(fresh_ref(), 0, "zone-1", source=volume))
    for _ in range(5):
        session.volumes.list_snapshots()
    assert 1 == there(stack, "snapshot")

    for _, item in stack.emulator.world.things["snapshot"].values():
        item["created"] = "2026-01-02T03:04:05+0000"

    gone(stack, session, "snapshot", 0)


def test_a_copy_whose_snapshot_fails_is_refused_and_tried_anew(stack: Emulated, session: Any, volume: str) -> None:
    stack.emulator.world.wrong_next("createSnapshot job", Refusal(530, "no room on the secondary storage", 4250))
    spec = VolumeSpec(fresh_ref(), 0, "zone-1", source=volume)
    with pytest.raises(Fault, match="no room"):
        session.volumes.create_volume(spec)

    made = session.volumes.create_volume(spec)

    assert made.ref == spec.ref
    assert 2 == there(stack, "volume")
