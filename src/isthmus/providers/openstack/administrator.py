"""What an administrator writes so that several of Neutron's networks are one here: tags, and nothing else.

The networks are those of a VPC of ec2-api's: one for each subnet, with the VPC's router in all of them. The router is
tagged first, with the network that is to lead: so whoever begins again goes on in the same way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from isthmus.providers.openstack import notes
from isthmus.providers.openstack.client import Client, Item
from isthmus.providers.openstack.cloud import Options, connect
from isthmus.providers.openstack.logins import Signed
from isthmus.providers.openstack.neutron import listed, note, said
from isthmus.together import together


@dataclass(frozen=True)
class Whole:
    """What is to be one network, by native ids; `first` of its firewalls is the one that it had from the beginning."""

    router: str
    subnets: Collection[str]
    cidr: str
    default: bool = False
    firewalls: Collection[str] = ()
    first: str = ""


class Tagging(NamedTuple):
    """The notes that one of Neutron's things is to have as tags."""

    kind: str
    item: Item
    notes: Mapping[str, str]

    def __str__(self) -> str:
        tags = (f"{notes.MARK}{name}={value}" for name, value in self.notes.items() if value)
        return f"{KINDS[self.kind]} {self.item['id']}: {', '.join(tags)}"


KINDS = {"network": "network", "router": "router", "firewall": "security group"}


class Project:
    """A project's networks as an administrator sees them."""

    def __init__(self, client: Client) -> None:
        kinds = ("network", "router", "firewall")
        *found, subnets = together(
            *(lambda kind=kind: listed(client, kind) for kind in kinds),
            lambda: listed(client, "subnet", ip_version=4),
        )
        self._items = {kind: {one["id"]: one for one in items} for kind, items in zip(kinds, found, strict=True)}
        self.networks: Mapping[str, str] = {
            one["id"]: one["network_id"] for one in subnets if one["network_id"] in self._items["network"]
        }
        """The Neutron network of each subnet."""

    def lead(self, whole: Whole) -> str:
        """The network that goes on as the whole: the one that leads already, or the oldest; empty if none is there."""
        there = self._items["network"]
        before = said(self._items["router"].get(whole.router, {})).get("network", "")
        within = {self.networks.get(subnet) for subnet in whole.subnets}
        return before if before in there else next((one for one in there if one in within), "")

    def taggings(self, whole: Whole) -> Sequence[Tagging]:
        """What is still to be written, in this order."""
        lead = self.lead(whole)
        other_default = any(said(one).get("default") for one in self._items["network"].values() if one["id"] != lead)
        default = whole.default and not other_default
        others = dict.fromkeys(self.networks[one] for one in whole.subnets if one in self.networks)
        wanted = [
            ("router", whole.router, {"network": lead}),
            ("network", lead, {"main": whole.cidr, "network": "", **({"default": "1"} if default else {})}),
            *(("network", one, {"network": lead}) for one in others if one != lead),
            *(("firewall", one, {"network": lead}) for one in whole.firewalls if one != whole.first),
            # The default network's first firewall is the project's own, which was there before any VPC.
            ("firewall", whole.first, {"network": lead, **({} if default else {"default": "1"})}),
        ]
        there = [Tagging(kind, self._items[kind][one], new) for kind, one, new in wanted if one in self._items[kind]]
        return [one for one in there if not _has(one.item, one.notes)]


class Administrator:
    """A login that may tag networks, routers and security groups of all projects.

    Raises Invalid if there is no such login, Unavailable if Keystone does not answer.
    """

    def __init__(self, options: Options) -> None:
        self._connection = connect(options)
        region = options.region or self._connection.config.region_name
        self._signed = Signed(self._connection.session, region, options.interface)

    def project(self, native: str) -> Project:
        """Raises Denied if the login is not taken."""
        self._signed.project()
        return Project(Client(native, self._signed.adapter))

    def tag(self, one: Tagging) -> None:
        """Write it. Raises Denied or NotFound without the right to."""
        note(Client("", self._signed.adapter), one.kind, one.item, **one.notes)

    def close(self) -> None:
        self._connection.close()


def _has(item: Item, wanted: Mapping[str, str]) -> bool:
    noted = said(item)
    return all(noted.get(name, "") == value for name, value in wanted.items())
