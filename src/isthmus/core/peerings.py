"""Peerings: two networks of an account that are connected with each other, once the second has accepted it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from ipaddress import IPv4Network
from typing import NamedTuple

from isthmus.context import Context
from isthmus.core import kept, networks
from isthmus.core.ids import Kind
from isthmus.core.kept import Kept
from isthmus.core.quotas import demand
from isthmus.core.registry import Found
from isthmus.core.wiring import changing
from isthmus.errors import Conflict, Invalid, NotFound
from isthmus.model import Network
from isthmus.store import Record, View

PENDING, ACTIVE, FAILED = "pending-acceptance", "active", "failed"
REJECTED, EXPIRED, DELETED = "rejected", "expired", "deleted"
EXPIRES = timedelta(days=7)


class Sides(NamedTuple):
    asker: str
    other: str


def find(cx: Context, ids: Collection[str] | None = None) -> list[Kept]:
    return kept.find(cx, Kind.PEERING, ids)


def sides(found: Kept | Record) -> Sides:
    """The ids of the two networks."""
    return Sides(*found.data["networks"])


def status(cx: Context, found: Kept | Record, known: Mapping[str, Found[Network]] | None = None) -> str:
    """What became of it; nobody accepts one after seven days, or when the networks have come to overlap.

    `known` are the account's networks, if they have been listed.
    """
    said = str(found.data["status"])
    if said != PENDING:
        return said
    if cx.now() > found.created + EXPIRES:
        return EXPIRED
    return FAILED if _overlapping(found, networks.networks(cx).by_id if known is None else known) else PENDING


def _overlapping(found: Kept | Record, known: Mapping[str, Found[Network]]) -> bool:
    both = [known[one].noun.ranges for one in sides(found) if one in known]
    return len(both) == len(Sides._fields) and _overlap(*both)


def create(cx: Context, asker: Found[Network], other: Found[Network]) -> Kept:
    """Ask for a connection; of networks that overlap it is `failed` at once.

    Raises Invalid for a network with itself or with one of another cloud, Conflict (`duplicate`) for two that have one,
    QuotaExceeded for too many that nobody has accepted.
    """
    if asker.id == other.id:
        raise Invalid("A network cannot be connected with itself.", "network")
    if asker.cloud != other.cloud:
        raise Invalid(f"{asker.id} and {other.id} are on different clouds.", "network")
    failed = _overlap(asker.noun.ranges, other.noun.ranges)
    data = {"networks": [asker.id, other.id], "status": FAILED if failed else PENDING}

    listed = networks.networks(cx).by_id

    def check(view: View) -> None:
        live = [(one, status(cx, one, listed)) for one in view.of_kind(Kind.PEERING).values()]
        for one, said in live:
            if set(sides(one)) == {asker.id, other.id} and said in (PENDING, ACTIVE):
                reason = f"There is a connection {one.id} between {asker.id} and {other.id}."
                raise Conflict(Kind.PEERING, one.id, reason, "duplicate")
        demand(cx, "peering_requests", sum(said == PENDING for _, said in live))

    tags = cx.tags.get("vpc-peering-connection")
    return kept.create(cx, Kind.PEERING, data, tags, check=check, buried=failed)


def _overlap(one: Collection[str], other: Collection[str]) -> bool:
    return any(IPv4Network(a).overlaps(IPv4Network(b)) for a in one for b in other)


def accept(cx: Context, known: str) -> Kept:
    """Raises NotFound, Conflict for one that nobody waits for, QuotaExceeded for networks that have too many."""
    [found] = find(cx, [known])
    with changing(cx, *_there(cx, found)):
        _turn(cx, known, ACTIVE, (PENDING,))
        if _overlapping(found, networks.networks(cx).by_id):  # again: who adds a range looks for connections afterwards
            raise _unfit(known, FAILED)
    return find(cx, [known])[0]


def reject(cx: Context, known: str) -> None:
    """Raises NotFound, and Conflict for one that nobody waits for."""
    _turn(cx, known, REJECTED, (PENDING,))


def delete(cx: Context, known: str) -> None:
    """Raises NotFound, and Conflict for one that has ended already."""
    [found] = find(cx, [known])
    with changing(cx, *_there(cx, found)):
        _turn(cx, known, DELETED, (PENDING, ACTIVE))


def _there(cx: Context, found: Kept) -> list[str]:
    """Its networks, without what is gone: one that has ended may outlive them."""
    known = networks.networks(cx).by_id
    return [one for one in sides(found) if one in known]


def _turn(cx: Context, known: str, to: str, since: Collection[str]) -> None:
    """Let one that is in one of these states, whoever else may change it, be in another; all but `active` are ends."""
    listed = networks.networks(cx).by_id
    with cx.store.change(cx.account) as change:
        record = change.view.records.get(known)
        if record is None or record.kind != Kind.PEERING:
            raise NotFound(Kind.PEERING, known)
        now = status(cx, record, listed)
        if now not in since:
            raise _unfit(known, now)
        if to == ACTIVE:
            _demand_room(cx, change.view, record)
        change.update(known, data={**record.data, "status": to}, gone=None if to == ACTIVE else cx.now())


def _unfit(known: str, now: str) -> Conflict:
    return Conflict(Kind.PEERING, known, f"The connection {known} is in the state {now}, which does not allow this.")


def _demand_room(cx: Context, view: View, record: Record) -> None:
    held = [sides(one) for one in view.of_kind(Kind.PEERING).values() if one.data["status"] == ACTIVE]
    for network in sides(record):
        demand(cx, "peerings_per_vpc", sum(network in both for both in held), network)


def demand_apart(cx: Context, network: str, cidr: str) -> None:
    """Raises Conflict (`duplicate`) if a network that gets this range would overlap one it is connected with.

    Who asks for a connection must not either while it waits; one of the other side is `failed` by that.
    """
    known = networks.networks(cx).by_id
    for one in kept.live(cx, Kind.PEERING):
        asker, other = sides(one)
        now = status(cx, one)
        bound = network in (asker, other) if now == ACTIVE else now == PENDING and network == asker
        peer = known.get(other if network == asker else asker)
        if bound and peer and _overlap([cidr], peer.noun.ranges):
            reason = f"{cidr} overlaps {peer.id}, with which {network} is connected by {one.id}."
            raise Conflict(Kind.NETWORK, network, reason, "duplicate")


def mend(cx: Context) -> None:
    """Write down what came to its end by itself."""
    for one in kept.live(cx, Kind.PEERING):
        if (now := status(cx, one)) not in (PENDING, ACTIVE):
            kept.bury(cx, Kind.PEERING, one.id, {"status": now})
