"""An ordinary user of this host, who owns nothing, for tests that root runs."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

USER = 65533
"""Nobody's: not even the system's `nobody`, whose processes may be somebody's."""
ROOT = Path(__file__).parents[1]
SECONDS = 900


def as_user(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    given = [f"{name}={value}" for name, value in variables.items()]
    command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "env", *given, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, cwd=ROOT)


@contextmanager
def home() -> Iterator[Path]:
    """A directory of the user's own, for as long as it is used."""
    path = Path(tempfile.mkdtemp(prefix="user"))
    os.chown(path, USER, USER)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def run_tests(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """pytest by that user; skips where the user can run no Python with all that the tests need."""
    source = importlib.util.find_spec("isthmus")
    assert source
    assert source.origin
    path = f"{Path(source.origin).parents[1]}:{ROOT / 'tests'}:{sysconfig.get_paths()['purelib']}"
    variables = {"PYTHONPATH": path, "HOME": str(home), "TMPDIR": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    return as_user(_python(path), "-m", "pytest", "-q", "-p", "no:cacheprovider", *words, **variables)


def _python(path: str) -> str:
    for one in (sys.executable, "/usr/bin/python3"):
        done = as_user(one, "-c", "import pytest, sys; print(sys.version_info[:2])", PYTHONPATH=path)
        if done.stdout.strip() == str(sys.version_info[:2]):
            return one
    pytest.skip("an ordinary user of this host cannot run the tests' Python")
