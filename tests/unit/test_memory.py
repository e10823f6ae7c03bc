"""What is the memory cloud's own: identity of what it lists, time by its clock, quotas, and a full range."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from isthmus.errors import Conflict, Invalid, NoCapacity, QuotaExceeded
from isthmus.model import AttachmentState, Server, ServerState, VolumeState
from isthmus.providers import (
    AddressSpec,
    DiskSpec,
    FirewallSpec,
    ImportSpec,
    NetworkSpec,
    ServerSpec,
    SubnetSpec,
    VolumeSpec,
)
from isthmus.providers.memory import Memory
from isthmus.providers.memory.cloud import MemorySession

SETTLE = timedelta(seconds=10)
ZONE = "us-east-1a"


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def settle(self) -> None:
        self.now += SETTLE


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def session(clock: Hand) -> MemorySession:
    return Memory("memory", clock=clock, settle=SETTLE).session("tenant")


def spec(ref: str) -> ServerSpec:
    disk = DiskSpec(f"{ref}-root", "/dev/sda1", 0, root=True)
    return ServerSpec(ref, ref, "image-isthmus-tiny", "m1.tiny", ZONE, (disk,))


def state(session: MemorySession, server: Server) -> ServerState:
    [found] = session.compute.list_servers([server.native])
    return found.state


def test_a_listing_is_the_same_object_until_something_changes(session: MemorySession, clock: Hand) -> None:
    session.compute.create_server(spec("one"))
    listed = session.compute.list_servers()
    clock.now += SETTLE / 2

    assert listed is session.compute.list_servers()

    session.compute.create_server(spec("two"))
    assert listed is not session.compute.list_servers()


def test_a_listing_is_another_once_a_transition_is_due(session: MemorySession, clock: Hand) -> None:
    session.compute.create_server(spec("one"))
    listed = session.compute.list_servers()

    clock.settle()

    [server] = session.compute.list_servers()
    assert server.state is ServerState.RUNNING
    assert listed[0].state is ServerState.PENDING
    assert session.compute.list_servers() is session.compute.list_servers()


def test_what_did_not_change_is_the_same_object_in_the_next_listing(session: MemorySession, clock: Hand) -> None:
    session.compute.create_server(spec("one"))
    clock.settle()
    [before] = session.compute.list_servers()

    session.compute.create_server(spec("two"))

    assert before is session.compute.list_servers()[0]
    assert before is session.compute.list_servers([before.native])[0]


@pytest.mark.parametrize(
    "listing",
    [
        lambda on: on.volumes.list_volumes(),
        lambda on: on.volumes.list_snapshots(),
        lambda on: on.images.list_images(),
        lambda on: on.networks.list_networks(),
        lambda on: on.networks.list_subnets(),
        lambda on: on.firewalls.list_firewalls(),
        lambda on: on.addresses.list_addresses(),
        lambda on: on.keys.list_keys(),
        lambda on: on.compute.list_zones(),
        lambda on: on.compute.list_flavors(),
    ],
)
def test_every_listing_is_the_same_object_until_something_changes(listing, session: MemorySession) -> None:  # type: ignore[no-untyped-def]
    session.compute.create_server(spec("one"))
    session.addresses.allocate_address(AddressSpec("address"))

    assert listing(session) is listing(session)


def test_another_session_of_the_tenant_gets_the_same_objects(clock: Hand) -> None:
    cloud = Memory("memory", clock=clock)
    cloud.session("tenant").compute.create_server(spec("one"))
    one, other = cloud.session("tenant").compute, cloud.session("tenant").compute

    assert one.list_servers() is other.list_servers()
    assert one.list_flavors() is other.list_flavors()


def test_states_last_exactly_as_long_as_things_take_to_settle(session: MemorySession, clock: Hand) -> None:
    server = session.compute.create_server(spec("one"))
    clock.now += SETTLE - timedelta(microseconds=1)
    assert ServerState.PENDING is state(session, server)
    clock.now += timedelta(microseconds=1)
    assert ServerState.RUNNING is state(session, server)

    session.compute.stop_server(server.native)
    assert ServerState.STOPPING is state(session, server)
    clock.settle()
    assert ServerState.STOPPED is state(session, server)

    session.compute.delete_server(server.native)
    assert ServerState.DELETING is state(session, server)
    clock.settle()
    assert session.compute.list_servers() == ()
    assert session.volumes.list_volumes() == ()


def test_a_server_deleted_while_it_is_pending_never_runs(session: MemorySession, clock: Hand) -> None:
    server = session.compute.create_server(spec("one"))
    clock.now += SETTLE / 2
    session.compute.delete_server(server.native)

    clock.now += SETTLE / 2

    assert ServerState.DELETING is state(session, server)


@pytest.mark.parametrize(
    "verb",
    [
        lambda on, native: on.compute.start_server(native),
        lambda on, native: on.compute.stop_server(native),
        lambda on, native: on.compute.reboot_server(native),
        lambda on, native: on.compute.resize_server(native, "m1.small"),
        lambda on, native: on.metrics.counters(native),
    ],
)
def test_a_server_that_is_being_deleted_refuses_everything_else(verb, session: MemorySession) -> None:  # type: ignore[no-untyped-def]
    native = session.compute.create_server(spec("one")).native
    session.compute.delete_server(native)

    with pytest.raises(Conflict):
        verb(session, native)


def test_a_deleted_server_holds_its_firewall_and_address_until_it_is_gone(session: MemorySession, clock: Hand) -> None:
    firewall = session.firewalls.create_firewall(FirewallSpec("firewall", "web", "")).native
    server = session.compute.create_server(replace(spec("one"), firewalls=(firewall,), address="172.31.0.77"))
    session.compute.delete_server(server.native)
    with pytest.raises(Conflict):
        session.firewalls.delete_firewall(firewall)
    with pytest.raises(Conflict):
        session.compute.create_server(replace(spec("two"), address="172.31.0.77"))

    clock.settle()

    session.firewalls.delete_firewall(firewall)
    again = session.compute.create_server(replace(spec("two"), address="172.31.0.77"))
    assert again.ports[0].address == "172.31.0.77"


def test_a_volume_that_is_leaving_a_deleted_server_is_freed(session: MemorySession, clock: Hand) -> None:
    server = session.compute.create_server(spec("one")).native
    volume = session.volumes.create_volume(VolumeSpec("data", 1, ZONE)).native
    clock.settle()
    session.volumes.attach_volume(volume, server, "/dev/sdf")
    clock.settle()
    session.volumes.set_delete_with_server(volume, server, True)
    session.volumes.detach_volume(volume, server)
    session.compute.delete_server(server)

    clock.settle()

    [left] = session.volumes.list_volumes()
    assert (volume, VolumeState.AVAILABLE, ()) == (left.native, left.state, left.attachments)


def test_an_attachment_changed_while_it_is_made_still_becomes_attached(session: MemorySession, clock: Hand) -> None:
    server = session.compute.create_server(spec("one")).native
    [root] = session.volumes.list_volumes()
    session.volumes.set_delete_with_server(root.native, server, False)

    clock.settle()

    [link] = session.volumes.list_volumes()[0].attachments
    assert (link.state, link.delete_with_server) == (AttachmentState.ATTACHED, False)


@pytest.mark.parametrize("kind", ["server", "volume"])
def test_a_quota_refuses_a_server_and_leaves_nothing(kind: str) -> None:
    session = Memory("memory", quota={kind: 1}).session("tenant")
    session.compute.create_server(spec("one"))
    subnets = session.networks.list_subnets()

    with pytest.raises(QuotaExceeded) as refusal:
        session.compute.create_server(spec("two"))

    assert kind == refusal.value.kind
    assert [server.ref for server in session.compute.list_servers()] == ["one"]
    assert [volume.ref for volume in session.volumes.list_volumes()] == ["one-root"]
    assert subnets == session.networks.list_subnets()


def test_a_quota_is_each_tenants_own() -> None:
    cloud = Memory("memory", quota={"address": 1})
    for tenant in ("one", "two"):
        cloud.session(tenant).addresses.allocate_address(AddressSpec("address"))

    with pytest.raises(QuotaExceeded):
        cloud.session("one").addresses.allocate_address(AddressSpec("another"))


def test_a_full_subnet_is_no_capacity_until_a_server_is_gone(session: MemorySession, clock: Hand) -> None:
    network = session.networks.create_network(NetworkSpec("network", "small", "10.0.0.0/24")).native
    small = SubnetSpec("subnet", "small", network, "10.0.0.0/29", ZONE)
    subnet = session.networks.create_subnet(small).native
    made = [session.compute.create_server(replace(spec(ref), subnet=subnet)) for ref in ("one", "two", "three")]
    with pytest.raises(NoCapacity):
        session.compute.create_server(replace(spec("four"), subnet=subnet))
    assert len(session.volumes.list_volumes()) == 3

    session.compute.delete_server(made[1].native)
    clock.settle()

    fourth = session.compute.create_server(replace(spec("four"), subnet=subnet))
    assert made[1].ports[0].address == fourth.ports[0].address


def test_natives_of_two_clouds_differ_but_for_what_is_built_in() -> None:
    one, two = (Memory("memory").session("tenant") for _ in range(2))

    assert one.compute.create_server(spec("one")).native != two.compute.create_server(spec("one")).native
    assert [image.native for image in one.images.list_images()] == [image.native for image in two.images.list_images()]


def test_the_console_says_that_the_server_is_simulated(session: MemorySession) -> None:
    native = session.compute.create_server(spec("one")).native

    assert b"simulated" in session.compute.console_output(native).output


def test_an_imported_qcow2_is_as_large_as_the_disk_in_it(session: MemorySession, tmp_path: Path) -> None:
    file = tmp_path / "disk.qcow2"
    file.write_bytes(b"QFI\xfb" + bytes(20) + (3 << 30).to_bytes(8, "big"))

    image = session.images.import_image(ImportSpec("image", "image", file, "qcow2"))

    assert [disk.size for disk in image.disks] == [3]


@pytest.mark.parametrize("kind", ["raw", "qcow2", "vmdk", "vpc", "iso"])
def test_a_file_that_is_no_image_is_invalid(kind: str, session: MemorySession, tmp_path: Path) -> None:
    file = tmp_path / "empty"
    if kind != "raw":
        file.write_bytes(b"")

    with pytest.raises(Invalid):
        session.images.import_image(ImportSpec("image", "image", file, kind))


def test_a_session_needs_a_tenant() -> None:
    with pytest.raises(Invalid):
        Memory("memory").session("")
