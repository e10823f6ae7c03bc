"""Deleting a network: only when nothing of the user's depends on it, and with all that it began with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from isthmus.context import Context
from isthmus.core import acls, firewalls, gateways, kept, leaving, networks, peerings, routes
from isthmus.core.ids import Kind, adopt
from isthmus.core.records import forget
from isthmus.core.registry import Found
from isthmus.core.rule_ids import all_ids
from isthmus.errors import Conflict, Fault, NotFound
from isthmus.model import Firewall, Network
from isthmus.store import Record, View

_TIED = (
    *(Kind.ROUTE_TABLE, Kind.GATEWAY, Kind.EGRESS_GATEWAY, Kind.NAT, Kind.ACL, Kind.ENDPOINT),
    *(Kind.PEERING, Kind.VPN_GATEWAY),
)
"""Kinds of the store's own things whose data name the network they are in as `network`, or two as `networks`."""
_ATTACHED = (Kind.GATEWAY, Kind.VPN_GATEWAY)
"""Those of them that are somewhere else just as well."""


def delete_network(cx: Context, found: Found[Network]) -> None:
    """Raises Conflict (`in-use`) while the network has anything but what it began with."""
    peerings.mend(cx)  # what has ended by itself holds no network
    own = _own(cx, found)
    leaving.begin(cx, found.id, lambda view: _demand_empty(found, _records(view, found)))
    try:
        _demand_empty(found, _things(cx, found))
        networks.api(cx.session(found.cloud)).delete_network(found.noun.native)
    except Fault:
        leaving.stay(cx, found.id)
        raise
    leaving.end(cx, found.id, own)


def _demand_empty(found: Found[Network], things: Iterator[str]) -> None:
    if next(things, ""):
        reason = f"The vpc '{found.id}' has dependencies and cannot be deleted."
        raise Conflict(Kind.NETWORK, found.id, reason, "in-use")


def _things(cx: Context, found: Found[Network]) -> Iterator[str]:
    """Ids of what the cloud has in a network that must go before it can."""
    yield from (one.id for one in networks.subnets_of(cx, found))
    yield from (one.id for one in _walls(cx, found) if one.noun.name != firewalls.DEFAULT)


def _walls(cx: Context, found: Found[Network]) -> Iterator[Found[Firewall]]:
    for one in firewalls.index(cx):
        if (one.cloud, one.noun.network) == (found.cloud, found.noun.native):
            yield one


def _records(view: View, found: Found[Network]) -> Iterator[str]:
    """Ids of the store's own things in a network that must go before it can."""
    if gateways.begins(found) and (gateway := gateways.default_id(found)) not in view.records:
        yield gateway
    stays = (routes.default_id(found), acls.default_id(found))
    for kind in _TIED:
        for record in kept.there(view, kind):
            if found.id in leaving.within(record.data) and record.id not in stays:
                yield record.id


def _own(cx: Context, found: Found[Network]) -> list[str]:
    """Ids of all that goes with the network: records and tags of these are forgotten.

    The gateway that it began with goes if it was deleted; detached, it is one as any other.
    """
    view, walls = cx.view(), list(_walls(cx, found))
    first = [routes.default_id(found), acls.default_id(found)]
    gateway = view.records.get(gateways.default_id(found))
    gone = [gateway.id] if gateway and gateway.data.get(kept.DELETED) else []
    return [*first, *gone, *(one.id for one in walls), *(rule for wall in walls for rule in all_ids(view, wall))]


def sweep(cx: Context) -> None:
    """See to the store's own things that are left of networks which are gone, but what is buried: it has its time.

    An account's own gateways are detached, connections end, and all else is forgotten.
    """
    held = [record for kind in _TIED for record in cx.view().of_kind(kind).values() if record.gone is None]
    there = {"", *(one.id for one in networks.networks(cx))}  # later than the records: what is new is there
    forgotten = []
    for record in held:
        if there.issuperset(leaving.within(record.data)):
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
