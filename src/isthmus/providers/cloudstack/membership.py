"""Which security groups an instance is in, where CloudStack has none of its own.

Those of its launch are in its details, written with it: those of its first interface, and of each further one. Where
they were changed a tag of the machine says which there are now; it has a number, so that the new one counts from when
it is there, and the old one is deleted after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from isthmus.errors import Invalid
from isthmus.model import Rule
from isthmus.providers.cloudstack import notes, places, secondary
from isthmus.providers.cloudstack.client import Item
from isthmus.providers.cloudstack.grounds import Ground
from isthmus.providers.cloudstack.rulebook import Kept, default_group
from isthmus.providers.cloudstack.tenant import Tenant

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack

_TAG = "isthmus-groups/"
"""How the tag of the first interface's groups begins; that of a further one's has the interface's id behind it."""
_OUT = frozenset({"Destroyed", "Expunging", "Error"})
"""Machines in these states have no traffic."""


@dataclass(frozen=True, slots=True)
class Member:
    """An address of a machine, with the groups that its interface is in."""

    server: str
    network: str
    ground: str
    """CloudStack's network, by its id."""
    address: str
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sight:
    """The groups and the members of a network of ours."""

    network: str
    kept: Mapping[str, Kept]
    everyone: Sequence[Member]

    @property
    def members(self) -> list[Member]:
        return [one for one in self.everyone if one.network == self.network]

    def on(self, ground: str) -> list[Member]:
        """Those in one of CloudStack's networks."""
        return [one for one in self.members if one.ground == ground]

    def addresses(self) -> Mapping[str, Sequence[str]]:
        """Of the members of each group."""
        found: dict[str, list[str]] = {}
        for one in self.members:
            for group in one.groups:
                found.setdefault(group, []).append(one.address)
        return found

    def rules(self, some: Sequence[Member]) -> list[Rule]:
        """Of all groups that some are in."""
        groups = dict.fromkeys(group for one in some for group in one.groups)
        return [rule for group in groups if group in self.kept for rule in self.kept[group].rules]


def groups_of(machine: Item, nic: Item, network: str, first: str) -> tuple[str, ...]:
    """Those of an interface in a network of ours; `first` is the network of the machine's first interface.

    A further interface that says nothing has those of the first. Groups are of one network: interfaces in another are
    in its default group. So is a machine that says nothing.
    """
    made = places.launched(machine)
    if nic["id"] != interfaces(machine)[0]["id"]:
        said = _written(machine, nic["id"])
        own = tuple(said[max(said)].split(",")) if said else made.further.get(nic["networkid"], ())
        if own:
            return own
    said = _written(machine)
    chosen = tuple(said[max(said)].split(",")) if said else made.groups
    return chosen if chosen and network == first else (default_group(network),)


def members(cloud: CloudStack, machines: Sequence[Item], where: Mapping[str, Ground]) -> list[Member]:
    """Of all machines but those that are on their way out; `where` has the networks by CloudStack's ids."""
    found = []
    for machine in machines:
        if machine["state"] in _OUT or machine["id"] in cloud.going:
            continue
        nics = [nic for nic in interfaces(machine) if nic["networkid"] in where]
        for nic in nics:
            network, first = (where[one["networkid"]].network for one in (nic, nics[0]))
            groups = groups_of(machine, nic, network, first)
            further = (one["ipaddress"] for one in secondary.of(nic) if one["id"] not in cloud.going)
            found += [
                Member(machine["id"], network, nic["networkid"], address, groups)
                for address in filter(None, [nic.get("ipaddress"), *further])
            ]
    return found


def interfaces(machine: Item) -> list[Item]:
    """The default one first."""
    return sorted(machine.get("nic", ()), key=lambda nic: (not nic.get("isdefault"), int(nic.get("deviceid") or 0)))


def change(tenant: Tenant, machine: Item, nic: str, groups: Sequence[str]) -> None:
    """Of an interface of a machine. Raises Invalid for more than a tag has room for."""
    further = nic if nic != interfaces(machine)[0]["id"] else ""
    before = _written(machine, further)
    value = ",".join(dict.fromkeys(groups))
    if len(value) > notes.LONGEST:
        raise Invalid(f"CloudStack has no room to note {len(groups)} groups of an instance", "firewalls")
    about = {"resourcetype": "UserVm", "resourceids": [machine["id"]]}
    key = _key(further)
    tag = {"key": f"{key}{max(before, default=0) + 1}", "value": value}
    tenant.client.do("createTags", "server", machine["id"], **about, tags=[tag])
    if before:
        gone = [{"key": f"{key}{number}"} for number in before]
        tenant.client.do("deleteTags", "server", machine["id"], **about, tags=gone)


def _key(further: str) -> str:
    """How the tags of an interface begin, of the first one or a further one by its id."""
    return f"{_TAG}{further}/" if further else _TAG


def _written(machine: Item, further: str = "") -> dict[int, str]:
    """What tags say of the first interface, or a further one by its id, by their numbers: the highest counts."""
    found, key = {}, _key(further)
    for tag in machine.get("tags", ()):
        number = tag["key"].removeprefix(key)
        if number != tag["key"] and number.isdecimal():
            found[int(number)] = str(tag["value"])
    return found
