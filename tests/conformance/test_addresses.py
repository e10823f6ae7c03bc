"""The rules A: public addresses."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from isthmus.errors import Conflict, Invalid
from isthmus.model import Address, Image, Port, ServerState
from isthmus.providers import Capability, ServerSpec

from .kit import Maker, Patience, first_port, refused, root_disk, word

pytestmark = pytest.mark.needs("addresses")


def address_of(session: Any, native: str) -> Address:
    [found] = [one for one in session.addresses.list_addresses() if one.native == native]
    return found  # type: ignore[no-any-return]


def test_a_new_address_is_of_no_server(made: Maker) -> None:
    """A1"""
    one, two = made.address(), made.address()

    assert ip_address(one.address) != ip_address(two.address)
    assert (one.server, one.port, one.private) == ("", "", "")


@pytest.mark.parametrize("address", ["no address", "8.8.8.8", "1.2.3.4.5"])
def test_an_address_the_cloud_does_not_have_is_invalid(address: str, made: Maker) -> None:
    """A2"""
    with refused(Invalid, field="address"):
        made.address(address=address)


def test_an_associated_address_names_its_server_and_port(running: str, session: Any, made: Maker) -> None:
    """A3"""
    native = made.address().native
    [server] = session.compute.list_servers([running])

    session.addresses.associate_address(native, first_port(session, running))

    address = address_of(session, native)
    [port] = server.ports
    assert (running, port.native, port.address) == (address.server, address.port, address.private)


@pytest.mark.boots
@pytest.mark.needs(Capability.LAUNCH)
def test_an_address_is_of_one_server(running: str, session: Any, made: Maker, plain: ServerSpec, image: Image) -> None:
    """A4"""
    native = made.address().native
    session.addresses.associate_address(native, first_port(session, running))
    before = address_of(session, native)

    session.addresses.associate_address(native, first_port(session, running))
    second = made.server(replace(plain, ref=word(), disks=(root_disk(image),))).native
    with refused(Conflict, code="in-use", kind="address"):
        session.addresses.associate_address(native, first_port(session, second))

    assert before == address_of(session, native)


def test_a_private_address_has_one_public_one(running: str, session: Any, made: Maker) -> None:
    """A5"""
    first, second = made.address().native, made.address().native
    session.addresses.associate_address(first, first_port(session, running))

    with refused(Conflict, code="in-use", kind="port"):
        session.addresses.associate_address(second, first_port(session, running))

    assert address_of(session, second).server == ""


def test_an_associated_address_cannot_be_released(running: str, session: Any, made: Maker) -> None:
    """A6"""
    native = made.address().native
    session.addresses.associate_address(native, first_port(session, running))

    with refused(Conflict, code="in-use", kind="address"):
        session.addresses.release_address(native)

    assert running == address_of(session, native).server


def test_a_disassociated_address_is_of_no_server(running: str, session: Any, made: Maker) -> None:
    """A7"""
    native = made.address().native
    session.addresses.associate_address(native, first_port(session, running))

    session.addresses.disassociate_address(native)
    session.addresses.disassociate_address(native)

    address = address_of(session, native)
    assert (address.server, address.port, address.private) == ("", "", "")


def test_a_released_address_is_gone(session: Any, made: Maker, patience: Patience) -> None:
    """A8"""
    native = made.address().native

    session.addresses.release_address(native)

    patience.gone(lambda: session.addresses.list_addresses(), native)


@pytest.mark.boots
@pytest.mark.needs("ports", Capability.PORT_ADDRESSES)
def test_each_address_of_a_port_has_a_public_one_of_its_own(port: Port, session: Any, made: Maker) -> None:
    """A9"""
    session.ports.add_addresses(port.native, [], 1)
    [further] = next(each for each in session.ports.list_ports() if each.native == port.native).secondary
    made.later(lambda: session.ports.remove_addresses(port.native, [further]))
    one, two = made.address().native, made.address().native

    session.addresses.associate_address(one, port.native)
    session.addresses.associate_address(two, port.native, further)

    assert [port.address, further] == [address_of(session, native).private for native in (one, two)]
    assert {port.native} == {address_of(session, native).port for native in (one, two)}
    with refused(Invalid, field="private"):
        session.addresses.associate_address(made.address().native, port.native, "192.0.2.1")


@pytest.mark.boots
@pytest.mark.needs("ports", Capability.PORTS)
def test_an_address_follows_its_port(running: str, session: Any, made: Maker) -> None:
    """A10"""
    port, native = made.port(), made.address().native
    session.addresses.associate_address(native, port.native)
    assert "" == address_of(session, native).server

    session.ports.attach_port(port.native, running, 1)
    assert running == address_of(session, native).server

    session.ports.detach_port(port.native)
    assert "" == address_of(session, native).server
    session.ports.delete_port(port.native)
    assert "" == address_of(session, native).port


@pytest.mark.boots
@pytest.mark.needs("compute", Capability.LAUNCH)
def test_an_address_for_a_zone_serves_servers_there(
    session: Any, made: Maker, plain: ServerSpec, image: Image, patience: Patience
) -> None:
    """A11"""
    zone = session.compute.list_zones()[-1].name
    server = made.server(replace(plain, ref=word(), zone=zone, disks=(root_disk(image),)))
    patience.server(session, server.native, ServerState.RUNNING)
    address = made.address(zone=zone)

    session.addresses.associate_address(address.native, first_port(session, server.native))

    assert server.native == address_of(session, address.native).server
    assert address.zone in ("", zone)
