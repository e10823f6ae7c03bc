"""A real `isthmus serve` in a process of its own: on a free port of loopback, its state in a temporary directory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config

from isthmus import config
from isthmus.store import Store

T = TypeVar("T")
REGION = "us-east-1"


@dataclass(frozen=True)
class Account:
    """Who asks, and where."""

    id: str
    access_key: str
    secret: str
    endpoint: str

    @property
    def port(self) -> int:
        return int(self.endpoint.rpartition(":")[2])


class Served:
    """A running service. `environ` is what was added to its environment."""

    def __init__(self, state: Path, arguments: tuple[str, ...], environ: Mapping[str, str]) -> None:
        self.state = state
        self._environ = environ
        self._log = state.with_name(f"{state.name}.log")
        command = [sys.executable, "-m", "isthmus", "serve", "--state", str(state), *arguments]
        self._stderr = self._log.open("ab")
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self._stderr, env=clean_environment(**environ), cwd=state.parent
        )
        self.endpoint = self._listening()

    def _listening(self) -> str:
        """The URL it says it listens on. RuntimeError with its log if it does not begin."""
        assert self.process.stdout
        for line in self.process.stdout:
            if b"listens on " in line:
                threading.Thread(target=self.process.stdout.read, daemon=True).start()
                return line.split(b"listens on ")[1].decode().strip()
        self.stop()
        raise RuntimeError(self._log.read_text())

    def stop(self) -> int:
        """End it gracefully. Answers the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self._ended(30)

    def kill(self) -> None:
        """End it at once, as a crash or the loss of power would."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self._ended(10)

    def _ended(self, seconds: float) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self._stderr.close()

    def log(self) -> str:
        return self._log.read_text()

    def health(self) -> Mapping[str, Any]:
        with urllib.request.urlopen(f"{self.endpoint}/health", timeout=10) as answer:
            found: Mapping[str, Any] = json.load(answer)
            return found

    def new_account(self, name: str) -> Account:
        store = self._store()
        try:
            account = store.create_account(name)
            credential = store.create_credential(account.id)
        finally:
            store.close()
        return Account(account.id, credential.access_key, credential.secret, self.endpoint)

    def _store(self) -> Store:
        settings = config.load(flags={"state": str(self.state)}, environ=self._environ)
        return Store.open(settings.store_url, config.master_key(settings))


@contextmanager
def serving(state: Path, *arguments: str, listen: str = "127.0.0.1:0", **environ: str) -> Iterator[Served]:
    """A service that is ended, by its own process id, at the end."""
    served = Served(state, (*arguments, "--listen", listen), environ)
    try:
        yield served
    finally:
        served.stop()


def clean_environment(**more: str) -> Mapping[str, str]:
    """The environment without what would change how AWS's clients or the service behave."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ISTHMUS_", "BOTO"))}
    return {**kept, "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **more}


def client(account: Account, service: str = "ec2", **settings: Any) -> Any:
    session = boto3.Session(account.access_key, account.secret, region_name=REGION)
    made = Config(**{"retries": {"total_max_attempts": 1}, "proxies": {}, **settings})
    return session.client(service, endpoint_url=account.endpoint, config=made)


def eventually(probe: Callable[[], T], wanted: Callable[[T], bool] = bool, seconds: float = 20.0) -> T:
    """What the probe finds once it is what is wanted. AssertionError with the last finding if it never is."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if wanted(found):
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds} s: {found!r}")
        time.sleep(0.05)
