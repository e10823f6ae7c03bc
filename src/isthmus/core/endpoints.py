"""Endpoints: ways from a network to a service of the region, by routes for the service's addresses.

A service is a list of ranges that the operator configures. An endpoint is a record of the store, and so are its routes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

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


def create(cx: Context, network: Found[Network], service: str, tables: Sequence[str], policy: str) -> Kept:
    """An endpoint with routes to it in these tables. Raises Conflict (`duplicate`) if one has a route already."""
    _demand_tables(cx, network.id, tables)
    to = prefixes_id(cx, service)
    data = {"network": network.id, "service": service, "tables": [], "policy": policy}
    made = kept.create(cx, Kind.ENDPOINT, data, cx.tags.get("vpc-endpoint"))
    taken = [known for known in tables if _route(cx, known, to) not in (None, made.id)]
    if taken:
        kept.delete(cx, Kind.ENDPOINT, made.id)
        raise Conflict("route", to, f"The route table {taken[0]} has a route to {to} already.", "duplicate")
    return change(cx, made, add=tables)


def change(
    cx: Context, found: Kept, add: Sequence[str] = (), remove: Sequence[str] = (), policy: str | None = None
) -> Kept:
    """Add or remove route tables, or give it another policy."""
    network, to = found.data["network"], prefixes_id(cx, found.data["service"])
    _demand_tables(cx, network, [*add, *remove])
    for known in remove:
        if known not in found.data["tables"]:
            raise Invalid(f"The route table {known} has no route to {found.id}.", "tables")
    left = [one for one in found.data["tables"] if one not in remove]
    tables = list(dict.fromkeys([*left, *add]))
    with changing(cx, network):
        for known in remove:
            routes.remove(cx, routes.one(cx, known), to)
        for known in add:
            if _route(cx, known, to) is None:
                routes.add(cx, routes.one(cx, known), Entry(to, hops.ENDPOINT, found.id))
        data = {"tables": tables} if policy is None else {"tables": tables, "policy": policy}
        return kept.update(cx, Kind.ENDPOINT, found.id, data)


def delete(cx: Context, known: str) -> None:
    """With its routes. Raises NotFound."""
    [found] = find(cx, [known])
    there = {table.id for table in routes.find(cx)}
    change(cx, found, remove=[one for one in found.data["tables"] if one in there])
    kept.delete(cx, Kind.ENDPOINT, known)


def _route(cx: Context, table: str, to: str) -> str | None:
    """What a table's route to a list of ranges leads to."""
    return next((entry.target for entry in routes.entries(routes.one(cx, table)) if entry.to == to), None)


def _demand_tables(cx: Context, network: str, tables: Sequence[str]) -> None:
    for known in tables:
        if routes.one(cx, known).data["network"] != network:
            raise Invalid(f"The route table {known} is not one of {network}.", "tables")
