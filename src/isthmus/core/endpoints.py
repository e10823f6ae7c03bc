"""Endpoints: ways from a network to a service of the region, by routes for the service's addresses.

A service is a list of ranges that the operator configures. An endpoint is a record of the store; which tables it has is
told by their routes alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from isthmus.context import Context
from isthmus.core import hops, kept, routes
from isthmus.core.ids import Kind, adopt
from isthmus.core.kept import Kept
from isthmus.core.registry import Found
from isthmus.core.routes import Entry
from isthmus.core.wiring import changing
from isthmus.errors import Conflict, Invalid, NotFound
from isthmus.model import Network


def prefixes_id(cx: Context, service: str) -> str:
    """The id of the list of a service's ranges: the same for every account."""
    return adopt(Kind.PREFIXES, "", f"{cx.world.region}\n{service}")


def service_of(cx: Context, prefixes: str) -> str:
    """The service whose ranges a list has. Raises NotFound."""
    for service in cx.world.services:
        if prefixes_id(cx, service) == prefixes:
            return service
    raise NotFound(Kind.PREFIXES, prefixes)


def find(cx: Context, ids: Collection[str] | None = None) -> list[Kept]:
    return kept.find(cx, Kind.ENDPOINT, ids)


def tables(cx: Context) -> Mapping[str, list[str]]:
    """The route tables with routes to each endpoint."""
    found: dict[str, list[str]] = {}
    for table in routes.find(cx):
        for entry in routes.entries(table):
            if entry.hop == hops.ENDPOINT:
                found.setdefault(entry.target, []).append(table.id)
    return found


def create(cx: Context, network: Found[Network], service: str, wanted: Sequence[str], policy: str) -> Kept:
    """An endpoint with routes to it in these tables. Raises Conflict (`duplicate`) if one has a route already."""
    _demand_tables(cx, network.id, wanted)
    data = {"network": network.id, "service": service, "policy": policy}
    with changing(cx, network.id):
        made = kept.create(cx, Kind.ENDPOINT, data, cx.tags.get("vpc-endpoint"))
        _add(cx, made, wanted)
    return made


def change(
    cx: Context, found: Kept, add: Sequence[str] = (), remove: Sequence[str] = (), policy: str | None = None
) -> None:
    """Add or remove route tables, or give it another policy. Raises Conflict (`duplicate`) as `create` does."""
    network = found.data["network"]
    _demand_tables(cx, network, [*add, *remove])
    with changing(cx, network):
        for known in remove:
            if known not in tables(cx).get(found.id, ()):
                raise Invalid(f"The route table {known} has no route to {found.id}.", "tables")
        _add(cx, found, add)
        _remove(cx, found, remove)
        if policy is not None:
            kept.update(cx, Kind.ENDPOINT, found.id, {"policy": policy})


def delete(cx: Context, known: str) -> None:
    """With its routes. Raises NotFound."""
    [found] = find(cx, [known])
    with changing(cx, found.data["network"]), cx.store.change(cx.account) as change:
        kept.held(change.view, Kind.ENDPOINT, known)
        routes.drop(change, known)
        change.drop(known)


def _add(cx: Context, found: Kept, wanted: Sequence[str]) -> None:
    """Routes in tables that have none to this endpoint. Raises Conflict, with nothing added, if one is another's."""
    to = prefixes_id(cx, found.data["service"])
    lacking = [known for known in wanted if known not in tables(cx).get(found.id, ())]
    for known in lacking:
        if any(entry.to == to for entry in routes.entries(routes.one(cx, known))):
            raise Conflict("route", to, f"The route table {known} has a route to {to} already.", "duplicate")
    for known in lacking:
        entry = Entry(to, hops.ENDPOINT, found.id)
        routes.add(cx, routes.one(cx, known), entry, lambda view: kept.held(view, Kind.ENDPOINT, found.id))


def _remove(cx: Context, found: Kept, going: Sequence[str]) -> None:
    for known in going:
        routes.remove(cx, routes.one(cx, known), prefixes_id(cx, found.data["service"]))


def _demand_tables(cx: Context, network: str, wanted: Sequence[str]) -> None:
    for known in wanted:
        if routes.one(cx, known).data["network"] != network:
            raise Invalid(f"The route table {known} is not one of {network}.", "tables")
