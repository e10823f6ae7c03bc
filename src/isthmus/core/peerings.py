"""Peerings: two networks of an account that are connected with each other, once the second has accepted it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from ipaddress import IPv4Network
from typing import NamedTuple

from isthmus.context import Context
from isthmus.core import kept
from isthmus.core.ids import Kind
from isthmus.core.kept import Kept
from isthmus.core.registry import Found
from isthmus.core.wiring import changing
from isthmus.errors import Conflict, Invalid
from isthmus.model import Network

PENDING, ACTIVE, FAILED = "pending-acceptance", "active", "failed"
EXPIRES = timedelta(days=7)


class Sides(NamedTuple):
    asker: str
    other: str


def find(cx: Context, ids: Collection[str] | None = None) -> list[Kept]:
    return kept.find(cx, Kind.PEERING, ids)


def sides(found: Kept) -> Sides:
    """The ids of the two networks."""
    return Sides(*found.data["networks"])


def status(cx: Context, found: Kept) -> str:
    """What became of it; nobody accepts one after seven days."""
    said = str(found.data["status"])
    return "expired" if said == PENDING and cx.now() > found.created + EXPIRES else said


def create(cx: Context, asker: Found[Network], other: Found[Network]) -> Kept:
    """Ask for a connection; of networks that overlap it is `failed` at once.

    Raises Invalid for a network with itself or with one of another cloud, Conflict (`duplicate`) for two that have one.
    """
    if asker.id == other.id:
        raise Invalid("A network cannot be connected with itself.", "network")
    if asker.cloud != other.cloud:
        raise Invalid(f"{asker.id} and {other.id} are on different clouds.", "network")
    for held in kept.live(cx, Kind.PEERING):
        if set(sides(held)) == {asker.id, other.id} and status(cx, held) in (PENDING, ACTIVE):
            reason = f"There is a connection {held.id} between {asker.id} and {other.id}."
            raise Conflict(Kind.PEERING, held.id, reason, "duplicate")
    failed = _overlap(asker.noun, other.noun)
    data = {"networks": [asker.id, other.id], "status": FAILED if failed else PENDING}
    made = kept.create(cx, Kind.PEERING, data, cx.tags.get("vpc-peering-connection"))
    return kept.bury(cx, Kind.PEERING, made.id, {}) if failed and not made.gone else made


def _overlap(one: Network, other: Network) -> bool:
    return any(IPv4Network(a).overlaps(IPv4Network(b)) for a in one.ranges for b in other.ranges)


def accept(cx: Context, known: str) -> Kept:
    """Raises NotFound, and Conflict for one that nobody waits for."""
    found = _pending(cx, known)
    with changing(cx, *sides(found)):
        kept.update(cx, Kind.PEERING, known, {"status": ACTIVE})
    return find(cx, [known])[0]


def reject(cx: Context, known: str) -> Kept:
    found = _pending(cx, known)
    return kept.bury(cx, Kind.PEERING, found.id, {"status": "rejected"})


def delete(cx: Context, known: str) -> None:
    """Raises NotFound, and Conflict for one that has ended already."""
    [found] = find(cx, [known])
    if found.gone:
        raise _state(cx, found)
    with changing(cx, *sides(found)):
        kept.bury(cx, Kind.PEERING, known, {"status": "deleted"})


def _pending(cx: Context, known: str) -> Kept:
    [found] = find(cx, [known])
    if found.gone or status(cx, found) != PENDING:
        raise _state(cx, found)
    return found


def _state(cx: Context, found: Kept) -> Conflict:
    reason = f"The connection {found.id} is in the state {status(cx, found)}, which does not allow this."
    return Conflict(Kind.PEERING, found.id, reason)
