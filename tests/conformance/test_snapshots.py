"""The rules S: snapshots."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus.errors import Conflict, Denied, Invalid, NotFound
from isthmus.model import SnapshotState, VolumeState
from isthmus.providers import Capability, SnapshotSpec

from .conftest import Base
from .kit import Maker, Patience, refused, word

pytestmark = pytest.mark.needs("volumes")
SHARE = pytest.mark.needs(Capability.SNAPSHOT_SHARE)


def natives(session: Any) -> set[str]:
    return {snapshot.native for snapshot in session.volumes.list_snapshots()}


def test_a_new_snapshot_is_pending_and_then_completed(session: Any, made: Maker, patience: Patience) -> None:
    """S1"""
    volume = made.used()
    first = session.volumes.create_snapshot(SnapshotSpec(word(), volume.native, "as it was"))
    made.later(lambda: session.volumes.delete_snapshot(first.native))

    assert first.state in (SnapshotState.PENDING, SnapshotState.COMPLETED)
    snapshot = patience.snapshot(session, first.native)
    assert (volume.native, volume.size, "as it was") == (snapshot.volume, snapshot.size, snapshot.description)
    assert (patience.candidate.tenants[0], 100) == (snapshot.owner, snapshot.progress)


def test_a_snapshot_of_an_unknown_volume_is_not_found(made: Maker) -> None:
    """S2"""
    with refused(NotFound, kind="volume"):
        made.snapshot(volume="no-such-volume")


@pytest.mark.needs(Capability.SNAPSHOT_ATTACHED)
def test_a_snapshot_of_an_attached_volume_leaves_it_in_use(base: Base, running: str, session: Any, made: Maker) -> None:
    """S3"""
    root = next(one for one in session.volumes.list_volumes() if one.ref == base.spec.disks[0].ref)

    snapshot = made.snapshot(volume=root.native)

    assert (root.native, root.size) == (snapshot.volume, snapshot.size)
    [after] = session.volumes.list_volumes([root.native])
    assert VolumeState.IN_USE is after.state


def test_a_volume_of_a_snapshot_is_at_least_as_large(made: Maker) -> None:
    """S4"""
    snapshot = made.snapshot(volume=made.used(size=2).native)

    equal = made.volume(size=0, snapshot=snapshot.native)
    larger = made.volume(size=3, snapshot=snapshot.native)

    assert [(2, snapshot.native), (3, snapshot.native)] == [
        (volume.size, volume.snapshot) for volume in (equal, larger)
    ]
    with refused(Invalid, field="size"):
        made.volume(size=1, snapshot=snapshot.native)


def test_a_deleted_snapshot_is_gone_and_volumes_made_of_it_stay(session: Any, made: Maker, patience: Patience) -> None:
    """S5"""
    snapshot = made.snapshot().native
    volume = made.volume(size=0, snapshot=snapshot).native

    session.volumes.delete_snapshot(snapshot)

    patience.gone(lambda: session.volumes.list_snapshots(), snapshot)
    assert VolumeState.AVAILABLE is patience.volume(session, volume).state


def test_a_snapshot_is_not_lost_with_its_volume(session: Any, made: Maker, patience: Patience) -> None:
    """S6"""
    volume = made.used().native
    snapshot = made.snapshot(volume=volume).native

    code = ""
    try:
        session.volumes.delete_volume(volume)
        patience.gone(lambda: session.volumes.list_volumes([volume]), volume)
    except Conflict as refusal:
        code = refusal.code

    assert ("in-use" if session.volumes.list_volumes([volume]) else "") == code
    assert SnapshotState.COMPLETED is patience.snapshot(session, snapshot).state


@SHARE
def test_a_shared_snapshot_is_seen_by_whom_it_is_shared_with(
    session: Any, other: Any, made: Maker, patience: Patience
) -> None:
    """S7"""
    native = made.snapshot().native
    share = session.volumes.share_snapshot
    seen = []
    for public, tenants in ((False, [patience.candidate.tenants[1]]), (False, []), (True, []), (False, [])):
        share(native, public=public, tenants=tenants)
        [snapshot] = session.volumes.list_snapshots([native])
        assert (public, tuple(tenants)) == (snapshot.public, snapshot.shared_with)
        seen.append(native in natives(other))

    assert seen == [True, False, True, False]


@SHARE
def test_a_shared_snapshot_can_be_made_a_volume(session: Any, made: Maker, theirs: Maker, patience: Patience) -> None:
    """S8"""
    snapshot = made.snapshot()
    session.volumes.share_snapshot(snapshot.native, public=False, tenants=[patience.candidate.tenants[1]])

    volume = theirs.volume(size=0, snapshot=snapshot.native)

    assert (snapshot.size, snapshot.native) == (volume.size, volume.snapshot)


@SHARE
def test_a_shared_snapshot_is_its_owners_alone_to_change(
    session: Any, other: Any, made: Maker, patience: Patience
) -> None:
    """S9"""
    native = made.snapshot().native
    session.volumes.share_snapshot(native, public=False, tenants=[patience.candidate.tenants[1]])

    with pytest.raises(Denied):
        other.volumes.share_snapshot(native, public=True, tenants=[])
    with pytest.raises(Denied):
        other.volumes.delete_snapshot(native)

    [snapshot] = session.volumes.list_snapshots([native])
    assert not snapshot.public


@pytest.mark.needs("images", Capability.IMAGE_OF_SNAPSHOT)
def test_a_snapshot_that_an_image_is_made_of_cannot_be_deleted(session: Any, made: Maker) -> None:
    """S10"""
    image = made.image()

    with refused(Conflict, code="in-use", kind="snapshot"):
        session.volumes.delete_snapshot(image.disks[0].snapshot)

    assert image.disks[0].snapshot in natives(session)


@pytest.mark.needs(Capability.SNAPSHOT_COPY)
def test_a_copy_of_a_snapshot_outlives_it(session: Any, made: Maker, patience: Patience) -> None:
    """S11"""
    source = made.snapshot(volume=made.used(size=2).native, description="as it was")

    copy = made.snapshot(source=source.native, description="once more")

    assert copy.native != source.native
    assert (2, "", "once more", source.owner) == (copy.size, copy.volume, copy.description, copy.owner)
    session.volumes.delete_snapshot(source.native)
    patience.gone(lambda: session.volumes.list_snapshots(), source.native)
    volume = made.volume(size=0, snapshot=copy.native)
    assert (2, copy.native) == (volume.size, volume.snapshot)
    with refused(NotFound, kind="snapshot"):
        made.snapshot(source="no-such-snapshot")
