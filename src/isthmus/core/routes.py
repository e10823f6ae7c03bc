"""Route tables: where the traffic of subnets goes. Each network begins with one, its main table.

A table is a record of the store: its network and its routes. Which table a subnet uses stands in the subnet's record,
which one is the main in the network's. What changes how traffic goes is to be called while the wiring of the network
is `changing`; see core/wiring.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from isthmus.context import Context
from isthmus.core import gateways, kept, networks
from isthmus.core.ids import Kind, adopt, mint
from isthmus.core.kept import Check, Defaults, Kept
from isthmus.core.notes import note
from isthmus.core.quotas import demand
from isthmus.core.registry import Found
from isthmus.errors import Conflict, Invalid, NotFound
from isthmus.model import Hop, Network, Subnet
from isthmus.store import Change, View

EVERYWHERE = "0.0.0.0/0"


@dataclass(frozen=True, slots=True)
class Entry:
    """One route: `to` is a range of addresses or the id of a prefix list, `target` the id of what it leads to."""

    to: str
    hop: str
    """A Hop, `vpn` or `endpoint`."""
    target: str
    made: str = "route"
    """How it came: with the `table`, by making a `route`, or by `propagation`."""


@dataclass(frozen=True, slots=True)
class Association:
    """What makes a subnet use a table; without a subnet, what makes it the main one."""

    id: str
    table: str
    subnet: str = ""


def default_id(network: Found[Network]) -> str:
    """The id of the table that a network begins with, or of the one that another gateway had it begin with."""
    return network.data.get("first_table") or adopt(Kind.ROUTE_TABLE, network.cloud, network.id)


def defaults(cx: Context) -> Defaults:
    return {default_id(one): {"network": one.id, "routes": _first(one)} for one in networks.networks(cx)}


def _first(network: Found[Network]) -> list[dict[str, Any]]:
    """The main table of a network that begins with a gateway leads there."""
    return [asdict(Entry(EVERYWHERE, Hop.INTERNET, gateways.default_id(network)))] if gateways.begins(network) else []


def find(cx: Context, ids: Collection[str] | None = None) -> list[Kept]:
    return kept.find(cx, Kind.ROUTE_TABLE, ids, defaults(cx))


def one(cx: Context, table: str) -> Kept:
    return find(cx, [table])[0]


def entries(table: Kept) -> list[Entry]:
    return _entries(table.data)


def _entries(data: Mapping[str, Any]) -> list[Entry]:
    return [Entry(**said) for said in data["routes"]]


def main_of(network: Found[Network]) -> str:
    """The id of a network's main table."""
    return network.data.get("main_table") or default_id(network)


def table_of(cx: Context, subnet: Found[Subnet]) -> str:
    """The id of the table that a subnet uses."""
    return subnet.data.get("table") or main_of(networks.network_of(cx, subnet))


def associations(cx: Context) -> Iterator[Association]:
    """All that the account has: the main ones, and those of subnets."""
    for network in networks.networks(cx):
        yield _main(network)
    for subnet in networks.subnets(cx):
        if table := subnet.data.get("table"):
            yield Association(subnet.data["table_association"], table, subnet.id)


def _main(network: Found[Network]) -> Association:
    table = main_of(network)
    if table == network.data.get("first_table"):
        return Association(network.data["first_association"], table)
    return Association(adopt(Kind.ROUTE_ASSOCIATION, network.cloud, f"{network.id}\n{table}"), table)


def create(cx: Context, network: Found[Network]) -> Kept:
    """Raises QuotaExceeded for one too many in a network."""
    data = {"network": network.id, "routes": []}
    return kept.create(cx, Kind.ROUTE_TABLE, data, cx.tags.get("route-table"), defaults=defaults(cx))


def delete(cx: Context, known: str) -> None:
    """Raises Conflict (`in-use`) for a table that is the main one or that a subnet uses."""
    first = defaults(cx)

    def check(view: View) -> None:
        data = kept.held(view, Kind.ROUTE_TABLE, known, first)
        main = _data(view, data["network"]).get("main_table") or (known if known in first else "")
        if main == known or any(one.data.get("table") == known for one in view.of_kind(Kind.SUBNET).values()):
            reason = f"The routeTable '{known}' has dependencies and cannot be deleted."
            raise Conflict(Kind.ROUTE_TABLE, known, reason, "in-use")

    kept.delete(cx, Kind.ROUTE_TABLE, known, first, check)


def add(cx: Context, table: Kept, entry: Entry, check: Check | None = None) -> None:
    """Raises Conflict (`duplicate`) if the table has a route for this range, QuotaExceeded, and what `check` raises."""

    def new(held: list[Entry]) -> list[Entry]:
        if any(other.to == entry.to and other.made != "propagation" for other in held):
            reason = f"The route identified by {entry.to} already exists."
            raise Conflict("route", entry.to, reason, "duplicate")
        demand(cx, "routes_per_table", sum(other.made != "propagation" for other in held), table.id)
        return [*held, entry]

    _change(cx, table, new, check)


def exchange(cx: Context, table: Kept, entry: Entry) -> None:
    """Let a route lead elsewhere. Raises NotFound."""

    def new(held: list[Entry]) -> list[Entry]:
        _demand(table, held, entry.to)
        return [replace(entry, made=other.made) if other.to == entry.to else other for other in held]

    _change(cx, table, new)


def remove(cx: Context, table: Kept, to: str) -> None:
    """Raises NotFound."""

    def new(held: list[Entry]) -> list[Entry]:
        _demand(table, held, to)
        return [other for other in held if other.to != to]

    _change(cx, table, new)


def _demand(table: Kept, held: Sequence[Entry], to: str) -> None:
    if all(other.to != to for other in held):
        raise NotFound("route", to, f"no route with destination {to} in route table {table.id}")


def _change(cx: Context, table: Kept, new: Callable[[list[Entry]], list[Entry]], check: Check | None = None) -> None:
    """Change the routes that a table has then, whatever it had when it was read."""

    def data(held: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"routes": [asdict(entry) for entry in new(_entries(held))]}

    kept.alter(cx, Kind.ROUTE_TABLE, table.id, data, defaults(cx), check)


def drop(change: Change, target: str) -> None:
    """Take what leads to something out of all tables, within the change that deletes it."""
    for table in kept.there(change.view, Kind.ROUTE_TABLE):
        left = [said for said in table.data["routes"] if said["target"] != target]
        if len(left) < len(table.data["routes"]):
            change.update(table.id, data={**table.data, "routes": left})


def propagate(cx: Context, table: Kept, source: str, *, on: bool) -> None:
    """Let a table take over the routes of a VPN gateway, or no longer."""

    def new(held: Mapping[str, Any]) -> Mapping[str, Any]:
        others = [one for one in held.get("propagating", ()) if one != source]
        return {"propagating": [*others, source] if on else others}

    kept.alter(cx, Kind.ROUTE_TABLE, table.id, new, defaults(cx))


def propagating(table: Kept) -> Sequence[str]:
    return list(table.data.get("propagating", ()))


def associate(cx: Context, table: Kept, subnet: Found[Subnet]) -> str:
    """Let a subnet use a table; the id of the association. Raises Conflict (`associated`) if it uses another."""
    if subnet.data.get("table") == table.id:
        return str(subnet.data["table_association"])

    def check(view: View) -> None:
        if _data(view, subnet.id).get("table"):
            reason = f"the specified association for route table {table.id} conflicts with an existing association"
            raise Conflict(Kind.ROUTE_TABLE, table.id, reason, "associated")

    return _use(cx, table, subnet, check)


def _use(cx: Context, table: Kept, subnet: Found[Subnet], check: Check) -> str:
    if networks.network_of(cx, subnet).id != table.data["network"]:
        raise Invalid(f"Route table {table.id} and subnet {subnet.id} belong to different networks.", "network")
    first, known = defaults(cx), mint(Kind.ROUTE_ASSOCIATION, cx.seed)

    def both(view: View) -> None:
        kept.held(view, Kind.ROUTE_TABLE, table.id, first)
        check(view)

    note(cx, Kind.SUBNET, subnet, both, table=table.id, table_association=known)
    return known


def _data(view: View, known: str) -> Mapping[str, Any]:
    """What the record of a network or a subnet holds, if there is one."""
    record = view.records.get(known)
    return record.data if record else {}


def association(cx: Context, known: str) -> Association:
    """Raises NotFound."""
    for held in associations(cx):
        if held.id == known:
            return held
    raise NotFound(Kind.ROUTE_ASSOCIATION, known)


def _standing(held: Association) -> Check:
    """That a subnet's association is still what its record says. Raises NotFound."""

    def check(view: View) -> None:
        if _data(view, held.subnet).get("table_association") != held.id:
            raise NotFound(Kind.ROUTE_ASSOCIATION, held.id)

    return check


def disassociate(cx: Context, held: Association) -> None:
    """Let a subnet use the main table again. Raises Invalid for the main table's own association."""
    if not held.subnet:
        raise Invalid(f"cannot disassociate the main route table association {held.id}", "association")
    subnet = networks.one_subnet(cx, held.subnet)
    note(cx, Kind.SUBNET, subnet, _standing(held), table=None, table_association=None)


def reassociate(cx: Context, held: Association, table: Kept) -> str:
    """Let what an association is of use another table; the new association's id."""
    if held.subnet:
        return _use(cx, table, networks.one_subnet(cx, held.subnet), _standing(held))
    network = networks.one_network(cx, one(cx, held.table).data["network"])
    if table.data["network"] != network.id:
        raise Invalid(f"Route table {table.id} does not belong to network {network.id}.", "network")
    first = defaults(cx)

    def check(view: View) -> None:
        kept.held(view, Kind.ROUTE_TABLE, table.id, first)
        if (_data(view, network.id).get("main_table") or default_id(network)) != held.table:
            raise NotFound(Kind.ROUTE_ASSOCIATION, held.id)

    note(cx, Kind.NETWORK, network, check, main_table=table.id)
    return _main(networks.one_network(cx, network.id)).id


def of_network(cx: Context, network: str) -> list[Kept]:
    return [table for table in find(cx) if table.data["network"] == network]


def users(cx: Context) -> Mapping[str, list[Association]]:
    """Associations by table."""
    found: dict[str, list[Association]] = {}
    for held in associations(cx):
        found.setdefault(held.table, []).append(held)
    return found
