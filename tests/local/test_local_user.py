"""The contract of a provider holds for an ordinary user's guests too, in namespaces of the user's own."""

from __future__ import annotations

import os
import shutil

import ordinary
import pytest

from isthmus.providers.local import tiny


@pytest.mark.qemu
@pytest.mark.skipif(os.geteuid() != 0, reason="who is no root runs them as an ordinary user anyway")
def test_an_ordinary_users_cloud_keeps_the_contract() -> None:
    built = tiny.find()
    if built is None:
        pytest.skip("the tiny guest image is not built: make image")
    with ordinary.home() as home:
        shutil.copytree(built.path, home / ".cache" / "isthmus" / built.path.name)
        for path in [home, *home.rglob("*")]:
            os.chown(path, ordinary.USER, ordinary.USER)
        done = ordinary.run_tests(home, "tests/conformance", "--cloud", "local-namespaces")

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    if " passed" not in done.stdout:
        pytest.skip(f"an ordinary user has no such cloud here: {done.stdout[-300:]}")
