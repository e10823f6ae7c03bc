"""The rules V: volumes, and where they are attached."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus.errors import Conflict, Invalid, NotFound
from isthmus.model import AttachmentState, ServerState, VolumeState
from isthmus.providers import Capability, Cloud, VolumeSpec

from .conftest import Base
from .kit import Maker, Patience, refused, word

pytestmark = pytest.mark.needs("volumes")
ATTACH_RUNNING = pytest.mark.needs(Capability.ATTACH_RUNNING)


def volume_of(session: Any, native: str) -> Any:
    [found] = session.volumes.list_volumes([native])
    return found


def root_of(session: Any, base: Base) -> Any:
    return next(one for one in session.volumes.list_volumes() if one.ref == base.spec.disks[0].ref)


def test_a_new_volume_is_creating_and_then_available(session: Any, made: Maker, patience: Patience, zone: str) -> None:
    """V1"""
    spec = VolumeSpec(word(), 2, zone, name="a name")
    first = session.volumes.create_volume(spec)
    made.later(lambda: session.volumes.delete_volume(first.native))

    assert first.state in (VolumeState.CREATING, VolumeState.AVAILABLE)
    volume = patience.volume(session, first.native)
    assert (2, zone, "a name", "", ()) == (
        volume.size,
        volume.zone,
        volume.name,
        volume.snapshot,
        volume.attachments,
    )


@pytest.mark.parametrize("size", [0, -1])
def test_a_volume_of_no_size_is_invalid(size: int, made: Maker) -> None:
    """V2"""
    with refused(Invalid, field="size"):
        made.volume(size=size)


def test_an_unknown_zone_is_invalid_and_an_unknown_snapshot_not_found(made: Maker) -> None:
    """V3"""
    with refused(Invalid, field="zone"):
        made.volume(zone="no-such-zone")
    with refused(NotFound, kind="snapshot"):
        made.volume(snapshot="no-such-snapshot")


def test_a_deleted_volume_is_gone(session: Any, made: Maker, patience: Patience) -> None:
    """V4"""
    native = made.volume().native

    session.volumes.delete_volume(native)

    assert {one.state for one in session.volumes.list_volumes([native])} <= {VolumeState.DELETING}
    patience.gone(lambda: session.volumes.list_volumes(), native)


@ATTACH_RUNNING
def test_an_attached_volume_is_in_use(running: str, session: Any, made: Maker, patience: Patience) -> None:
    """V5"""
    native = made.volume().native

    session.volumes.attach_volume(native, running, "/dev/sdf")

    volume = volume_of(session, native)
    [link] = volume.attachments
    assert VolumeState.IN_USE is volume.state
    assert link.state in (AttachmentState.ATTACHING, AttachmentState.ATTACHED)
    asked = link.since
    [link] = patience.attached(session, native).attachments
    assert asked == link.since
    assert (running, "/dev/sdf", False) == (link.server, link.device, link.delete_with_server)


@ATTACH_RUNNING
def test_a_device_is_taken_once(running: str, session: Any, made: Maker) -> None:
    """V6"""
    made.attached(running, "/dev/sdf")
    second = made.volume().native

    with refused(Conflict, code="in-use", kind="device"):
        session.volumes.attach_volume(second, running, "/dev/sdf")

    assert VolumeState.AVAILABLE is volume_of(session, second).state


@ATTACH_RUNNING
def test_an_attached_volume_cannot_be_attached_again(running: str, session: Any, made: Maker) -> None:
    """V7"""
    volume = made.attached(running, "/dev/sdf")

    with refused(Conflict, code="in-use", kind="volume"):
        session.volumes.attach_volume(volume.native, running, "/dev/sdg")

    assert volume == volume_of(session, volume.native)


def test_an_attached_volume_cannot_be_deleted(base: Base, running: str, session: Any) -> None:
    """V8"""
    root = root_of(session, base)

    with refused(Conflict, code="in-use", kind="volume"):
        session.volumes.delete_volume(root.native)

    assert root == volume_of(session, root.native)


@ATTACH_RUNNING
def test_a_detached_volume_is_available(running: str, session: Any, made: Maker, patience: Patience) -> None:
    """V9"""
    native = made.attached(running, "/dev/sdf").native

    session.volumes.detach_volume(native, running)

    assert {link.state for link in volume_of(session, native).attachments} <= {AttachmentState.DETACHING}
    assert patience.volume(session, native).attachments == ()


def test_what_is_not_attached_cannot_be_detached(running: str, session: Any, made: Maker) -> None:
    """V10"""
    native = made.volume().native

    with refused(Conflict, code="state", kind="volume"):
        session.volumes.detach_volume(native, running)


def test_attaching_needs_a_server_and_a_device(running: str, session: Any, made: Maker) -> None:
    """V11"""
    native = made.volume().native

    with refused(NotFound, kind="server"):
        session.volumes.attach_volume(native, "no-such-server", "/dev/sdf")
    with refused(Invalid, field="device"):
        session.volumes.attach_volume(native, running, "")


def test_what_becomes_of_a_volume_with_its_server_can_be_changed(
    base: Base, running: str, cloud: Cloud, session: Any, made: Maker
) -> None:
    """V12"""
    data = made.attached(running, "/dev/sdf").native if Capability.ROOT_KEPT in cloud.lacks else ""
    native = data or root_of(session, base).native
    for value in (False, True):
        session.volumes.set_delete_with_server(native, running, value)
        [link] = volume_of(session, native).attachments
        assert value is link.delete_with_server

    with refused(Conflict, code="state", kind="volume"):
        session.volumes.set_delete_with_server(made.volume().native, running, True)


@pytest.mark.needs(Capability.VOLUME_RESIZE)
def test_a_volume_can_grow_but_not_shrink(session: Any, made: Maker, patience: Patience) -> None:
    """V13"""
    native = made.volume().native

    session.volumes.resize_volume(native, 3)
    patience.until(lambda: volume_of(session, native), lambda volume: volume.size == 3, "of 3 GiB")
    patience.volume(session, native)
    session.volumes.resize_volume(native, 3)

    with refused(Invalid, field="size"):
        session.volumes.resize_volume(native, 2)
    assert volume_of(session, native).size == 3


@pytest.mark.needs(Capability.VOLUME_RETYPE)
def test_a_volume_is_given_another_type(session: Any, made: Maker, patience: Patience) -> None:
    """V17"""
    before = made.volume(size=2)

    session.volumes.retype_volume(before.native, "", 300)
    patience.until(lambda: volume_of(session, before.native), lambda volume: volume.iops == 300, "of 300 IOPS")
    session.volumes.retype_volume(before.native, before.type, 0)

    after = patience.until(lambda: volume_of(session, before.native), lambda volume: volume.iops == 0, "of its own")
    assert (before.type, before.size, ()) == (after.type, after.size, after.attachments)


@pytest.mark.needs(Capability.VOLUME_COPY)
def test_a_volume_of_another_is_at_least_as_large_and_in_its_zone(session: Any, made: Maker, zone: str) -> None:
    """V18"""
    source = made.volume(size=2)
    before = {one.native for one in session.volumes.list_snapshots()}

    equal = made.volume(size=0, source=source.native)
    larger = made.volume(size=3, source=source.native)

    assert [(2, zone, ""), (3, zone, "")] == [(one.size, one.zone, one.snapshot) for one in (equal, larger)]
    assert {one.native for one in session.volumes.list_snapshots()} <= before
    with refused(Invalid, field="size"):
        made.volume(size=1, source=source.native)
    with refused(NotFound, kind="volume"):
        made.volume(source="no-such-volume")
    for elsewhere in [one.name for one in session.compute.list_zones() if one.name != zone][:1]:
        with refused(Invalid, field="zone"):
            made.volume(zone=elsewhere, size=0, source=source.native)


@pytest.mark.needs(Capability.VOLUME_COPY, Capability.SNAPSHOT_ATTACHED)
def test_a_volume_of_another_leaves_it_as_it_is_and_outlives_it(
    base: Base, running: str, session: Any, made: Maker, patience: Patience
) -> None:
    """V19"""
    root, spare = root_of(session, base), made.volume()
    copies = [made.volume(size=0, source=source.native) for source in (root, spare)]

    assert root_of(session, base) == root
    assert [one.attachments for one in copies] == [(), ()]
    session.volumes.delete_volume(spare.native)
    patience.gone(lambda: session.volumes.list_volumes(), spare.native)
    for copy in copies:
        assert VolumeState.AVAILABLE is volume_of(session, copy.native).state


@ATTACH_RUNNING
def test_a_server_names_the_volumes_on_it(running: str, session: Any, made: Maker) -> None:
    """V20"""
    made.attached(running, "/dev/sdf")
    made.volume()
    links = [(link.server, one.native) for one in session.volumes.list_volumes() for link in one.attachments]

    [server] = session.compute.list_servers([running])

    assert set(server.volumes) in (set(), {native for host, native in links if host == running})


def test_the_root_volume_of_a_running_server_cannot_be_detached(base: Base, running: str, session: Any) -> None:
    """V14"""
    root = root_of(session, base)

    with refused(Conflict, code="state", kind="volume"):
        session.volumes.detach_volume(root.native, running)

    assert AttachmentState.ATTACHED is volume_of(session, root.native).attachments[0].state


def test_a_volume_attached_to_a_stopped_server_is_there_when_it_runs(
    stopped: str, session: Any, made: Maker, patience: Patience
) -> None:
    """V15"""
    native = made.attached(stopped, "/dev/sdg").native

    session.compute.start_server(stopped)
    patience.server(session, stopped, ServerState.RUNNING)

    assert AttachmentState.ATTACHED is volume_of(session, native).attachments[0].state


def test_a_volume_of_another_zone_cannot_be_attached(base: Base, stopped: str, session: Any, made: Maker) -> None:
    """V16"""
    elsewhere = [zone.name for zone in session.compute.list_zones() if zone.name != base.spec.zone]
    if not elsewhere:
        pytest.skip("the cloud has one zone")
    native = made.volume(zone=elsewhere[0]).native

    with refused(Invalid, field="zone"):
        session.volumes.attach_volume(native, stopped, "/dev/sdf")
