"""Public addresses that the host routes to guests: real ones, asked by the host and by each other."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_address

import pytest
from served import eventually

from isthmus.providers.local import tiny
from isthmus.providers.local.netd.client import able

from .guests import DATAGRAM, WEB, Guest, asked_by_host
from .launched import BUSY, Cloud, Vpc, cloud, reached, rule

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(os.geteuid() != 0, reason="the host's routes are root's alone"),
    pytest.mark.skipif(not able()[0], reason=f"no networks can be made of namespaces here: {able()[1]}"),
]
EVERYWHERE = "0.0.0.0/0"


@dataclass
class Routed:
    cloud: Cloud
    vpc: Vpc
    range: IPv4Network
    by_launch: Guest
    elastic: Guest


@contextmanager
def own_range() -> Iterator[IPv4Network]:
    """A range that no other process uses meanwhile: the name of a socket, which ends with it, says whose it is."""
    with socket.socket(socket.AF_UNIX) as held:
        for number in range(16):
            found = f"198.51.100.{number * 16}/28"
            try:
                held.bind(f"\0isthmus {found}")
            except OSError:  # another's
                continue
            yield IPv4Network(found)
            return
    pytest.fail("all ranges are in use")


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory, tiny_image: tiny.Tiny) -> Iterator[Routed]:
    """A guest with a public address by its subnet, and one with an elastic one that it was given while it ran."""
    with own_range() as given, cloud(tmp_path_factory.mktemp("routed"), f'public = "{given}"') as made:
        ec2 = made.account("routed")
        vpc = Vpc(ec2, "10.20.0.0/16", internet=True)
        subnet, table = vpc.subnet("10.20.1.0/24")
        ec2.create_route(RouteTableId=table, DestinationCidrBlock=EVERYWHERE, GatewayId=vpc.gateway)
        ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
        made.want("launch", vpc, subnet, "10.20.1.10")
        made.want("elastic", vpc, subnet, "10.20.1.11", AssociatePublicIpAddress=False)
        by_launch, elastic = made.guests("launch", "elastic")
        allocation = ec2.allocate_address()["AllocationId"]
        ec2.associate_address(AllocationId=allocation, NetworkInterfaceId=elastic.interface)
        yield Routed(made, vpc, given, by_launch, elastic)


def test_both_kinds_of_public_addresses_answer_this_host_which_is_judged_by_its_own_address(routed: Routed) -> None:
    ec2 = routed.vpc.ec2
    for guest in (routed.by_launch, routed.elastic):
        public = routed.cloud.public(guest)
        assert ip_address(public) in routed.range
        answers = eventually(lambda public=public: asked_by_host(public), lambda found: len(found) == 2, BUSY)  # type: ignore[misc]
        [(name, host)] = {tuple(one.split()) for one in answers.values()}
        assert name == guest.name
        assert not host.startswith("10.20.")

        others = [rule("tcp", WEB, cidr="203.0.113.0/24"), rule("udp", DATAGRAM, cidr="203.0.113.0/24")]
        with routed.cloud.grouped(guest, *others) as group:
            assert asked_by_host(public) == {}
            for one, answered in (
                (rule("tcp", WEB, cidr=f"{host}/32"), ["tcp"]),
                (rule("udp", DATAGRAM, cidr=f"{host}/32"), ["tcp", "udp"]),
            ):
                ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[one])
                reached(public, guest.answers(host, *answered))


def test_guests_ask_each_other_at_their_public_addresses_and_are_seen_by_these(routed: Routed) -> None:
    for guest, other in ((routed.by_launch, routed.elastic), (routed.elastic, routed.by_launch)):
        own, there = routed.cloud.public(guest), routed.cloud.public(other)
        eventually(lambda guest=guest, there=there: guest.asks(there), other.answers(own).__eq__, BUSY)  # type: ignore[misc]


def test_an_elastic_address_answers_no_more_once_it_is_taken_from_its_guest(routed: Routed) -> None:
    ec2, guest = routed.vpc.ec2, routed.elastic
    public = routed.cloud.public(guest)
    eventually(lambda: len(asked_by_host(public)) == 2, seconds=BUSY)
    [given] = ec2.describe_addresses(PublicIps=[public])["Addresses"]

    ec2.disassociate_address(AssociationId=given["AssociationId"])

    assert asked_by_host(public) == {}
    ec2.associate_address(AllocationId=given["AllocationId"], NetworkInterfaceId=guest.interface)
    eventually(lambda: len(asked_by_host(public)) == 2, seconds=BUSY)
