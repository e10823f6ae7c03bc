"""What tests of a real OpenStack need; without one they are skipped, all of them. This directory must be no package:
with an `__init__.py` it would be what `import openstack` finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import real_openstack
from real_openstack import Keys


@pytest.fixture(autouse=True, scope="session")
def _up() -> None:
    if reason := real_openstack.absent():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def clouds_yaml() -> Path:
    """Its clouds are `demo`, `alt`, `admin`, and `gateway`, the service's own user."""
    return real_openstack.CLOUDS_YAML


@pytest.fixture(scope="session")
def demo() -> Keys:
    return real_openstack.seeded("demo")


@pytest.fixture(scope="session")
def alt() -> Keys:
    """Keys of another project."""
    return real_openstack.seeded("alt")


@pytest.fixture(scope="session")
def gateway() -> Any:
    """A keystoneauth session of the service's own user."""
    return real_openstack.region("gateway").get_session()
