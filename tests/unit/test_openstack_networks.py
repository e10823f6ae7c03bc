"""What the OpenStack provider says of rules and routes in Neutron's words, without a cloud."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

pytest.importorskip("openstack", reason="openstacksdk is not installed")

from isthmus.errors import NotFound, Unsupported
from isthmus.model import Direction, Hop, Route, Rule, SubnetWiring, Wiring
from isthmus.providers.openstack import notes
from isthmus.providers.openstack.client import Client, Item
from isthmus.providers.openstack.landscape import Landscape, read
from isthmus.providers.openstack.neutron import said
from isthmus.providers.openstack.ports import numbered
from isthmus.providers.openstack.rules import body_of, rule_of
from isthmus.providers.openstack.wiring import wire, wiring_of

GROUP = "11111111-1111-4111-8111-111111111111"
NETWORK = "22222222-2222-4222-8222-222222222222"
SUBNET = "33333333-3333-4333-8333-333333333333"
PORT = "44444444-4444-4444-8444-444444444444"


@pytest.mark.parametrize(
    "rule",
    [
        Rule(Direction.INGRESS, "tcp", 22, 22, "192.0.2.0/24", description="ssh"),
        Rule(Direction.INGRESS, "tcp", 0, 65535, "0.0.0.0/0"),
        Rule(Direction.EGRESS, "udp", 53, 53, "2001:db8::/32"),
        Rule(Direction.EGRESS, "-1", cidr="0.0.0.0/0"),
        Rule(Direction.EGRESS, "-1", cidr="::/0"),
        Rule(Direction.INGRESS, "-1", peer=GROUP),
        Rule(Direction.INGRESS, "icmp", cidr="0.0.0.0/0"),
        Rule(Direction.INGRESS, "icmp", 8, -1, "0.0.0.0/0"),
        Rule(Direction.INGRESS, "icmp", 3, 4, "0.0.0.0/0"),
        Rule(Direction.INGRESS, "icmpv6", 128, 0, "::/0"),
        Rule(Direction.INGRESS, "icmpv6", peer=GROUP),
        Rule(Direction.INGRESS, "50", cidr="10.0.0.0/8"),
    ],
    ids=str,
)
def test_a_rule_comes_back_from_neutron_as_it_was(rule: Rule) -> None:
    assert rule == rule_of(body_of(GROUP, rule))


def test_neutrons_names_of_protocols_are_numbers_here() -> None:
    body = body_of(GROUP, Rule(Direction.INGRESS, "-1", cidr="10.0.0.0/8"))

    said = {name: rule_of({**body, "protocol": name}) for name in ("esp", "ipv6-icmp", "6", "any")}

    assert {name: rule.protocol for name, rule in said.items() if rule} == {
        "esp": "50",
        "ipv6-icmp": "icmpv6",
        "6": "tcp",
        "any": "-1",
    }


def test_a_range_that_begins_at_port_0_is_refused_unless_it_is_all_ports() -> None:
    with pytest.raises(Unsupported, match="port 0"):
        body_of(GROUP, Rule(Direction.INGRESS, "tcp", 0, 1024, "0.0.0.0/0"))


def test_ports_1_to_65535_are_refused_as_neutron_makes_all_ports_of_them() -> None:
    with pytest.raises(Unsupported, match="0 to 65535"):
        body_of(GROUP, Rule(Direction.INGRESS, "tcp", 1, 65535, "0.0.0.0/0"))


def test_tags_say_more_than_descriptions() -> None:
    item = {"description": notes.dump(ref="eni-1", keep="0"), "tags": ["a user's", "isthmus:keep=1", "isthmus:index=2"]}

    assert said(item) == {"ref": "eni-1", "keep": "1", "index": "2"}


def port(native: str, created: str, *tags: str) -> dict[str, Any]:
    return {
        "id": native,
        "mac_address": "fa:16:3e:00:00:01",
        "fixed_ips": [{"subnet_id": SUBNET, "ip_address": "10.0.0.5"}],
        "network_id": NETWORK,
        "security_groups": [],
        "device_id": "a-server",
        "device_owner": "compute:nova",
        "allowed_address_pairs": [],
        "created_at": created,
        "description": "",
        "tags": list(tags),
    }


def test_ports_that_were_attached_by_other_means_have_the_next_free_indexes() -> None:
    found = numbered([port("b", "2026-01-02"), port("c", "2026-01-03"), port("a", "2026-01-04", "isthmus:index=1")])

    assert {one.native: one.index for one in found} == {"b": 0, "c": 2, "a": 1}


def land(subnet: dict[str, Any], *, outside: bool, cidr: str = "") -> Landscape:
    """A network with one subnet and a router in it."""
    network = {"id": NETWORK, "name": "n", "tags": [], "description": notes.dump(cidr=cidr) if cidr else ""}
    router = {"id": "router", "external_gateway_info": {"network_id": "x"} if outside else None, "description": ""}
    foot = {
        "id": "foot",
        "device_id": "router",
        "device_owner": "network:router_interface",
        "network_id": NETWORK,
        "fixed_ips": [{"subnet_id": SUBNET, "ip_address": "10.0.0.1"}],
    }
    whole = {"id": SUBNET, "network_id": NETWORK, "cidr": "10.0.0.0/24", "description": "", "tags": [], **subnet}
    return Landscape({NETWORK: network}, {SUBNET: whole}, {"router": router}, [foot], [], ("nova",))


def test_a_subnet_made_by_other_means_leads_where_its_router_does() -> None:
    subnet = {"gateway_ip": "10.0.0.1"}

    [part] = wiring_of(land(subnet, outside=True), NETWORK).subnets

    assert part.routes == (Route("0.0.0.0/0", Hop.INTERNET),)
    assert wiring_of(land(subnet, outside=False), NETWORK) == Wiring()


def test_a_subnet_of_ec2_apis_that_led_nowhere_leads_nowhere() -> None:
    assert wiring_of(land({"gateway_ip": None}, outside=True), NETWORK) == Wiring(internet=True)


def test_the_oldest_network_that_reaches_the_outside_is_the_default_one() -> None:
    assert land({"gateway_ip": "10.0.0.1"}, outside=True).default == NETWORK
    assert land({"gateway_ip": "10.0.0.1"}, outside=False).default == ""
    assert land({"gateway_ip": "10.0.0.1"}, outside=True, cidr="10.0.0.0/16").default == ""


def whole(*more: dict[str, Any]) -> Landscape:
    return read(listing(*more), ("nova",))


def listing(*more: dict[str, Any]) -> Listed:
    """What there is of a project with a network that leads, and more."""
    lead = {"id": NETWORK, "tags": ["isthmus:main=10.0.0.0/16"], "name": "n", "description": "", "created_at": "2020"}
    items = {"networks": [{**lead, "router:external": False}, *more]}
    items["subnets"] = [
        {
            "id": f"subnet_of_{one['id']}",
            "name": "",
            "network_id": one["id"],
            "cidr": f"10.0.{at}.0/24",
            "description": "",
            "tags": [],
            "gateway_ip": f"10.0.{at}.1",
            "host_routes": [{"destination": "10.0.0.0/16", "nexthop": f"10.0.{at}.1"}],
        }
        for at, one in enumerate(items["networks"])
    ]
    gate = {"network_id": "x"}
    items["routers"] = [{"id": "router", "external_gateway_info": gate, "description": "", "tags": []}]
    items["ports"] = [
        {
            "id": f"foot of {one['id']}",
            "device_id": "router",
            "device_owner": "network:router_interface",
            "network_id": one["network_id"],
            "fixed_ips": [{"subnet_id": one["id"], "ip_address": "10.0.0.1"}],
        }
        for one in items["subnets"]
    ]
    items["security_groups"] = []
    return Listed({key: [{**one, "project_id": "p"} for one in there] for key, there in items.items()})


class Listed(Client):
    """Lists what it was given, and notes what it is to send."""

    def __init__(self, items: dict[str, list[dict[str, Any]]]) -> None:
        super().__init__("p", lambda _: pytest.fail("something was asked for"))
        self._items = items
        self.sent: dict[str, Any] = {}

    def put(self, service: str, path: str, body: Any, *_: Any, **__: Any) -> Any:  # noqa: ARG002
        self.sent[path] = body
        return body

    def every(self, service: str, path: str, key: str, **query: object) -> list[Item]:  # noqa: ARG002
        return list(self._items[key])


def neutrons(native: str, *tags: str) -> dict[str, Any]:
    return {"id": native, "tags": list(tags), "name": native, "description": "", "router:external": False}


def test_subnets_of_a_member_are_those_of_the_network_that_leads() -> None:
    land = whole(neutrons("member", f"isthmus:network={NETWORK}"), neutrons("other"))

    [lead, other] = sorted(land.listing(), key=lambda one: one.native != NETWORK)
    assert (NETWORK, ("10.0.0.0/16",)) == (lead.native, lead.ranges)
    assert ("other", ("10.0.2.0/24",)) == (other.native, other.ranges)
    assert {NETWORK: 2, "other": 1} == {native: len(land.subnets_of(native)) for native in (NETWORK, "other")}
    assert NETWORK == land.subnet(land.subnets["subnet_of_member"], 0).network
    assert [f"foot of subnet_of_{one}" for one in (NETWORK, "member")] == [one["id"] for one in land.links_of(NETWORK)]
    with pytest.raises(NotFound):
        land.demand("member")


def test_a_network_that_was_taken_over_is_not_the_default_one_by_its_age() -> None:
    assert "other" == whole(neutrons("other")).default
    assert "" == whole(neutrons("member", f"isthmus:network={NETWORK}")).default


def test_a_member_of_what_is_not_there_or_of_a_member_is_a_network_of_its_own() -> None:
    land = whole(
        neutrons("a", "isthmus:network=gone"), neutrons("b", "isthmus:network=a"), neutrons("c", "isthmus:network=c")
    )

    assert {NETWORK, "a", "b", "c"} == {one.native for one in land.listing()}
    assert {} == land.members


def test_a_port_in_a_member_is_in_the_network_that_leads() -> None:
    [found] = numbered([port("a", "2026-01-02")], {NETWORK: "lead"})

    assert "lead" == found.network


def test_subnets_that_were_taken_over_are_told_of_routes_as_ec2_api_told_them() -> None:
    client = listing(neutrons("member", f"isthmus:network={NETWORK}"))
    outward = (Route("0.0.0.0/0", Hop.INTERNET), Route("10.9.0.0/16", Hop.NOWHERE))
    parts = (SubnetWiring(f"subnet_of_{NETWORK}", outward), SubnetWiring("subnet_of_member", ()))

    wire(client, cast("Any", SimpleNamespace(zones=("nova",))), NETWORK, Wiring(internet=True, subnets=parts))

    def led(steps: dict[str, str]) -> list[dict[str, str]]:
        return [{"destination": to, "nexthop": step} for to, step in steps.items()]

    first, second = (client.sent[f"/v2.0/subnets/subnet_of_{one}"]["subnet"] for one in (NETWORK, "member"))
    told = {"0.0.0.0/0": "10.0.0.1", "10.0.0.0/16": "10.0.0.1", "10.9.0.0/16": "127.0.0.1"}
    assert {"host_routes": led(told)} == first
    told = {"10.0.0.0/16": "10.0.1.1", "169.254.169.254/32": "10.0.1.1"}
    assert {"host_routes": led(told), "gateway_ip": None} == second
