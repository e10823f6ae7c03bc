"""Neutron's security groups as firewalls.

To Neutron a group is the project's and of no network; here it is of the one that its notes name. Groups made by other
means, and the one named `default` that each project has, are the default network's, but ports of any network may have
them. Every other network that is made here gets a group of its own, which goes by the name of `default` here alone.
A group that somebody asked for has that one's description in the end, and its notes in tags; until then, as Neutron
makes no group with tags, the notes are in the description, so that a repetition finds what a crash left half made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from isthmus.errors import Conflict, Denied, Invalid, NotFound
from isthmus.model import Direction, Firewall, Rule
from isthmus.providers import FirewallSpec
from isthmus.providers.openstack import landscape, notes
from isthmus.providers.openstack.client import Client, Item
from isthmus.providers.openstack.landscape import OWN_GROUP, Landscape, is_projects_own
from isthmus.providers.openstack.neutron import change, create, delete, listed, note, said
from isthmus.providers.openstack.rules import body_of, check, rule_of
from isthmus.together import for_each

if TYPE_CHECKING:
    from isthmus.providers.openstack.cloud import OpenStack

OWN_DESCRIPTION = "default VPC security group"
"""As EC2 says of these groups."""


class OpenStackFirewalls:
    def __init__(self, cloud: OpenStack, client: Client) -> None:
        self._cloud = cloud
        self._client = client

    def list_firewalls(self, *, placed: bool = True) -> Sequence[Firewall]:
        if not placed:
            members = self._cloud.members.of(self._client)
            return [_noun(group, _named(members, group)) for group in listed(self._client, "firewall")]
        return list(_nouns(self._read()).values())

    def create_firewall(self, spec: FirewallSpec) -> Firewall:
        if not spec.ref or not spec.name:
            raise Invalid("a firewall needs a ref and a name", "name" if spec.ref else "ref")
        with self._cloud.turn(f"firewalls of {self._client.project}"):
            self._client.again()
            land = self._read()
            item = next((one for one in land.groups if said(one).get("ref") == spec.ref), None)
            if item is None:
                network = spec.network or land.default
                land.demand(network)
                if any(one.name == spec.name and one.network == network for one in _nouns(land).values()):
                    raise Conflict("firewall", spec.name, f"there is a firewall {spec.name!r}", code="duplicate")
                description = notes.dump(ref=spec.ref, network=network)
                item = create(self._client, "firewall", name=spec.name, description=description)
            elif not notes.load(item["description"]):
                return _nouns(land)[item["id"]]
            self._finish(item, spec.description)
        return _nouns(self._read())[item["id"]]

    def delete_firewall(self, native: str) -> None:
        groups = {one["id"]: one for one in listed(self._client, "firewall")}
        if (group := groups.pop(native, None)) is None:
            return
        if is_default(group):
            raise Denied("the default firewall cannot be deleted")
        rules = (rule for other in groups.values() for rule in other["security_group_rules"])
        if any(rule["remote_group_id"] == native for rule in rules):
            raise Conflict("firewall", native, f"the firewall {native} is in use", code="in-use")
        delete(self._client, "firewall", native)

    def add_rules(self, native: str, rules: Sequence[Rule]) -> None:
        with self._cloud.turn(native):
            groups = {one["id"]: one for one in listed(self._client, "firewall")}
            known = set(_rules(_demand(groups, native)))
            for rule in rules:
                check(rule, groups)
                if rule.key in known:
                    raise Conflict("rule", native, f"the firewall {native} has this rule", code="duplicate")
                known.add(rule.key)
            add(self._client, native, rules)

    def remove_rules(self, native: str, rules: Sequence[Rule]) -> None:
        with self._cloud.turn(native):
            groups = {one["id"]: one for one in listed(self._client, "firewall")}
            known = _rules(_demand(groups, native))
            going = {rule.key for rule in rules}
            if going - known.keys():
                raise NotFound("rule", native, f"the firewall {native} has no such rule")
            for_each(partial(delete, self._client, "rule"), [item["id"] for key in going for _, item in known[key]])

    def _read(self) -> Landscape:
        return landscape.read(self._client, self._cloud.zones, groups=True)

    def _finish(self, item: Item, description: str) -> None:
        """Make of a group that Neutron has made one as it was asked for; the description last."""
        note(self._client, "firewall", item, **notes.load(item["description"]))
        _drop_v6(self._client, item)
        change(self._client, "firewall", item["id"], description=description)


def is_default(group: Item) -> bool:
    """Whether a group is one that a network has from the beginning."""
    return is_projects_own(group) or bool(said(group).get("default"))


def network_of(land: Landscape, group: Item) -> str:
    """The native id of the network that a group is of; empty if that is none."""
    named = _named(land.members, group)
    return named if named in land.networks else land.default


def default_of(groups: Iterable[Item], network: str) -> list[Item]:
    """The group made for a network to begin with: one, but after a crash."""
    return [one for one in groups if said(one).get("network") == network and said(one).get("default")]


def make_default(client: Client, network: str) -> Item:
    """The group that a network has from the beginning: it lets in its own members, and lets out all."""
    description = notes.dump(network=network, default="1")
    group = create(client, "firewall", name=f"{OWN_GROUP} of {network}", description=description)
    add(client, group["id"], [Rule(Direction.INGRESS, "-1", peer=group["id"])])
    _drop_v6(client, group)
    return group


def add(client: Client, group: str, rules: Sequence[Rule]) -> None:
    """All rules or none."""
    if rules:
        bodies = [body_of(group, rule) for rule in rules]
        client.post("network", "/v2.0/security-group-rules", {"security_group_rules": bodies}, "rule")


def for_port(client: Client, members: Mapping[str, str], within: str, wanted: Sequence[str]) -> Sequence[str]:
    """The firewalls of a port in one of Neutron's networks: those that are named, else its network's default one.

    Raises NotFound, and Invalid for a firewall of another network.
    """
    network = members.get(within, within)
    groups = {one["id"]: one for one in listed(client, "firewall")}
    for one in dict.fromkeys(wanted):
        if _named(members, _demand(groups, one)) not in ("", network):
            raise Invalid(f"the firewall {one} is of another network", "firewalls")
    if wanted:
        return list(dict.fromkeys(wanted))
    own = default_of(groups.values(), network) or [one for one in groups.values() if is_projects_own(one)]
    return [own[0]["id"]]


def _demand(groups: dict[str, Item], native: str) -> Item:
    if native not in groups:
        raise NotFound("firewall", native[:64])
    return groups[native]


def _drop_v6(client: Client, group: Item) -> None:
    """Neutron lets a new group's members out by IPv6 as well: here it lets out what was asked for."""
    for rule in group["security_group_rules"]:
        if rule["ethertype"] == "IPv6":
            delete(client, "rule", rule["id"])


def _rules(group: Item) -> dict[tuple[str, str, int, int, str, str], list[tuple[Rule, Item]]]:
    """A group's rules by their keys: Neutron may have several of one."""
    found = defaultdict(list)
    for item in sorted(group["security_group_rules"], key=lambda one: (one.get("created_at") or "", one["id"])):
        if rule := rule_of(item):
            found[rule.key].append((rule, item))
    return dict(found)


def _nouns(land: Landscape) -> dict[str, Firewall]:
    """All that are of some network: the default firewall of a network that is gone is not."""
    return {
        one["id"]: _noun(one, network_of(land, one)) for one in land.groups if not is_default(one) or _home(land, one)
    }


def _named(members: Mapping[str, str], group: Item) -> str:
    """The network that a group's notes name; empty if they name none."""
    named = said(group).get("network", "")
    return members.get(named, named)


def _home(land: Landscape, group: Item) -> str:
    """The network that a default group is of; empty if that is gone."""
    home = land.default if is_projects_own(group) else said(group).get("network", "")
    return home if home in land.networks else ""


def _noun(group: Item, network: str) -> Firewall:
    text = "" if notes.load(group["description"]) else group["description"]
    return Firewall(
        native=group["id"],
        ref=said(group).get("ref", ""),
        name=OWN_GROUP if is_default(group) else group["name"],
        description=OWN_DESCRIPTION if is_default(group) else text,
        network=network,
        rules=tuple(pairs[0][0] for pairs in _rules(group).values()),
    )
