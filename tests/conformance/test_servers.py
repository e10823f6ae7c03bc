"""The rules C: servers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from isthmus.errors import Conflict, Invalid, NotFound
from isthmus.model import AttachmentState, Condition, Image, ImageKind, ServerState, VolumeState
from isthmus.providers import Capability, Cloud, ServerSpec

from .conftest import Base, Doomed
from .kit import Maker, Patience, missing, refused, root_disk, word

pytestmark = pytest.mark.needs("compute")
LAUNCH = pytest.mark.needs(Capability.LAUNCH)


def server_of(session: Any, native: str) -> Any:
    [found] = session.compute.list_servers([native])
    return found


def of(field: str, value: Any) -> dict[str, Any]:
    return {field: value}


def volumes_of(session: Any, native: str) -> dict[str, Any]:
    """The server's volumes by ref."""
    found = session.volumes.list_volumes()
    return {one.ref: one for one in found if native in {link.server for link in one.attachments}}


def default_firewall(session: Any) -> str:
    return next(str(one.native) for one in session.firewalls.list_firewalls() if one.name == "default")


def test_there_are_zones_with_unique_names(session: Any) -> None:
    """C1"""
    names = [zone.name for zone in session.compute.list_zones()]

    assert names
    assert len(names) == len(set(names))
    assert "" not in names


def test_there_are_flavors_of_positive_size(session: Any) -> None:
    """C2"""
    flavors = session.compute.list_flavors()

    assert flavors
    assert len(flavors) == len({flavor.native for flavor in flavors})
    assert all(flavor.cpus > 0 and flavor.memory > 0 for flavor in flavors)


def test_a_new_server_is_pending_and_then_runs(base: Base, doomed: Doomed) -> None:
    """C3"""
    assert {base.first.state, doomed.answers[0].state} <= {ServerState.PENDING, ServerState.RUNNING}
    assert ServerState.RUNNING is doomed.running.state


def test_a_server_has_what_it_was_asked_for(base: Base, running: str, session: Any) -> None:
    """C4"""
    spec, server = base.spec, server_of(session, running)

    assert (spec.name, spec.zone, spec.image) == (server.name, server.zone, server.image)
    assert (spec.flavor, spec.key) == (base.first.flavor, server.key)


@pytest.mark.needs("networks")
def test_a_server_has_a_port_in_a_subnet_of_its_zone(running: str, session: Any) -> None:
    """C5"""
    server = server_of(session, running)
    [port] = server.ports
    [subnet] = [one for one in session.networks.list_subnets() if one.native == port.subnet]

    assert server.zone == subnet.zone
    assert subnet.network == port.network
    assert ip_address(port.address) in ip_network(subnet.cidr)


@pytest.mark.needs("firewalls")
def test_a_server_gets_the_firewalls_it_named_or_else_the_default_one(base: Base, doomed: Doomed, session: Any) -> None:
    """C6"""
    assert (default_firewall(session),) == doomed.running.ports[0].firewalls
    assert base.spec.firewalls == base.first.ports[0].firewalls


@pytest.mark.needs("volumes")
def test_each_disk_of_a_spec_becomes_an_attached_volume(
    base: Base, running: str, session: Any, patience: Patience
) -> None:
    """C7"""
    found = volumes_of(session, running)

    for disk in base.spec.disks:
        volume = patience.attached(session, found[disk.ref].native)
        [link] = volume.attachments
        assert VolumeState.IN_USE is volume.state
        assert AttachmentState.ATTACHED is link.state
        assert (disk.device, disk.delete_with_server) == (link.device, link.delete_with_server)
    assert base.spec.disks[0].device == server_of(session, running).root_device


@LAUNCH
@pytest.mark.parametrize("field", ["flavor", "zone"])
def test_an_unknown_flavor_or_zone_is_invalid(field: str, made: Maker, plain: ServerSpec) -> None:
    """C8"""
    with refused(Invalid, field=field):
        made.server(replace(plain, ref=word(), **of(field, "no-such-thing")))


UNKNOWN: dict[str, tuple[str, Any]] = {
    "image": ("images", "no-such-thing"),
    "firewalls": ("firewalls", ("no-such-thing",)),
    "subnet": ("networks", "no-such-thing"),
    "key": ("keys", "no-such-thing"),
}


@LAUNCH
@pytest.mark.parametrize("field", sorted(UNKNOWN))
def test_an_unknown_image_firewall_subnet_or_key_is_not_found(
    field: str, cloud: Cloud, session: Any, made: Maker, plain: ServerSpec
) -> None:
    """C9"""
    family, value = UNKNOWN[field]
    if reason := missing(cloud, session, (family,)):
        pytest.skip(reason)

    with pytest.raises(NotFound):
        made.server(replace(plain, ref=word(), **of(field, value)))


@LAUNCH
@pytest.mark.needs("volumes", "firewalls")
def test_a_refused_creation_leaves_nothing_behind(session: Any, made: Maker, plain: ServerSpec) -> None:
    """C10"""
    ref = word()
    disk = replace(plain.disks[0], ref=word())

    with pytest.raises(NotFound):
        made.server(replace(plain, ref=ref, disks=(disk,), firewalls=("no-such-thing",)))

    assert ref not in {server.ref for server in session.compute.list_servers()}
    assert disk.ref not in {volume.ref for volume in session.volumes.list_volumes()}


@LAUNCH
@pytest.mark.parametrize("change", [{"root": False}, {"device": "/dev/sdz"}], ids=["device", "root"])
def test_two_disks_on_one_device_or_two_roots_are_invalid(
    change: dict[str, Any], made: Maker, plain: ServerSpec
) -> None:
    """C11"""
    root = plain.disks[0]

    with pytest.raises(Invalid):
        made.server(replace(plain, ref=word(), disks=(root, replace(root, ref=word(), size=1, **change))))


@pytest.mark.needs("volumes", "images")
def test_a_root_disk_is_as_large_as_the_image_or_larger(
    base: Base, running: str, session: Any, made: Maker, plain: ServerSpec, image: Image
) -> None:
    """C12"""
    least = next(disk.size for disk in image.disks if disk.device == image.root_device)

    assert least == volumes_of(session, running)[base.spec.disks[0].ref].size
    with refused(Invalid, field="size"):
        made.server(replace(plain, ref=word(), disks=(replace(plain.disks[0], ref=word(), size=least - 1 or -1),)))


def test_servers_are_listed_in_the_order_of_their_creation(base: Base, session: Any) -> None:
    """C13"""
    created = [server.created for server in session.compute.list_servers()]

    assert created
    assert sorted(created) == created


def test_starting_a_running_server_changes_nothing(running: str, session: Any) -> None:
    """C14"""
    before = server_of(session, running)

    session.compute.start_server(running)

    assert before == server_of(session, running)


@pytest.mark.needs(Capability.CONSOLE)
def test_the_console_is_at_most_64_kib(running: str, session: Any) -> None:
    """C25"""
    console = session.compute.console_output(running)

    assert isinstance(console.output, bytes)
    assert len(console.output) <= 64 * 1024
    assert console.at.utcoffset() is not None


def test_conditions_are_those_of_servers_that_run(running: str, session: Any) -> None:
    """C31"""
    found = session.compute.conditions([running, "no-such-thing"])

    assert set(found) <= {running}
    assert all(isinstance(one, Condition) for one in found.values())


@pytest.mark.needs(Capability.RESIZE)
def test_a_running_server_cannot_be_resized(running: str, session: Any) -> None:
    """C20"""
    before = server_of(session, running)

    with refused(Conflict, code="state", kind="server"):
        session.compute.resize_server(running, session.compute.list_flavors()[-1].native)

    assert before == server_of(session, running)


def test_a_rebooted_server_runs_and_a_stopped_one_cannot_be_rebooted(
    running: str, session: Any, patience: Patience
) -> None:
    """C18"""
    session.compute.reboot_server(running)
    patience.server(session, running, ServerState.RUNNING)

    session.compute.stop_server(running)
    patience.server(session, running, ServerState.STOPPED)
    with refused(Conflict, code="state", kind="server"):
        session.compute.reboot_server(running)


def test_stopping_a_stopped_server_changes_nothing(stopped: str, session: Any) -> None:
    """C16"""
    before = server_of(session, stopped)

    session.compute.stop_server(stopped)
    session.compute.stop_server(stopped, force=True)

    assert before == server_of(session, stopped)


@pytest.mark.needs(Capability.RESIZE)
def test_a_stopped_server_can_be_resized(base: Base, stopped: str, session: Any) -> None:
    """C19"""
    other = next(one.native for one in session.compute.list_flavors() if one.native != base.spec.flavor)

    session.compute.resize_server(stopped, other)
    assert other == server_of(session, stopped).flavor
    with refused(Invalid, field="flavor"):
        session.compute.resize_server(stopped, "no-such-thing")
    assert other == server_of(session, stopped).flavor

    session.compute.resize_server(stopped, base.spec.flavor)
    assert base.spec.flavor == server_of(session, stopped).flavor


@pytest.mark.needs(Capability.USER_DATA)
def test_a_stopped_server_can_be_given_other_user_data(running: str, session: Any, patience: Patience) -> None:
    """C32"""
    with refused(Conflict, code="state", kind="server"):
        session.compute.set_user_data(running, b"#!/bin/sh\necho changed\n")
    session.compute.stop_server(running)
    before = patience.server(session, running, ServerState.STOPPED)

    session.compute.set_user_data(running, b"#!/bin/sh\necho changed\n")
    session.compute.set_user_data(running, b"")

    assert before == server_of(session, running)


def test_a_started_server_runs_anew(stopped: str, session: Any, patience: Patience) -> None:
    """C17"""
    before = server_of(session, stopped)

    session.compute.start_server(stopped)

    assert server_of(session, stopped).state in (ServerState.PENDING, ServerState.RUNNING)
    after = patience.server(session, stopped, ServerState.RUNNING)
    assert after.started > before.started
    assert after.created == before.created


def test_a_stopped_server_keeps_its_ports_and_volumes(running: str, session: Any, patience: Patience) -> None:
    """C15"""
    before = server_of(session, running)
    disks = {} if session.volumes is None else volumes_of(session, running)

    session.compute.stop_server(running)

    assert server_of(session, running).state in (ServerState.STOPPING, ServerState.STOPPED)
    after = patience.server(session, running, ServerState.STOPPED)
    assert before.ports == after.ports
    assert disks == ({} if session.volumes is None else volumes_of(session, running))


def test_a_deleted_server_is_deleting_and_then_gone(doomed: Doomed, session: Any) -> None:
    """C21"""
    assert {server.state for server in doomed.just_deleted} <= {ServerState.DELETING}
    assert doomed.running.native not in {server.native for server in session.compute.list_servers()}


def test_verbs_on_a_server_that_is_gone_are_not_found(doomed: Doomed, cloud: Cloud, session: Any) -> None:
    """C22"""
    native = doomed.running.native
    calls: list[tuple[tuple[str, ...], Callable[[], Any]]] = [
        ((), lambda: session.compute.start_server(native)),
        ((), lambda: session.compute.stop_server(native)),
        ((), lambda: session.compute.reboot_server(native)),
        (
            (Capability.RESIZE,),
            lambda: session.compute.resize_server(native, session.compute.list_flavors()[0].native),
        ),
        ((Capability.USER_DATA,), lambda: session.compute.set_user_data(native, b"changed")),
        ((Capability.CONSOLE,), lambda: session.compute.console_output(native)),
        (("metrics",), lambda: session.metrics.counters(native)),
    ]
    for needs, call in calls:
        if not missing(cloud, session, needs):
            with refused(NotFound, kind="server"):
                call()

    session.compute.delete_server(native)


@pytest.mark.needs("volumes")
def test_with_a_server_go_the_volumes_that_shall(doomed: Doomed, session: Any, patience: Patience) -> None:
    """C23"""
    patience.gone(lambda: session.volumes.list_volumes([doomed.gone_volume]), doomed.gone_volume)

    freed = patience.volume(session, doomed.freed_volume)
    assert freed.attachments == ()


@pytest.mark.needs("addresses")
def test_a_deleted_servers_address_is_free_again(doomed: Doomed, session: Any) -> None:
    """C24"""
    [address] = [one for one in session.addresses.list_addresses() if one.native == doomed.address]

    assert (address.server, address.port, address.private) == ("", "", "")


@LAUNCH
@pytest.mark.needs("images", Capability.KERNEL)
@pytest.mark.parametrize("field", ["kernel", "ramdisk"])
def test_a_kernel_or_ramdisk_must_be_one(field: str, made: Maker, plain: ServerSpec) -> None:
    """C26"""
    with pytest.raises(NotFound):
        made.server(replace(plain, ref=word(), **of(field, "no-such-thing")))
    with pytest.raises(Invalid):
        made.server(replace(plain, ref=word(), **of(field, plain.image)))


@LAUNCH
@pytest.mark.needs("images")
def test_only_a_machine_image_makes_a_server(session: Any, made: Maker, plain: ServerSpec) -> None:
    """C27"""
    others = [one.native for one in session.images.list_images() if one.kind is not ImageKind.MACHINE]
    if not others:
        pytest.skip("the cloud has only machine images")

    with refused(Invalid, field="image"):
        made.server(replace(plain, ref=word(), image=others[0]))


@LAUNCH
@pytest.mark.needs("networks")
@pytest.mark.parametrize("address", ["8.8.8.8", "no address"])
def test_a_private_address_must_be_of_the_subnet(address: str, made: Maker, plain: ServerSpec) -> None:
    """C28"""
    with refused(Invalid, field="address"):
        made.server(replace(plain, ref=word(), address=address))


@LAUNCH
@pytest.mark.needs("networks")
def test_a_subnet_must_be_of_the_servers_zone(session: Any, made: Maker, plain: ServerSpec) -> None:
    """C29"""
    elsewhere = [one.native for one in session.networks.list_subnets() if one.zone != plain.zone]
    if not elsewhere:
        pytest.skip("the cloud has one zone")

    with refused(Invalid, field="subnet"):
        made.server(replace(plain, ref=word(), subnet=elsewhere[0]))


@LAUNCH
@pytest.mark.boots
@pytest.mark.needs("volumes")
def test_a_local_root_disk_makes_no_volume(
    local_image: Image, plain: ServerSpec, made: Maker, session: Any, patience: Patience
) -> None:
    """C30"""
    root = root_disk(local_image, ref="", local=True)
    spec = replace(plain, ref=word(), image=local_image.native, disks=(root,))

    server = made.server(spec)

    running = patience.server(session, server.native, ServerState.RUNNING)
    assert (True, root.device) == (running.local_root, running.root_device)
    assert not volumes_of(session, server.native)
    with refused(Conflict, code="in-use", kind="device"):
        session.volumes.attach_volume(made.volume().native, server.native, root.device)
    volume, refused_for = replace(root, ref=word(), local=False), ""
    try:
        other = made.server(replace(spec, ref=word(), disks=(volume,)))
        patience.server(session, other.native, ServerState.RUNNING)
    except Invalid as fault:
        refused_for = fault.field
    made_one = volume.ref in {one.ref for one in session.volumes.list_volumes()}
    assert (made_one, refused_for) in ((True, ""), (False, "disks"))
