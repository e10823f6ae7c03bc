"""What the emulator's cloud is: accounts, jobs, a clock that tests move, and what is to go wrong."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

Item = dict[str, Any]
CUT, SILENT, NEVER = "the connection is cut", "no answer", "a job that never ends"


class Refusal(Exception):
    """An error of CloudStack's: its code, which is the HTTP status too, its text, and its second code."""

    def __init__(self, code: int, text: str, cs: int = 9999) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.cs = cs

    def said(self) -> Item:
        return {"uuidList": [], "errorcode": self.code, "cserrorcode": self.cs, "errortext": self.text}


@dataclass(frozen=True)
class Account:
    id: str
    name: str
    role: str
    api: str
    secret: str


@dataclass
class Job:
    id: str
    command: str
    account: str
    due: datetime | None
    """None: it never ends."""
    finish: Callable[[], Item]
    instance: str = ""
    result: Item | None = None
    failed: bool = False


@dataclass
class World:
    zones: list[Item]
    disk_offerings: list[Item]
    job_seconds: float = 0
    accounts: dict[str, Account] = field(default_factory=dict)
    """By their API keys."""
    jobs: dict[str, Job] = field(default_factory=dict)
    key_pairs: dict[tuple[str, str], Item] = field(default_factory=dict)
    volumes: dict[str, tuple[str, Item]] = field(default_factory=dict)
    """Each with its account's id."""
    faults: dict[str, list[Refusal | str]] = field(default_factory=dict)
    """What goes wrong with the next calls of a command; with its jobs, by `NAME job`."""
    asked: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)
    """Answers of the emulator's own that the contract does not know."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    late: timedelta = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.late

    def pass_by(self, seconds: float) -> None:
        """Let time go by at once."""
        self.late += timedelta(seconds=seconds)

    def new_account(self, name: str, role: str = "User") -> Account:
        made = Account(str(uuid4()), name, role, f"api-{uuid4().hex}", f"secret~{uuid4().hex}")
        self.accounts[made.api] = made
        return made

    def wrong_next(self, command: str, *faults: Refusal | str) -> None:
        self.faults.setdefault(command, []).extend(faults)

    def fault_of(self, command: str) -> Refusal | str | None:
        return self.faults[command].pop(0) if self.faults.get(command) else None

    def begin(self, command: str, account: Account, finish: Callable[[], Item], instance: str) -> Item:
        """A job; `finish` does what it is for, when it is first looked at after its time."""
        fault = self.fault_of(f"{command} job")

        def fail() -> Item:
            raise fault

        due = None if fault == NEVER else self.now() + timedelta(seconds=self.job_seconds)
        done = fail if isinstance(fault, Refusal) else finish
        job = Job(str(uuid4()), command, account.id, due, done, instance)
        self.jobs[job.id] = job
        return {"jobid": job.id, "id": instance}


def world(*, groups: bool) -> World:
    """One zone: Advanced with VPCs, or with security groups."""
    zone = {
        "id": str(uuid4()),
        "name": "zone-1",
        "networktype": "Advanced",
        "securitygroupsenabled": groups,
        "allocationstate": "Enabled",
        "localstorageenabled": False,
        "dhcpprovider": "VirtualRouter",
        "tags": [],
    }
    offering = {"displaytext": "", "displayoffering": True, "storagetype": "shared", "provisioningtype": "thin"}
    offerings = [
        {**offering, "id": str(uuid4()), "name": "Custom", "iscustomized": True, "disksize": 0},
        {**offering, "id": str(uuid4()), "name": "Small", "iscustomized": False, "disksize": 5},
    ]
    return World([zone], offerings)
