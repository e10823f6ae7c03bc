"""The rules A: public addresses."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from isthmus.errors import Conflict, Invalid
from isthmus.model import Address, Image
from isthmus.providers import Capability, ServerSpec

from .kit import Maker, Patience, refused, root_disk, word

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

    session.addresses.associate_address(native, running)

    address = address_of(session, native)
    [port] = server.ports
    assert (running, port.native, port.address) == (address.server, address.port, address.private)


@pytest.mark.boots
@pytest.mark.needs(Capability.LAUNCH)
def test_an_address_is_of_one_server(running: str, session: Any, made: Maker, plain: ServerSpec, image: Image) -> None:
    """A4"""
    native = made.address().native
    session.addresses.associate_address(native, running)
    before = address_of(session, native)

    session.addresses.associate_address(native, running)
    second = made.server(replace(plain, ref=word(), disks=(root_disk(image),))).native
    with refused(Conflict, code="in-use", kind="address"):
        session.addresses.associate_address(native, second)

    assert before == address_of(session, native)


def test_a_server_has_one_address(running: str, session: Any, made: Maker) -> None:
    """A5"""
    first, second = made.address().native, made.address().native
    session.addresses.associate_address(first, running)

    with refused(Conflict, code="in-use", kind="server"):
        session.addresses.associate_address(second, running)

    assert address_of(session, second).server == ""


def test_an_associated_address_cannot_be_released(running: str, session: Any, made: Maker) -> None:
    """A6"""
    native = made.address().native
    session.addresses.associate_address(native, running)

    with refused(Conflict, code="in-use", kind="address"):
        session.addresses.release_address(native)

    assert running == address_of(session, native).server


def test_a_disassociated_address_is_of_no_server(running: str, session: Any, made: Maker) -> None:
    """A7"""
    native = made.address().native
    session.addresses.associate_address(native, running)

    session.addresses.disassociate_address(native)
    session.addresses.disassociate_address(native)

    address = address_of(session, native)
    assert (address.server, address.port, address.private) == ("", "", "")


def test_a_released_address_is_gone(session: Any, made: Maker, patience: Patience) -> None:
    """A8"""
    native = made.address().native

    session.addresses.release_address(native)

    patience.gone(lambda: session.addresses.list_addresses(), native)
