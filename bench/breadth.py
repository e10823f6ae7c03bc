"""More of the API over HTTP: interfaces, groups with many rules, and many tags."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from statistics import median

from bench.figures import Aim, Figure, alike, faster
from bench.measures import Field, rounds
from bench.requests import Caller
from bench.wire import Line, seconds_each

ACCOUNTS = ("groups", "tags", "few tags")
_RULES = 50
_TAGS = 50
"""Of one resource: as many as it can have."""


def interfaces(on: Field) -> Figure:
    """DescribeNetworkInterfaces of the 1,000 instances that were launched before."""
    asks = {"isthmus": on.isthmus["thousand"], "moto": on.moto["thousand"]}
    return _listing(on, "DescribeNetworkInterfaces of 1,000", asks, "DescribeNetworkInterfaces", faster("moto", 10))


def groups(on: Field) -> Figure:
    """DescribeSecurityGroups of many groups with 50 rules each."""
    count = 500 if on.effort.repeats > 5 else 50
    asks = {"isthmus": on.isthmus["groups"], "moto": on.moto["groups"]}
    for caller in asks.values():
        _make_groups(caller, count)
    name = f"DescribeSecurityGroups of {count:,} with {_RULES} rules"
    return _listing(on, name, asks, "DescribeSecurityGroups", faster("moto", 10))


def tags(on: Field) -> Iterator[Figure]:
    """Many tags: a filtered listing, a page, and tagging 1,000 resources."""
    count = 2000 if on.effort.repeats > 5 else 200
    asks = {"isthmus": on.isthmus["tags"], "moto": on.moto["tags"]}
    known = {name: _tagged(caller, count) for name, caller in asks.items()}

    def one(name: str) -> Mapping[str, object]:
        return {"Filter__1__Name": "resource-id", "Filter__1__Value__1": known[name][count // 2]}

    turns = {name: _turn(on, caller, "DescribeTags", one(name)) for name, caller in asks.items()}
    yield Figure(
        f"DescribeTags of one resource out of {count * _TAGS:,} tags",
        "ms",
        rounds(on, turns, 1000),
        (faster("moto", 10),),
    )
    yield _page(on, count)
    yield _create(on, asks, known, min(count, 1000))


def _page(on: Field, count: int) -> Figure:
    """A page of 1,000 tags out of many, and out of few."""
    few = on.isthmus["few tags"]
    _tagged(few, 1000 // _TAGS + 1)
    callers = {"isthmus": on.isthmus["tags"], "of 1,000": few}
    turns = {name: _turn(on, caller, "DescribeTags", {"MaxResults": 1000}) for name, caller in callers.items()}
    name = f"a page of 1,000 tags out of {count * _TAGS:,}"
    return Figure(name, "ms", rounds(on, turns, 1000), (alike("isthmus", "of 1,000", 0.3),))


def _create(on: Field, asks: Mapping[str, Caller], known: Mapping[str, list[str]], count: int) -> Figure:
    """CreateTags on many resources: a tag they have gets another value each time."""

    def turn(name: str) -> float:
        ids = {f"ResourceId__{number}": one for number, one in enumerate(known[name][:count], 1)}
        values = iter(range(on.effort.repeats))
        asked = [
            asks[name].request("CreateTags", **ids, Tag__1__Key="key-0", Tag__1__Value=f"{id(values)}-{value}")
            for value in values
        ]
        return median(seconds_each(asks[name].endpoint, asked))

    turns = {name: (lambda name=name: turn(name)) for name in asks}
    return Figure(f"CreateTags on {count:,} resources", "ms", rounds(on, turns, 1000), (faster("moto", 1),))


def _listing(on: Field, name: str, asks: Mapping[str, Caller], action: str, aim: Aim) -> Figure:
    turns = {server: _turn(on, caller, action, {}) for server, caller in asks.items()}
    return Figure(name, "ms", rounds(on, turns, 1000), (aim,))


def _turn(on: Field, caller: Caller, action: str, said: Mapping[str, object]) -> Callable[[], float]:
    many = on.effort.repeats if caller in on.isthmus.values() else 1
    request = caller.request(action, **said)
    return lambda: median(seconds_each(caller.endpoint, [request] * many))


def _make_groups(caller: Caller, count: int) -> None:
    rules = {
        f"IpPermissions__{number}__{name}": value
        for number in range(1, _RULES + 1)
        for name, value in {
            "IpProtocol": "tcp",
            "FromPort": number,
            "ToPort": number,
            "IpRanges__1__CidrIp": f"10.0.{number}.0/24",
        }.items()
    }
    with Line(caller.endpoint) as line:
        for number in range(count):
            body = line.ask(
                caller.request("CreateSecurityGroup", GroupName=f"group {number}", GroupDescription="of the bench")
            )
            found = re.search(rb"<groupId>(sg-\w+)", body)
            assert found
            line.ask(caller.request("AuthorizeSecurityGroupIngress", GroupId=found[1].decode(), **rules))


def _tagged(caller: Caller, count: int) -> list[str]:
    """Volumes with 50 tags each; their ids."""
    zone = f"{caller.region}a"
    made = []
    with Line(caller.endpoint) as line:
        for _ in range(count):
            body = line.ask(caller.request("CreateVolume", AvailabilityZone=zone, Size=1))
            found = re.search(rb"<volumeId>(vol-\w+)", body)
            assert found
            made.append(found[1].decode())
        said = {}
        for number in range(_TAGS):
            said |= {f"Tag__{number + 1}__Key": f"key-{number}", f"Tag__{number + 1}__Value": f"value {number}"}
        for start in range(0, count, 200):
            ids = {f"ResourceId__{number}": one for number, one in enumerate(made[start : start + 200], 1)}
            line.ask(caller.request("CreateTags", **ids, **said))
    return made
