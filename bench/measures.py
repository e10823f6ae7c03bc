"""The measurements over HTTP. The servers take turns, round after round: what else the machine does hits them all."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.figures import Figure, alike, faster, more, under
from bench.requests import Caller
from bench.wire import Line, per_second, seconds_each

ACCOUNTS = ("reads", "thousand", "crowd", "launches", "first")
_SIGNED = 200
"""How many different signed requests go round in a measurement of rates."""
CONNECTIONS = 16


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    rounds: int
    repeats: int
    seconds: float
    launches: int
    crowd: int
    """Instances of the account that has many."""


QUICK = Effort(rounds=2, repeats=5, seconds=0.5, launches=30, crowd=10_000)
FULL = Effort(rounds=7, repeats=15, seconds=2.0, launches=100, crowd=100_000)


@dataclass
class Field:
    """The servers that are up, and who calls them: one account (for moto, one region) for each measurement."""

    effort: Effort
    isthmus: Mapping[str, Caller]
    moto: Mapping[str, Caller]
    bare: str
    bodies: Path
    """The directory from which the bare server answers."""
    images: dict[str, str] = field(default_factory=dict)

    def image(self, caller: Caller) -> str:
        """A machine image of that cloud, with its root disk on a volume."""
        if caller.endpoint not in self.images:
            machines = {"Filter__1__Name": "image-type", "Filter__1__Value__1": "machine"}
            on_volumes = {"Filter__2__Name": "root-device-type", "Filter__2__Value__1": "ebs"}
            body = _ask(caller, "DescribeImages", **machines, **on_volumes)
            found = re.search(rb"<imageId>(ami-\w+)", body)
            assert found
            self.images[caller.endpoint] = found[1].decode()
        return self.images[caller.endpoint]

    def launch(self, caller: Caller, count: int, subnets: Sequence[str] = ()) -> None:
        image = self.image(caller)
        for number in range(count // 1000):
            within = {"SubnetId": subnets[number % len(subnets)]} if subnets else {}
            _ask(caller, "RunInstances", ImageId=image, InstanceType="t3.micro", MinCount=1000, MaxCount=1000, **within)

    def served(self, name: str, body: bytes) -> Callable[[bytes], bytes]:
        """Have the bare server answer this; what makes its requests of ours."""
        (self.bodies / name).write_bytes(body)
        return lambda request: request.replace(b"POST / ", f"POST /{name} ".encode(), 1)


def describe_thousand(on: Field) -> Figure:
    """DescribeInstances of 1,000 instances, as a whole."""
    ours, theirs = on.isthmus["thousand"], on.moto["thousand"]
    on.launch(ours, 1000)
    on.launch(theirs, 1000)
    time.sleep(1)
    redirect = on.served("instances", _ask(ours, "DescribeInstances"))
    ask, many = ours.request("DescribeInstances"), on.effort.repeats
    turns = {
        "isthmus": lambda: median(seconds_each(ours.endpoint, [ask] * many)),
        "moto": lambda: median(seconds_each(theirs.endpoint, [theirs.request("DescribeInstances")])),
        "bare": lambda: median(seconds_each(on.bare, [redirect(ask)] * many)),
    }
    return Figure("DescribeInstances of 1,000", "ms", rounds(on, turns, 1000), (faster("moto", 100),))


def describe_first(on: Field) -> Figure:
    """The same where nothing has been rendered before."""
    caller = on.isthmus["first"]
    on.launch(caller, 1000)
    time.sleep(1)
    taken = seconds_each(caller.endpoint, [caller.request("DescribeInstances")])
    return Figure("DescribeInstances of 1,000, the first time", "ms", {"isthmus": [taken[0] * 1000]})


def small_reads(on: Field) -> Figure:
    """DescribeRegions, signature checked, by several connections."""
    ours, theirs = on.isthmus["reads"], on.moto["reads"]
    redirect = on.served("regions", _ask(ours, "DescribeRegions"))
    _ask(theirs, "DescribeRegions")  # the first request loads much of it
    asked = [ours.request("DescribeRegions") for _ in range(_SIGNED)]
    others = [theirs.request("DescribeRegions") for _ in range(_SIGNED)]
    sent = [redirect(one) for one in asked]
    seconds = on.effort.seconds
    turns = {
        "isthmus": lambda: per_second(ours.endpoint, asked, CONNECTIONS, seconds),
        "moto": lambda: per_second(theirs.endpoint, others, CONNECTIONS, seconds),
        "bare": lambda: per_second(on.bare, sent, CONNECTIONS, seconds),
    }
    return Figure("DescribeRegions", "requests/s", rounds(on, turns, 1), (more("bare", 0.25), more("moto", 10)))


def launches(on: Field) -> Figure:
    """RunInstances of one instance, each with a token of its own, as SDKs send it."""

    def turn(caller: Caller, number: int) -> float:
        image = on.image(caller)
        requests = [
            caller.request(
                "RunInstances",
                ImageId=image,
                InstanceType="t3.micro",
                MinCount=1,
                MaxCount=1,
                ClientToken=f"bench-{number}-{one}",
            )
            for one in range(on.effort.launches)
        ]
        return median(seconds_each(caller.endpoint, requests))

    numbers = iter(range(1 << 20))
    turns = {
        "isthmus": lambda: turn(on.isthmus["launches"], next(numbers)),
        "moto": lambda: turn(on.moto["launches"], next(numbers)),
    }
    return Figure("RunInstances of one, median", "ms", rounds(on, turns, 1000), (under(5, "ms"),))


def pages(on: Field) -> tuple[Figure, ...]:
    """A page of 1,000 out of many, and all pages, against those of 1,000."""
    few, crowd = on.isthmus["thousand"], on.isthmus["crowd"]
    count = on.effort.crowd
    on.launch(crowd, count, [_subnet(crowd, f"10.{number}.0.0/16") for number in range(1 + count // 60_000)])
    time.sleep(1)
    token = ""
    for _ in range(5):
        more_words = {"NextToken": token} if token else {}
        body = _ask(crowd, "DescribeInstances", MaxResults=1000, **more_words)
        found = re.search(rb"<nextToken>([^<]+)", body)
        assert found
        token = found[1].decode()
    ask = {
        "of 1,000": few.request("DescribeInstances", MaxResults=1000),
        "first": crowd.request("DescribeInstances", MaxResults=1000),
        "sixth": crowd.request("DescribeInstances", MaxResults=1000, NextToken=token),
    }
    turns = {
        name: lambda request=request: median(seconds_each(few.endpoint, [request] * on.effort.repeats))
        for name, request in ask.items()
    }
    found = rounds(on, turns, 1000)
    note = f"out of 1,000 it takes {median(found['of 1,000']):.2f} ms"
    aims = (alike("isthmus", "of 1,000", 0.3),)

    def figure(which: str) -> Figure:
        name = f"a page of 1,000 out of {count:,}, the {which}"
        return Figure(name, "ms", {"isthmus": found[which], "of 1,000": found["of 1,000"]}, aims, note)

    walks = {"isthmus": lambda: _walk(crowd) / count, "of 1,000": lambda: _walk(few) / 1000}
    walked = rounds(on, walks, 1_000_000)
    shorter = f"of 1,000 it takes {median(walked['of 1,000']):.1f} microseconds"
    return (
        figure("first"),
        figure("sixth"),
        Figure(f"all pages of {count:,} instances, per instance", "microseconds", walked, aims, shorter),
    )


def _walk(caller: Caller) -> float:
    """Seconds to read all pages."""
    begun, token = time.perf_counter(), ""
    with Line(caller.endpoint) as line:
        while True:
            further = {"NextToken": token} if token else {}
            body = line.ask(caller.request("DescribeInstances", MaxResults=1000, **further))
            found = re.search(rb"<nextToken>([^<]+)", body)
            if not found:
                return time.perf_counter() - begun
            token = found[1].decode()


def _subnet(caller: Caller, cidr: str) -> str:
    """A network of its own that is one subnet as a whole."""
    network = re.search(rb"<vpcId>(vpc-\w+)", _ask(caller, "CreateVpc", CidrBlock=cidr))
    assert network
    body = _ask(caller, "CreateSubnet", VpcId=network[1].decode(), CidrBlock=cidr)
    subnet = re.search(rb"<subnetId>(subnet-\w+)", body)
    assert subnet
    return subnet[1].decode()


def rounds(on: Field, turns: Mapping[str, Callable[[], float]], scale: float) -> Mapping[str, Sequence[float]]:
    """Each in turn, round after round, beginning with another one each time; the first round only warms up."""
    found: dict[str, list[float]] = {name: [] for name in turns}
    names = list(turns)
    for number in range(-1, on.effort.rounds):
        for place in range(len(names)):
            name = names[(place + number) % len(names)]
            taken = turns[name]() * scale
            if number >= 0:
                found[name].append(taken)
    return found


def _ask(caller: Caller, action: str, **parameters: object) -> bytes:
    with Line(caller.endpoint) as line:
        return line.ask(caller.request(action, **parameters))
