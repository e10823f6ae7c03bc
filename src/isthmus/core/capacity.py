"""Capacity reservations: records, told to be used by the servers that match them.

Capacity is not set aside in any cloud: what is left of a reservation is what the account has not launched of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from isthmus.context import Context
from isthmus.core import kept, servers
from isthmus.core.ids import Kind
from isthmus.core.instances import index
from isthmus.core.kept import Kept
from isthmus.core.names import Names
from isthmus.core.quotas import demand
from isthmus.errors import Conflict, NotFound
from isthmus.model import ServerState
from isthmus.store import View

_USES = frozenset({ServerState.PENDING, ServerState.RUNNING})


class Reservation(NamedTuple):
    kept: Kept
    state: str
    """`active`, `expired` or `cancelled`."""
    used: int


def find(cx: Context, ids: Collection[str] | None = None) -> list[Reservation]:
    """Reservations, cancelled ones as long as terminated servers are shown. NotFound names the first unknown id."""
    everything = sorted(kept.find(cx, Kind.CAPACITY), key=lambda one: (one.created, one.id))
    waiting = _servers(cx) if everything else Counter()
    found = {one.id: _told(cx, one, waiting) for one in everything if not _forgotten(cx, one)}
    for known in ids or ():
        if known not in found:
            raise NotFound(Kind.CAPACITY, known)
    return [found[known] for known in (dict.fromkeys(ids) if ids else found)]


def create(cx: Context, data: Mapping[str, Any], tags: Mapping[str, str]) -> Reservation:
    """`data` has `flavor`, `zone`, `platform`, `count`, `ends`. Forgets what was cancelled long ago.

    Raises QuotaExceeded.
    """
    servers.demand_flavor(cx, cx.place(data["zone"]).cloud, data["flavor"])
    for one in kept.find(cx, Kind.CAPACITY):
        if _forgotten(cx, one):
            kept.delete(cx, Kind.CAPACITY, one.id)

    def check(view: View) -> None:
        others = kept.there(view, Kind.CAPACITY)
        demand(cx, "capacity_reservations", sum(not _ended(cx, one.data) for one in others))

    made = kept.create(cx, Kind.CAPACITY, data, tags, check=check)
    return find(cx, [made.id])[0]


def cancel(cx: Context, known: str) -> None:
    """Raises NotFound, and Conflict for a reservation that has ended."""
    [one] = find(cx, [known])
    if one.state != "active":
        raise Conflict(Kind.CAPACITY, known, f"The capacity reservation '{known}' is {one.state}.")
    kept.update(cx, Kind.CAPACITY, known, {"cancelled": cx.now().isoformat()})


def _told(cx: Context, one: Kept, waiting: Counter[tuple[str, str, str]]) -> Reservation:
    """A reservation with its share of the servers that no older one has taken."""
    if one.data.get("cancelled"):
        return Reservation(one, "cancelled", 0)
    if one.data["ends"] and datetime.fromisoformat(one.data["ends"]) <= cx.now():
        return Reservation(one, "expired", 0)
    kind = (one.data["flavor"], one.data["zone"], one.data["platform"])
    used = min(waiting[kind], one.data["count"])
    waiting[kind] -= used
    return Reservation(one, "active", used)


def _servers(cx: Context) -> Counter[tuple[str, str, str]]:
    """How many servers the account runs, by flavor, zone and platform."""
    names = Names(cx)
    return Counter(
        (
            names.flavor(one.cloud, one.server.flavor),
            cx.world.place_of(one.cloud, one.server.zone).zone,
            one.server.platform,
        )
        for one in index(cx).ordered
        if one.server.state in _USES
    )


def _ended(cx: Context, data: Mapping[str, Any]) -> bool:
    ends = data["ends"]
    return bool(data.get("cancelled") or (ends and datetime.fromisoformat(ends) <= cx.now()))


def _forgotten(cx: Context, one: Kept) -> bool:
    ended = one.data.get("cancelled") or one.data["ends"]
    return bool(ended) and datetime.fromisoformat(ended) + cx.world.limits.terminated_visible < cx.now()
