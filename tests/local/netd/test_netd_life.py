"""The daemon's life: it is killed, started again, runs out of work, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.providers.local.netd.client import NetdError, able, environment
from isthmus.providers.local.netd.plan import NetworkPlan, PublicPlan
from isthmus.providers.local.process import birth

from .conftest import SOON, Cloud, names_of_namespaces, network, port, until
from .test_netd_publics import FIRST, PUBLIC, wired


def pids(cloud: Cloud) -> dict[str, int]:
    return {path.stem: int(path.read_text().split()[0]) for path in (cloud.directory / "net").glob("*.pid")}


def ours(cloud: Cloud) -> list[str]:
    return [name for name in names_of_namespaces() if name.startswith(cloud.prefix)]


def gone(cloud: Cloud, noted: dict[str, int]) -> None:
    assert noted
    until(lambda: not any(birth(pid) for pid in noted.values()))
    assert ours(cloud) == []
    links = subprocess.run(["ip", "link"], capture_output=True, text=True, check=True, env=environment()).stdout
    assert "isth" not in links or "@" not in links.partition("isth")[2].partition(":")[0]


def kill(cloud: Cloud) -> None:
    pid = pids(cloud)["netd"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: not birth(pid))


def test_a_killed_daemon_is_started_again_while_guests_go_on(cloud: Cloud) -> None:
    public = (PublicPlan(PUBLIC, "172.31.0.5", "a"),)
    plan = wired(port("a", "172.31.0.5"), port("b", "172.31.0.6"), publics=public)
    a, b = cloud.start(plan)
    assert b("connect", a.address, 80, SOON, keep=True) == "a 172.31.0.6"
    slirp = pids(cloud).get("slirp")

    kill(cloud)
    assert b("still", SOON) == "still"
    assert b("connect", a.address, 80, SOON) == "a 172.31.0.6"
    assert cloud.netd.health() == {"running": False, "failed": []}

    cloud.apply(plan)
    assert b("still", SOON) == "still"
    assert b("fetch", "/", 3) == "ISTHMUS/1 acme server-b: GET / HTTP/1.0"
    assert b("dhcp", b.plan.mac, 1, 3)["53"] == "02"
    assert pids(cloud).get("slirp") == slirp
    assert cloud.netd.health()["failed"] == []


def test_a_daemon_that_was_away_takes_up_what_changed_meanwhile(cloud: Cloud) -> None:
    one, other = network(port("a", "172.31.0.5")), network(port("c", "172.31.0.5"), native="other")
    cloud.start(one, other)
    kill(cloud)

    cloud.apply(replace(one, ports=(*one.ports, port("b", "172.31.0.6"))))

    assert cloud.plug("b")("connect", "172.31.0.5", 80, SOON) == "a 172.31.0.6"
    assert cloud.netd.health()["networks"] == 1


def test_a_plug_starts_a_daemon_that_was_killed(cloud: Cloud) -> None:
    cloud.apply(network(port("a", "172.31.0.5"), port("b", "172.31.0.6")))
    kill(cloud)

    a, b = cloud.plug("a"), cloud.plug("b")

    assert a("ping", b.address, SOON) == b.address


def test_a_port_has_one_tap_at_a_time_and_a_new_one_after_its_machine(cloud: Cloud) -> None:
    a, b = cloud.start(network(port("a", "172.31.0.5"), port("b", "172.31.0.6")))
    with pytest.raises(NetdError, match="could not be given a tap"):
        cloud.netd.plug("a")
    a.end()

    again = cloud.plug("a")

    assert again("connect", b.address, 80, SOON) == "b 172.31.0.5"


def test_an_unknown_port_or_one_on_no_server_has_no_tap(cloud: Cloud) -> None:
    cloud.apply(network(port("a", "172.31.0.5"), port("b", "172.31.0.6", server="")))

    for name in ("b", "nobody", "", "../x"):
        with pytest.raises(NetdError, match="no port"):
            cloud.netd.plug(name)


def test_with_the_last_port_on_a_server_everything_goes(cloud: Cloud) -> None:
    plan = wired(port("a", "172.31.0.5"))
    cloud.start(plan)
    noted = pids(cloud)

    cloud.apply(replace(plan, ports=(replace(plan.ports[0], server=""),)))

    gone(cloud, noted)
    cloud.apply(plan)
    assert cloud.netd.health()["networks"] == 1


def test_a_network_goes_with_its_last_port_on_a_server_and_the_others_stay(cloud: Cloud) -> None:
    one, other = network(port("a", "172.31.0.5")), network(port("c", "172.31.0.5"), native="other")
    cloud.start(one, other)

    cloud.apply(one)

    assert cloud.netd.health()["networks"] == 1
    assert len(ours(cloud)) in ((1,) if able()[0] == "root" else (0,))


def test_nothing_is_left_after_a_clean_whatever_was_killed(cloud: Cloud) -> None:
    routed = "203.0.113.0/24" if able()[0] == "root" else ""
    public = (PublicPlan(FIRST if routed else PUBLIC, "172.31.0.5", "a"),)
    cloud.start(wired(port("a", "172.31.0.5"), publics=public), routed=routed)
    noted = pids(cloud)
    kill(cloud)

    cloud.netd.clean()

    gone(cloud, noted)
    assert not (cloud.directory / "net").exists()
    cloud.netd.clean()


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's namespaces are seen by nobody else")
def test_namespaces_that_somebody_removed_are_made_again(cloud: Cloud) -> None:
    plan = wired(port("a", "172.31.0.5"), port("b", "172.31.0.6"))
    cloud.start(plan)
    for name in ours(cloud):
        subprocess.run(["ip", "netns", "del", name], check=True)
    for guest in cloud.guests:
        guest.end()

    until(lambda: _applied(cloud, plan))

    cloud.plug("b")("serve", "tcp", 80, "b")
    assert cloud.plug("a")("connect", "172.31.0.6", 80, SOON) == "b 172.31.0.5"
    assert cloud.netd.health()["outside"] == ""


def _applied(cloud: Cloud, plan: NetworkPlan) -> bool:
    """Not while a link of the removed ones is still on its way out."""
    try:
        cloud.apply(plan)
    except NetdError:
        return False
    return True


def test_without_its_directory_nothing_goes_on(cloud: Cloud) -> None:
    cloud.start(wired(port("a", "172.31.0.5")))
    noted = pids(cloud)

    shutil.rmtree(cloud.directory / "net")

    gone(cloud, noted)


def test_hostile_questions_end_nothing(cloud: Cloud) -> None:
    cloud.apply(network(port("a", "172.31.0.5")))
    for words in (b"\n", b"{}\n", b"[]\n", b"null\n", b'{"do":"plug"}\n', b'{"do":"plug","port":7}\n', b"x" * 100_000):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(15)
            connection.connect(str(cloud.directory / "net/netd.sock"))
            try:
                connection.sendall(words)
                assert b"error" in connection.recv(1000)
            except (BrokenPipeError, ConnectionResetError):
                assert len(words) > 4096
    assert (cloud.directory / "net/netd.sock").stat().st_mode & 0o777 == 0o600
    assert cloud.netd.health()["networks"] == 1


def test_many_who_start_it_start_one(cloud: Cloud) -> None:
    plan = replace(cloud.plan, networks=(network(port("a", "172.31.0.5")),))
    failed: list[BaseException] = []

    def apply() -> None:
        try:
            cloud.netd.apply(plan)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=apply) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    daemons = [
        path for path in Path("/proc").glob("[0-9]*/cmdline") if str(cloud.directory / "net").encode() in _words(path)
    ]
    assert len(daemons) == 1


def _words(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\0")
    except OSError:
        return []
