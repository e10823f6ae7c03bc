"""What needs no guest: rules and forwards, records, the accelerator, and a host without QEMU."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.errors import Denied, Invalid, Unavailable, Unsupported
from isthmus.model import Direction, Firewall, Rule, Server, ServerState
from isthmus.providers import AddressSpec, Capability, FirewallSpec, ServerSpec, VolumeSpec
from isthmus.providers.local import Local, accel, disks, forwards, process, tiny
from isthmus.providers.local.accel import Accelerator, Chooser
from isthmus.providers.local.firewalls import ALL_OUT, ALL_OUT_6
from isthmus.providers.local.layout import first_firewall
from isthmus.providers.local.machine import RELAY, Kernel, Machine, Nic, command
from isthmus.providers.local.offline import without_network
from isthmus.providers.local.records import FirewallRecord
from isthmus.providers.local.sockets import short
from isthmus.providers.local.tables import Table

from .conftest import ZONE, World, until

TCP = Rule(Direction.INGRESS, "tcp", 80, 80, cidr="0.0.0.0/0")


def ports(*rules: Rule) -> list[tuple[str, int, int]]:
    firewall = Firewall("native", "ref", "name", "", "network", rules)
    return [(one.protocol, one.listen, one.port) for one in forwards.wanted([firewall], "127.13.0.1").values()]


@pytest.fixture
def as_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwards, "first_free_port", lambda: 1024)


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwards, "first_free_port", lambda: 0)


def test_a_port_is_forwarded_for_who_may_connect_from_this_host(as_root: None) -> None:
    assert ports(TCP) == ports(replace(TCP, cidr="127.0.0.1/32")) == [("tcp", 80, 80)]
    assert [] == ports(replace(TCP, cidr="192.0.2.0/24")) == ports(replace(TCP, cidr="::/0"))
    assert [] == ports(replace(TCP, direction=Direction.EGRESS))
    assert [] == ports(replace(TCP, protocol="icmp", low=-1, high=-1))


def test_a_wide_rule_forwards_the_known_ports_in_it(as_root: None) -> None:
    assert [port for _, port, _ in ports(replace(TCP, low=0, high=65535))] == list(forwards.KNOWN["tcp"])
    assert len(ports(replace(TCP, low=9000, high=9099))) == 100
    everything = ports(replace(TCP, protocol="-1", low=-1, high=-1))
    assert {protocol for protocol, _, _ in everything} == {"tcp", "udp"}


def test_an_ordinary_user_gets_low_ports_lifted(as_user: None) -> None:
    assert ports(TCP, replace(TCP, low=8080, high=8080)) == [("tcp", 10080, 80), ("tcp", 8080, 8080)]
    assert ports(TCP, replace(TCP, low=10080, high=10080)) == [("tcp", 10080, 10080)]


def test_user_mode_networking_lets_out_all_or_nothing(slirp: Local) -> None:
    firewalls = slirp.session("acme").firewalls
    made = firewalls.create_firewall(FirewallSpec("ref", "name", ""))

    firewalls.remove_rules(made.native, [ALL_OUT])
    firewalls.add_rules(made.native, [ALL_OUT, ALL_OUT_6])

    with pytest.raises(Unsupported):
        firewalls.add_rules(made.native, [replace(ALL_OUT, protocol="tcp", low=443, high=443)])
    with pytest.raises(Unsupported):
        firewalls.add_rules(made.native, [Rule(Direction.INGRESS, "-1", peer=made.native)])


def test_two_tenants_never_get_one_address(quiet: Local) -> None:
    given = [
        quiet.session(tenant).addresses.allocate_address(AddressSpec(f"{tenant}-{number}")).address
        for tenant in ("acme", "other")
        for number in range(20)
    ]
    assert len(set(given)) == len(given)
    assert all(address.startswith("127.13.") for address in given)
    with pytest.raises(Invalid):
        quiet.session("acme").addresses.allocate_address(AddressSpec("wanted", "127.0.0.1"))


def test_an_address_that_something_listens_on_is_not_given_out(quiet: Local) -> None:
    first = quiet.session("acme").addresses.allocate_address(AddressSpec("first"))
    quiet.session("acme").addresses.release_address(first.native)
    with socket.socket() as other:
        other.bind((first.address, 0))
        other.listen()
        assert first.address != quiet.session("acme").addresses.allocate_address(AddressSpec("second")).address


def test_a_damaged_record_harms_no_other(quiet: Local) -> None:
    session = quiet.session("acme")
    good = session.firewalls.create_firewall(FirewallSpec("good", "good", ""))
    bad = session.firewalls.create_firewall(FirewallSpec("bad", "bad", ""))
    (quiet.base.state / "firewalls" / f"{bad.native}.json").write_text("{")

    assert good in session.firewalls.list_firewalls()
    assert bad.native not in {one.native for one in session.firewalls.list_firewalls()}


def test_a_record_of_another_process_is_seen_at_once(tmp_path: Path) -> None:
    here, there = (Table(tmp_path, FirewallRecord, "firewall") for _ in range(2))
    for number in range(50):
        noun = Firewall(f"fw-{number}", f"ref-{number}", "name", "", "network", (TCP,))
        there.put(FirewallRecord("acme", noun, number))
        assert [record.noun.native for record in here.everything()][-1] == noun.native
    there.drop("fw-0")
    assert here.raw("fw-0") is None
    assert len(here.everything()) == 49


def test_a_directory_that_cannot_be_written_is_one_clear_refusal(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be written"):
        Local("local", tmp_path / "file" / "state")


@pytest.mark.parametrize("tenant", ["", "two words", "line\nbreak", "x" * 256])
def test_a_tenant_has_a_printable_name(quiet: Local, tenant: str) -> None:
    with pytest.raises(Invalid):
        quiet.session(tenant)


def test_user_mode_networking_has_the_default_networks_alone(slirp: Local) -> None:
    session = slirp.session("acme")
    [network] = session.networks.list_networks()
    [subnet] = session.networks.list_subnets()

    assert ("172.31.0.0/16", "172.31.0.0/20", 4091) == (network.cidr, subnet.cidr, subnet.free)
    with pytest.raises(Denied):
        session.networks.delete_subnet(subnet.native)
    assert slirp.session("other").networks.list_networks()[0].native != network.native


def test_without_qemu_the_rest_works_and_says_what_to_install(quiet: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    session = quiet.session("acme")

    assert "apt-get install qemu-system-x86 qemu-utils" in quiet.lacks[Capability.LAUNCH]
    assert Capability.IMAGE_IMPORT in quiet.lacks
    assert any("qemu-utils" in reason for reason in quiet.health().degraded)
    with pytest.raises(Unsupported, match="apt-get install"):
        session.compute.create_server(ServerSpec("ref", "name", "image", "nano", ZONE, ()))
    with pytest.raises(Unsupported, match="apt-get install"):
        session.volumes.create_volume(VolumeSpec("ref", 1, ZONE))
    assert [] == list(session.volumes.list_volumes())
    assert session.firewalls.create_firewall(FirewallSpec("ref", "name", "")).native
    quiet.mend()


def test_kvm_is_believed_after_a_probe_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locks").mkdir()
    device, kernel = tmp_path / "kvm", tmp_path / "kernel"
    device.write_text("")
    kernel.write_text("")
    answers = [False, True]
    monkeypatch.setattr(accel, "KVM", device)
    monkeypatch.setattr(accel, "probe", lambda _: answers.pop(0))
    chooser = Chooser(tmp_path, "auto")

    assert chooser.known() is None
    assert "tcg" == chooser.choose(None).name
    assert "tcg" == chooser.choose(kernel).name
    assert "no guest boots" in chooser.choose(kernel).reason
    assert Chooser(tmp_path, "auto").known() == chooser.choose(kernel)
    device.unlink()
    assert Accelerator("tcg", "this host has no /dev/kvm") == chooser.choose(kernel)
    device.write_text("another device")
    assert "kvm" == chooser.choose(tmp_path / "another-kernel").name
    assert "kvm" == Chooser(tmp_path, "kvm").choose(None).name


def test_a_path_may_contain_what_option_lists_are_made_of(tmp_path: Path) -> None:
    nic = Nic("02:00:00:00:00:01", "172.31.0.4", "172.31.0.1", "172.31.0.2", True, tmp_path / "a, b", "x")
    machine = Machine("server-1", "name", tmp_path, 1, 128, "tcg", "ec2", "t2,nano", (), nic, None)
    words = command(machine)

    netdev = words[words.index("-netdev") + 1]
    assert "restrict=on" in netdev
    assert f"'{tmp_path}/a,, b' x server-1" in netdev
    assert "product=t2,,nano" in words[words.index("-smbios") + 1]
    assert "-kernel" not in words
    assert "-initrd" not in command(replace(machine, kernel=Kernel(tmp_path / "k", None, "root=/dev/vda")))


def test_qemu_img_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "qemu-img"
    program.write_text("#!/bin/sh\nulimit -v\nulimit -t\n")
    program.chmod(0o755)
    monkeypatch.setattr(disks, "QEMU_IMG", str(program))

    assert disks.run("info", seconds=7).split() == [str(disks.MEMORY // 1024), "7"]


@pytest.mark.skipif(not without_network()[0], reason=f"a network cannot be taken away here: {without_network()[1]}")
def test_qemu_img_has_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "qemu-img"
    program.write_text("#!/bin/sh\nreadlink /proc/self/ns/net\ntail -n +3 /proc/net/dev\nid -u\n")
    program.chmod(0o755)
    monkeypatch.setattr(disks, "QEMU_IMG", str(program))

    space, *interfaces, user = disks.run("info").splitlines()

    assert space != str(Path("/proc/self/ns/net").readlink())
    assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]
    assert user == str(os.geteuid())


def test_where_no_network_can_be_taken_away_it_is_said(
    quiet: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = tmp_path / "unshare"
    refusing.write_text("#!/bin/sh\necho not permitted here >&2\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    without_network.cache_clear()
    try:
        assert ((), "not permitted here") == without_network()
        assert any("network" in one and "not permitted here" in one for one in quiet.health().degraded)
        quiet.session("acme").volumes.create_volume(VolumeSpec("ref", 1, ZONE))
    finally:
        without_network.cache_clear()


@pytest.mark.qemu
def test_a_guest_whose_firewalls_let_nothing_out_reaches_its_metadata_only(user_mode: World) -> None:
    session = user_mode.session
    script = b"#!/bin/sh\necho CALLED $(nc -w 2 172.31.0.1 %d </dev/null || echo NOBODY)\n"
    firewall = session.firewalls.create_firewall(FirewallSpec("closed", "closed", ""))
    session.firewalls.remove_rules(firewall.native, [ALL_OUT])
    with socket.create_server(("127.0.0.1", 0)) as host:
        user_mode.metadata.user_data["acme,ltd"] = script % host.getsockname()[1]
        closed = user_mode.launched("closed", firewalls=(firewall.native,))
        [line] = user_mode.cloud.machines()
        assert line.startswith("closed  running  slirp  tcg  process ")
        assert "CALLED NOBODY" in user_mode.says(closed.native, b"tiny: ready")
        user_mode.launched("open", ready=False, firewalls=(first_firewall("acme,ltd"),))
        host.settimeout(60)
        connection, _ = host.accept()
        connection.close()


@pytest.mark.qemu
def test_a_stopped_server_gets_another_size(world: World) -> None:
    server: Server = world.launched("first", ready=False)
    world.session.compute.stop_server(server.native, force=True)
    world.wait(server.native, ServerState.STOPPED)
    world.session.compute.resize_server(server.native, "micro")
    world.session.compute.start_server(server.native)
    world.wait(server.native, ServerState.RUNNING)

    [pid] = [pid for pid, _ in process.machines(world.cloud.base.prefix)]
    assert "160M" in process.arguments(pid)


def test_a_build_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("isthmus.providers.local.tiny.tools.PATH", "/nowhere")
    with pytest.raises(tiny.BuildError, match=r"apt-get install .*e2fsprogs.*qemu-utils"):
        tiny.build(tmp_path / "image", print)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.qemu
def test_a_guest_that_prints_without_end_does_not_fill_the_disk(world: World) -> None:
    server = world.launched("first")
    console = world.cloud.base.run(server.native) / "console.log"
    with console.open("ab") as file:
        file.truncate(9 << 20)
        file.write(b"the end\n")

    world.cloud.mend()

    until(lambda: console.stat().st_size <= 65536)
    assert world.session.compute.console_output(server.native).output.endswith(b"the end\n")


def test_the_relay_says_who_it_is_and_carries_both_ways(tmp_path: Path) -> None:
    path = tmp_path / ("deep" * 40) / "metadata.sock"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        with short(path) as name:
            server.bind(name)
        server.listen()
        relay = [sys.executable, "-S", "-E", "-I", str(RELAY), str(path), "acme", "server-1"]
        guest = subprocess.Popen(relay, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=os.sep)
        connection, _ = server.accept()
        with connection, guest:
            assert guest.stdin
            assert guest.stdout
            guest.stdin.write(b"question")
            guest.stdin.close()
            file = connection.makefile("rb")
            assert file.readline() == b"ISTHMUS/1 acme server-1\n"
            assert file.read() == b"question"
            connection.sendall(b"answer")
            file.close()
            connection.close()
            assert guest.stdout.read() == b"answer"
