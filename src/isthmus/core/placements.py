"""Placement groups: which servers are to be near each other, or on hosts of their own.

The groups are records of the store. A cloud without Capability.PLACEMENT is taken for one host: it honours a
`cluster` always, a `spread` group with one server, and a `partition` group with servers in one partition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from isthmus.context import Context, Place
from isthmus.core import kept
from isthmus.core.ids import Kind
from isthmus.core.instance import Instance
from isthmus.core.instances import index
from isthmus.core.kept import Kept
from isthmus.errors import Conflict, Invalid, Unsupported
from isthmus.model import ServerState
from isthmus.providers import Capability

_ENDED = (ServerState.DELETED, ServerState.ERROR)


class Placing(NamedTuple):
    """Where the servers of a launch stand: a group and, of a `partition` group, one of its partitions from 1."""

    group: str = ""
    name: str = ""
    partition: int = 0
    apart: bool = False
    """Whether the cloud is to keep them from hosts of others of the group."""


def find(cx: Context, ids: Collection[str] = (), names: Collection[str] = ()) -> list[Kept]:
    """The account's groups; NotFound names the first of `ids` or `names` that is not there."""
    return kept.find_named(cx, Kind.PLACEMENT, ids, names, Kind.PLACEMENT)


def create(cx: Context, data: Mapping[str, Any], tags: Mapping[str, str]) -> Kept:
    """A group; `data` has `name`, `strategy`, `partitions`. Raises Conflict for a name that is taken."""
    return kept.create(cx, Kind.PLACEMENT, data, tags, unique=True)


def delete(cx: Context, name: str) -> None:
    """Raises NotFound, and Conflict while servers are in the group."""
    [group] = find(cx, names=[name])
    if _members(cx, group.id):
        reason = f"The placement group '{name}' is in use and may not be deleted."
        raise Conflict(Kind.PLACEMENT, name, reason, "in-use")
    kept.delete(cx, Kind.PLACEMENT, group.id)


def placing(cx: Context, known: str, partition: int, count: int, place: Place) -> Placing:
    """Where `count` more servers of a group go. Raises Unsupported if this cloud cannot keep them apart."""
    if not known:
        return Placing()
    group = kept.get(cx, Kind.PLACEMENT, known)
    strategy, able = group.data["strategy"], Capability.PLACEMENT not in cx.world.clouds[place.cloud].lacks
    members = [one for one in _members(cx, known) if not (cx.token and one.launch.token == cx.token)]
    if partition and not (strategy == "partition" and 1 <= partition <= group.data["partitions"]):
        raise Invalid(f"There is no partition {partition} in the placement group.", "partition")
    here = [one for one in members if one.cloud == place.cloud]
    if strategy == "cluster":
        _demand_one_zone(cx, members, place)
    elif strategy == "spread":
        if not able and len(here) + count > 1:
            raise _one_host(cx, place)
    else:
        partition = partition or _freest(group, members, here if not able else ())
        if not able and any(one.launch.partition != partition for one in here):
            raise _one_host(cx, place)
    return Placing(known, group.data["name"], partition, able and strategy != "cluster")


def _members(cx: Context, group: str) -> list[Instance]:
    return [one for one in index(cx).ordered if one.launch.group == group and one.server.state not in _ENDED]


def _demand_one_zone(cx: Context, members: Collection[Instance], place: Place) -> None:
    for one in members:
        zone = cx.world.place_of(one.cloud, one.server.zone).zone
        if zone != place.zone:
            raise Invalid(f"The servers of a cluster placement group are in one zone, which is {zone}.", "zone")


def _freest(group: Kept, members: Collection[Instance], bound: Collection[Instance]) -> int:
    """The partition with the fewest servers, or that of those which no other host is there for."""
    for one in bound:
        return one.launch.partition
    held = Counter(one.launch.partition for one in members)
    return min(range(1, group.data["partitions"] + 1), key=lambda number: held[number])


def _one_host(cx: Context, place: Place) -> Unsupported:
    reason = cx.world.clouds[place.cloud].lacks[Capability.PLACEMENT]
    return Unsupported(f"The servers of this placement group cannot be on different hosts: {reason}.")
