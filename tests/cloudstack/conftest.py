"""What tests of CloudStack need: an emulator of each zone kind, and who has keys to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from emulated_cloudstack import TENANTS, Emulated, Isthmus, emulating, fronted
from emulators.cloudstack.server import Emulator
from emulators.cloudstack.world import Account, World

from isthmus.providers.cloudstack.client import Client, Wire
from isthmus.providers.cloudstack.signing import Keys


@pytest.fixture(params=[True, False], ids=["groups", "vpcs"])
def stack(request: pytest.FixtureRequest) -> Iterator[Emulated]:
    """A cloud on an emulator, of each zone kind."""
    made = Emulated("stack", groups=request.param)
    yield made
    made.close()


@pytest.fixture
def session(stack: Emulated) -> Any:
    return stack.session(TENANTS[0])


@pytest.fixture
def other(stack: Emulated) -> Any:
    """Of another account."""
    return stack.session(TENANTS[1])


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """What it says itself is by the contract."""
    with emulating(groups=False) as made:
        yield made


@pytest.fixture
def grouped() -> Iterator[Emulator]:
    """One whose zone has security groups."""
    with emulating(groups=True) as made:
        yield made


@pytest.fixture
def cloud(emulator: Emulator) -> World:
    return emulator.world


@pytest.fixture
def account(cloud: World) -> Account:
    return cloud.new_account("demo")


@pytest.fixture
def stranger(cloud: World) -> Account:
    return cloud.new_account("alt")


@pytest.fixture
def wire(emulator: Emulator) -> Iterator[Wire]:
    made = Wire(emulator.url)
    yield made
    made.close()


@pytest.fixture
def client(wire: Wire, account: Account) -> Client:
    return Client(wire, Keys(account.api, account.secret))


@pytest.fixture
def isthmus(tmp_path: Path) -> Iterator[Isthmus]:
    """An Isthmus over a zone with security groups."""
    with fronted(tmp_path, groups=True) as made:
        yield made


@pytest.fixture
def ec2(isthmus: Isthmus) -> Any:
    return isthmus.client()
