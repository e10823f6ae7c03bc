"""What the OpenStack provider says of rules and routes in Neutron's words, without a cloud."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("openstack", reason="openstacksdk is not installed")

from isthmus.errors import Unsupported
from isthmus.model import Direction, Hop, Route, Rule, Wiring
from isthmus.providers.openstack import notes
from isthmus.providers.openstack.landscape import Landscape
from isthmus.providers.openstack.neutron import said
from isthmus.providers.openstack.ports import numbered
from isthmus.providers.openstack.rules import body_of, rule_of
from isthmus.providers.openstack.wiring import wiring_of

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


def test_the_oldest_network_that_reaches_the_outside_is_the_default_one() -> None:
    assert land({"gateway_ip": "10.0.0.1"}, outside=True).default == NETWORK
    assert land({"gateway_ip": "10.0.0.1"}, outside=False).default == ""
    assert land({"gateway_ip": "10.0.0.1"}, outside=True, cidr="10.0.0.0/16").default == ""
