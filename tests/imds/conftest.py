from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from metadata_guest import Service
from metadata_relay import Client


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def near() -> Iterator[Path]:
    """A directory whose path is short enough for Unix sockets."""
    directory = Path(tempfile.mkdtemp(prefix="imds-"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def service(near: Path, state: Path) -> Iterator[Service]:
    service = Service(near / "imds.sock", state)
    yield service
    service.running.stop()


@pytest.fixture
def http(service: Service) -> Iterator[Client]:
    with service.client() as client:
        yield client
