"""NATs in full: whose address they lend, and what their own subnet's filter says; networks with the same addresses."""

from __future__ import annotations

from dataclasses import replace

from isthmus.model import AclRule, Hop, Route
from isthmus.providers.local.netd.plan import NetworkPlan, PublicPlan, SubnetPlan

from .conftest import EVERYWHERE, IN, OUT, SOON, TO_INTERNET, Cloud, network, port
from .test_netd_publics import FIRST, HAVE_ROOT, PUBLIC, SECOND, wired, world  # noqa: F401

NAT = replace(port("nat", "172.31.0.9"), server="", firewalls=())
BEHIND = SubnetPlan("b", "172.31.16.0/20", (Route(EVERYWHERE, Hop.NAT, "nat"),))


def natted(public: str, *acl: AclRule) -> NetworkPlan:
    """A guest in `b` behind a NAT in `a`, whose subnet has an ACL if any rule is given."""
    home = SubnetPlan("a", "172.31.0.0/20", TO_INTERNET, acl or None)
    ports = (port("c", "172.31.16.7", subnet="b"), NAT)
    return network(*ports, internet=True, subnets=(home, BEHIND), publics=(PublicPlan(public, "172.31.0.9", "nat"),))


def rule(number: int, direction: object, allow: bool, low: int = -1, high: int = -1) -> AclRule:
    protocol = "-1" if low < 0 else "tcp"
    return AclRule(number, IN if direction is IN else OUT, allow, protocol, EVERYWHERE, low, high)


def test_what_a_nat_carries_passes_its_own_subnets_filter_both_ways(cloud: Cloud, world: str) -> None:  # noqa: F811
    every = (rule(900, IN, True), rule(900, OUT, True))
    [guest] = cloud.start(natted(PUBLIC))
    assert guest("connect", world, 80, 3).startswith("world ")

    for denied in (rule(1, IN, False, 80, 80), rule(1, OUT, False, 80, 80), rule(1, IN, False, 1024, 65535)):
        cloud.apply(natted(PUBLIC, denied, *every))
        assert guest("connect", world, 80, SOON) == "TimeoutError"

    cloud.apply(natted(PUBLIC, *every))
    assert guest("connect", world, 80, 3).startswith("world ")


@HAVE_ROOT
def test_a_nat_lends_its_routed_address_and_lets_nobody_in(cloud: Cloud) -> None:
    publics = (PublicPlan(SECOND, "172.31.0.5", "b"),)
    other = replace(wired(port("b", "172.31.0.5"), publics=publics), native="other")
    behind, b = cloud.start(natted(FIRST), other, routed="203.0.113.0/24")

    assert behind("connect", SECOND, 80, 2) == f"b {FIRST}"
    assert b("connect", FIRST, 80, SOON) in ("TimeoutError", "OSError")
    assert b("connect", "172.31.16.7", 80, SOON) in ("TimeoutError", "OSError")


def test_networks_with_the_same_addresses_reach_the_internet_at_once(cloud: Cloud, world: str) -> None:  # noqa: F811
    one = wired(port("a", "172.31.0.5"), publics=(PublicPlan(PUBLIC, "172.31.0.5", "a"),))
    public = PublicPlan("127.13.255.8", "172.31.0.5", "c")
    other = replace(wired(port("c", "172.31.0.5"), publics=(public,)), native="other")
    a, c = cloud.start(one, other)

    for _ in range(3):
        assert a("connect", world, 80, 3).startswith("world ")
        assert c("connect", world, 80, 3).startswith("world ")


def test_one_guest_that_holds_all_it_may_hinders_no_other(cloud: Cloud) -> None:
    """Connections to the metadata service that ask for nothing, and a flood of DHCP."""
    a, b = cloud.start(network(port("a", "172.31.0.5"), port("b", "172.31.0.6")))

    a("hold", "169.254.169.254", 80, 200)
    a("flood", "255.255.255.255", 67, 20_000)

    assert b("fetch", "/", 5) == "ISTHMUS/1 acme server-b: GET / HTTP/1.0"
    assert b("dhcp", b.plan.mac, 1, 5)["53"] == "02"
    assert a("fetch", "/", SOON) in ("", "TimeoutError", "OSError", "ConnectionResetError")
    assert cloud.netd.health()["failed"] == []
