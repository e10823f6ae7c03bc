"""A real guest: what it finds, how it is reached, and what its volumes do while it runs."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace

import pytest

from isthmus.errors import Conflict, Unsupported
from isthmus.model import AttachmentState, Server, ServerState, SnapshotState, VolumeState
from isthmus.providers import FirewallSpec, SnapshotSpec, VolumeSpec
from isthmus.providers.local.firewalls import ALL_OUT
from isthmus.providers.local.layout import first_firewall

from .conftest import SSH, SSH_PORT, ZONE, World, until

pytestmark = pytest.mark.qemu
USER_DATA = b"#!/bin/sh\necho USER-DATA RAN ON $(imds meta-data/instance-id) OF $(imds meta-data/tenant)\n"


@pytest.fixture(scope="module")
def guest(shared: World) -> Server:
    """One running server whose default firewall lets ssh in."""
    shared.metadata.user_data["acme,ltd"] = USER_DATA
    shared.session.firewalls.add_rules(first_firewall("acme,ltd"), [SSH])
    return shared.launched("first")


@pytest.fixture(scope="module")
def address(shared: World, guest: Server) -> str:
    return shared.address(guest.native)


@pytest.fixture(scope="module")
def run(shared: World, address: str) -> Callable[[str], str]:
    """Runs a command in the guest."""
    return lambda command: shared.ssh(address, command)


def device(run: Callable[[str], str], serial: str) -> str:
    """The guest's name of the volume with a serial."""
    find = f'for b in /sys/block/vd*; do grep -q {serial} $b/serial && echo "${{b##*/}}"; done; true'
    return until(lambda: run(find))


def test_user_data_runs_and_reads_its_own_metadata(shared: World, guest: Server) -> None:
    console = shared.says(guest.native, b"tiny: ready")

    assert f"USER-DATA RAN ON i-of-{guest.native} OF acme,ltd" in console
    assert "tiny: user-data exit 0" in console


def test_the_guest_has_the_servers_address(run: Callable[[str], str], guest: Server) -> None:
    assert f"{guest.ports[0].address}/20" in run("ip -4 addr show eth0")


def test_a_token_that_is_no_longer_taken_is_fetched_anew(run: Callable[[str], str], guest: Server) -> None:
    told = run("echo expired >/run/imds-token; imds meta-data/instance-id 2>/dev/null")

    assert told == f"i-of-{guest.native}"


def test_the_guest_has_its_name(run: Callable[[str], str]) -> None:
    assert "guest.example" == run("hostname")


def test_the_key_lets_root_and_ec2_user_in(shared: World, address: str) -> None:
    assert "uid=0(root)" in shared.ssh(address, "id")
    assert "uid=1000(ec2-user)" in shared.ssh(address, "id", user="ec2-user")


def test_the_firmware_tells_the_guest_that_this_is_ec2(run: Callable[[str], str]) -> None:
    assert run("cat /sys/class/dmi/id/sys_vendor") == "Amazon EC2"
    assert run("cat /sys/class/dmi/id/product_uuid").lower().startswith("ec2")
    assert run("cat /sys/class/dmi/id/product_serial") == run("cat /sys/class/dmi/id/product_uuid")


def test_the_root_volume_has_the_serial_of_its_ref(run: Callable[[str], str]) -> None:
    assert "vda" == device(run, "vol0123456789abcdef0")


def test_a_volume_is_attached_grown_and_detached_live(shared: World, guest: Server, run: Callable[[str], str]) -> None:
    volumes = shared.session.volumes
    volume = volumes.create_volume(VolumeSpec("vol-0000000000000beef", 1, ZONE))

    volumes.attach_volume(volume.native, guest.native, "/dev/sdf")
    name = device(run, "vol0000000000000beef")
    assert str(2 * 1024 * 1024) == run(f"cat /sys/block/{name}/size")

    volumes.resize_volume(volume.native, 2)
    until(lambda: run(f"cat /sys/block/{name}/size") == str(4 * 1024 * 1024))

    volumes.detach_volume(volume.native, guest.native)
    until(lambda: volumes.list_volumes([volume.native])[0].state is VolumeState.AVAILABLE)
    assert "" == run(f"ls -d /sys/block/{name} 2>/dev/null")


def test_a_snapshot_of_a_volume_in_use_holds_what_was_written(
    shared: World, guest: Server, run: Callable[[str], str]
) -> None:
    volumes = shared.session.volumes
    volume = volumes.create_volume(VolumeSpec("vol-0000000000000cafe", 1, ZONE))
    volumes.attach_volume(volume.native, guest.native, "/dev/sdg")
    name = device(run, "vol0000000000000cafe")
    run(f"mke2fs /dev/{name} >/dev/null && mkdir -p /mnt/a && mount -t ext4 /dev/{name} /mnt/a")
    run("echo before >/mnt/a/file; sync")

    snapshot = volumes.create_snapshot(SnapshotSpec("a-snapshot", volume.native))
    run("echo after >/mnt/a/file; sync")
    until(lambda: volumes.list_snapshots([snapshot.native])[0].state is SnapshotState.COMPLETED)
    copy = volumes.create_volume(VolumeSpec("vol-0000000000000c0de", 1, ZONE, snapshot=snapshot.native))
    volumes.delete_snapshot(snapshot.native)
    volumes.attach_volume(copy.native, guest.native, "/dev/sdh")
    other = device(run, "vol0000000000000c0de")

    assert "before" == run(f"mkdir -p /mnt/b && mount -t ext4 /dev/{other} /mnt/b && cat /mnt/b/file")


def test_a_copy_of_a_volume_in_use_holds_what_was_written_by_then(
    shared: World, guest: Server, run: Callable[[str], str]
) -> None:
    volumes = shared.session.volumes
    volume = volumes.create_volume(VolumeSpec("vol-0000000000000ca11", 1, ZONE))
    volumes.attach_volume(volume.native, guest.native, "/dev/sdk")
    name = device(run, "vol0000000000000ca11")
    run(f"mke2fs /dev/{name} >/dev/null && mkdir -p /mnt/c && mount -t ext4 /dev/{name} /mnt/c")
    run("echo before >/mnt/c/file; sync")

    copy = volumes.create_volume(VolumeSpec("vol-0000000000000ab1e", 2, ZONE, source=volume.native))
    run("echo after >/mnt/c/file; sync")
    until(lambda: volumes.list_volumes([copy.native])[0].state is VolumeState.AVAILABLE)
    volumes.attach_volume(copy.native, guest.native, "/dev/sdl")
    other = device(run, "vol0000000000000ab1e")

    assert "before" == run(f"mkdir -p /mnt/d && mount -t ext4 /dev/{other} /mnt/d && cat /mnt/d/file")
    assert run(f"cat /sys/block/{other}/size") == str(4 * 1024 * 1024)


def test_a_volume_that_is_mounted_can_be_taken_away_by_force(
    shared: World, guest: Server, run: Callable[[str], str]
) -> None:
    volumes = shared.session.volumes
    volume = volumes.create_volume(VolumeSpec("vol-0000000000000f00d", 1, ZONE))
    volumes.attach_volume(volume.native, guest.native, "/dev/sdi")
    device(run, "vol0000000000000f00d")

    volumes.detach_volume(volume.native, guest.native, force=True)

    until(lambda: volumes.list_volumes([volume.native])[0].state is VolumeState.AVAILABLE)
    assert "still here" == run("echo still here")


def test_a_port_is_open_while_a_rule_says_so(shared: World, guest: Server, address: str) -> None:
    rule = replace(SSH, protocol="tcp", low=2022, high=2023, cidr="0.0.0.0/0")
    firewall = first_firewall("acme,ltd")

    def listening(port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((address, port)) == 0

    assert not listening(2022)
    shared.session.firewalls.add_rules(firewall, [rule])
    assert listening(2022)
    assert listening(2023)
    shared.session.firewalls.remove_rules(firewall, [rule])
    assert not listening(2022)
    assert shared.cloud.health().degraded == ("guests are emulated, which is slow: as configured",)


def test_a_port_that_is_taken_does_not_harm_the_others(shared: World, guest: Server, address: str) -> None:
    rule = replace(SSH, low=3000, high=3001)
    firewall = first_firewall("acme,ltd")
    with socket.socket() as other:
        other.bind((address, 3000))
        shared.session.firewalls.add_rules(firewall, [rule])

        assert any(f"tcp:{address}:3000" in reason for reason in shared.cloud.health().degraded)
        with socket.socket() as probe:
            assert probe.connect_ex((address, 3001)) == 0
    shared.session.firewalls.remove_rules(firewall, [rule])


def test_a_port_is_closed_while_the_address_is_off(shared: World, guest: Server, address: str) -> None:
    [held] = shared.session.addresses.list_addresses()

    shared.session.addresses.disassociate_address(held.native)
    with socket.socket() as probe:
        assert probe.connect_ex((address, SSH_PORT)) != 0
    shared.session.addresses.associate_address(held.native, guest.ports[0].native)

    assert "back" == shared.ssh(address, "echo back")


def test_the_counters_of_a_guest_count(shared: World, guest: Server, run: Callable[[str], str]) -> None:
    before = shared.session.metrics.counters(guest.native)
    run("dd if=/dev/urandom of=/root/some bs=64k count=16 2>/dev/null; sync")
    after = shared.session.metrics.counters(guest.native)

    assert after.cpu_seconds > before.cpu_seconds > 0
    assert after.disk_written_bytes >= before.disk_written_bytes + (1 << 20)
    assert after.disk_reads > 0


def test_a_password_on_the_console_is_found(shared: World, guest: Server, run: Callable[[str], str]) -> None:
    assert "" == shared.session.compute.password_data(guest.native)
    run("printf '<Password>\\nc2VjcmV0\\n</Password>\\n' >/dev/console")
    assert "c2VjcmV0" == until(lambda: shared.session.compute.password_data(guest.native))


def test_whether_a_running_guest_may_call_out_cannot_be_changed(shared: World, guest: Server) -> None:
    if shared.cloud.base.namespaces:
        pytest.skip("in namespaces it can")
    with pytest.raises(Unsupported, match="settled when it starts"):
        shared.session.firewalls.remove_rules(first_firewall("acme,ltd"), [ALL_OUT])
    closed = shared.session.firewalls.create_firewall(FirewallSpec("closed", "closed", ""))
    shared.session.firewalls.remove_rules(closed.native, [ALL_OUT])
    with pytest.raises(Unsupported):
        shared.session.ports.set_firewalls(guest.ports[0].native, [closed.native])


def test_a_volume_in_a_guest_is_attached_once(shared: World, guest: Server) -> None:
    volume = shared.session.volumes.create_volume(VolumeSpec("once", 1, ZONE))
    shared.session.volumes.attach_volume(volume.native, guest.native, "/dev/sdj")
    [link] = shared.session.volumes.list_volumes([volume.native])[0].attachments

    assert link.state in (AttachmentState.ATTACHING, AttachmentState.ATTACHED)
    with pytest.raises(Conflict):
        shared.session.volumes.attach_volume(volume.native, guest.native, "/dev/sdk")


def test_a_stopped_server_starts_again_with_its_disk_and_without_its_user_data(world: World) -> None:
    world.metadata.user_data["acme,ltd"] = USER_DATA
    world.session.firewalls.add_rules(first_firewall("acme,ltd"), [SSH])
    server = world.launched("first")
    address = world.address(server.native)
    world.ssh(address, "echo kept >/root/file; sync")

    world.session.compute.stop_server(server.native)
    world.wait(server.native, ServerState.STOPPED)
    assert "tiny: power button" in world.says(server.native, b"tiny: power button")
    world.session.compute.start_server(server.native)
    console = world.says(server.native, b"tiny: ready", times=2)

    assert console.count("USER-DATA RAN") == 1
    assert "kept" == world.ssh(address, "cat /root/file")
    world.ssh(address, "poweroff -f &")
    assert "from within" in world.wait(server.native, ServerState.STOPPED).reason
