"""An ordinary user's guests, in namespaces of the user's own: the contract of a provider, and what outlives a crash."""

from __future__ import annotations

import os
import shutil

import ordinary
import pytest

from isthmus.providers.local import tiny

CRASHES = (
    "tests/local/test_local_restarts.py",
    "tests/local/test_local_clean.py",
    "tests/local/test_local_contents.py",
)


@pytest.mark.qemu
@pytest.mark.skipif(os.geteuid() != 0, reason="who is no root runs them as an ordinary user anyway")
@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("tests/conformance", "--cloud", "local-namespaces"), id="contract"),
        pytest.param(
            (*CRASHES, "-k", "restarts or nothing_is_left or machines_that_were_killed or (all_is_killed and 1.1)"),
            id="crashes",
        ),
    ],
)
def test_an_ordinary_users_cloud_is_no_worse(words: tuple[str, ...]) -> None:
    built = tiny.find()
    if built is None:
        pytest.skip("the tiny guest image is not built: make image")
    with ordinary.home() as home:
        shutil.copytree(built.path, home / ".cache" / "isthmus" / built.path.name)
        for path in [home, *home.rglob("*")]:
            os.chown(path, ordinary.USER, ordinary.USER)
        done = ordinary.run_tests(home, *words)

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    if " passed" not in done.stdout:
        pytest.skip(f"an ordinary user has no such cloud here: {done.stdout[-300:]}")
