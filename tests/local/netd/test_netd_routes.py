"""Where traffic goes: between networks, by each subnet's routes, and through each subnet's filter."""

from __future__ import annotations

from dataclasses import replace

from isthmus.model import AclRule, Hop, Route, Rule
from isthmus.providers.local.netd.plan import FirewallPlan, NetworkPlan, SubnetPlan

from .conftest import ALL_OUT, EVERYWHERE, IN, OPEN, OUT, SOON, Cloud, network, port


def test_networks_with_the_same_addresses_never_meet(cloud: Cloud) -> None:
    one = network(port("a", "172.31.0.5"), port("b", "172.31.0.6"))
    other = network(port("c", "172.31.0.5"), port("d", "172.31.0.7"), native="other")
    a, b, c, d = cloud.start(one, other)

    assert b("connect", "172.31.0.5", 80, SOON) == "a 172.31.0.6"
    assert d("connect", "172.31.0.5", 80, SOON) == "c 172.31.0.7"
    assert a("connect", "172.31.0.7", 80, SOON) in ("TimeoutError", "OSError")
    assert c("ping", "172.31.0.6", SOON) in ("TimeoutError", "OSError")


def test_each_subnet_has_its_own_routes(cloud: Cloud) -> None:
    """To an address that a guest of `a` has beside its own, one subnet has a route and the other none."""
    ports = (port("a", "172.31.0.5", source_check=False), port("b", "172.31.0.6"), port("c", "172.31.16.7", subnet="b"))
    plan = network(*ports)
    routed = replace(plan.subnets[0], routes=(Route("10.0.0.0/8", Hop.PORT, "a"),))
    a, b, c = cloud.start(replace(plan, subnets=(routed, plan.subnets[1])))
    a("run", ["ip", "address", "add", "10.9.9.9/32", "dev", "eth0"])

    assert b("connect", "10.9.9.9", 80, SOON) == "a 172.31.0.6"
    assert c("connect", "10.9.9.9", 80, SOON) in ("TimeoutError", "OSError")


def test_the_longer_prefix_decides_also_where_it_leads_nowhere(cloud: Cloud) -> None:
    ports = (port("a", "172.31.0.5", source_check=False), port("b", "172.31.0.6"))
    plan = network(*ports)
    routes = (Route("10.0.0.0/8", Hop.PORT, "a"), Route("10.9.9.0/24", Hop.NOWHERE))
    a, b = cloud.start(replace(plan, subnets=(replace(plan.subnets[0], routes=routes), plan.subnets[1])))
    for one in ("10.9.9.9", "10.9.8.8"):
        a("run", ["ip", "address", "add", f"{one}/32", "dev", "eth0"])

    assert b("connect", "10.9.8.8", 80, SOON) == "a 172.31.0.6"
    assert b("connect", "10.9.9.9", 80, SOON) in ("TimeoutError", "OSError")


def test_what_stays_in_the_network_takes_no_route(cloud: Cloud) -> None:
    """Not even one for that very range."""
    ports = (port("a", "172.31.0.5", source_check=False), port("b", "172.31.0.6"), port("c", "172.31.16.7", subnet="b"))
    plan = network(*ports)
    routes = (Route("172.31.0.0/16", Hop.PORT, "a"), Route(EVERYWHERE, Hop.PORT, "a"))
    _, b, c = cloud.start(replace(plan, subnets=(replace(plan.subnets[0], routes=routes), plan.subnets[1])))

    assert b("connect", c.address, 80, SOON) == "c 172.31.0.6"


def test_a_guest_forwards_between_subnets_routes(cloud: Cloud) -> None:
    """b sends to 10.9.9.9 by way of r, which forwards it to a's foreign address by its own subnet's route."""
    ports = (
        port("a", "172.31.0.5", source_check=False),
        port("b", "172.31.0.6"),
        port("r", "172.31.16.7", subnet="b", source_check=False),
    )
    plan = network(*ports)
    first = replace(plan.subnets[0], routes=(Route("10.0.0.0/8", Hop.PORT, "r"),))
    second = replace(plan.subnets[1], routes=(Route("10.0.0.0/8", Hop.PORT, "a"),))
    a, b, r = cloud.start(replace(plan, subnets=(first, second)))
    a("run", ["ip", "address", "add", "10.9.9.9/32", "dev", "eth0"])
    assert b("connect", "10.9.9.9", 80, SOON) == "TimeoutError"

    r("run", ["sysctl", "-w", "net.ipv4.ip_forward=1"])

    assert b("connect", "10.9.9.9", 80, SOON) == "a 172.31.0.6"


def acl(*rules: tuple[int, str, bool, str, str, int, int]) -> tuple[AclRule, ...]:
    return tuple(AclRule(number, IN if way == "in" else OUT, *rest) for number, way, *rest in rules)  # type: ignore[call-arg]


ALL = ((32000, "in", True, "-1", EVERYWHERE, -1, -1), (32000, "out", True, "-1", EVERYWHERE, -1, -1))


def test_a_subnets_filter_keeps_no_state_and_goes_by_number(cloud: Cloud) -> None:
    ports = (port("a", "172.31.0.5"), port("b", "172.31.16.6", subnet="b"), port("c", "172.31.0.7"))
    plan = network(*ports)
    a, b, c = cloud.start(plan)

    def with_acl(*rules: tuple[int, str, bool, str, str, int, int]) -> None:
        cloud.apply(replace(plan, subnets=(replace(plan.subnets[0], acl=acl(*rules)), plan.subnets[1])))

    with_acl(*ALL)
    assert b("connect", a.address, 80, SOON) == "a 172.31.16.6"
    with_acl()
    assert b("connect", a.address, 80, SOON) == "TimeoutError"
    assert c("connect", a.address, 80, SOON) == "a 172.31.0.7"  # it crosses no border
    with_acl((100, "in", True, "tcp", "172.31.16.0/20", 80, 80))
    assert b("connect", a.address, 80, SOON) == "TimeoutError"  # the answer does not get out
    with_acl((100, "in", True, "tcp", "172.31.16.0/20", 80, 80), (100, "out", True, "tcp", EVERYWHERE, 1024, 65535))
    assert b("connect", a.address, 80, SOON) == "a 172.31.16.6"
    assert a("connect", b.address, 80, SOON) == "TimeoutError"
    with_acl(*ALL, (200, "in", True, "tcp", EVERYWHERE, 80, 80), (100, "in", False, "6", "172.31.16.6/32", -1, -1))
    assert b("connect", a.address, 80, SOON) == "TimeoutError"
    assert b("ask", a.address, 53000, SOON) == "a 172.31.16.6 1"
    with_acl(*ALL, (100, "in", True, "tcp", EVERYWHERE, 80, 80), (200, "in", False, "6", "172.31.16.6/32", -1, -1))
    assert b("connect", a.address, 80, SOON) == "a 172.31.16.6"


def peered(*, routes: bool = True) -> tuple[NetworkPlan, NetworkPlan]:
    """Two networks; only members of `of-a` may enter the second."""
    to_b, to_a = Route("10.1.0.0/16", Hop.PEER, "net-b"), Route("172.31.0.0/16", Hop.PEER, "net")
    a = network(
        port("a", "172.31.0.5", "of-a"),
        port("x", "172.31.0.6", "open"),
        port("y", "172.31.16.6", "of-a", subnet="b"),
        peers=("net-b",),
        subnets=(SubnetPlan("a", "172.31.0.0/20", (to_b,) if routes else ()), SubnetPlan("b", "172.31.16.0/20")),
        firewalls=(FirewallPlan("of-a", (ALL_OUT,)), OPEN),
    )
    b = NetworkPlan(
        "net-b",
        ("10.1.0.0/16",),
        internet=False,
        peers=("net",),
        subnets=(SubnetPlan("c", "10.1.0.0/24", (to_a,) if routes else ()),),
        ports=(port("b", "10.1.0.5", "of-b", subnet="c"),),
        firewalls=(FirewallPlan("of-b", (Rule(IN, "tcp", 80, 80, peer="of-a"), ALL_OUT)),),
    )
    return a, b


def test_peers_reach_each_other_by_their_routes_and_firewalls_name_each_others(cloud: Cloud) -> None:
    a, x, y, b = cloud.start(*peered())

    assert a("connect", b.address, 80, SOON) == "b 172.31.0.5"
    assert x("connect", b.address, 80, SOON) == "TimeoutError"
    assert b("connect", x.address, 80, SOON) == "x 10.1.0.5"
    assert y("connect", b.address, 80, SOON) in ("TimeoutError", "OSError")  # its subnet has no route

    cloud.apply(*peered(routes=False))
    assert a("connect", b.address, 80, SOON) in ("TimeoutError", "OSError")
    cloud.apply(*peered())
    assert a("connect", b.address, 80, SOON) == "b 172.31.0.5"
    cloud.apply(*(replace(one, peers=()) for one in peered()))
    assert a("connect", b.address, 80, SOON) in ("TimeoutError", "OSError")


def test_a_peer_is_no_way_to_its_peers(cloud: Cloud) -> None:
    a, b = peered()
    third = NetworkPlan(
        "net-c",
        ("10.2.0.0/16",),
        internet=False,
        peers=("net-b",),
        subnets=(SubnetPlan("d", "10.2.0.0/24", (Route("172.31.0.0/16", Hop.PEER, "net-b"),)),),
        ports=(port("c", "10.2.0.5", subnet="d"),),
        firewalls=(OPEN,),
    )
    beyond = Route("10.2.0.0/16", Hop.PEER, "net-b")
    a = replace(a, subnets=(replace(a.subnets[0], routes=(*a.subnets[0].routes, beyond)), a.subnets[1]))
    inner = replace(b.subnets[0], routes=(*b.subnets[0].routes, Route("10.2.0.0/16", Hop.PEER, "net-c")))
    b = replace(b, peers=("net", "net-c"), subnets=(inner,))
    guests = {guest.plan.native: guest for guest in cloud.start(a, b, third)}

    assert guests["b"]("connect", "10.2.0.5", 80, SOON) == "TimeoutError"  # no way back: c has none to b
    assert guests["x"]("connect", "10.2.0.5", 80, SOON) in ("TimeoutError", "OSError")
