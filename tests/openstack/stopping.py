"""Services of the cloud that is brought up for the tests, stopped for a while."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import real_openstack

_SERVICE = Path(__file__).parents[1] / "clouds" / "openstack" / "service"


@contextmanager
def stopped(*names: str) -> Iterator[None]:
    """Without these services; they are up and answer again at the end, whatever happens."""
    if not os.environ.get("OPENSTACK_OURS"):
        pytest.skip("services are stopped only in a cloud of the tests' own (OPENSTACK_OURS=1 says that it is)")
    try:
        _service("kill", *names)
        yield
    finally:
        _service("start")


def _service(*words: str) -> None:
    env = {**os.environ, "OPENSTACK_STATE": str(real_openstack.STATE)}
    done = subprocess.run([_SERVICE, *words], env=env, capture_output=True, text=True, timeout=240, check=False)
    assert 0 == done.returncode, done.stderr
