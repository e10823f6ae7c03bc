"""The rules M: what servers use."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import pytest

from isthmus.errors import Conflict

from .kit import refused

pytestmark = pytest.mark.needs("metrics")


def test_counters_never_fall(running: str, session: Any) -> None:
    """M1"""
    first, second = (astuple(session.metrics.counters(running)) for _ in range(2))

    assert all(value >= 0 for value in first[1:])
    assert all(before <= after for before, after in zip(first, second, strict=True))


def test_a_stopped_server_has_no_counters(stopped: str, session: Any) -> None:
    """M2"""
    with refused(Conflict, code="state", kind="server"):
        session.metrics.counters(stopped)
