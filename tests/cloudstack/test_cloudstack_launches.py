"""What becomes of a launch that CloudStack refuses, cannot do, or does not answer; and of one that broke off."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from emulated_cloudstack import JOB_SECONDS, TENANTS, Emulated, fresh_ref, server_spec
from emulators.cloudstack.world import CUT, NEVER, Refusal

from isthmus.errors import Fault, NoCapacity, QuotaExceeded, Unavailable
from isthmus.model import AttachmentState, ServerState, VolumeState
from isthmus.providers import DiskSpec, ServerSpec, VolumeSpec
from isthmus.providers.cloudstack.servers import state_of

FULL = Refusal(533, "Unable to create a deployment for VM", 4325)
FULL_JOB = Refusal(530, "Unable to orchestrate VM: insufficient capacity", 4250)
LIMIT = Refusal(535, "Maximum number of resources of type 'volume' for account has been exceeded", 4370)


@pytest.fixture
def spec(session: Any) -> ServerSpec:
    """A server with its root disk."""
    return server_spec(session, "a name")


@pytest.fixture
def larger(spec: ServerSpec) -> ServerSpec:
    """The same with a further disk."""
    return replace(spec, disks=(*spec.disks, DiskSpec(fresh_ref("vol"), "/dev/sdb", 1, delete_with_server=False)))


def left(session: Any) -> tuple[list[str], list[str]]:
    """The refs of all servers and of all volumes that are not root disks'."""
    volumes = [one.ref for one in session.volumes.list_volumes() if not one.attachments]
    return [one.ref for one in session.compute.list_servers()], volumes


@pytest.mark.parametrize("fault", [FULL, Refusal(535, "limit exceeded", 4370)], ids=["full", "limit"])
def test_a_launch_that_is_refused_leaves_nothing(
    fault: Refusal, stack: Emulated, session: Any, larger: ServerSpec
) -> None:
    stack.emulator.world.wrong_next("deployVirtualMachine", fault)

    with pytest.raises(NoCapacity if fault is FULL else QuotaExceeded) as caught:
        session.compute.create_server(larger)

    assert ("server", ([], [])) == (caught.value.kind, left(session))


def test_a_launch_whose_volume_is_refused_leaves_nothing(stack: Emulated, session: Any, larger: ServerSpec) -> None:
    stack.emulator.world.wrong_next("createVolume", LIMIT)

    with pytest.raises(QuotaExceeded) as caught:
        session.compute.create_server(larger)

    assert ("volume", ([], [])) == (caught.value.kind, left(session))


def test_a_launch_that_fails_on_the_way_leaves_nothing(stack: Emulated, session: Any, larger: ServerSpec) -> None:
    stack.emulator.world.wrong_next("attachVolume job", Refusal(530, "Failed to attach volume", 4250))

    with pytest.raises(Fault):
        session.compute.create_server(larger)

    stack.settle()
    assert ([], []) == left(session)


def test_a_launch_that_cannot_be_done_after_all_is_in_error(stack: Emulated, session: Any, spec: ServerSpec) -> None:
    stack.emulator.world.wrong_next("deployVirtualMachine job", FULL_JOB)

    made = session.compute.create_server(spec)
    stack.settle()

    [found] = session.compute.list_servers()
    assert made.state in (ServerState.PENDING, ServerState.ERROR)
    assert (ServerState.ERROR, spec.ref) == (found.state, found.ref)


def test_a_launch_that_was_not_answered_is_found_and_not_done_again(
    stack: Emulated, session: Any, spec: ServerSpec
) -> None:
    stack.emulator.world.wrong_next("deployVirtualMachine", CUT)
    with pytest.raises(Unavailable):
        session.compute.create_server(spec)

    again = session.compute.create_server(spec)

    [found] = session.compute.list_servers()
    assert (found.native, spec.ref) == (again.native, again.ref)


@pytest.mark.parametrize("at", ["createVolume", "deployVirtualMachine", "attachVolume", "startVirtualMachine"])
def test_a_launch_that_broke_off_goes_on_when_it_is_asked_for_again(
    at: str, stack: Emulated, session: Any, larger: ServerSpec
) -> None:
    """Wherever the connection broke, after CloudStack had done what it was asked."""
    stack.emulator.world.wrong_next(at, CUT)
    with pytest.raises(Unavailable):
        session.compute.create_server(larger)
    stack.settle()

    server = session.compute.create_server(larger)
    stack.settle()

    [found] = session.compute.list_servers()
    assert (server.native, ServerState.RUNNING) == (found.native, found.state)
    volumes = {one.ref: one for one in session.volumes.list_volumes()}
    assert {disk.ref for disk in larger.disks} == volumes.keys()
    for disk in larger.disks:
        [link] = volumes[disk.ref].attachments
        assert (disk.device, AttachmentState.ATTACHED) == (link.device, link.state)
        assert (found.native, disk.delete_with_server) == (link.server, link.delete_with_server)


def test_a_launch_that_is_asked_for_again_in_a_bad_moment_keeps_its_server(
    stack: Emulated, session: Any, larger: ServerSpec
) -> None:
    made = session.compute.create_server(larger)
    further = session.volumes.create_volume(VolumeSpec(fresh_ref("vol"), 1, "zone-1"))
    stack.settle()
    session.volumes.attach_volume(further.native, made.native, "/dev/sdx")
    stack.settle()
    stack.emulator.world.wrong_next("listTags", Refusal(503, "busy", 4285))

    with suppress(Unavailable):  # zones with security groups have no filters that are looked at
        session.compute.create_server(larger)
    stack.settle()

    [found] = session.compute.list_servers()
    assert (made.native, ServerState.RUNNING) == (found.native, found.state)
    assert further.native in {one.native for one in session.volumes.list_volumes()}


def test_a_volume_that_was_not_answered_is_found_and_not_made_again(stack: Emulated, session: Any) -> None:
    wanted = VolumeSpec(fresh_ref("vol"), 1, "zone-1", name="a name")
    stack.emulator.world.wrong_next("createVolume", CUT)
    with pytest.raises(Unavailable):
        session.volumes.create_volume(wanted)

    made = session.volumes.create_volume(wanted)

    assert [(made.native, wanted.ref)] == [(one.native, one.ref) for one in session.volumes.list_volumes()]


def test_a_volume_that_is_being_attached_is_of_its_server_already(
    stack: Emulated, session: Any, spec: ServerSpec
) -> None:
    server = session.compute.create_server(spec).native
    volume = session.volumes.create_volume(VolumeSpec(fresh_ref("vol"), 1, "zone-1")).native
    stack.settle()
    stack.emulator.world.wrong_next("attachVolume job", NEVER)

    session.volumes.attach_volume(volume, server, "/dev/sdf")

    [found] = session.volumes.list_volumes([volume])
    [link] = found.attachments
    assert (VolumeState.IN_USE, AttachmentState.ATTACHING) == (found.state, link.state)
    assert (server, "/dev/sdf") == (link.server, link.device)


def test_a_new_machine_that_is_not_started_yet_is_pending(stack: Emulated) -> None:
    now = stack.emulator.world.stamp()
    asked = {"state": "Stopped", "created": now, "jobid": "1", "jobstatus": 0}

    assert ServerState.PENDING is state_of(asked)
    assert ServerState.STOPPED is state_of({**asked, "jobstatus": 1})
    assert ServerState.STOPPED is state_of({**asked, "created": "2020-01-01T00:00:00+0000"})
    assert ServerState.ERROR is state_of({**asked, "state": "Error"})


@pytest.mark.parametrize("state", ["Unknown", "BackupError", "Unheard-of"])
def test_a_server_whose_state_is_not_known_is_as_it_was(
    stack: Emulated, session: Any, spec: ServerSpec, state: str
) -> None:
    """An instance that is told to be terminated is launched again by those who watch over it."""
    native = session.compute.create_server(spec).native
    stack.settle()
    stack.settle()
    machine = next(one for _, one in stack.emulator.world.things["machine"].values() if one["id"] == native)

    def now() -> ServerState:
        [server] = session.compute.list_servers([native])
        return server.state  # type: ignore[no-any-return]

    for known in ("Running", "Stopped"):
        machine["state"] = known
        assert now() is (before := {"Running": ServerState.RUNNING, "Stopped": ServerState.STOPPED}[known])
        machine["state"] = state
        assert now() is before


def test_a_volume_that_another_process_attached_again_is_no_longer_going(
    stack: Emulated, session: Any, spec: ServerSpec
) -> None:
    server = session.compute.create_server(spec).native
    volume = session.volumes.create_volume(VolumeSpec(fresh_ref("vol"), 1, "zone-1")).native
    stack.settle()
    session.volumes.attach_volume(volume, server, "/dev/sdf")
    stack.settle()
    stack.emulator.world.job_seconds = 60
    session.volumes.detach_volume(volume, server)
    [going] = session.volumes.list_volumes([volume])
    stack.emulator.world.job_seconds = JOB_SECONDS
    stack.emulator.world.pass_by(60)
    stack.settle()

    stack.beside(TENANTS[0]).volumes.attach_volume(volume, server, "/dev/sdg")
    stack.settle()

    [found] = session.volumes.list_volumes([volume])
    assert [AttachmentState.DETACHING] == [link.state for link in going.attachments]
    assert [("/dev/sdg", AttachmentState.ATTACHED)] == [(link.device, link.state) for link in found.attachments]
