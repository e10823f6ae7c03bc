"""The measurements. Isthmus and the very calls that it made, made directly by `cs`, take turns, round after round."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import cs
import requests

from bench.calls import Trace, asking, replayed
from bench.figures import OWN, Figure
from bench.requests import Caller
from bench.turns import in_turn
from bench.wire import Line

MANY, CROWD = 20, 100
_PATIENCE = 120
_RUNNING = b"<name>running</name>"


@dataclass(frozen=True)
class Call:
    """A call, with its begin and end in seconds of the monotonic clock."""

    params: Mapping[str, str]
    begun: float
    ended: float


class Direct:
    """Another's client, with the user's keys and connections that it keeps."""

    def __init__(self, endpoint: str, key: str, secret: str) -> None:
        kept = requests.Session()
        kept.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=32))
        self._api = cs.CloudStack(endpoint=endpoint, key=key, secret=secret, method="post", session=kept)

    def again(self, call: Call) -> None:
        """A virtual machine gets another name: each has its own."""
        said = {name: value for name, value in call.params.items() if name not in ("command", "response")}
        fresh = {"name": f"direct-{uuid4()}"} if call.params["command"] == "deployVirtualMachine" else {}
        getattr(self._api, call.params["command"])(**{**said, **fresh})


@dataclass(frozen=True)
class Field:
    rounds: int
    caller: Caller
    trace: Trace[Call]
    direct: Direct

    def ask(self, action: str, **parameters: object) -> bytes:
        with Line(self.caller.endpoint, _PATIENCE) as line:
            return line.ask(self.caller.request(action, **parameters))

    def launching(self, count: int) -> dict[str, object]:
        body = self.ask("DescribeImages", Filter__1__Name="name", Filter__1__Value__1="debian")
        [image] = re.findall(rb"<imageId>([^<]+)", body)
        return {"ImageId": image.decode(), "InstanceType": "Tiny", "MinCount": count, "MaxCount": count}

    def launch(self, count: int) -> list[str]:
        """Instances that run: the emulator's jobs end at once."""
        ids = [
            one.decode()
            for one in re.findall(rb"<instanceId>(i-\w+)", self.ask("RunInstances", **self.launching(count)))
        ]
        asked = {f"InstanceId__{number}": one for number, one in enumerate(ids, 1)}
        until = time.monotonic() + _PATIENCE
        while self.ask("DescribeInstances", **asked).count(_RUNNING) < count:
            assert time.monotonic() < until
        return ids


def described(on: Field, name: str, **asked: object) -> Figure:
    return _measured(on, name, lambda: ("DescribeInstances", asked))


def launched(on: Field, count: int) -> Figure:
    asked = on.launching(count)
    return _measured(on, f"RunInstances of {count}", lambda: ("RunInstances", asked))


def _measured(on: Field, name: str, asks: Callable[[], tuple[str, Mapping[str, object]]]) -> Figure:
    """`own` is the part of Isthmus' time in which it waited for no answer; `direct` are the calls of its last round."""
    own: list[float] = []
    calls: list[Call] = []

    def ours() -> float:
        action, asked = asks()
        request = on.caller.request(action, **asked)
        with Line(on.caller.endpoint, _PATIENCE) as line:
            begun = time.monotonic()
            line.exchange(request)
            taken = time.monotonic() - begun
        calls[:] = on.trace.between(begun, begun + taken)
        own.append((taken - asking(calls)) * 1000)
        return taken

    turns: dict[str, Any] = {"isthmus": ours, "direct": lambda: replayed(calls, on.direct.again)}
    ours()
    found = in_turn(turns, on.rounds, 1000)
    kept = {"isthmus": found["isthmus"], "own": own[-on.rounds :], "direct": found["direct"]}
    return Figure(name, "ms", kept, (OWN,), f"{len(calls)} calls: {_names(calls)}")


def _names(calls: list[Call]) -> str:
    names = [one.params["command"] for one in calls]
    return ", ".join(f"{names.count(one)} {one}" for one in dict.fromkeys(names))
