"""Root runs the same tests once more as an ordinary user, who owns nothing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

USER = 65533
"""Nobody's: not even the system's `nobody`, whose processes may be somebody's."""
HERE = Path(__file__).parent
ROOT = HERE.parents[2]
LEFT_OUT = "test_netd_user.py"


def as_user(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    given = [f"{name}={value}" for name, value in variables.items()]
    command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "env", *given, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, cwd=ROOT)


@pytest.fixture
def home() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="netduser"))
    os.chown(path, USER, USER)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def python(path: str) -> str:
    """An interpreter that the user may run, with all that the tests need; skips where there is none."""
    for one in (sys.executable, "/usr/bin/python3"):
        done = as_user(one, "-c", "import pytest, sys; print(sys.version_info[:2])", PYTHONPATH=path)
        if done.stdout.strip() == str(sys.version_info[:2]):
            return one
    pytest.skip("an ordinary user of this host cannot run the tests' Python")


@pytest.mark.skipif(os.geteuid() != 0, reason="who is no root runs them as an ordinary user anyway")
def test_an_ordinary_user_has_the_same_networks(home: Path) -> None:
    source = importlib.util.find_spec("isthmus")
    assert source
    assert source.origin
    path = f"{Path(source.origin).parents[1]}:{ROOT / 'tests'}:{sysconfig.get_paths()['purelib']}"
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE), f"--ignore={HERE / LEFT_OUT}"]
    variables = {"PYTHONPATH": path, "HOME": str(home), "TMPDIR": str(home), "PYTHONDONTWRITEBYTECODE": "1"}

    done = as_user(python(path), *words, **variables)

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    if " passed" not in done.stdout:
        pytest.skip(f"an ordinary user has no networks here: {done.stdout[-300:]}")
