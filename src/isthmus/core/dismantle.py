"""Deleting a network: only when nothing of the user's depends on it, and with all that it began with."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress

from isthmus.context import Context
from isthmus.core import acls, firewalls, gateways, kept, networks, peerings, routes
from isthmus.core.ids import Kind, adopt
from isthmus.core.records import forget
from isthmus.core.registry import Found
from isthmus.core.rule_ids import all_ids
from isthmus.errors import Conflict, NotFound
from isthmus.model import Firewall, Network
from isthmus.store import Record

_TIED = (
    *(Kind.ROUTE_TABLE, Kind.GATEWAY, Kind.EGRESS_GATEWAY, Kind.NAT, Kind.ACL, Kind.ENDPOINT),
    *(Kind.PEERING, Kind.VPN_GATEWAY),
)
"""Kinds of the store's own things whose data name the network they are in as `network`, or two as `networks`."""
_ATTACHED = (Kind.GATEWAY, Kind.VPN_GATEWAY)
"""Those of them that are somewhere else just as well."""


def delete_network(cx: Context, found: Found[Network]) -> None:
    """Raises Conflict (`in-use`) while the network has anything but what it began with."""
    if next(_dependents(cx, found), ""):
        reason = f"The vpc '{found.id}' has dependencies and cannot be deleted."
        raise Conflict(Kind.NETWORK, found.id, reason, "in-use")
    own = _own(cx, found)
    networks.api(cx.session(found.cloud)).delete_network(found.noun.native)
    forget(cx, found.id, *own)


def _dependents(cx: Context, found: Found[Network]) -> Iterator[str]:
    """Ids of what must go before the network can."""
    yield from (one.id for one in networks.subnets_of(cx, found))
    yield from (one.id for one in _walls(cx, found) if one.noun.name != firewalls.DEFAULT)
    if gateway := gateways.of_network(cx, found.id):
        yield gateway.id
    first = _first(found)
    yield from (one.id for one in _records(cx, found.id) if one.id not in first)


def _walls(cx: Context, found: Found[Network]) -> Iterator[Found[Firewall]]:
    for one in firewalls.index(cx):
        if (one.cloud, one.noun.network) == (found.cloud, found.noun.native):
            yield one


def _records(cx: Context, network: str) -> Iterator[Record]:
    view = cx.view()
    for kind in _TIED:
        for record in view.of_kind(kind).values():
            if network in _of(record) and record.gone is None and not record.data.get(kept.DELETED):
                yield record


def _of(record: Record) -> Collection[str]:
    """The ids of the networks that a thing is in, or connects."""
    return record.data.get("networks") or [record.data.get("network", "")]


def _first(found: Found[Network]) -> set[str]:
    """Ids of the records' things that a network begins with."""
    return {routes.default_id(found), gateways.default_id(found), acls.default_id(found)}


def _own(cx: Context, found: Found[Network]) -> list[str]:
    """Ids of all that goes with the network: records and tags of these are forgotten."""
    view = cx.view()
    rules = [rule for wall in _walls(cx, found) for rule in all_ids(view, wall)]
    return [*_first(found), *(one.id for one in _walls(cx, found)), *rules]


def sweep(cx: Context) -> None:
    """See to the store's own things that are left of networks which are gone, but what is buried: it has its time.

    An account's own gateways are detached, connections end, and all else is forgotten.
    """
    held = [record for kind in _TIED for record in cx.view().of_kind(kind).values() if record.gone is None]
    there = {"", *(one.id for one in networks.networks(cx))}  # later than the records: what is new is there
    forgotten = []
    for record in held:
        if there.issuperset(_of(record)):
            continue
        with suppress(NotFound):  # somebody deletes it just now
            if record.kind == Kind.PEERING:
                kept.bury(cx, Kind.PEERING, record.id, {"status": peerings.DELETED})
            elif record.kind in _ATTACHED and not _began_with(cx, record):
                kept.update(cx, Kind(record.kind), record.id, {"network": ""})
            else:
                forgotten.append(record.id)
    if forgotten:
        forget(cx, *forgotten)


def _began_with(cx: Context, record: Record) -> bool:
    """Whether a gateway is the one that its network, which may be gone, began with."""
    return any(record.id == adopt(Kind.GATEWAY, cloud, record.data["network"]) for cloud in cx.world.clouds)
