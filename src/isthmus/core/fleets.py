"""Fleets: records of launches that draw on several pools at once. Nobody launches or replaces anything for them later.

What has been tried is written down step by step, and each step has a seed of its own: a retry of the same request goes
on where the first one ended, and does the step that was under way again without making anything twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from isthmus.context import Context, Seed
from isthmus.core import kept, launching, servers, spot
from isthmus.core.ids import Kind
from isthmus.core.instance import Instance
from isthmus.core.instances import index
from isthmus.core.kept import Kept
from isthmus.core.records import forget
from isthmus.errors import Conflict, Denied, NotFound
from isthmus.model import ServerState

_ENDED = frozenset({ServerState.DELETING, ServerState.DELETED})
_NEXT_TO_NOTHING = 1e-9
"""Fractions add up to whole numbers but for this."""


@dataclass(frozen=True)
class Pool:
    """One flavor in one zone, as a front orders it by the numbers of its configuration and override (-1 for none)."""

    configuration: int
    override: int
    flavor: str
    zone: str
    weight: float
    """What each server of it counts of the capacity that is wanted."""


@dataclass(frozen=True)
class Share:
    """A part of the capacity. Pools are named by their numbers, in the order in which they are tried."""

    spot: bool
    target: float
    groups: tuple[tuple[int, ...], ...]
    """All comes from one of these: the first of which there is any, or `least`."""
    spread: int = 1
    """How many pools share it evenly as long as they can."""
    least: float = 0
    """Less than this is nothing."""


class Tried(NamedTuple):
    """What came of a try: servers, and if they are fewer than were wanted, a front's code and words for why."""

    made: Sequence[Instance]
    error: tuple[str, str] | None = None


class Fleet(NamedTuple):
    """`data` of `kept` has what `create` was given, and `steps`."""

    kept: Kept
    members: Sequence[Instance]
    """Its servers that have not ended."""
    state: str
    """`submitted`, `active`, `deleted_running`, `deleted_terminating` or `deleted`."""

    @property
    def steps(self) -> Sequence[Mapping[str, Any]]:
        return self.kept.data["steps"]  # type: ignore[no-any-return]

    def capacity(self, *, on_demand: bool = False) -> float:
        """What its servers count, or those of them that are no spot servers."""
        return float(sum(one.launch.weight for one in self.members if not (on_demand and one.launch.spot)))


Try = Callable[[Context, "Fleet", Pool, Share, int], Tried]


def find(cx: Context, ids: Collection[str] | None = None) -> list[Fleet]:
    """Fleets, deleted ones as long as terminated servers are shown. NotFound names the first unknown id."""
    found = kept.find(cx, Kind.FLEET, ids)
    by_fleet: dict[str, list[Instance]] = {}
    for one in index(cx).ordered if found else ():
        if one.launch.fleet and one.server.state is not ServerState.DELETED:
            by_fleet.setdefault(one.launch.fleet, []).append(one)
    return [_told(cx, one, by_fleet.get(one.id, ())) for one in found]


def get(cx: Context, known: str) -> Fleet:
    return find(cx, [known])[0]


def create(cx: Context, data: Mapping[str, Any], tags: Mapping[str, str]) -> Fleet:
    """A fleet without servers yet; the one that the same request made before.

    `data` has `pools` and `shares`, `until` (when it expires, or empty), `once` (whether it is forgotten with its
    servers) and what else a front keeps.
    """
    made = kept.create(cx, Kind.FLEET, {**data, "steps": [], "done": ""}, tags)
    return get(cx, made.id)


def fulfil(cx: Context, fleet: Fleet, attempt: Try) -> Fleet:
    """Launch what a fleet is to have, as far as it can be had."""
    run = _Run(cx, fleet, attempt)
    for share in shares(fleet):
        run.fill(share)
    if run.fleet.kept.gone:
        if run.fleet.kept.data["terminates"]:
            servers.delete(cx, [one.id for one in get(cx, fleet.kept.id).members])
    elif not run.fleet.kept.data["done"]:
        kept.update(cx, Kind.FLEET, fleet.kept.id, {"done": cx.now().isoformat()})
    return get(cx, fleet.kept.id)


def pools(fleet: Fleet) -> list[Pool]:
    return [Pool(**one) for one in fleet.kept.data["pools"]]


def shares(fleet: Fleet) -> list[Share]:
    given = fleet.kept.data["shares"]
    return [Share(**{**one, "groups": tuple(tuple(group) for group in one["groups"])}) for one in given]


def delete(cx: Context, known: str, *, terminate: bool) -> tuple[Fleet, Fleet]:
    """A fleet before and after. Raises NotFound, Conflict if it is deleted, Denied for a protected server of it."""
    before = get(cx, known)
    if before.kept.gone and (not before.members or not terminate):
        raise Conflict(Kind.FLEET, known, f"The fleet '{known}' is in the state {before.state}.")
    for one in before.members if terminate else ():
        if one.launch.termination_protected:
            raise Denied(f"The instance '{one.id}' of the fleet may not be terminated.")
    with cx.store.change(cx.account) as change:
        held = change.view.records.get(known)
        if held is None:
            raise NotFound(Kind.FLEET, known)
        change.update(known, data={**held.data, "terminates": terminate}, gone=held.gone or cx.now())
    _end(cx, get(cx, known))
    return before, get(cx, known)


def drop(cx: Context, known: str) -> None:
    """Forget a fleet that came to nothing."""
    forget(cx, known)


def mend(cx: Context) -> None:
    """End what a crash left of a deletion, expire fleets, and forget those that are answered and whose servers are."""
    if not cx.view().of_kind(Kind.FLEET):
        return
    oldest = cx.now() - cx.world.limits.terminated_visible
    known = {one.data.get("launch", {}).get("fleet") for one in cx.view().of_kind(Kind.SERVER).values()}
    for fleet in find(cx):
        if fleet.kept.gone:
            _end(cx, fleet)
        elif _expired(cx, fleet.kept):
            kept.bury(cx, Kind.FLEET, fleet.kept.id, {"terminates": False})
        elif fleet.kept.data["once"] and fleet.kept.id not in known and fleet.kept.created < oldest:
            forget(cx, fleet.kept.id)


def _end(cx: Context, fleet: Fleet) -> None:
    """Do to the servers of a deleted fleet what is to be done to them."""
    ids = [one.id for one in fleet.members if not one.launch.termination_protected]
    if ids and fleet.kept.data["terminates"]:
        servers.delete(cx, ids)
    elif asked := [spot.request_id(one.id) for one in fleet.members if one.launch.spot]:
        spot.cancel(cx, asked)


def _told(cx: Context, one: Kept, there: Sequence[Instance]) -> Fleet:
    """A fleet of which these servers are not gone yet."""
    state = "active" if one.data["done"] else "submitted"
    if one.gone or _expired(cx, one):
        going = "deleted_terminating" if one.data.get("terminates") else "deleted_running"
        state = going if there else "deleted"
    return Fleet(one, [held for held in there if held.server.state not in _ENDED], state)


def _expired(cx: Context, one: Kept) -> bool:
    return bool(one.data["until"]) and datetime.fromisoformat(one.data["until"]) <= cx.now()


class _Run:
    """The steps of one fleet, from the first: those done before are read, not done again."""

    def __init__(self, cx: Context, fleet: Fleet, attempt: Try) -> None:
        self.fleet = fleet
        self._cx = cx
        self._attempt = attempt
        self._pools = pools(fleet)
        self._number = 0

    def fill(self, share: Share) -> None:
        for group in share.groups:
            first, got = self._number, self._draw(share, group)
            if got and got + _NEXT_TO_NOTHING >= share.least:
                return
            if got:
                self._take_back(first)

    def _draw(self, share: Share, group: Sequence[int]) -> float:
        """Launch from the pools of a group; how much came of it."""
        got = 0.0
        for number, parts in _turns(share, group):
            missing = share.target - got
            if missing > _NEXT_TO_NOTHING:
                got += self._step(share, number, missing / parts)
        return got

    def _step(self, share: Share, number: int, wanted: float) -> float:
        """Launch capacity of a pool, unless that was done before; how much came of it."""
        pool = self._pools[number]
        if self._number == len(self.fleet.steps) and not self.fleet.kept.gone:
            self._do(share, number, math.ceil(wanted / pool.weight - _NEXT_TO_NOTHING))
        if self._number == len(self.fleet.steps):
            return 0
        step = self.fleet.steps[self._number]
        self._number += 1
        return len(step["made"]) * pool.weight

    def _do(self, share: Share, number: int, count: int) -> None:
        known, turn = self.fleet.kept.id, self._number
        cx = replace(self._cx, seed=Seed(f"{known}/{turn}"), token=f"{known}-{turn}")
        made, error = self._attempt(cx, self.fleet, self._pools[number], share, count)
        step = {
            "pool": number,
            "spot": share.spot,
            "made": [one.id for one in made],
            "error": error,
            "at": self._cx.now().isoformat(),
        }

        def written(held: Mapping[str, Any]) -> Mapping[str, Any]:
            """Nothing if another one who does the same request was faster."""
            return {"steps": [*held["steps"], step]} if len(held["steps"]) == turn else {}

        self._changed(written)

    def _take_back(self, first: int) -> None:
        """Undo the steps from the `first`: what they made is too little."""
        ids = {one for step in self.fleet.steps[first : self._number] for one in step["made"]}
        launching.take_back(self._cx, [one for one in index(self._cx).ordered if one.id in ids])

        def written(held: Mapping[str, Any]) -> Mapping[str, Any]:
            undone = [{**step, "undone": True} for step in held["steps"][first : self._number]]
            return {"steps": [*held["steps"][:first], *undone, *held["steps"][self._number :]]}

        self._changed(written)

    def _changed(self, new: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
        self.fleet = self.fleet._replace(kept=kept.alter(self._cx, Kind.FLEET, self.fleet.kept.id, new))


def _turns(share: Share, group: Sequence[int]) -> list[tuple[int, int]]:
    """Pools in their turns, each with how many share what is missing by then; after an even share all may give more."""
    some = min(share.spread, len(group))
    evenly = [(number, max(some - place, 1)) for place, number in enumerate(group)]
    return evenly + [(number, 1) for number in group if some > 1]
