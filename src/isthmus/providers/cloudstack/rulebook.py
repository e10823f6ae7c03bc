"""Security groups where CloudStack has none: what they are, in tags.

The groups of a VPC stand in tags of the VPC, those of the default network in tags of the account's isolated network.
All these tags are of one customer, so that one list tells them all. A tag for a rule has the rule in its key:
CloudStack itself takes none twice. Several tags of one call are written together or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_network

from isthmus.errors import Invalid
from isthmus.model import Direction, Firewall, Rule
from isthmus.providers.cloudstack import notes
from isthmus.providers.cloudstack.client import Item
from isthmus.providers.cloudstack.firewalls import ALL_OUT, DEFAULT
from isthmus.providers.cloudstack.grounds import default_network
from isthmus.providers.cloudstack.tenant import Tenant
from isthmus.together import together

CUSTOMER = "isthmus-groups"
"""Whose these tags are, as CloudStack calls it."""
GROUP, ABOUT, RULE = "isthmus-group", "isthmus-about", "isthmus-rule"
"""The beginnings of their keys: a group's name and ref, its description, one of its rules."""
_PEER = "@"
"""Before the group that a rule names, in place of a range."""
_FILLED = "="
"""Before a text that may be empty: CloudStack takes no empty tag."""

Tag = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Bearer:
    """What in CloudStack has the tags of a network's groups."""

    kind: str
    native: str


@dataclass(slots=True)
class Kept:
    """A group as its tags say it; one without a bearer is a default one of which nothing is written yet."""

    native: str
    network: str
    ref: str = ""
    name: str = ""
    description: str = ""
    rules: list[Rule] = field(default_factory=list)
    bearer: Bearer | None = None

    @property
    def firewall(self) -> Firewall:
        return Firewall(self.native, self.ref, self.name, self.description, self.network, tuple(self.rules))

    @property
    def keys(self) -> list[str]:
        """Of all its tags."""
        about = [f"{ABOUT}/{self.native}"] if self.description else []
        return [f"{GROUP}/{self.native}", *about, *(rule_key(self.native, rule) for rule in self.rules)]


def default_group(network: str) -> str:
    """The native id of a network's default group."""
    return f"{DEFAULT}.{network.rpartition(':')[2]}"


def read(tenant: Tenant, *, placed: bool = True) -> dict[str, Kept]:
    """All groups by their native ids, the default ones first.

    Unless `placed`, of which VPCs there are is believed what was so within the last minute.
    """
    vpcs = partial(tenant.all if placed else tenant.offers, "listVPCs", "vpc")
    tags, listed = together(partial(tenant.all, "listTags", "tag", customer=CUSTOMER), vpcs)
    if {one["resourceid"] for one in tags if one["resourcetype"] == "Vpc"} - {one["id"] for one in listed}:
        listed = tenant.all("listVPCs", "vpc")
    here = [one["id"] for one in listed if tenant.has(one)]
    default = default_network(tenant)
    return _kept(tags, [default, *here], default)


def _kept(tags: Iterable[Item], networks: Sequence[str], default: str) -> dict[str, Kept]:
    found = {default_group(one): Kept(default_group(one), one, name=DEFAULT) for one in networks}
    by_kind: dict[str, list[tuple[str, Item]]] = {GROUP: [], ABOUT: [], RULE: []}
    for tag in tags:
        kind, _, rest = tag["key"].partition("/")
        if kind in by_kind:
            by_kind[kind].append((rest, tag))
    for native, tag in sorted(by_kind[GROUP], key=lambda one: one[0]):
        network = tag["resourceid"] if tag["resourcetype"] == "Vpc" else default
        if network in networks:
            noted = notes.load(tag["value"])
            name, bearer = noted.text, Bearer(tag["resourcetype"], tag["resourceid"])
            found[native] = Kept(native, network, noted.ref, name, bearer=bearer)
    for native, tag in by_kind[ABOUT]:
        if native in found:
            found[native].description = tag["value"].removeprefix(_FILLED)
    for rest, tag in sorted(by_kind[RULE], key=lambda one: one[0]):
        native, _, said = rest.partition("/")
        if native in found and (rule := _rule(said, tag["value"])):
            found[native].rules.append(rule)
    for one in found.values():
        if one.bearer is None:
            one.rules = [Rule(Direction.INGRESS, "-1", peer=one.native), ALL_OUT]
    return found


def rule_key(group: str, rule: Rule) -> str:
    whom = rule.cidr or f"{_PEER}{rule.peer}"
    return f"{RULE}/{group}/{rule.direction.value}/{rule.protocol}/{rule.low}/{rule.high}/{whom}"


def rule_tag(group: str, rule: Rule) -> Tag:
    """Raises Invalid for a description that is too long."""
    return {"key": rule_key(group, rule), "value": _filled(rule.description)}


def group_tags(group: Kept) -> list[Tag]:
    """All of a group. Raises Invalid for a name or a description that is too long."""
    named = {"key": f"{GROUP}/{group.native}", "value": notes.dump(group.name, group.ref, field="name")}
    about = [{"key": f"{ABOUT}/{group.native}", "value": _filled(group.description)}] if group.description else []
    return [named, *about, *(rule_tag(group.native, rule) for rule in group.rules)]


def write(tenant: Tenant, bearer: Bearer, native: str, tags: Sequence[Tag]) -> None:
    about = {"resourcetype": bearer.kind, "resourceids": [bearer.native]}
    tenant.client.do("createTags", "firewall", native, **about, customer=CUSTOMER, tags=list(tags))


def erase(tenant: Tenant, bearer: Bearer, native: str, keys: Sequence[str]) -> None:
    about = {"resourcetype": bearer.kind, "resourceids": [bearer.native]}
    if keys:
        tenant.client.do("deleteTags", "firewall", native, **about, tags=[{"key": one} for one in keys])


def _filled(text: str) -> str:
    if len(text) >= notes.LONGEST:
        raise Invalid(f"CloudStack has room for {notes.LONGEST - 1} characters here", "description")
    return f"{_FILLED}{text}"


def _rule(said: str, value: str) -> Rule | None:
    """None for what somebody else wrote."""
    try:
        direction, protocol, low, high, whom = said.split("/", 4)
        peer = whom.removeprefix(_PEER) if whom.startswith(_PEER) else ""
        cidr = "" if peer else whom
        if cidr:
            ip_network(cidr)
        return Rule(Direction(direction), protocol, int(low), int(high), cidr, peer, value.removeprefix(_FILLED))
    except ValueError:
        return None
