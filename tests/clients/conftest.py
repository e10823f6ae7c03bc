"""What every test of a real client needs: a service over the memory cloud, and an account of its own."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from served import Account, Served, client, serving


@pytest.fixture(scope="session")
def memory_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("memory") / "state", "--cloud", "memory") as served:
        yield served


@pytest.fixture
def account(memory_service: Served) -> Account:
    return memory_service.new_account(f"client-{uuid4().hex[:8]}")


@pytest.fixture
def image(account: Account) -> str:
    """A machine image of the cloud's own."""
    found = client(account).describe_images(Filters=[{"Name": "name", "Values": ["isthmus-tiny"]}])
    return str(found["Images"][0]["ImageId"])
