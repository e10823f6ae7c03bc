"""What OpenStack's ec2-api knew of VPCs: networks, internet gateways, route tables, DHCP options, and what uses which.

A VPC was a router there, and each of its subnets had one of Neutron's networks to itself. Its things are rows with an
id, a project, perhaps a VPC, perhaps a native id, and all else as an object of JSON; the id of an association is that
of a subnet, or of a VPC for its main table, with another prefix, and so is that of a VPC's first security group.
Source: ec2-api 17.0.0, ec2api/api and ec2api/db.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from isthmus.core.ids import Kind
from isthmus.core.routes import Entry
from isthmus.model import Hop
from isthmus.store import Record

if TYPE_CHECKING:
    from isthmus.providers.openstack.administrator import Project, Tagging
    from isthmus.store import Change

KINDS = {"igw": Kind.GATEWAY, "rtb": Kind.ROUTE_TABLE, "dopt": Kind.DHCP}
"""By the prefixes of their ids, what is a record here as well."""
_NO_SUBNETS = "it has no subnets: without any it is a router alone, and no network that could go on"
_NO_VPC = "its VPC is not taken over"
_OTHER_VPC = "its VPC has another id here"
_ELSEWHERE = "another account has this id"
_NO_OPTIONS = "Neutron tells no options to a VPC as a whole; ports keep those that they have"
_NO_KIND = {
    "vgw": "Neutron's VPNs are not behind the API",
    "cgw": "Neutron's VPNs are not behind the API",
    "vpn": "Neutron's VPNs are not behind the API",
}


class Row(NamedTuple):
    """A thing of ec2-api's."""

    id: str
    vpc: str
    native: str
    data: Mapping[str, Any]

    @property
    def prefix(self) -> str:
        return self.id.rpartition("-")[0]


@dataclass
class Plan:
    """What is to be on record of one project."""

    records: dict[str, tuple[Kind, Mapping[str, Any]]] = field(default_factory=dict)
    notes: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """What is to stand in the records of VPCs and subnets, by their ids."""
    tags: Sequence[Tagging] = ()
    """What is to be written to Neutron before."""
    left: dict[str, str] = field(default_factory=dict)
    """What is not taken over, or not as it was, with the reason."""


class Placed(NamedTuple):
    """The native id of the network that a VPC is here, the range that it has, and the tags that are wanting for it."""

    network: str
    cidr: str
    tags: Sequence[Tagging] = ()


class Source(NamedTuple):
    """Who tells what VPCs are here: a function of a project and its rows, and why VPCs with subnets are left out."""

    placed: Callable[[str, Sequence[Row]], Mapping[str, Placed]]
    why: str


def by_nobody() -> Source:
    return Source(
        lambda _project, _rows: {}, "nobody tells its network: say --os-cloud, or --neutron-db for one subnet"
    )


def by_database(subnets: Mapping[str, tuple[str, str]]) -> Source:
    """Of Neutron's subnets the network and the range of each: a VPC with one of them is its network."""

    def placed(_: str, rows: Sequence[Row]) -> Mapping[str, Placed]:
        within = {vpc: {one.native for one in there if one.native in subnets} for vpc, there in _subnets(rows).items()}
        return {vpc: Placed(*subnets[there.pop()]) for vpc, there in within.items() if len(there) == 1}

    return Source(placed, "it has several subnets, each in a network of its own: say --os-cloud, to have these tagged")


def by_administrator(project: Callable[[str], Project]) -> Source:
    """By what Neutron tells an administrator, who can tag several networks as one."""
    from isthmus.providers.openstack.administrator import Whole

    def placed(of: str, rows: Sequence[Row]) -> Mapping[str, Placed]:
        there, found = _subnets(rows), dict[str, Placed]()
        if not there:
            return {}
        seen = project(of)
        for vpc in (row for row in rows if row.prefix == "vpc"):
            subnets, cidr = [one.native for one in there.get(vpc.id, ())], vpc.data.get("cidr_block", "")
            groups = {one.id: one.native for one in rows if one.prefix == "sg" and one.vpc == vpc.id and one.native}
            first = groups.get(f"sg-{vpc.id.rpartition('-')[2]}", "")
            whole = Whole(vpc.native, subnets, cidr, bool(vpc.data.get("is_default")), groups.values(), first)
            if (lead := seen.lead(whole)) and cidr:
                found[vpc.id] = Placed(lead, cidr, seen.taggings(whole))
        return found

    return Source(placed, "the login that --os-cloud names sees no subnet of it in Neutron")


def _subnets(rows: Sequence[Row]) -> Mapping[str, Sequence[Row]]:
    """By their VPCs."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row.prefix == "subnet" and row.vpc and row.native:
            found.setdefault(row.vpc, []).append(row)
    return found


def plan(rows: Sequence[Row], placed: Mapping[str, Placed], why: str) -> Plan:
    """Of one project; `placed` are the VPCs that are taken over, `why` is the reason for others that have subnets."""
    made, by_id = Plan(), {row.id: row for row in rows}
    ranges, inside = {vpc: one.cidr for vpc, one in placed.items()}, _subnets(rows)
    made.tags = [tag for one in placed.values() for tag in one.tags]
    for row in rows:
        kind = KINDS.get(row.prefix)
        if kind and row.vpc and row.vpc not in ranges:
            made.left[row.id] = _NO_VPC
        elif kind is Kind.GATEWAY:
            made.records[row.id] = kind, {"network": row.vpc}
        elif kind is Kind.DHCP:
            made.records[row.id] = kind, {"options": row.data.get("dhcp_configuration", {})}
        elif kind is Kind.ROUTE_TABLE:
            routes = [asdict(one) for one in _routes(row, by_id, made.left)]
            made.records[row.id] = kind, {"network": row.vpc, "routes": routes}
        elif row.prefix == "vpc" and row.id not in ranges:
            made.left[row.id] = why if row.id in inside else _NO_SUBNETS
        elif row.prefix in _NO_KIND:
            made.left[row.id] = _NO_KIND[row.prefix]
    gateways = {row.vpc: row.id for row in rows if row.prefix == "igw" and row.vpc in ranges}
    for vpc in (row for row in rows if row.id in ranges):
        _note_vpc(made, vpc, ranges[vpc.id], gateways.get(vpc.id, ""))
    for row in rows:
        if row.prefix == "subnet" and (table := row.data.get("route_table_id")) in made.records:
            made.notes[row.id] = {"table": table, "table_association": _association(row.id)}
    return made


def _note_vpc(made: Plan, vpc: Row, here: str, gateway: str) -> None:
    """With which gateway and main table a VPC begins here, and what of it is not as it was."""
    said = {"first_gateway": gateway} if gateway else {}
    if (table := vpc.data.get("route_table_id")) in made.records:
        said |= {"first_table": str(table), "first_association": _association(vpc.id)}
    made.notes[vpc.id] = said
    if (cidr := vpc.data.get("cidr_block", here)) != here:
        made.left[f"{vpc.id} {cidr}"] = f"the range of a VPC is that of its subnet here, {here}, without --os-cloud"
    if options := vpc.data.get("dhcp_options_id"):
        made.left[f"{vpc.id} {options}"] = _NO_OPTIONS


def _routes(table: Row, by_id: Mapping[str, Row], left: dict[str, str]) -> Iterator[Entry]:
    """Without the local one, which every table has."""
    for said in table.data.get("routes", ()):
        to, gateway, port = (
            str(said.get(name) or "") for name in ("destination_cidr_block", "gateway_id", "network_interface_id")
        )
        if port in by_id:
            yield Entry(to, Hop.PORT, port)
        elif gateway in by_id and by_id[gateway].prefix == "igw" and by_id[gateway].vpc == table.vpc:
            yield Entry(to, Hop.INTERNET, gateway)
        elif gateway or port:
            left[f"{table.id} {to}"] = f"there is no {gateway or port} that the route could lead to"


def _association(known: str) -> str:
    return f"rtbassoc-{known.rpartition('-')[2]}"


def write(
    change: Change, account: str, taken: Plan, now: datetime, new: Collection[str], elsewhere: Collection[str]
) -> Iterator[str]:
    """Put on record what is not there yet; the ids of what is, then.

    `new` is of VPCs and subnets put just before, `elsewhere` of what other accounts have. What is on record already is
    left as it is, and so is what VPCs and subnets use that had such things before.
    """
    records = change.view.records
    for known in elsewhere:
        taken.left[known] = _ELSEWHERE
    for known, (_, data) in taken.records.items():
        if data.get("network") and data["network"] not in {*new, *records}:
            taken.left[known] = _OTHER_VPC
    for known, notes in taken.notes.items():
        there = records.get(known)
        before = there and (notes.keys() & there.data.keys() or {*notes.values()} & records.keys())
        if (known in new or (there and not before)) and not {*notes.values()} & taken.left.keys():
            change.update(known, data={**(there.data if there else {}), **notes})
    for known, (kind, data) in taken.records.items():
        if known in taken.left:
            continue
        if known not in records:
            change.put(Record(known, account, kind, "", known, data, now, None))
        yield known
