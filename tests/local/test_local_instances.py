"""Servers that stop, restart, hang and end by themselves, by what their guests say of it."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from isthmus.errors import NoCapacity
from isthmus.model import Condition, ServerState, Verdict
from isthmus.providers.local import Local, conditions, halts, process
from isthmus.providers.local.layout import first_firewall

from .conftest import FLAVORS, SSH, ZONE, World, until

pytestmark = pytest.mark.qemu
WELL = Condition(Verdict.OK, Verdict.OK)
DEAF = b"#!/bin/sh\nrm /etc/acpi/*/*\nkillall acpid\nsync\n"
"""The guest hears no power button, now and after each start."""
SHUTS_DOWN = b"#!/bin/sh\npoweroff -f\n"


def condition(world: World, native: str) -> Condition:
    return world.session.compute.conditions([native])[native]


def test_a_reboot_lets_the_guest_write_what_it_has_not_yet(world: World) -> None:
    world.session.firewalls.add_rules(first_firewall("acme,ltd"), [SSH])
    server = world.launched("first")
    address = world.address(server.native)
    world.ssh(address, "echo written >/root/file")  # not synced

    world.session.compute.reboot_server(server.native)
    console = world.says(server.native, b"tiny: ready", times=2)

    assert "tiny: power button" in console
    assert "written" == world.ssh(address, "cat /root/file")
    assert (ServerState.RUNNING, server.started) == (world.server(server.native).state, server.started)


def test_a_reboot_that_was_cut_off_is_finished_by_the_next_process(world: World) -> None:
    server = world.launched("first")
    other = Local("local", world.cloud.base.state, (ZONE,), FLAVORS, accelerator="tcg")
    other.boots.work.closing.set()
    other.session("acme,ltd").compute.reboot_server(server.native)
    with other.base.monitor(server.native) as monitor:
        monitor("set-action", shutdown="pause")
        monitor("system_powerdown")
        until(lambda: monitor("query-status")["status"] == "shutdown")
    assert Verdict.INITIALIZING is condition(world, server.native).guest

    world.cloud.mend()

    world.says(server.native, b"tiny: ready", times=2)
    record = world.cloud.base.servers.raw(server.native)
    assert record
    assert not record.rebooting


def test_a_guest_that_does_not_listen_is_cut_off(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(halts, "POWERDOWN_SECONDS", 1.0)
    world.metadata.user_data["acme,ltd"] = DEAF
    cut_off = "the guest did not shut down within 1 seconds, and was cut off"
    native = world.launched("first").native

    world.session.compute.reboot_server(native)
    world.says(native, b"tiny: ready", times=2)
    assert f"the server {native}: {cut_off}" in caplog.text
    assert world.server(native).state is ServerState.RUNNING

    caplog.clear()
    world.session.compute.stop_server(native)
    stopped = world.wait(native, ServerState.STOPPED)
    assert (cut_off, False) == (stopped.reason, stopped.shut_down)
    assert f"the server {native}: {cut_off}" in caplog.text
    assert [f"first  stopped  {cut_off}"] == list(world.cloud.machines())

    monkeypatch.setattr(halts, "POWERDOWN_SECONDS", 3600.0)
    caplog.clear()
    world.session.compute.start_server(native)
    world.says(native, b"tiny: ready", times=3)
    world.session.compute.stop_server(native)
    world.session.compute.stop_server(native, force=True)
    assert "" == world.wait(native, ServerState.STOPPED).reason
    assert "" == caplog.text
    assert "tiny: power button" not in world.says(native, b"tiny: ready", times=3)

    monkeypatch.setattr(halts, "POWERDOWN_SECONDS", 1.0)
    world.session.compute.start_server(native)
    world.says(native, b"tiny: ready", times=4)
    world.session.compute.delete_server(native)
    assert ServerState.DELETING is world.server(native).state
    until(lambda: not world.session.compute.list_servers())
    assert f"the server {native}: {cut_off}" in caplog.text


def test_a_stop_whose_process_ends_meanwhile_lets_the_guest_shut_down(world: World) -> None:
    world.metadata.user_data["acme,ltd"] = DEAF
    native = world.launched("first").native
    other = Local("local", world.cloud.base.state, (ZONE,), FLAVORS, accelerator="tcg")
    other.session("acme,ltd").compute.stop_server(native)
    record = world.cloud.base.servers.raw(native)
    assert record

    other.close()
    until(lambda: not [one for one in threading.enumerate() if one.name == f"stop {native} False"])
    assert process.alive(record.pid, record.birth)
    assert world.server(native).state is ServerState.STOPPING

    world.session.compute.stop_server(native, force=True)
    world.wait(native, ServerState.STOPPED)


def test_who_ended_a_guest_is_known(world: World) -> None:
    world.metadata.user_data["acme,ltd"] = SHUTS_DOWN
    server = world.session.compute.create_server(world.spec("first"))
    found = world.wait(server.native, ServerState.STOPPED)
    assert (found.shut_down, found.reason) == (True, "the guest was shut down from within")
    world.cloud.mend()
    assert found == world.server(server.native)

    world.session.compute.start_server(server.native)
    world.says(server.native, b"tiny: ready")
    assert not world.server(server.native).shut_down
    record = world.cloud.base.servers.raw(server.native)
    assert record
    os.kill(record.pid, signal.SIGKILL)
    found = world.wait(server.native, ServerState.STOPPED)
    assert not found.shut_down
    assert "killed" in found.reason


def test_a_server_that_was_told_to_stop_has_not_shut_down_by_itself(world: World) -> None:
    server = world.launched("first")
    world.session.compute.stop_server(server.native)
    assert not world.wait(server.native, ServerState.STOPPED).shut_down


def test_a_guest_that_works_is_well_and_one_that_hangs_is_not(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.session.firewalls.add_rules(first_firewall("acme,ltd"), [SSH])
    server = world.launched("first")
    address = world.address(server.native)
    until(lambda: condition(world, server.native) == WELL)

    world.ssh(address, "echo 0 >/proc/sys/kernel/panic; echo 2 >/proc/sys/vm/panic_on_oom")
    world.ssh(address, "(sleep 1; tail /dev/zero) >/dev/null 2>&1 &")  # which the small kernel too does
    world.says(server.native, b"Kernel panic")
    found = until(lambda: (one := condition(world, server.native)).guest is Verdict.IMPAIRED and one)
    assert Verdict.OK is found.machine
    assert found.since
    assert ServerState.RUNNING is world.server(server.native).state

    world.session.compute.reboot_server(server.native)
    world.says(server.native, b"tiny: ready", times=2)
    until(lambda: condition(world, server.native) == WELL)
    monkeypatch.setattr(conditions, "SILENT_SECONDS", -1)
    assert Verdict.IMPAIRED is condition(world, server.native).guest


def test_a_machine_that_does_not_answer_is_impaired(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditions, "MONITOR_SECONDS", 0.5)
    server = world.launched("first")
    record = world.cloud.base.servers.raw(server.native)
    assert record
    os.kill(record.pid, signal.SIGSTOP)
    try:
        found = condition(world, server.native)
        assert (Verdict.IMPAIRED, Verdict.UNKNOWN) == (found.machine, found.guest)
    finally:
        os.kill(record.pid, signal.SIGCONT)
    until(lambda: condition(world, server.native) == WELL)


@pytest.mark.parametrize(("limit", "said"), [({"memory": 200}, "128 of 200 MiB"), ({"cpus": 1}, "1 of 1 processors")])
def test_a_host_that_is_full_takes_no_more(world: World, limit: dict[str, int], said: str) -> None:
    server = world.launched("first", ready=False)
    small = Local("local", world.cloud.base.state, (ZONE,), FLAVORS, accelerator="tcg", **limit)
    compute = small.session("acme,ltd").compute
    large = world.spec("second", flavor="micro")

    with pytest.raises(NoCapacity, match=said):
        compute.create_server(large)
    assert 1 == len(world.session.volumes.list_volumes())

    world.session.compute.stop_server(server.native, force=True)
    world.wait(server.native, ServerState.STOPPED)
    compute.create_server(large)
    until(lambda: len(list(process.machines(world.cloud.base.prefix))) == 1)
    with pytest.raises(NoCapacity):
        compute.start_server(server.native)
    small.close()


def test_a_server_of_another_flavor_has_its_memory(world: World) -> None:
    world.metadata.user_data["acme,ltd"] = b"#!/bin/sh\ngrep MemTotal /proc/meminfo >/etc/rc.first\n"
    world.session.firewalls.add_rules(first_firewall("acme,ltd"), [SSH])
    server = world.launched("first")
    address = world.address(server.native)
    world.session.compute.stop_server(server.native)
    world.wait(server.native, ServerState.STOPPED)

    world.session.compute.resize_server(server.native, "micro")
    world.session.compute.start_server(server.native)
    world.says(server.native, b"tiny: ready", times=2)

    told = [world.ssh(address, f"grep MemTotal {path}") for path in ("/etc/rc.first", "/proc/meminfo")]
    before, after = (int(line.split()[1]) for line in told)
    assert (160 - 128) * 1024 - 4096 < after - before < (160 - 128) * 1024 + 4096
