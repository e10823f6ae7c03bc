"""The rules N: networks and subnets."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from isthmus.errors import Conflict, Denied, Invalid, NotFound
from isthmus.model import AclRule, Dhcp, Direction, Hop, Image, Route, SubnetWiring, Wiring
from isthmus.providers import Capability, Cloud, NetworkSpec, ServerSpec, SubnetSpec

from .kit import Maker, Patience, refused, root_disk, word

pytestmark = pytest.mark.needs("networks")
MAKE = pytest.mark.needs(Capability.NETWORKS)


def test_there_is_a_default_network_with_a_subnet_in_every_zone(session: Any) -> None:
    """N1"""
    [network] = [one for one in session.networks.list_networks() if one.default]
    subnets = [one for one in session.networks.list_subnets() if one.default]

    assert sorted(zone.name for zone in session.compute.list_zones()) == sorted(one.zone for one in subnets)
    assert {network.native} == {one.network for one in subnets}
    ranges: list[Any] = [ip_network(one) for one in (network.cidr, *network.more)]
    assert all(any(ip_network(one.cidr).subnet_of(each) for each in ranges) for one in subnets)


@MAKE
def test_a_new_network_is_not_the_default_and_has_no_subnets(session: Any, made: Maker) -> None:
    """N2"""
    network = made.network(name="a name")

    assert (network.name, network.cidr, network.default) == ("a name", "10.77.0.0/16", False)
    assert network.native not in {subnet.network for subnet in session.networks.list_subnets()}


@MAKE
@pytest.mark.parametrize("cidr", ["", "no range", "10.77.0.1/16", "10.77.0.0/33", "300.0.0.0/8"])
def test_a_range_that_is_none_is_invalid(cidr: str, made: Maker) -> None:
    """N3"""
    with refused(Invalid, field="cidr"):
        made.network(cidr=cidr)
    with refused(Invalid, field="cidr"):
        made.subnet(cidr=cidr)


@MAKE
def test_a_subnet_lies_within_its_network(made: Maker, zone: str) -> None:
    """N4"""
    network = made.network()

    subnet = made.subnet(network=network.native)

    assert (network.native, "10.77.1.0/24", zone) == (subnet.network, subnet.cidr, subnet.zone)
    with refused(Invalid, field="cidr"):
        made.subnet(network=network.native, cidr="10.78.0.0/24")
    with refused(NotFound, kind="network"):
        made.subnet(network="no-such-network")
    with refused(Invalid, field="zone"):
        made.subnet(network=network.native, cidr="10.77.2.0/24", zone="no-such-zone")


@MAKE
def test_subnets_of_a_network_do_not_overlap(session: Any, made: Maker) -> None:
    """N5"""
    network = made.network().native
    made.subnet(network=network)

    with refused(Conflict, code="duplicate", kind="subnet"):
        made.subnet(network=network, cidr="10.77.0.0/20")

    assert len([one for one in session.networks.list_subnets() if one.network == network]) == 1


@MAKE
def test_a_network_with_subnets_cannot_be_deleted(session: Any, made: Maker) -> None:
    """N6"""
    network = made.network().native
    subnet = made.subnet(network=network).native
    with refused(Conflict, code="in-use", kind="network"):
        session.networks.delete_network(network)

    session.networks.delete_subnet(subnet)
    session.networks.delete_network(network)

    assert network not in {one.native for one in session.networks.list_networks()}


def test_the_default_network_is_deleted_and_made_again_or_not_at_all(
    cloud: Cloud, other: Any, patience: Patience, zone: str
) -> None:
    """N7"""
    networks = other.networks
    [network] = [one for one in networks.list_networks() if one.default]
    subnets = [one for one in networks.list_subnets() if one.default]
    if {Capability.NETWORKS, Capability.DEFAULT_NETWORK} & cloud.lacks.keys():
        for delete, native in ((networks.delete_network, network.native), (networks.delete_subnet, subnets[0].native)):
            with pytest.raises(Denied):
                delete(native)
        return
    with refused(Conflict, code="duplicate", kind="network"):
        networks.create_network(NetworkSpec(word(), "second", network.cidr, default=True))
    for subnet in subnets:
        networks.delete_subnet(subnet.native)
    networks.delete_network(network.native)
    assert not [one for one in networks.list_networks() if one.default]

    again = networks.create_network(NetworkSpec(word(), "default", network.cidr, default=True))
    for subnet in subnets:
        networks.create_subnet(SubnetSpec(word(), "default", again.native, subnet.cidr, subnet.zone, default=True))

    assert again.default
    assert [one.zone for one in subnets] == [one.zone for one in networks.list_subnets() if one.default]
    with refused(Conflict, code="duplicate", kind="subnet"):
        networks.create_subnet(SubnetSpec(word(), "more", again.native, "172.31.240.0/24", zone, default=True))


@pytest.mark.boots
@pytest.mark.needs(Capability.LAUNCH)
@MAKE
def test_a_subnet_with_a_server_cannot_be_deleted(session: Any, made: Maker, plain: ServerSpec, image: Image) -> None:
    """N8"""
    subnet = made.subnet()
    made.server(replace(plain, ref=word(), subnet=subnet.native, disks=(root_disk(image),)))

    with refused(Conflict, code="in-use", kind="subnet"):
        session.networks.delete_subnet(subnet.native)

    assert subnet.native in {one.native for one in session.networks.list_subnets()}


def test_a_subnet_counts_its_free_addresses(session: Any) -> None:
    """N9"""
    for subnet in session.networks.list_subnets():
        assert 0 < subnet.free < ip_network(subnet.cidr).num_addresses


@MAKE
@pytest.mark.needs(Capability.NETWORK_RANGES)
def test_a_network_gets_further_ranges(session: Any, made: Maker) -> None:
    """N10"""
    network = made.network().native

    session.networks.add_range(network, "10.99.0.0/16")
    session.networks.add_range(network, "10.99.0.0/16")
    subnet = made.subnet(network=network, cidr="10.99.1.0/24").native

    [found] = [one for one in session.networks.list_networks() if one.native == network]
    assert ("10.77.0.0/16", "10.99.0.0/16") == found.ranges
    with refused(Conflict, code="duplicate", kind="network"):
        session.networks.add_range(network, "10.99.128.0/17")
    with refused(Conflict, code="in-use", kind="network"):
        session.networks.remove_range(network, "10.99.0.0/16")
    session.networks.delete_subnet(subnet)
    session.networks.remove_range(network, "10.99.0.0/16")
    with refused(Invalid, field="cidr"):
        session.networks.remove_range(network, "10.99.0.0/16")


def test_a_network_is_wired_as_was_last_said(cloud: Cloud, session: Any, made: Maker) -> None:
    """N11"""
    if Capability.ROUTES in cloud.lacks or Capability.NETWORKS in cloud.lacks:
        native = session.networks.list_networks()[0].native
        session.networks.wire(native, session.networks.wiring_of(native))
        return
    network, subnet = full(made)
    for wiring in (wired(cloud, made, subnet), Wiring(), wired(cloud, made, subnet)):
        session.networks.wire(network, wiring)
        session.networks.wire(network, wiring)

        assert wiring == session.networks.wiring_of(network)
    session.networks.wire(network, Wiring())


@MAKE
@pytest.mark.needs(Capability.ROUTES)
def test_a_wiring_of_what_does_not_exist_changes_nothing(cloud: Cloud, session: Any, made: Maker) -> None:
    """N12"""
    network, subnet = full(made)
    _, elsewhere = full(made)
    before = session.networks.wiring_of(network)

    def on(route: Route) -> Wiring:
        return Wiring(subnets=(SubnetWiring(subnet, (route,)),))

    unknown = () if Capability.PEERING in cloud.lacks else (Wiring(peers=("no-such-network",)),)
    for wiring in (
        *unknown,
        Wiring(subnets=(SubnetWiring("no-such-subnet"),)),
        Wiring(subnets=(SubnetWiring(elsewhere),)),
        on(Route("0.0.0.0/0", Hop.PORT, "no-such-port")),
        on(Route("0.0.0.0/0", Hop.NAT, "no-such-port")),
        on(Route("0.0.0.0/0", Hop.PEER, network)),
    ):
        with pytest.raises(NotFound):
            session.networks.wire(network, wiring)
    with refused(Invalid, field="routes"):
        session.networks.wire(network, on(Route("0.0.0.0/0", Hop.INTERNET)))

    assert before == session.networks.wiring_of(network)


@MAKE
def test_only_the_default_network_begins_with_a_way_to_the_internet(session: Any, made: Maker) -> None:
    """N13"""
    [default] = [one.native for one in session.networks.list_networks() if one.default]

    assert session.networks.wiring_of(default).internet
    assert Wiring() == session.networks.wiring_of(made.network().native)


@MAKE
@pytest.mark.needs("firewalls")
def test_a_network_has_a_default_firewall_that_goes_with_it(session: Any, made: Maker) -> None:
    """N14"""
    network = made.network().native
    [own] = [one for one in session.firewalls.list_firewalls() if one.network == network]
    assert "default" == own.name
    with pytest.raises(Denied):
        session.firewalls.delete_firewall(own.native)
    other = made.firewall(network=network).native
    with refused(Conflict, code="in-use", kind="network"):
        session.networks.delete_network(network)

    session.firewalls.delete_firewall(other)
    session.networks.delete_network(network)

    assert own.native not in {one.native for one in session.firewalls.list_firewalls()}


def full(made: Maker) -> tuple[str, str]:
    """A network with a subnet."""
    network = made.network().native
    return network, made.subnet(network=network).native


def wired(cloud: Cloud, made: Maker, subnet: str) -> Wiring:
    """As much as the cloud can do."""
    able = [one for one in Capability if one not in cloud.lacks]
    out = Route("0.0.0.0/0", Hop.INTERNET)
    peers = (made.network(cidr="10.88.0.0/16").native,) if Capability.PEERING in able else ()
    across = tuple(Route("10.88.0.0/16", Hop.PEER, peer) for peer in peers)
    ports = [made.port(subnet=subnet).native] if Capability.PORTS in able else []
    through = tuple(Route("192.0.2.0/24", Hop.PORT, port) for port in ports)
    refuse = AclRule(100, Direction.INGRESS, False, "tcp", "0.0.0.0/0", 22, 22)
    acl = (refuse,) if Capability.ACLS in able else None
    dhcp = Dhcp("example.org", ("192.0.2.53",)) if Capability.DHCP in able else Dhcp()
    return Wiring(True, peers, (SubnetWiring(subnet, (out, *across, *through), acl),), dhcp)
