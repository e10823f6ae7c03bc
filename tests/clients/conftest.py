"""What every test of a real client needs: a service over the memory cloud, and an account of its own."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from served import Account, Served, serving, tiny_image

QUICK = """
[clouds.quick]
kind = "memory"
zones = ["us-east-1a", "us-east-1b"]
settle_ms = 0
"""


@pytest.fixture(scope="session")
def memory_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("memory") / "state", "--cloud", "memory") as served:
        yield served


@pytest.fixture
def account(memory_service: Served) -> Account:
    return memory_service.new_account(f"client-{uuid4().hex[:8]}")


@pytest.fixture(scope="session")
def quick_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Whatever is asked of it is done when it is looked for: for clients that look every few seconds only."""
    place = tmp_path_factory.mktemp("quick")
    (place / "isthmus.toml").write_text(QUICK)
    with serving(place / "state", "--config", str(place / "isthmus.toml")) as served:
        yield served


@pytest.fixture
def quick(quick_service: Served) -> Account:
    """An account of a service that never keeps one waiting."""
    return quick_service.new_account(f"quick-{uuid4().hex[:8]}")


@pytest.fixture
def image(account: Account) -> str:
    """A machine image of the cloud's own."""
    return tiny_image(account)
