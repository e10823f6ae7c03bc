"""Every test of the store runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from postgres import postgres
from store_helpers import KEY, Opener

from isthmus.store import Store

__all__ = ["postgres"]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'store.db'}"
        return
    cluster = request.getfixturevalue("postgres")
    made = cluster.database()
    yield made
    cluster.drop(made)


@pytest.fixture
def opened(url: str) -> Iterator[Opener]:
    """Opens the database again and again, as several processes would."""
    stores: list[Store] = []

    def open_store(key: bytes = KEY) -> Store:
        stores.append(Store.open(url, key))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Opener) -> Store:
    return opened()


@pytest.fixture
def account(store: Store) -> str:
    return store.create_account("tests").id


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)
