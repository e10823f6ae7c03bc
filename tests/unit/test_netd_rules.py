"""From plans to rules and routes: pure functions, told by what they write."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.model import AclRule, Dhcp, Direction, Hop, Route, Rule
from isthmus.providers.local.netd import dhcp, edge, names, routes, rules, verdicts
from isthmus.providers.local.netd.layout import Layout, layouts, next_hop, pairs
from isthmus.providers.local.netd.plan import FirewallPlan, NetworkPlan, Plan, PortPlan, PublicPlan, SubnetPlan

IN, OUT = Direction.INGRESS, Direction.EGRESS
EVERYWHERE = "0.0.0.0/0"
PORT = PortPlan("port-1", "sub-1", "06:00:AC:1F:00:05", ("172.31.0.5",), ("fw-1",), True, "acme", "server-1")
SUBNET = SubnetPlan("sub-1", "172.31.0.0/20", (Route(EVERYWHERE, Hop.INTERNET),))
NETWORK = NetworkPlan(
    "net-1", ("172.31.0.0/16",), subnets=(SUBNET,), ports=(PORT,), firewalls=(FirewallPlan("fw-1", ()),)
)


def layout(network: NetworkPlan = NETWORK, *others: NetworkPlan, routed: str = "") -> Layout:
    return layouts(Plan("/m", (network, *others), routed))[network.native]


def with_rules(*given: Rule) -> str:
    return rules.ruleset(layout(replace(NETWORK, firewalls=(FirewallPlan("fw-1", given),))))


def lines_of(text: str, chain: str) -> list[str]:
    body = text.partition(f"chain {chain} {{\n")[2].partition("  }\n")[0]
    return [line.strip() for line in body.splitlines()]


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        (Rule(IN, "tcp", 22, 22, cidr="192.0.2.0/24"), "ip saddr 192.0.2.0/24 tcp dport 22-22 accept"),
        (Rule(IN, "udp", 0, 65535, cidr=EVERYWHERE), "meta l4proto udp accept"),
        (Rule(IN, "6", cidr=EVERYWHERE), "meta l4proto 6 accept"),
        (Rule(IN, "icmp", -1, -1, cidr=EVERYWHERE), "meta l4proto icmp accept"),
        (Rule(IN, "icmp", 3, 4, cidr=EVERYWHERE), "icmp type 3 icmp code 4 accept"),
        (Rule(IN, "-1", cidr=EVERYWHERE), "accept"),
    ],
)
def test_a_rule_is_one_line(rule: Rule, line: str) -> None:
    assert lines_of(with_rules(rule), f"to_{names.short('fw-1')}") == [line]
    assert lines_of(with_rules(rule), f"from_{names.short('fw-1')}") == []


@pytest.mark.parametrize("rule", [Rule(IN, "-1", cidr="::/0"), Rule(IN, "icmpv6", -1, -1, cidr=EVERYWHERE)])
def test_what_is_not_carried_opens_nothing(rule: Rule) -> None:
    assert lines_of(with_rules(rule), f"to_{names.short('fw-1')}") == []


HOSTILE = 'x"; } table inet own { } #'


def test_no_text_of_a_plan_becomes_a_rule() -> None:
    port = replace(PORT, native=HOSTILE, subnet=HOSTILE, firewalls=(HOSTILE,), tenant=HOSTILE, server=HOSTILE)
    rule = Rule(IN, "tcp", 1, 2, peer=HOSTILE)
    wrong = Rule(IN, "tcp", 1, 2, cidr=HOSTILE)
    public = PublicPlan(HOSTILE, HOSTILE, HOSTILE)
    network = replace(
        NETWORK,
        native=HOSTILE,
        subnets=(replace(SUBNET, native=HOSTILE, acl=(AclRule(1, IN, True, "-1", HOSTILE),)),),
        ports=(replace(port, addresses=("172.31.0.5", HOSTILE)),),
        firewalls=(FirewallPlan(HOSTILE, (rule, wrong)),),
        publics=(public,),
    )
    found = layout(network, routed="203.0.113.0/24")

    text = rules.ruleset(found) + edge.ruleset([found], [HOSTILE])
    text += "".join(line.add() for line in routes.lines(found, [port.tap, names.EDGE]))
    assert "own" not in text.replace("owners", "")


def test_the_host_itself_and_its_links_are_never_a_way_out() -> None:
    text = edge.ruleset([layout()], ["192.0.2.7"])

    hosts = text.partition("set hosts")[2].partition("}")[0]
    assert all(one in hosts for one in (*edge.NEVER, "192.0.2.7"))
    assert lines_of(text, "forward")[1] == 'oifname "slirp" ip daddr @hosts drop'


def test_routes_of_a_subnet_are_in_a_table_of_their_own_and_links_that_are_away_swallow() -> None:
    subnet = replace(SUBNET, routes=(Route("10.0.0.0/8", Hop.PORT, "port-1"), Route(EVERYWHERE, Hop.INTERNET)))
    found = layout(replace(NETWORK, subnets=(subnet,)))
    table = found.tables()["sub-1"]

    with_tap = routes.lines(found, [PORT.tap, names.EDGE])
    without = routes.lines(found, [])

    assert routes.Line(table, "10.0.0.0/8", f"via 172.31.0.5 dev {PORT.tap} onlink") in with_tap
    assert routes.Line(table, EVERYWHERE, f"via {names.INTERNET} dev edge onlink") in with_tap
    assert {line.way for line in without} == {""}
    assert routes.Line(table, "10.0.0.0/8", metric=routes.LAST) in without
    assert routes.Line(routes.MAIN, "172.31.0.0/16", metric=routes.LAST) in without


def test_routes_that_nobody_wants_any_more_are_removed() -> None:
    listed = [
        {"dst": "default", "table": "77", "type": "blackhole", "metric": 4000},
        {"dst": "10.0.0.1", "dev": "tap0"},
        {"dst": "10.0.0.0/8", "table": "77", "dev": "edge"},
    ]
    wanted = [routes.Line(77, "10.0.0.0/8", "dev edge")]

    assert routes.changes(wanted, listed) == [
        "route replace 10.0.0.0/8 dev edge table 77 proto 77",
        "route del blackhole 0.0.0.0/0 table 77 proto 77 metric 4000",
        "route del 10.0.0.1/32 table 254 proto 77",
    ]


def test_a_nat_needs_a_public_address_and_a_way_of_its_own() -> None:
    nat = PortPlan("nat", "sub-1", "06:00:00:00:00:09", ("172.31.0.9",))
    behind = SubnetPlan("sub-2", "172.31.16.0/20", (Route(EVERYWHERE, Hop.NAT, "nat"),))
    public = PublicPlan("203.0.113.9", "172.31.0.9", "nat")
    network = replace(NETWORK, ports=(PORT, nat), subnets=(SUBNET, behind), publics=(public,))

    assert list(layout(network).nats()) == ["nat"]
    assert layout(replace(network, publics=())).nats() == {}
    assert layout(replace(network, internet=False)).nats() == {}
    assert layout(replace(network, subnets=(replace(SUBNET, routes=()), behind))).nats() == {}


def test_peers_are_those_that_both_name_and_that_have_servers() -> None:
    one = replace(NETWORK, peers=("net-2", "net-3"))
    two = replace(NETWORK, native="net-2", peers=("net-1",))
    three = replace(NETWORK, native="net-3")
    found = layouts(Plan("/m", (one, two, three)))

    assert [peer.native for peer in found["net-1"].peers] == ["net-2"]
    assert list(pairs(found)) == [("net-1", "net-2")]
    asleep = replace(two, ports=(replace(PORT, server=""),))
    assert layouts(Plan("/m", (one, asleep)))["net-1"].peers == ()


def test_members_are_counted_over_peers() -> None:
    one = replace(NETWORK, peers=("net-2",))
    two = replace(NETWORK, native="net-2", peers=("net-1",), ports=(replace(PORT, addresses=("10.1.0.5", "10.1.0.6")),))

    assert layout(one, two).members("fw-1") == {"172.31.0.5", "10.1.0.5", "10.1.0.6"}


def test_numbers_are_below_two_to_the_24_and_each_ones_own() -> None:
    found = names.numbers(f"subnet-{n}" for n in range(5000))

    assert len(set(found.values())) == 5000
    assert all(0 < number < 1 << 24 for number in found.values())


@pytest.mark.parametrize(("address", "hop"), [("10.9.9.9", Hop.PEER), ("10.0.0.1", Hop.PORT), ("192.0.2.1", None)])
def test_the_longest_prefix_is_taken(address: str, hop: Hop | None) -> None:
    given = (Route("10.0.0.0/8", Hop.PORT, "p"), Route("10.9.0.0/16", Hop.PEER, "n"), Route("::/0", Hop.INTERNET))

    found = next_hop(given, address)
    assert (found.hop if found else None) == hop


def test_the_first_rule_by_number_decides() -> None:
    acl = (AclRule(200, IN, True, "tcp", EVERYWHERE, 1, 100), AclRule(100, IN, False, "6", "192.0.2.0/24"))

    assert verdicts.passes(acl, IN, "tcp", "198.51.100.1", 100)
    assert not verdicts.passes(acl, IN, "tcp", "198.51.100.1", 101)
    assert not verdicts.passes(acl, IN, "tcp", "192.0.2.1", 50)
    assert not verdicts.passes(acl, IN, "udp", "198.51.100.1", 50)
    assert not verdicts.passes(acl, OUT, "tcp", "198.51.100.1", 50)
    assert verdicts.passes(None, IN, "tcp", "192.0.2.1", 50)


@pytest.mark.parametrize("data", [b"", b"\x35", b"\x35\xff\x01", b"\x00" * 300, b"\xff\x35\x01\x01"])
def test_options_that_are_cut_short_are_none(data: bytes) -> None:
    assert dhcp.options(data) == {}


@pytest.mark.parametrize("size", [0, 1, 235, 240, 241, 300])
def test_a_packet_that_is_none_has_no_answer(size: int) -> None:
    assert dhcp.answer(b"\x01" * size, PORT, NETWORK, SUBNET) is None


HEAD = b"\x01\x01\x06\x00" + b"\0" * 24 + bytes.fromhex(PORT.mac.replace(":", "")) + b"\0" * 202 + dhcp.COOKIE
"""Of a packet from the port's own MAC address."""


@given(st.binary(max_size=400))
def test_no_packet_of_a_guest_raises_and_every_answer_is_to_it(data: bytes) -> None:
    assert dhcp.answer(data, PORT, NETWORK, SUBNET) is None or data.startswith(HEAD[:1])
    if found := dhcp.answer(HEAD + data, PORT, NETWORK, SUBNET):
        reply, to = found
        assert reply[16:20] in (bytes(4), bytes([172, 31, 0, 5]))
        assert to == "255.255.255.255"
        assert len(reply) <= 576


def test_an_answer_keeps_within_what_any_client_takes() -> None:
    many = tuple(f"192.0.2.{n}" for n in range(1, 64))
    told = replace(NETWORK, dhcp=Dhcp("x" * 255, many, many, many))
    found = dhcp.answer(HEAD + b"\x35\x01\x01\xff", PORT, told, SUBNET)

    assert found
    assert len(found[0]) <= 576
    assert dhcp.options(found[0][240:])[3] == bytes([172, 31, 0, 1])
