"""What OpenStack's ec2-api alone knew of VPCs: internet gateways, route tables, DHCP options, and what uses which.

Its things are rows with an id, a project, perhaps a VPC, and all else as an object of JSON; the id of an association is
that of a subnet, or of a VPC for its main table, with another prefix. Source: ec2-api 17.0.0, ec2api/api and ec2api/db.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from isthmus.core.ids import Kind
from isthmus.core.routes import Entry
from isthmus.model import Hop
from isthmus.store import Record

if TYPE_CHECKING:
    from isthmus.store import Change

KINDS = {"igw": Kind.GATEWAY, "rtb": Kind.ROUTE_TABLE, "dopt": Kind.DHCP}
"""By the prefixes of their ids, what is a record here as well."""
_NO_VPC = "its VPC is not taken over"
_OTHER_VPC = "its VPC has another id here"
_ELSEWHERE = "another account has this id"
_NO_OPTIONS = "Neutron tells no options to a VPC as a whole; ports keep those that they have"
_NO_KIND = {
    "vpc": "a VPC is one network here, and this one has several or none, or Neutron's database does not tell it",
    "vgw": "Neutron's VPNs are not behind the API",
    "cgw": "Neutron's VPNs are not behind the API",
    "vpn": "Neutron's VPNs are not behind the API",
}


class Row(NamedTuple):
    """A thing of ec2-api's."""

    id: str
    vpc: str
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
    left: dict[str, str] = field(default_factory=dict)
    """What is not taken over, or not as it was, with the reason."""


def plan(rows: Sequence[Row], ranges: Mapping[str, str]) -> Plan:
    """Of one project; `ranges` names the VPCs that are taken over, with what their range is here."""
    made, by_id = Plan(), {row.id: row for row in rows}
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
        elif row.prefix in _NO_KIND and row.id not in ranges:
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
        made.left[f"{vpc.id} {cidr}"] = f"the range of a VPC is that of its subnet here, {here}"
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
