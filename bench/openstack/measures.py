"""The measurements. Isthmus, OpenStack without it, and ec2-api take turns, round after round."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import Any

from keystoneauth1.session import Session

from bench.calls import Trace, asking, replayed
from bench.figures import OWN, Aim, Figure, faster
from bench.openstack.cloud import FLAVOR, IMAGE, Project, await_
from bench.openstack.replay import Call
from bench.requests import Caller
from bench.turns import in_turn, rotated
from bench.wire import Line

Done = Sequence[tuple[str, float, float]]
"""What was done, and when each began and ended, by the monotonic clock."""
_PATIENCE = 900
_RUNNING = b"<name>running</name>"
MANY = 19
NO_IDS: Mapping[str, str] = {}


@dataclass(frozen=True)
class Effort:
    """How often is measured, and of how many servers."""

    rounds: int
    cycles: int
    crowds: Sequence[int]


QUICK = Effort(rounds=5, cycles=1, crowds=(20, 100))
FULL = Effort(rounds=11, cycles=3, crowds=(20, 100))


@dataclass(frozen=True)
class Gateway:
    """An EC2 API over the OpenStack."""

    caller: Caller
    subnet: str = ""
    """The subnet that it is told to launch in, if it does not find one."""

    def ask(self, action: str, **parameters: object) -> bytes:
        with Line(self.caller.endpoint, _PATIENCE) as line:
            return line.ask(self.caller.request(action, **parameters))

    def seconds(self, action: str, **parameters: object) -> float:
        request = self.caller.request(action, **parameters)
        with Line(self.caller.endpoint, _PATIENCE) as line:
            begun = time.perf_counter()
            line.exchange(request)
            return time.perf_counter() - begun

    def made(self, action: str, name: str, **parameters: object) -> str:
        """The first element of this name in an answer."""
        body = self.ask(action, **parameters)
        found = re.search(f"<{name}>([^<]+)".encode(), body)
        assert found, body
        return found[1].decode()

    def image(self) -> str:
        return self.made("DescribeImages", "imageId", Filter__1__Name="name", Filter__1__Value__1=IMAGE)

    def launch(self, image: str, count: int) -> list[str]:
        where = {"SubnetId": self.subnet} if self.subnet else {}
        asked = {"ImageId": image, "InstanceType": FLAVOR, "MinCount": count, "MaxCount": count, **where}
        return _ids(self.ask("RunInstances", **asked))

    def running(self, ids: Sequence[str]) -> None:
        await_(lambda: self.ask("DescribeInstances", **_these(ids)).count(_RUNNING) == len(ids))

    def found(self) -> list[str]:
        """The ids of what instances run."""
        running = {"Filter__1__Name": "instance-state-name", "Filter__1__Value__1": "running"}
        return _ids(self.ask("DescribeInstances", **running))

    def terminate(self, ids: Sequence[str]) -> None:
        self.ask("TerminateInstances", **_these(ids))


@dataclass(frozen=True)
class Field:
    effort: Effort
    project: Project
    service: Session
    """The gateways' own user."""
    gateways: Mapping[str, Gateway]
    trace: Trace[Call]
    """Of the gateway `isthmus`."""

    def first(self) -> dict[str, str]:
        """The only server that there is, launched by Isthmus: its id on each gateway, which has it on record."""
        ours = self.gateways["isthmus"]
        ours.running(ours.launch(ours.image(), 1))
        ids = {name: gateway.found()[0] for name, gateway in self.gateways.items()}
        for name, known in ids.items():
            self.gateways[name].ask("CreateTags", ResourceId__1=known, Tag__1__Key="bench", Tag__1__Value="first")
        return ids

    def grow(self, count: int) -> None:
        """Have so many servers in all, launched by Isthmus, twenty at a time."""
        ours = self.gateways["isthmus"]
        image = ours.image()
        while missing := count - len(self.project.servers()):
            ours.running(ours.launch(image, min(missing, 20)))


def described(on: Field, name: str, ids: Mapping[str, str] = NO_IDS) -> Figure:
    """DescribeInstances by each gateway, the calls that Isthmus makes for it without it, and the slowest of these."""
    asked = {server: _these([ids[server]]) if ids else {} for server in on.gateways}
    for server, gateway in on.gateways.items():  # all that is learned of a server when it is first seen
        gateway.ask("DescribeInstances", **asked[server])
    calls = _calls(on, asked["isthmus"])
    turns: dict[str, Callable[[], float]] = {
        server: lambda server=server: on.gateways[server].seconds("DescribeInstances", **asked[server])
        for server in on.gateways
    }
    own: list[float] = []

    def ours() -> float:
        begun = time.monotonic()
        taken = on.gateways["isthmus"].seconds("DescribeInstances", **asked["isthmus"])
        own.append(taken - asking(on.trace.between(begun, begun + taken)))
        return taken

    turns["isthmus"] = ours
    user = on.project.wire.session
    turns["direct"] = lambda: replayed(calls, lambda one: one.again(user, on.service))
    single = {one.name: one for one in calls if not one.judges}
    turns |= {known: lambda one=one: one.seconds(user, on.service) for known, one in single.items()}
    found = in_turn(turns, on.effort.rounds, 1000)
    slowest = max(single, key=lambda known: median(found[known]))
    kept = {server: found[server] for server in (*on.gateways, "direct")} | {"slowest": found[slowest]}
    kept["own"] = [one * 1000 for one in own[1:]]
    note = f"the slowest call is {_short(slowest)}; {len(calls)} calls: " + ", ".join(
        f"{_short(known)} {median(found[known]):.0f} ms" for known in single
    )
    return Figure(name, "ms", kept, (OWN, _SLOWEST, *(_than_peer(on, 2) if ids else ())), note)


def cycles(on: Field) -> Iterator[Figure]:
    """Launches of one and of many, and the end of all of them: until answered, and until they run."""
    turns: dict[str, Callable[[], Done]] = {
        name: partial(_cycle, on, partial(gateway.launch, gateway.image()), gateway.running, gateway.terminate)
        for name, gateway in on.gateways.items()
        if name != "fetch"
    }
    turns["direct"] = partial(_cycle, on, on.project.launch, on.project.active, on.project.delete)
    found: dict[str, dict[str, list[float]]] = {}
    for number in range(on.effort.cycles):
        for server in rotated(list(turns), number):
            for phase, begun, ended in turns[server]():
                taken = found.setdefault(phase, {})
                taken.setdefault(server, []).append(ended - begun)
                if server == "isthmus" and "until" not in phase:
                    asked = asking(on.trace.between(begun, ended))
                    taken.setdefault("own", []).append(ended - begun - asked)
    aims = {
        "RunInstances of 1": (OWN,),
        f"RunInstances of {MANY}": (OWN,),
        f"RunInstances of {MANY} until running": _than_peer(on, 4),
        f"TerminateInstances of {MANY + 1}": (OWN, *_than_peer(on, 8)),
    }
    for phase, taken in found.items():
        yield Figure(phase, "s", taken, aims.get(phase, ()))


def _cycle(
    on: Field, launch: Callable[[int], list[Any]], running: Callable[..., None], end: Callable[..., None]
) -> Done:
    """One server, many more, and the end of all; the next one begins when nothing of them is left."""
    done: list[tuple[str, float, float]] = []

    def timed(name: str, act: Callable[..., Any], *given: object, since: float = 0) -> Any:
        begun = since or time.monotonic()
        made = act(*given)
        done.append((name, begun, time.monotonic()))
        return made

    made: list[Any] = []
    for count in (1, MANY):
        begun = time.monotonic()
        name = f"RunInstances of {count}"
        fresh = timed(name, launch, count)
        timed(f"{name} until running", running, fresh, since=begun)
        made += fresh
    timed(f"TerminateInstances of {len(made)}", end, made)
    on.project.emptied()
    return done


def _calls(on: Field, asked: Mapping[str, str]) -> list[Call]:
    """What Isthmus asks of OpenStack for it."""
    begun = time.monotonic()
    on.gateways["isthmus"].ask("DescribeInstances", **asked)
    return on.trace.between(begun, time.monotonic())


def _ids(body: bytes) -> list[str]:
    return [one.decode() for one in re.findall(rb"<instanceId>(i-\w+)", body)]


def _these(ids: Sequence[str]) -> dict[str, str]:
    return {f"InstanceId__{number}": one for number, one in enumerate(ids, 1)}


def _short(name: str) -> str:
    """A call without the ids in its path."""
    return re.sub(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", "ID", name)


def _than_peer(on: Field, times: float) -> tuple[Aim, ...]:
    return (replace(faster("ec2-api", times), shown="{:.1f} times"),) if "ec2-api" in on.gateways else ()


_SLOWEST = Aim(
    "within 1.15 times the slowest call needed",
    lambda figure: figure["isthmus"] / figure["slowest"],
    lambda found: found <= 1.15,
    "{:.2f} times",
)
