"""The rules N: networks and subnets."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from isthmus.errors import Conflict, Denied, Invalid, NotFound
from isthmus.model import Image
from isthmus.providers import Capability, ServerSpec

from .kit import Maker, refused, root_disk, word

pytestmark = pytest.mark.needs("networks")
MAKE = pytest.mark.needs(Capability.NETWORKS)


def test_there_is_a_default_network_with_a_subnet_in_every_zone(session: Any) -> None:
    """N1"""
    [network] = [one for one in session.networks.list_networks() if one.default]
    subnets = [one for one in session.networks.list_subnets() if one.default]

    assert sorted(zone.name for zone in session.compute.list_zones()) == sorted(one.zone for one in subnets)
    assert {network.native} == {one.network for one in subnets}
    assert all(ip_network(one.cidr).subnet_of(ip_network(network.cidr)) for one in subnets)  # type: ignore[arg-type]


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


def test_the_default_network_and_subnets_cannot_be_deleted(session: Any) -> None:
    """N7"""
    networks, subnets = session.networks.list_networks(), session.networks.list_subnets()

    with pytest.raises(Denied):
        session.networks.delete_network(next(one.native for one in networks if one.default))
    with pytest.raises(Denied):
        session.networks.delete_subnet(next(one.native for one in subnets if one.default))

    assert list(networks) == list(session.networks.list_networks())
    assert [one.native for one in subnets] == [one.native for one in session.networks.list_subnets()]


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
