"""An emulated CloudStack for the commands that speak to one, and who has keys to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from emulated_cloudstack import emulating
from emulators.cloudstack.server import Emulator
from emulators.cloudstack.world import Account


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with emulating(groups=True) as made:
        yield made


@pytest.fixture
def demo(emulator: Emulator) -> Account:
    return emulator.world.new_account("demo")
