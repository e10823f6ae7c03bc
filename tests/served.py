"""What tests of clients need of a running service: accounts of their own, fast questions, and crashes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from service import Service, ending, environment, isthmus

from isthmus import config, opening
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


class Served(Service):
    """A service on a free port of loopback; `more` is added to its environment."""

    def __init__(self, state: Path, *words: str, **more: str) -> None:
        self._more = more
        super().__init__(state, *words, **more)
        assert self.port, "".join(self.log)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def new_account(self, name: str) -> Account:
        settings = config.load(flags={"state": str(self.state)}, environ=self._more)
        store = Store.open(settings.store_url, opening.master_key(settings))
        try:
            account = store.create_account(name)
            credential = store.create_credential(account.id)
        finally:
            store.close()
        return Account(account.id, credential.access_key, credential.secret, self.endpoint)


def serving(state: Path, *words: str, **more: str) -> AbstractContextManager[Served]:
    return ending(Served(state, *words, **more))


def clean_environment(**more: str) -> Mapping[str, str]:
    """The environment without what would change how clients behave."""
    return {**environment(**more), "BOTO_CONFIG": "/dev/null", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


def client(account: Account, service: str = "ec2", **settings: Any) -> Any:
    session = boto3.Session(account.access_key, account.secret, region_name=REGION)
    made = Config(**{"retries": {"total_max_attempts": 1}, "proxies": {}, **settings})
    return session.client(service, endpoint_url=account.endpoint, config=made)


def tiny_image(account: Account) -> str:
    """The small image that every embedded cloud has."""
    found = client(account).describe_images(Filters=[{"Name": "name", "Values": ["isthmus-tiny"]}])
    return str(found["Images"][0]["ImageId"])


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


def machines(state: Path) -> list[int]:
    """The QEMU processes that use this state directory."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and _is_machine((entry / "cmdline").read_bytes(), state):
                found.append(int(entry.name))
    return sorted(found)


def _is_machine(command: bytes, state: Path) -> bool:
    program = command.partition(b"\0")[0]
    return b"qemu-system" in program and os.fsencode(state) + b"/" in command


def end_machines(state: Path) -> None:
    """Leave no machine behind, and no network, whatever failed."""
    for pid in machines(state):
        with suppress(ProcessLookupError):
            os.kill(pid, 9)
    isthmus("cloud", "clean", "local", "--all", "--yes", state=state)
