"""What firewalls let pass between guests, by traffic."""

from __future__ import annotations

from dataclasses import replace

import pytest

from isthmus.model import Rule
from isthmus.providers.local.netd.plan import FirewallPlan

from .conftest import ALL_IN, ALL_OUT, IN, OUT, SOON, Cloud, network, port


def test_nothing_enters_without_a_rule_and_what_is_asked_for_comes_back(cloud: Cloud) -> None:
    closed = FirewallPlan("closed", (ALL_OUT,))
    ports = (port("a", "172.31.0.5", "closed"), port("b", "172.31.16.6", "open"))
    a, b = cloud.start(network(*ports, firewalls=(closed, FirewallPlan("open", (ALL_IN, ALL_OUT)))))

    assert a("connect", b.address, 80, SOON) == "b 172.31.0.5"
    assert a("ask", b.address, 53000, SOON) == "b 172.31.0.5 1"
    assert a("ping", b.address, SOON) == b.address
    assert b("connect", a.address, 80, SOON) == "TimeoutError"
    assert b("ask", a.address, 53000, SOON) == "TimeoutError"
    assert b("ping", a.address, SOON) == "TimeoutError"


CASES = {
    "tcp port": (Rule(IN, "tcp", 79, 81, cidr="172.31.0.6/32"), "connect", True),
    "another tcp port": (Rule(IN, "tcp", 81, 90, cidr="172.31.0.0/16"), "connect", False),
    "another range": (Rule(IN, "tcp", 80, 80, cidr="172.31.0.7/32"), "connect", False),
    "udp port": (Rule(IN, "udp", 53000, 53000, cidr="172.31.0.0/28"), "ask", True),
    "tcp is not udp": (Rule(IN, "tcp", 0, 65535, cidr="0.0.0.0/0"), "ask", False),
    "protocol by number": (Rule(IN, "17", cidr="0.0.0.0/0"), "ask", True),
    "another protocol by number": (Rule(IN, "132", cidr="0.0.0.0/0"), "ask", False),
    "icmp": (Rule(IN, "icmp", -1, -1, cidr="0.0.0.0/0"), "ping", True),
    "icmp type": (Rule(IN, "icmp", 8, -1, cidr="0.0.0.0/0"), "ping", True),
    "icmp type and code": (Rule(IN, "icmp", 8, 0, cidr="0.0.0.0/0"), "ping", True),
    "another icmp code": (Rule(IN, "icmp", 8, 1, cidr="0.0.0.0/0"), "ping", False),
    "another icmp type": (Rule(IN, "icmp", 13, -1, cidr="0.0.0.0/0"), "ping", False),
    "all": (Rule(IN, "-1", cidr="172.31.0.0/16"), "ping", True),
    "ipv6 is nobody here": (Rule(IN, "-1", cidr="::/0"), "ping", False),
    "members": (Rule(IN, "tcp", 80, 80, peer="of-b"), "connect", True),
    "no members": (Rule(IN, "tcp", 80, 80, peer="of-nobody"), "connect", False),
}


def test_rules_let_in_what_they_say_and_change_while_guests_run(cloud: Cloud) -> None:
    """One pair of guests for all cases, as each is a change of rules alone."""
    ports = (port("a", "172.31.0.5", "tried"), port("b", "172.31.0.6", "of-b"))
    others = (FirewallPlan("of-b", (ALL_OUT,)), FirewallPlan("of-nobody", ()))
    a, b = cloud.start(network(*ports, firewalls=(FirewallPlan("tried", ()), *others)))
    service = {"connect": 80, "ask": 53000}

    wrong = []
    for name, (rule, do, passes) in CASES.items():
        cloud.apply(network(*ports, firewalls=(FirewallPlan("tried", (rule,)), *others)))
        where = [a.address, service[do]] if do in service else [a.address]
        if (b(do, *where, SOON) != "TimeoutError") is not passes:
            wrong.append(name)
    assert wrong == []


@pytest.mark.parametrize(
    ("rules", "passes"),
    [
        ((), False),
        ((Rule(OUT, "tcp", 80, 80, cidr="172.31.0.6/32"),), True),
        ((Rule(OUT, "tcp", 80, 80, cidr="172.31.0.7/32"),), False),
        ((Rule(OUT, "tcp", 80, 80, peer="open"),), True),
    ],
)
def test_what_leaves_is_judged_too(cloud: Cloud, rules: tuple[Rule, ...], passes: bool) -> None:
    ports = (port("a", "172.31.0.5", "tried"), port("b", "172.31.0.6", "open"))
    firewalls = (FirewallPlan("tried", rules), FirewallPlan("open", (ALL_IN, ALL_OUT)))
    a, b = cloud.start(network(*ports, firewalls=firewalls))

    assert a("connect", b.address, 80, SOON) == ("b 172.31.0.5" if passes else "TimeoutError")


def test_a_connection_outlives_its_rule_and_a_new_one_does_not_begin(cloud: Cloud) -> None:
    ports = (port("a", "172.31.0.5", "tried"), port("b", "172.31.0.6", "open"))
    there = (FirewallPlan("open", (ALL_IN, ALL_OUT)), FirewallPlan("tried", (Rule(IN, "tcp", 80, 80, peer="open"),)))
    a, b = cloud.start(network(*ports, firewalls=there))
    assert b("connect", a.address, 80, SOON, keep=True) == "a 172.31.0.6"

    cloud.apply(network(*ports, firewalls=(there[0], replace(there[1], rules=()))))

    assert b("still", SOON) == "still"
    assert b("connect", a.address, 80, SOON) == "TimeoutError"


def test_a_port_has_the_rules_of_all_its_firewalls(cloud: Cloud) -> None:
    ports = (port("a", "172.31.0.5", "tcp", "udp"), port("b", "172.31.0.6", "open"))
    firewalls = (
        FirewallPlan("tcp", (Rule(IN, "tcp", 80, 80, cidr="0.0.0.0/0"),)),
        FirewallPlan("udp", (Rule(IN, "udp", 53000, 53000, cidr="0.0.0.0/0"),)),
        FirewallPlan("open", (ALL_IN, ALL_OUT)),
    )
    a, b = cloud.start(network(*ports, firewalls=firewalls))

    assert b("connect", a.address, 80, SOON) == "a 172.31.0.6"
    assert b("ask", a.address, 53000, SOON) == "a 172.31.0.6 1"
    assert b("ping", a.address, SOON) == "TimeoutError"
