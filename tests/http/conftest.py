from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from service import Service, serving


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a memory cloud and narrow bounds."""
    directory: Path = tmp_path_factory.mktemp("service")
    config = directory / "isthmus.toml"
    config.write_text(
        '[clouds.memory]\nkind = "memory"\n[limits]\nmax_body = 65536\n'
        "[http]\nhead_bytes = 8192\nheaders = 50\nrequest_seconds = 2\n"
    )
    with serving(directory / "state", "--config", str(config)) as running:
        yield running
