"""The way out and in: public addresses, NATs, and what of the host stays out of reach."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.model import AclRule, Hop, Route, Rule
from isthmus.providers.local.forwards import LIFT, first_free_port
from isthmus.providers.local.netd import client
from isthmus.providers.local.netd.plan import FirewallPlan, NetworkPlan, PublicPlan, SubnetPlan

from ..beyond import beyond
from ..conftest import hosts_addresses
from .conftest import ALL_OUT, EVERYWHERE, IN, OUT, SOON, TO_INTERNET, Cloud, names_of_namespaces, network, port, until

PUBLIC = f"127.13.{os.getpid() >> 8 & 0xFF}.{os.getpid() & 0xFF}"
"""Of this process alone."""
LOCAL80 = 80 if first_free_port() <= 80 else 80 + LIFT
ONLY_HOST = FirewallPlan(
    "web", (Rule(IN, "tcp", 80, 80, cidr="127.0.0.0/8"), Rule(IN, "udp", 53000, 53000, cidr="127.0.0.1/32"), ALL_OUT)
)
HAVE_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="the host's routes are root's alone")


def wired(*ports, acl=None, routes=TO_INTERNET, **changes) -> NetworkPlan:  # type: ignore[no-untyped-def]
    """A network with a way to the internet for its subnet `a`."""
    subnets = (SubnetPlan("a", "172.31.0.0/20", routes, acl), SubnetPlan("b", "172.31.16.0/20"))
    return network(*ports, internet=True, subnets=subnets, **changes)


def connect(address: str, at: int, seconds: float = SOON) -> str:
    try:
        with socket.create_connection((address, at), seconds) as connection:
            return connection.recv(100).decode().strip()
    except OSError as error:
        return type(error).__name__


def ask(address: str, at: int) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(SOON)
        try:
            client.connect((address, at))
            client.send(b"?")
            return client.recv(100).decode()
        except OSError as error:
            return type(error).__name__


def test_a_public_address_is_relayed_to_the_ports_that_are_open_to_this_host(cloud: Cloud) -> None:
    ports, public = (port("a", "172.31.0.5", "web"),), (PublicPlan(PUBLIC, "172.31.0.5", "a"),)
    cloud.start(wired(*ports, firewalls=(ONLY_HOST,), publics=public))

    assert connect(PUBLIC, LOCAL80) == "a 172.31.0.1"
    assert ask(PUBLIC, 53000) == "a 172.31.0.1 1"
    assert connect(PUBLIC, 22 if LOCAL80 == 80 else 22 + LIFT) == "ConnectionRefusedError"

    cloud.apply(wired(*ports, firewalls=(FirewallPlan("web", (ALL_OUT,)),), publics=public))

    assert connect(PUBLIC, LOCAL80) == "ConnectionRefusedError"


DENIED = (
    AclRule(1, IN, False, "tcp", "127.0.0.1/32", 80, 80),
    AclRule(2, IN, True, "-1", EVERYWHERE),
    AclRule(2, OUT, True, "-1", EVERYWHERE),
)


@pytest.mark.parametrize(
    "changes",
    [{"routes": ()}, {"acl": DENIED}, {"acl": ()}, {"routes": (Route(EVERYWHERE, Hop.NOWHERE),)}],
    ids=["no route", "acl", "empty acl", "route to nowhere"],
)
def test_no_public_address_answers_without_a_route_or_against_the_subnets_filter(cloud: Cloud, changes: dict) -> None:  # type: ignore[type-arg]
    ports, public = (port("a", "172.31.0.5", "web"),), (PublicPlan(PUBLIC, "172.31.0.5", "a"),)
    cloud.start(wired(*ports, firewalls=(ONLY_HOST,), publics=public, **changes))

    assert connect(PUBLIC, LOCAL80) == "ConnectionRefusedError"


def test_no_guest_reaches_a_service_of_the_host(cloud: Cloud, service: int) -> None:
    public = (PublicPlan(PUBLIC, "172.31.0.5", "a"),)
    [guest] = cloud.start(wired(port("a", "172.31.0.5"), publics=public))

    assert connect("127.0.0.1", service) == "the host"
    there = [
        *hosts_addresses(),
        PUBLIC,
        "240.1.0.2",
        "240.1.0.3",
        "240.1.0.100",
        "240.0.0.1",
        "172.31.0.1",
        "172.31.0.2",
    ]
    wrong = [one for one in there if guest("connect", one, service, SOON) == "the host"]
    assert wrong == []


@pytest.fixture
def world() -> Iterator[str]:
    with beyond() as address:
        yield address


def test_only_an_address_with_a_public_one_and_a_route_reaches_the_internet(cloud: Cloud, world: str) -> None:
    ports = (port("a", "172.31.0.5"), port("b", "172.31.0.6"), port("c", "172.31.16.7", subnet="b"))
    publics = (PublicPlan(PUBLIC, "172.31.0.5", "a"), PublicPlan("127.13.255.9", "172.31.16.7", "c"))
    a, b, c = cloud.start(wired(*ports, publics=publics))

    assert a("connect", world, 80, 3).startswith("world ")
    assert b("connect", world, 80, SOON) == "TimeoutError"
    assert c("connect", world, 80, SOON) == "TimeoutError"
    assert "outside" in cloud.netd.health()


def test_a_nat_lends_its_address_if_it_has_one_and_a_way_itself(cloud: Cloud, world: str) -> None:
    nat = replace(port("nat", "172.31.0.9"), server="", firewalls=())
    ports = (port("c", "172.31.16.7", subnet="b"), nat)
    behind = SubnetPlan("b", "172.31.16.0/20", (Route(EVERYWHERE, Hop.NAT, "nat"),))
    plan = wired(*ports, publics=(PublicPlan(PUBLIC, "172.31.0.9", "nat"),))
    plan = replace(plan, subnets=(plan.subnets[0], behind))
    [guest] = cloud.start(plan)

    assert guest("connect", world, 80, 3).startswith("world ")

    cloud.apply(replace(plan, publics=()))
    assert guest("connect", world, 80, SOON) == "TimeoutError"
    cloud.apply(replace(plan, subnets=(replace(plan.subnets[0], routes=()), behind)))
    assert guest("connect", world, 80, SOON) == "TimeoutError"


def test_an_egress_only_way_needs_no_public_address(cloud: Cloud, world: str) -> None:
    [guest] = cloud.start(wired(port("a", "172.31.0.5"), routes=(Route(EVERYWHERE, Hop.EGRESS),)))

    assert guest("connect", world, 80, 3).startswith("world ")


def test_an_ordinary_users_guests_reach_the_internet_and_no_host(
    cloud: Cloud, world: str, service: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root made the internet of the tests, so root makes this network the way of an ordinary user."""
    monkeypatch.setattr(client, "able", lambda: ("user", ""))
    public = (PublicPlan(PUBLIC, "172.31.0.5", "a"),)
    [guest] = cloud.start(wired(port("a", "172.31.0.5"), publics=public))

    assert cloud.netd.health()["mode"] == "user"
    assert guest("connect", world, 80, 3).startswith("world ")
    assert "the host" not in [guest("connect", one, service, SOON) for one in hosts_addresses()]
    assert names_of_namespaces() == [] or not any(one.startswith(cloud.prefix) for one in names_of_namespaces())


def test_an_address_that_the_host_gets_later_is_out_of_reach_too(cloud: Cloud, world: str, service: int) -> None:
    """`world`'s network is of this test, so one more address on it disturbs nobody."""
    link = f"world{os.getpid()}h"[-15:]
    later = world[: world.rindex(".")] + f".{os.getpid() & 0xFC | 1}"
    other = f"198.19.{later.split('.', 2)[2]}"
    [guest] = cloud.start(wired(port("a", "172.31.0.5"), publics=(PublicPlan(PUBLIC, "172.31.0.5", "a"),)))

    subprocess.run(["ip", "address", "add", f"{other}/32", "dev", link], check=True)

    assert connect(other, service) == "the host"
    until(lambda: guest("connect", other, service, SOON) == "TimeoutError", 15)


FIRST = f"203.0.113.{os.getpid() % 100 + 1}"
THIRD = "203.0.113.250"
SECOND = f"203.0.113.{os.getpid() % 100 + 101}"


@HAVE_ROOT
def test_a_routed_public_address_shows_the_true_source_and_is_judged_by_it(cloud: Cloud) -> None:
    host = next(one for one in hosts_addresses() if not one.startswith("127."))
    before = open("/proc/sys/net/ipv4/ip_forward").read()  # noqa: PTH123, SIM115
    ports, public = (port("a", "172.31.0.5", "web"),), (PublicPlan(FIRST, "172.31.0.5", "a"),)

    def firewall(cidr: str) -> FirewallPlan:
        return FirewallPlan("web", (Rule(IN, "tcp", 80, 80, cidr=cidr), ALL_OUT))

    cloud.start(wired(*ports, firewalls=(firewall(EVERYWHERE),), publics=public), routed="203.0.113.0/24")
    name, source = connect(FIRST, 80).split()
    assert name == "a"
    assert source in hosts_addresses()

    cloud.apply(wired(*ports, firewalls=(firewall("198.51.100.0/24"),), publics=public))
    assert connect(FIRST, 80) == "TimeoutError"
    cloud.apply(wired(*ports, firewalls=(firewall(f"{source}/32"),), publics=public))
    assert connect(FIRST, 80) == f"a {source}"
    denied = (
        AclRule(1, IN, False, "-1", f"{source}/32"),
        AclRule(2, IN, True, "-1", EVERYWHERE),
        AclRule(1, OUT, True, "-1", EVERYWHERE),
    )
    cloud.apply(wired(*ports, firewalls=(firewall(EVERYWHERE),), publics=public, acl=denied))
    assert connect(FIRST, 80) == "TimeoutError"
    assert open("/proc/sys/net/ipv4/ip_forward").read() == before  # noqa: PTH123, SIM115
    assert host


@HAVE_ROOT
def test_guests_reach_routed_public_addresses_of_their_own_and_of_other_networks(cloud: Cloud, service: int) -> None:
    one = wired(
        port("a", "172.31.0.5"),
        port("c", "172.31.0.6"),
        publics=(PublicPlan(FIRST, "172.31.0.5", "a"), PublicPlan(THIRD, "172.31.0.6", "c")),
    )
    two = replace(wired(port("b", "172.31.0.5"), publics=(PublicPlan(SECOND, "172.31.0.5", "b"),)), native="other")
    a, c, b = cloud.start(one, two, routed="203.0.113.0/24")

    assert a("connect", SECOND, 80, 2) == f"b {FIRST}"
    assert b("connect", FIRST, 80, 2) == f"a {SECOND}"
    assert c("connect", FIRST, 80, 2) == f"a {THIRD}"
    assert a("connect", FIRST, 80, 2) == f"a {FIRST}"
    assert "the host" not in [a("connect", one, service, SOON) for one in hosts_addresses()]


def test_a_way_out_that_was_killed_is_there_again(cloud: Cloud, world: str) -> None:
    [guest] = cloud.start(wired(port("a", "172.31.0.5"), publics=(PublicPlan(PUBLIC, "172.31.0.5", "a"),)))
    assert guest("connect", world, 80, 3).startswith("world ")

    os.kill(int((cloud.directory / "net/slirp.pid").read_text().split()[0]), signal.SIGKILL)

    until(lambda: guest("connect", world, 80, 3).startswith("world "), 25)


def test_without_slirp4netns_there_is_no_way_out_and_health_says_so(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, short_path: Path
) -> None:
    for name in ("ip", "nft", "unshare", "nsenter", "umount", "sh", "sleep", "true"):
        found = shutil.which(name, path=client.search_path())
        assert found
        (short_path / name).symlink_to(found)
    monkeypatch.setattr(client, "search_path", lambda: str(short_path))
    public = (PublicPlan(PUBLIC, "172.31.0.5", "a"),)

    cloud.apply(wired(port("a", "172.31.0.5", "web"), firewalls=(ONLY_HOST,), publics=public))

    assert "slirp4netns is not installed" in cloud.netd.health()["outside"]
