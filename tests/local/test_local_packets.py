"""What EC2's networks promise, by packets between real guests: all is asked over the API, and seen in the guests."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from served import eventually

from isthmus.providers.local import tiny
from isthmus.providers.local.netd.client import able

from .beyond import beyond
from .conftest import hosts_addresses
from .guests import DATAGRAM, ECHO, SECONDS, WEB, Guest, asked_by_host
from .launched import BUSY, EVERYTHING, Cloud, Vpc, blocked, cloud, passes, reached, rule

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(not able()[0], reason=f"no networks can be made of namespaces here: {able()[1]}"),
]
A, B, C, FAR = "10.20.1.10", "10.20.1.11", "10.20.2.12", "10.30.1.10"
EVERYWHERE = "0.0.0.0/0"
ROUTERS = ("10.20.1.1", "10.20.0.2", "169.254.169.253", "169.254.169.254", "240.1.0.2", "240.1.0.3")
"""What answers for the network in a guest's VPC, and on the way out of it."""


@dataclass
class Net:
    """An account's VPC with the guests `a` and `b` in a subnet and `c` in another, which leads nowhere.

    And another account's VPC with the same addresses, where `d` has that of `b`; a peer of it has `e`.
    """

    cloud: Cloud
    own: Vpc
    front: str
    front_table: str
    back: str
    back_table: str
    same: Vpc
    same_table: str
    far: Vpc
    far_table: str

    @property
    def ec2(self) -> Any:
        return self.own.ec2

    def guests(self, *names: str) -> list[Guest]:
        return self.cloud.guests(*names)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory, tiny_image: tiny.Tiny) -> Iterator[Net]:
    with cloud(tmp_path_factory.mktemp("packets")) as made:
        first, second = made.account("first"), made.account("second")
        own, same, far = (
            Vpc(first, "10.20.0.0/16", True),
            Vpc(second, "10.20.0.0/16", True),
            Vpc(second, "10.30.0.0/16"),
        )
        front, back = own.subnet("10.20.1.0/24"), own.subnet("10.20.2.0/24")
        others, beside = same.subnet("10.20.1.0/24"), far.subnet("10.30.1.0/24")
        for vpc, (_, table) in ((own, front), (same, others)):
            vpc.ec2.create_route(RouteTableId=table, DestinationCidrBlock=EVERYWHERE, GatewayId=vpc.gateway)
        first.modify_subnet_attribute(SubnetId=front[0], MapPublicIpOnLaunch={"Value": True})
        told = [{"Key": "domain-name", "Values": ["far.example"]}]
        told += [{"Key": "domain-name-servers", "Values": ["192.0.2.53", "192.0.2.54"]}]
        options = second.create_dhcp_options(DhcpConfigurations=told)["DhcpOptions"]["DhcpOptionsId"]
        second.associate_dhcp_options(DhcpOptionsId=options, VpcId=far.id)
        made.want("a", own, front[0], A)
        made.want("b", own, front[0], B, AssociatePublicIpAddress=False)
        made.want("c", own, back[0], C)
        made.want("d", same, others[0], B, AssociatePublicIpAddress=True)
        made.want("e", far, beside[0], FAR)
        yield Net(made, own, *front, *back, same, others[1], far, beside[1])


@contextmanager
def routed(ec2: Any, table: str, to: str, **target: str) -> Iterator[None]:
    """While this lasts, a table has a route."""
    ec2.create_route(RouteTableId=table, DestinationCidrBlock=to, **target)
    try:
        yield
    finally:
        ec2.delete_route(RouteTableId=table, DestinationCidrBlock=to)


def test_what_no_rule_lets_out_does_not_leave_and_answers_need_none(net: Net) -> None:
    a, b = net.guests("a", "b")
    passes(a, b)
    with net.cloud.grouped(a, EVERYTHING) as group:
        net.ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[EVERYTHING])
        passes(b, a)
        blocked(a, b)
        assert not a.pings(B)
        assert b.pings(A)

        for protocol, port in (("udp", DATAGRAM), ("tcp", WEB)):
            only = [rule(protocol, port, cidr=f"{B}/32")]
            net.ec2.authorize_security_group_egress(GroupId=group, IpPermissions=only)
            passes(a, b, protocol)
            net.ec2.revoke_security_group_egress(GroupId=group, IpPermissions=only)
        blocked(a, b)

        net.ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[EVERYTHING])
        passes(a, b)


@contextmanager
def talking(guest: Guest, address: str) -> Iterator[None]:
    """A connection to another guest's echo is under way."""
    guest("rm -f /tmp/say /tmp/heard; mkfifo /tmp/say; sleep 600 >/tmp/say & echo $! >/tmp/held")
    guest(f"nc {address} {ECHO} </tmp/say >/tmp/heard & echo $! >>/tmp/held")
    try:
        echoes(guest, "hello")
        yield
    finally:
        guest("kill $(cat /tmp/held)")


def echoes(guest: Guest, word: str) -> None:
    guest(f"echo {word} >/tmp/say")
    eventually(lambda: word in guest("cat /tmp/heard").splitlines())


def test_what_is_under_way_outlives_the_rules_that_let_it_through(net: Net) -> None:
    """Datagrams too, as long as they are between the same ports."""
    a, b = net.guests("a", "b")

    def same_ports(*protocols: str) -> None:
        eventually(lambda: a.asks(B, port=6000), b.answers(A, *protocols).__eq__, BUSY)

    with net.cloud.grouped(a) as ours, net.cloud.grouped(b, EVERYTHING) as theirs, talking(a, B):
        same_ports()
        net.ec2.revoke_security_group_egress(GroupId=ours, IpPermissions=[EVERYTHING])
        blocked(a, b)
        echoes(a, "again")
        same_ports("udp")

        net.ec2.authorize_security_group_egress(GroupId=ours, IpPermissions=[EVERYTHING])
        passes(a, b)
        net.ec2.revoke_security_group_ingress(GroupId=theirs, IpPermissions=[EVERYTHING])
        blocked(a, b)
        echoes(a, "and again")
        same_ports("udp")


def test_a_rule_that_names_a_group_lets_in_who_is_in_it_now(net: Net) -> None:
    a, b, c = net.guests("a", "b", "c")
    with net.cloud.grouped(a) as named, net.cloud.grouped(b) as asked:
        blocked(a, b)
        permissions = [rule("tcp", WEB, group=named), rule("udp", DATAGRAM, group=named)]
        net.ec2.authorize_security_group_ingress(GroupId=asked, IpPermissions=permissions)
        passes(a, b)
        blocked(c, b)

        net.cloud.put(c, named)
        passes(c, b)
        net.cloud.put(a, net.own.open)
        blocked(a, b)

        net.ec2.revoke_security_group_ingress(GroupId=asked, IpPermissions=permissions)
        blocked(c, b)
        net.cloud.put(c, net.own.open)


def test_a_rule_that_names_a_range_lets_in_who_is_in_it_and_changes_live(net: Net) -> None:
    a, b, c = net.guests("a", "b", "c")

    def only(cidr: str) -> list[dict[str, Any]]:
        return [rule("tcp", WEB, cidr=cidr), rule("udp", DATAGRAM, cidr=cidr)]

    with net.cloud.grouped(b) as group:
        for cidr, inside, outside in ((f"{A}/32", a, c), ("10.20.2.0/24", c, a)):
            net.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=only(cidr))
            passes(inside, b)
            blocked(outside, b)
            net.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=only(cidr))
            blocked(inside, b)


def checked(net: Net, guest: Guest, checks: bool) -> None:
    net.ec2.modify_instance_attribute(InstanceId=guest.id, SourceDestCheck={"Value": checks})


@contextmanager
def extra(guest: Guest, address: str) -> Iterator[None]:
    """An address that the guest takes by itself."""
    guest(f"ip addr add {address}/32 dev eth0")
    try:
        yield
    finally:
        guest(f"ip addr del {address}/32 dev eth0")


def sends(guest: Guest, source: str, to: Guest, *, passes: bool) -> None:
    """UDP is sent from `source`, TCP from the guest's own address, which passes in any case."""
    before = to.datagrams()
    expected = {**to.answers(guest.address, "tcp"), **(to.answers(source, "udp") if passes else {})}
    eventually(lambda: guest.asks(to.address, source), expected.__eq__, BUSY)
    assert (to.datagrams() > before) is passes


def test_a_guest_sends_from_a_foreign_address_only_while_its_source_is_not_checked(net: Net) -> None:
    a, b = net.guests("a", "b")
    foreign = "10.99.9.9"
    with extra(a, foreign), routed(net.ec2, net.front_table, "10.99.9.0/24", NetworkInterfaceId=a.interface):
        sends(a, foreign, b, passes=False)
        blocked(b, foreign)

        checked(net, a, False)
        sends(a, foreign, b, passes=True)
        passes(b, a, at=foreign)

        checked(net, a, True)
        sends(a, foreign, b, passes=False)
        blocked(b, foreign)


def test_a_guest_cannot_be_another_of_its_network(net: Net) -> None:
    a, b, c = net.guests("a", "b", "c")
    passes(c, a)
    with extra(c, A):
        c(f"arping -U -c 2 -I eth0 {A}")
        sends(c, A, b, passes=False)
        passes(b, a)
    passes(c, a)
    sends(c, C, b, passes=True)


def test_a_guest_forwards_for_others_only_while_its_destination_is_not_checked(net: Net) -> None:
    """From a by c to an address that b took: c's subnet leads there. b answers a directly."""
    a, b, c = net.guests("a", "b", "c")
    there = "172.16.5.5"
    by_c = routed(net.ec2, net.front_table, "172.16.0.0/16", NetworkInterfaceId=c.interface)
    to_b = routed(net.ec2, net.back_table, "172.16.0.0/16", NetworkInterfaceId=b.interface)
    with extra(b, there), by_c, to_b:
        checked(net, b, False)
        checked(net, c, False)
        c("sysctl -w net.ipv4.ip_forward=1")
        passes(a, b, at=there)

        checked(net, c, True)
        blocked(a, there)
        checked(net, c, False)
        passes(a, b, at=there)
        checked(net, b, True)
        blocked(a, there)
        checked(net, b, False)
        passes(a, b, at=there)

        c("sysctl -w net.ipv4.ip_forward=0")
        blocked(a, there)
        checked(net, b, True)
        checked(net, c, True)


def test_a_subnet_reaches_the_internet_while_its_own_table_leads_there(net: Net) -> None:
    a, c = net.guests("a", "c")
    with beyond() as world:
        outside = {"DestinationCidrBlock": EVERYWHERE}
        eventually(lambda: a.hears(world, 80).startswith("world"))
        assert c.hears(world, 80) == ""

        net.ec2.delete_route(RouteTableId=net.front_table, **outside)
        assert a.hears(world, 80) == ""
        net.ec2.create_route(RouteTableId=net.front_table, GatewayId=net.own.gateway, **outside)
        eventually(lambda: a.hears(world, 80).startswith("world"))


def test_a_subnet_without_public_addresses_reaches_the_internet_by_a_nat_gateway(net: Net) -> None:
    [c] = net.guests("c")
    allocation = net.ec2.allocate_address()["AllocationId"]
    asked = {"SubnetId": net.front, "AllocationId": allocation}
    nat = net.ec2.create_nat_gateway(**asked)["NatGateway"]["NatGatewayId"]
    net.ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[nat], WaiterConfig={"Delay": 1})
    with beyond() as world:
        assert c.hears(world, 80) == ""
        with routed(net.ec2, net.back_table, EVERYWHERE, NatGatewayId=nat):
            eventually(lambda: c.hears(world, 80).startswith("world"))
        assert c.hears(world, 80) == ""
    net.ec2.delete_nat_gateway(NatGatewayId=nat)
    net.ec2.get_waiter("nat_gateway_deleted").wait(NatGatewayIds=[nat], WaiterConfig={"Delay": 1})
    net.ec2.release_address(AllocationId=allocation)


def entry(
    acl: str, number: int, protocol: str, *, egress: bool, ports: tuple[int, int] | None = None
) -> dict[str, Any]:
    asked: dict[str, Any] = {"NetworkAclId": acl, "RuleNumber": number, "Protocol": protocol, "Egress": egress}
    asked |= {"RuleAction": "allow", "CidrBlock": EVERYWHERE}
    return asked | ({"PortRange": {"From": ports[0], "To": ports[1]}} if ports else {})


def test_a_network_acl_keeps_no_state_so_that_answers_need_a_rule(net: Net) -> None:
    a, c = net.guests("a", "c")
    held = net.ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [net.back]}])
    [before] = held["NetworkAcls"]
    [association] = [one for one in before["Associations"] if one["SubnetId"] == net.back]
    acl = net.ec2.create_network_acl(VpcId=net.own.id)["NetworkAcl"]["NetworkAclId"]
    passes(a, c)

    def put(which: str, of: str) -> str:
        asked = {"AssociationId": of, "NetworkAclId": which}
        return str(net.ec2.replace_network_acl_association(**asked)["NewAssociationId"])

    now = put(acl, association["NetworkAclAssociationId"])
    came = c.datagrams()
    blocked(a, c)
    assert c.datagrams() == came

    net.ec2.create_network_acl_entry(**entry(acl, 10, "17", egress=False, ports=(DATAGRAM, DATAGRAM)))
    net.ec2.create_network_acl_entry(**entry(acl, 11, "6", egress=False, ports=(WEB, WEB)))

    def comes() -> bool:
        blocked(a, c)  # no answer does
        return c.datagrams() > came

    eventually(comes)

    for number, (name, protocol) in enumerate((("udp", "17"), ("tcp", "6")), 10):
        net.ec2.create_network_acl_entry(**entry(acl, number, protocol, egress=True, ports=(1024, 65535)))
        passes(a, c, name)
        net.ec2.delete_network_acl_entry(NetworkAclId=acl, RuleNumber=number, Egress=True)
    blocked(a, c)

    put(before["NetworkAclId"], now)
    passes(a, c)
    net.ec2.delete_network_acl(NetworkAclId=acl)


@contextmanager
def peered(net: Net) -> Iterator[str]:
    ec2 = net.same.ec2
    asked = ec2.create_vpc_peering_connection(VpcId=net.same.id, PeerVpcId=net.far.id)["VpcPeeringConnection"]
    peering: str = asked["VpcPeeringConnectionId"]
    ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
    try:
        yield peering
    finally:
        ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=peering)


def test_peers_reach_each_other_while_both_have_a_route(net: Net) -> None:
    d, e = net.guests("d", "e")
    ec2 = net.same.ec2
    with peered(net) as peering:
        there = routed(ec2, net.same_table, "10.30.0.0/16", VpcPeeringConnectionId=peering)
        back = routed(ec2, net.far_table, "10.20.0.0/16", VpcPeeringConnectionId=peering)
        blocked(d, e)
        with there:
            blocked(d, e)
            blocked(e, d)
            with back:
                passes(d, e)
                passes(e, d)
            blocked(d, e)
        with routed(ec2, net.far_table, "10.20.0.0/16", VpcPeeringConnectionId=peering):
            blocked(e, d)
            with routed(ec2, net.same_table, "10.30.0.0/16", VpcPeeringConnectionId=peering):
                passes(e, d)
    blocked(d, e)


def test_the_same_addresses_of_two_accounts_never_meet(net: Net) -> None:
    """b and d have one address, and nobody has a's in d's VPC."""
    a, b, d, e = net.guests("a", "b", "d", "e")
    ec2 = net.same.ec2
    with peered(net) as peering:
        to_far = routed(ec2, net.same_table, "10.30.0.0/16", VpcPeeringConnectionId=peering)
        to_same = routed(ec2, net.far_table, "10.20.0.0/16", VpcPeeringConnectionId=peering)
        with to_far, to_same:
            for asking, there, elsewhere in ((a, b, d), (e, d, b)):
                before, seen = there.datagrams(), elsewhere.datagrams()
                for _ in range(3):
                    passes(asking, there)
                assert there.datagrams() >= before + 3
                assert elsewhere.datagrams() == seen
            before = a.datagrams()
            blocked(e, A)
            blocked(d, A)
            assert a.datagrams() == before
            passes(b, a)


def test_a_guest_is_told_the_dhcp_options_of_its_vpc(net: Net) -> None:
    a, e = net.guests("a", "e")
    assert e("cat /etc/resolv.conf").split("\n") == [
        "search far.example",
        "nameserver 192.0.2.53",
        "nameserver 192.0.2.54",
    ]
    assert "nameserver 10.20.0.2" in a("cat /etc/resolv.conf").split("\n")


METADATA = "169.254.169.254"
HTTP = r"printf 'GET / HTTP/1.0\r\n\r\n'"
"""A request, as a guest's shell makes it."""


def fetched(guest: Guest, source: str = "") -> str:
    """The first line of what the metadata service answers, asked from an address."""
    guest(f"ip route replace {METADATA} dev eth0 src {source or guest.address}")
    return guest(f"exec 2>/dev/null; {HTTP} | timeout {SECONDS} nc {METADATA} 80 | head -n 1")


def test_a_guest_reads_its_own_metadata_alone(net: Net) -> None:
    """Of two with one address, each its own; of another's address nothing, even where sources are not checked."""
    a, b, d = net.guests("a", "b", "d")
    assert [guest("imds meta-data/instance-id") for guest in (b, d)] == [b.id, d.id]
    eventually(lambda: fetched(a).startswith("HTTP/1"))
    checked(net, a, False)
    try:
        with extra(a, B):
            assert fetched(a, B) == ""
    finally:
        checked(net, a, True)
    eventually(lambda: fetched(a).startswith("HTTP/1"))
    assert a("imds meta-data/instance-id") == a.id


@contextmanager
def loopback_sent_out(guest: Guest) -> Iterator[None]:
    """What the guest sends to 127.0.0.1 leaves it."""
    guest("sysctl -w net.ipv4.conf.all.route_localnet=1; ip addr del 127.0.0.1/8 dev lo")
    guest(f"ip route add 127.0.0.1/32 via {guest.address.rpartition('.')[0]}.1 dev eth0 src {guest.address}")
    try:
        yield
    finally:
        guest("ip route del 127.0.0.1/32; ip addr add 127.0.0.1/8 dev lo; sysctl -w net.ipv4.conf.all.route_localnet=0")


def test_a_guest_reaches_neither_the_api_nor_any_service_of_the_host(net: Net, service: int) -> None:
    """What is beyond the host it reaches meanwhile."""
    [a] = net.guests("a")
    api = net.cloud.served.port
    for address in hosts_addresses():
        with socket.create_connection((address, service), 5) as connection:
            assert connection.recv(100) == b"the host"
    with socket.create_connection(("127.0.0.1", api), 5) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert connection.recv(100)
    asked = {(address, service) for address in (*hosts_addresses(), *ROUTERS, net.cloud.public(a))}
    asked |= {(address, api) for address in ("127.0.0.1", *ROUTERS)}
    with beyond() as world, loopback_sent_out(a):
        eventually(lambda: a.hears(world, 80).startswith("world"))
        sent = int(a("cat /sys/class/net/eth0/statistics/tx_packets"))
        ask = " ".join(f"({HTTP} | timeout {SECONDS} nc {address} {port}) &" for address, port in sorted(asked))
        assert a(f"exec 2>/dev/null; {ask} wait") == ""
        assert int(a("cat /sys/class/net/eth0/statistics/tx_packets")) >= sent + len(asked)
        eventually(lambda: a.hears(world, 80).startswith("world"))


SERVED = (rule("tcp", WEB, cidr="127.0.0.0/8"), rule("udp", DATAGRAM, cidr="127.0.0.1/32"))
"""Opens the ports of guests' public addresses to this host."""
ROUTER = "10.20.1.1"
"""Who asks from this host, as guests see it."""


def test_a_launched_guest_answers_at_the_public_address_that_it_got_by_itself(net: Net) -> None:
    """a by its subnet, d as it was asked for; b was asked to have none."""
    a, b, d = net.guests("a", "b", "d")
    assert net.cloud.public(b) == ""
    for guest in (a, d):
        address = net.cloud.public(guest)
        assert ip_address(address) in ip_network("127.13.0.0/16")
        with net.cloud.grouped(guest) as group:
            assert asked_by_host(address) == {}
            for one, answered in zip(SERVED, (["tcp"], ["tcp", "udp"]), strict=True):
                net.cloud.ec2(guest).authorize_security_group_ingress(GroupId=group, IpPermissions=[one])
                reached(address, guest.answers(ROUTER, *answered))


def test_an_elastic_address_answers_while_it_is_a_guests(net: Net) -> None:
    a, b = net.guests("a", "b")
    given = net.ec2.allocate_address()
    address = given["PublicIp"]
    assert asked_by_host(address) == {}
    with net.cloud.grouped(a, *SERVED), net.cloud.grouped(b, *SERVED):
        for guest in (b, a, b):
            asked = {"AllocationId": given["AllocationId"], "NetworkInterfaceId": guest.interface}
            association = net.ec2.associate_address(**asked, AllowReassociation=True)["AssociationId"]
            reached(address, guest.answers(ROUTER))
        net.ec2.disassociate_address(AssociationId=association)
        assert asked_by_host(address) == {}
    net.ec2.release_address(AllocationId=given["AllocationId"])
