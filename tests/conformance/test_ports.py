"""The rules P: network interfaces."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from isthmus.errors import Conflict, Invalid, NoCapacity, NotFound
from isthmus.model import Image, Port, Subnet
from isthmus.providers import Capability, Cloud, PortSpec, ServerSpec

from .kit import Maker, Patience, first_port, refused, root_disk, word

pytestmark = pytest.mark.needs("ports")
MAKE = pytest.mark.needs(Capability.PORTS)
ADDRESSES = pytest.mark.needs(Capability.PORTS, Capability.PORT_ADDRESSES, Capability.NETWORKS)


def port_of(session: Any, native: str) -> Port:
    [found] = [one for one in session.ports.list_ports() if one.native == native]
    return found  # type: ignore[no-any-return]


def subnet_of(session: Any, native: str) -> Subnet:
    [found] = [one for one in session.networks.list_subnets() if one.native == native]
    return found  # type: ignore[no-any-return]


def test_the_ports_of_servers_are_listed(running: str, session: Any) -> None:
    """P1"""
    [server] = session.compute.list_servers([running])

    for port in server.ports:
        assert port == port_of(session, port.native)
        assert (running, True) == (port.server, port.delete_with_server)
        assert port.since is not None


@MAKE
def test_a_new_port_is_of_no_server(session: Any, made: Maker) -> None:
    """P2"""
    one, two = made.port(), made.port()

    subnet = subnet_of(session, one.subnet)
    assert ip_address(one.address) in ip_network(subnet.cidr)
    assert (subnet.network, "", None) == (one.network, one.server, one.since)
    assert one.mac != two.mac
    assert one.address != two.address


@MAKE
@pytest.mark.needs("firewalls")
def test_a_port_gets_the_firewalls_it_named_or_else_the_default_one(session: Any, made: Maker) -> None:
    """P3"""
    own, default = made.firewall().native, made.port()
    [guard] = [one for one in session.firewalls.list_firewalls() if one.native == default.firewalls[0]]

    assert ("default", default.network) == (guard.name, guard.network)
    assert (own,) == made.port(firewalls=(own,)).firewalls
    with refused(NotFound, kind="firewall"):
        made.port(firewalls=("no-such-firewall",))
    with refused(NotFound, kind="subnet"):
        made.port(subnet="no-such-subnet")


@MAKE
@pytest.mark.needs("firewalls", Capability.NETWORKS)
def test_a_firewall_of_another_network_is_invalid(made: Maker) -> None:
    """P4"""
    elsewhere = made.firewall(network=made.network().native).native

    with refused(Invalid, field="firewalls"):
        made.port(firewalls=(elsewhere,))


@ADDRESSES
def test_a_port_has_the_addresses_it_was_asked_for(session: Any, made: Maker) -> None:
    """P5"""
    subnet = made.subnet().native
    port = made.port(subnet=subnet, address="10.77.1.50", secondary=("10.77.1.60",), count=2)

    assert ("10.77.1.50", "10.77.1.60") == port.addresses[:2]
    assert 4 == len(set(port.addresses))
    with refused(Invalid, field="address"):
        made.port(subnet=subnet, address="10.78.0.1")
    with refused(Conflict, code="in-use", kind="address"):
        made.port(subnet=subnet, address="10.77.1.60")


@ADDRESSES
def test_a_full_subnet_has_no_capacity_and_keeps_nothing(session: Any, made: Maker) -> None:
    """P6"""
    subnet = made.subnet(cidr="10.77.1.0/28")
    with refused(NoCapacity, kind="address"):
        made.port(subnet=subnet.native, count=subnet.free)
    assert subnet.free == subnet_of(session, subnet.native).free

    port = made.port(subnet=subnet.native, count=subnet.free - 1)

    assert 0 == subnet_of(session, subnet.native).free
    with refused(NoCapacity, kind="address"):
        session.ports.add_addresses(port.native, [], 1)
    session.ports.delete_port(port.native)
    assert subnet.free == subnet_of(session, subnet.native).free


@pytest.mark.boots
@pytest.mark.needs(Capability.PORT_ADDRESSES)
def test_further_addresses_come_and_go(port: Port, session: Any) -> None:
    """P7"""
    wanted = str(ip_network(subnet_of(session, port.subnet).cidr)[-9])

    session.ports.add_addresses(port.native, [wanted], 1)
    after = port_of(session, port.native)
    assert (port.address, 2, True) == (after.address, len(after.secondary), wanted in after.secondary)

    with refused(Invalid, field="addresses"):
        session.ports.remove_addresses(port.native, [port.address])
    session.ports.remove_addresses(port.native, after.secondary)
    assert () == port_of(session, port.native).secondary


@pytest.mark.boots
@pytest.mark.needs("firewalls", Capability.PORT_FIREWALLS)
def test_the_firewalls_of_a_port_are_replaced_as_a_whole(
    request: pytest.FixtureRequest, cloud: Cloud, session: Any, made: Maker
) -> None:
    """P8"""
    state = "stopped" if Capability.RUNNING_FIREWALLS in cloud.lacks else "running"
    port = port_of(session, first_port(session, request.getfixturevalue(state)))
    new = made.firewall().native
    session.ports.set_firewalls(port.native, [new])
    assert (new,) == port_of(session, port.native).firewalls

    with pytest.raises(Invalid):
        session.ports.set_firewalls(port.native, [])
    with pytest.raises(NotFound):
        session.ports.set_firewalls(port.native, [*port.firewalls, "no-such-thing"])
    assert (new,) == port_of(session, port.native).firewalls

    session.ports.set_firewalls(port.native, port.firewalls)
    assert port == port_of(session, port.native)


@MAKE
def test_a_port_is_attached_at_an_index_and_detached(running: str, session: Any, made: Maker) -> None:
    """P9"""
    port, second = made.port().native, made.port().native
    session.ports.attach_port(port, running, 2)

    [server] = session.compute.list_servers([running])
    assert [0, 2] == [one.index for one in server.ports]
    assert (running, 2, False) == (
        port_of(session, port).server,
        port_of(session, port).index,
        port_of(session, port).delete_with_server,
    )
    with refused(Conflict, code="in-use", kind="index"):
        session.ports.attach_port(second, running, 2)
    with refused(Conflict, code="in-use", kind="port"):
        session.ports.attach_port(port, running, 3)
    with refused(NotFound, kind="server"):
        session.ports.attach_port(second, "no-such-server", 1)

    session.ports.detach_port(port)
    session.ports.detach_port(port)
    [server] = session.compute.list_servers([running])
    assert ("", [0]) == (port_of(session, port).server, [one.index for one in server.ports])


def test_a_server_keeps_its_first_port(running: str, session: Any) -> None:
    """P10"""
    native = first_port(session, running)

    with refused(Conflict, code="state", kind="port"):
        session.ports.detach_port(native)
    with refused(Conflict, code="in-use", kind="port"):
        session.ports.delete_port(native)

    assert running == port_of(session, native).server


@MAKE
def test_what_a_port_does_with_its_server_can_be_changed(running: str, session: Any, made: Maker) -> None:
    """P11"""
    port = made.port().native
    with refused(Conflict, code="state", kind="port"):
        session.ports.set_delete_with_server(port, True)
    session.ports.attach_port(port, running, 1)

    session.ports.set_delete_with_server(port, True)
    session.ports.set_source_check(port, False)

    after = port_of(session, port)
    assert (True, False) == (after.delete_with_server, after.source_check)


@MAKE
@pytest.mark.boots
@pytest.mark.needs(Capability.LAUNCH)
@pytest.mark.parametrize("indexes", [(), (0, 2)], ids=["next", "apart"])
def test_a_server_is_made_with_ports_that_are_there(
    session: Any, made: Maker, plain: ServerSpec, image: Image, patience: Patience, indexes: tuple[int, ...]
) -> None:
    """P12"""
    goes, stays = made.port(delete_with_server=True).native, made.port().native
    spec = replace(plain, ref=word(), ports=(goes, stays), indexes=indexes, disks=(root_disk(image),))
    server = made.server(spec)

    assert [goes, stays] == [port.native for port in server.ports]
    assert [0, indexes[1] if indexes else 1] == [port.index for port in server.ports]
    with refused(Conflict, code="in-use", kind="port"):
        made.server(replace(spec, ref=word(), ports=(stays,)))

    session.compute.delete_server(server.native)
    patience.gone(lambda: session.compute.list_servers([server.native]), server.native)
    patience.gone(lambda: session.ports.list_ports(), goes)
    assert "" == port_of(session, stays).server


@MAKE
@pytest.mark.boots
@pytest.mark.needs(Capability.LAUNCH)
def test_a_server_whose_ports_cannot_be_had_leaves_them_alone(session: Any, made: Maker, plain: ServerSpec) -> None:
    """P13"""
    port = made.port().native
    for ports in ((port, "no-such-port"), (port, port)):
        with pytest.raises((NotFound, Invalid)):
            made.server(replace(plain, ref=word(), ports=ports))

    assert "" == port_of(session, port).server


@pytest.mark.boots
@pytest.mark.needs(Capability.LAUNCH, Capability.SERVER_PORTS, Capability.NETWORKS, "firewalls")
def test_a_server_is_made_with_further_ports(
    cloud: Cloud, session: Any, made: Maker, plain: ServerSpec, image: Image, patience: Patience
) -> None:
    """P14"""
    if Capability.PORTS not in cloud.lacks:
        pytest.skip("ports are made before their server here, and P12 has the rule")
    network = made.network().native
    first, second = (made.subnet(network=network, cidr=f"10.77.{n}.0/24").native for n in (1, 2))
    default = made.subnet(network=network, cidr="10.77.3.0/24").native
    guard = made.firewall(network=network).native
    spec = replace(plain, ref=word(), subnet=first, address="", firewalls=(), disks=(root_disk(image),))
    named = PortSpec("", second, "10.77.2.60", firewalls=(guard,), delete_with_server=True)
    for wrong, fault in (
        (replace(named, subnet="no-such-subnet"), NotFound),
        (replace(named, address="192.0.2.1"), Invalid),
    ):
        with pytest.raises(fault):
            made.server(replace(spec, ref=word(), further=(wrong,)))
    with refused(NotFound, kind="firewall"):
        made.server(replace(spec, ref=word(), further=(replace(named, firewalls=("no-such-firewall",)),)))

    server = made.server(replace(spec, further=(named, replace(named, subnet=default, address="", firewalls=()))))

    assert [0, 1, 2] == [port.index for port in server.ports]
    assert [first, second, default] == [port.subnet for port in server.ports]
    assert "10.77.2.60" == server.ports[1].address
    assert (guard,) == server.ports[1].firewalls
    assert server.ports[0].firewalls == server.ports[2].firewalls
    assert all(port.delete_with_server and port == port_of(session, port.native) for port in server.ports)
    session.compute.delete_server(server.native)
    for port in server.ports:
        patience.gone(session.ports.list_ports, port.native)
