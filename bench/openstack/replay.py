"""What a gateway asked of OpenStack for one request, and the same asked without it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from keystoneauth1.session import Session

from bench.openstack.cloud import at_once

TOKENS = "/ec2tokens"


@dataclass(frozen=True)
class Call:
    """A call, with its begin and end in seconds of the monotonic clock."""

    method: str
    url: str
    headers: dict[str, str]
    body: Any
    begun: float
    ended: float

    @property
    def judges(self) -> bool:
        """Whether Keystone was asked who signed."""
        return TOKENS in self.url

    @property
    def name(self) -> str:
        return f"{self.method} {urlsplit(self.url).path}"

    def again(self, user: Session, service: Session) -> None:
        """Make the call: who signed is asked by the gateway's own user, all else by the one who signed."""
        wire = service if self.judges else user
        answer = wire.request(self.url, self.method, headers=dict(self.headers), json=self.body, raise_exc=True)
        answer.json()

    def seconds(self, user: Session, service: Session) -> float:
        begun = time.perf_counter()
        self.again(user, service)
        return time.perf_counter() - begun


class Trace:
    """The calls of an Isthmus that notes them."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def between(self, begun: float, ended: float) -> list[Call]:
        calls = [Call(**json.loads(line)) for line in self._file.read_text().splitlines()]
        return sorted((one for one in calls if begun <= one.begun <= ended), key=lambda one: one.begun)


def waves(calls: Sequence[Call]) -> list[list[Call]]:
    """The calls in groups: those of a group were made at the same time, and after all of the one before."""
    made: list[list[Call]] = []
    until = float("-inf")
    for one in calls:
        if one.begun >= until:
            made.append([])
        made[-1].append(one)
        until = max(until, one.ended)
    return made


def asking(calls: Sequence[Call]) -> float:
    """Seconds in which at least one of the calls, in the order of their begin, was under way."""
    taken, until = 0.0, float("-inf")
    for one in calls:
        taken += max(0.0, one.ended - max(one.begun, until))
        until = max(until, one.ended)
    return taken


def replayed(calls: Sequence[Call], user: Session, service: Session) -> float:
    """Seconds that the same calls take in the same order, made directly."""
    groups = waves(calls)
    begun = time.perf_counter()
    for group in groups:
        if len(group) == 1:
            group[0].again(user, service)
        else:
            at_once(lambda one: one.again(user, service), group)
    return time.perf_counter() - begun
