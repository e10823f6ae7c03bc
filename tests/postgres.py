"""A throw-away PostgreSQL for the tests: one cluster per test process, on a socket in a temporary directory."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg
import pytest

_OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "shared_buffers": "16MB",
    "max_connections": "200",
    "autovacuum": "off",
}


@dataclass(frozen=True)
class Cluster:
    """A running server, reached by its socket; each `database()` is a new and empty one."""

    directory: Path
    user: str
    _numbers: Iterator[int] = field(default_factory=count, repr=False)

    def database(self) -> str:
        """The URL of a new database."""
        name = f"isthmus{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://{self.user}@/{name}?host={self.directory}"

    def drop(self, url: str) -> None:
        name = url.partition("@/")[2].partition("?")[0]
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, statement: str) -> None:
        with psycopg.connect(host=str(self.directory), user=self.user, dbname="postgres", autocommit=True) as raw:
            raw.execute(statement.encode())


def binary(name: str) -> str | None:
    """Where a program of PostgreSQL is: the newest of Debian's, or one on PATH."""
    packaged = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    return str(packaged[-1]) if packaged else shutil.which(name)


def _unprivileged() -> Sequence[str]:
    """What to put before a command so that it does not run as root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return ()
    user = _user()
    return ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")


def _user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    pytest.skip("PostgreSQL does not run as root, and there is no user postgres or nobody")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A running cluster; skipped where PostgreSQL is not installed."""
    initdb, server = binary("initdb"), binary("postgres")
    if not initdb or not server:
        pytest.skip("PostgreSQL is not installed: apt install postgresql")
    directory = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path has at most 107 bytes
    try:
        if os.geteuid() == 0:
            os.chown(directory, _user().pw_uid, _user().pw_gid)
        data = directory / "data"
        initialise = [*_unprivileged(), initdb, "-D", str(data), "-U", "tests", "-A", "trust", "-N", "-E", "UTF8"]
        subprocess.run([*initialise, "--locale=C"], check=True, cwd=directory, stdout=subprocess.DEVNULL)
        options = [word for name, value in _OPTIONS.items() for word in ("-c", f"{name}={value}")]
        with (directory / "log").open("wb") as log:
            command = [*_unprivileged(), server, "-D", str(data), "-k", str(directory), *options]
            running = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log)
        try:
            yield _ready(Cluster(directory, "tests"), running)
        finally:
            running.send_signal(signal.SIGINT)  # "fast": ends sessions, then itself
            running.wait(30)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _ready(cluster: Cluster, running: subprocess.Popen[bytes]) -> Cluster:
    deadline = time.monotonic() + 60
    while True:
        try:
            cluster.execute("SELECT 1")
            return cluster
        except psycopg.OperationalError:
            if running.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((cluster.directory / "log").read_text()) from None
            time.sleep(0.05)
