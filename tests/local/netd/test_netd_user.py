"""Root runs the same tests once more as an ordinary user, who owns nothing."""

from __future__ import annotations

import os
from pathlib import Path

import ordinary
import pytest

HERE = Path(__file__).parent
LEFT_OUT = "test_netd_user.py"


@pytest.mark.skipif(os.geteuid() != 0, reason="who is no root runs them as an ordinary user anyway")
def test_an_ordinary_user_has_the_same_networks() -> None:
    with ordinary.home() as home:
        done = ordinary.run_tests(home, str(HERE), f"--ignore={HERE / LEFT_OUT}")

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    if " passed" not in done.stdout:
        pytest.skip(f"an ordinary user has no networks here: {done.stdout[-300:]}")
