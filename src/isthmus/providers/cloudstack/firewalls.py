"""CloudStack's security groups. Source: CloudStack's API, and docs.cloudstack.apache.org, "Security Groups".

A group without a rule for what goes out lets out all; with one it lets out what its rules say. So that this comes to
the same as our rules, the rule for all is written out beside others, and a rule that fits nothing stands for none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from isthmus.errors import Conflict, Denied, Invalid, NotFound, Unsupported
from isthmus.model import WITH_PORTS, Direction, Firewall, Rule, demand_rule
from isthmus.providers import FirewallSpec
from isthmus.providers.cloudstack import notes
from isthmus.providers.cloudstack.client import Item
from isthmus.providers.cloudstack.grounds import default_network
from isthmus.providers.cloudstack.tenant import Tenant
from isthmus.together import for_each

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack

DEFAULT = "default"
ALL_OUT = Rule(Direction.EGRESS, "-1", cidr="0.0.0.0/0")
NONE_OUT = Rule(Direction.EGRESS, "-1", cidr="127.0.0.1/32")
"""What is written to a group that lets out nothing: traffic to this address leaves no machine."""
_COMMANDS = {Direction.INGRESS: "Ingress", Direction.EGRESS: "Egress"}
_ICMP6 = "58"
_DESCRIPTION = "isthmus-description"
"""The tag of a rule that describes it."""
_WHOLE = (1, 65535)
"""What CloudStack makes of all ports: it has no port 0."""


class CloudStackFirewalls:
    def __init__(self, cloud: CloudStack, tenant: Tenant) -> None:
        self._cloud = cloud
        self._tenant = tenant
        self._client = tenant.client

    def list_firewalls(self, *, placed: bool = True) -> Sequence[Firewall]:  # noqa: ARG002
        groups = self._groups()
        names = {one["name"]: one["id"] for one in groups}
        return [self._firewall(one, names) for one in groups]

    def create_firewall(self, spec: FirewallSpec) -> Firewall:
        if not spec.ref or not spec.name:
            raise Invalid("a firewall needs a ref and a name", "name" if spec.ref else "ref")
        if spec.network not in ("", default_network(self._tenant)):
            raise NotFound("network", spec.network[:64])
        with self._cloud.turn(spec.ref):
            for before in self.list_firewalls():
                if before.ref == spec.ref:
                    return before
            text = notes.dump(spec.description, spec.ref, field="description")
            made = self._client.do("createSecurityGroup", "firewall", name=spec.name, description=text)
        return self._firewall(made["securitygroup"], {})

    def delete_firewall(self, native: str) -> None:
        """Rules by which a group lets in its own members go first: CloudStack takes them for a use of it."""
        listed = {one.native: one for one in self.list_firewalls()}
        if native not in listed:
            return
        if listed[native].name == DEFAULT:
            raise Denied("the default firewall cannot be deleted")
        for one in listed.values():
            if one.native != native and any(rule.peer == native for rule in one.rules):
                raise Conflict("firewall", native, f"a rule of the firewall {one.native} names it", "in-use")
        if own := [rule for rule in listed[native].rules if rule.peer == native]:
            self.remove_rules(native, own)
        self._client.do("deleteSecurityGroup", "firewall", native, id=native)

    def add_rules(self, native: str, rules: Sequence[Rule]) -> None:
        with self._cloud.turn(native):
            group, names = self._found(native)
            before = {rule.key for rule in self._firewall(group, names).rules}
            for rule in rules:
                self._check(rule, names)
                if rule.key in before:
                    raise Conflict("rule", native, f"the firewall {native} has this rule", "duplicate")
                before.add(rule.key)
            held = list(_rules(group, names, self._tenant.owner.name))
            going_out = any(rule.direction is Direction.EGRESS for rule in rules)
            open_now = not any(rule.direction is Direction.EGRESS for _, rule in held)
            if going_out and open_now:  # first: the others close what this lets out
                self._authorize(native, names, ALL_OUT)
            for_each(partial(self._authorize, native, names), rules)
            if going_out:
                self._revoke([known for known, rule in held if rule.key == NONE_OUT.key], Direction.EGRESS)

    def remove_rules(self, native: str, rules: Sequence[Rule]) -> None:
        with self._cloud.turn(native):
            group, names = self._found(native)
            going = {rule.key for rule in rules}
            if going - {rule.key for rule in self._firewall(group, names).rules}:
                raise NotFound("rule", native, f"the firewall {native} has no such rule")
            held = list(_rules(group, names, self._tenant.owner.name))
            left = [rule for _, rule in held if rule.direction is Direction.EGRESS and rule.key not in going]
            if any(rule.direction is Direction.EGRESS for rule in rules) and not left:
                self._authorize(native, names, NONE_OUT)
            for direction in Direction:
                known = [one for one, rule in held if rule.key in going and rule.direction is direction]
                self._revoke(known, direction)

    def _groups(self) -> list[Item]:
        return self._tenant.all("listSecurityGroups", "securitygroup")

    def _found(self, native: str) -> tuple[Item, Mapping[str, str]]:
        """A group, and all groups' names with their ids. Raises NotFound."""
        groups = self._groups()
        for one in groups:
            if one["id"] == native:
                return one, {each["name"]: each["id"] for each in groups}
        raise NotFound("firewall", native[:64])

    def _check(self, rule: Rule, names: Mapping[str, str]) -> None:
        demand_rule(rule)
        if rule.peer and rule.peer not in names.values():
            raise NotFound("firewall", rule.peer[:64])
        if rule.protocol in WITH_PORTS and (rule.low, rule.high) != (0, 65535) and (rule.low < 1 or _is_whole(rule)):
            raise Unsupported("CloudStack has no port 0: all ports are 0 to 65535, and any others begin with 1.")
        if rule.protocol == "icmpv6" and (rule.low, rule.high) != (-1, -1):
            raise Unsupported("CloudStack tells no types of ICMPv6 apart: let all of it pass.")

    def _authorize(self, native: str, names: Mapping[str, str], rule: Rule) -> None:
        way = _COMMANDS[rule.direction]
        said = self._peer(rule, names) | _protocol(rule)
        done = self._client.do(f"authorizeSecurityGroup{way}", "rule", native, securitygroupid=native, **said)
        if rule.description:
            made = list(_rules(done["securitygroup"], names, self._tenant.owner.name))
            known = next(one for one, found in made if found.key == rule.key)
            tags = [{"key": _DESCRIPTION, "value": rule.description}]
            self._client.do(
                "createTags", "rule", known, resourcetype="SecurityGroupRule", resourceids=[known], tags=tags
            )

    def _peer(self, rule: Rule, names: Mapping[str, str]) -> dict[str, Any]:
        if not rule.peer:
            return {"cidrlist": [rule.cidr]}
        group = next(name for name, native in names.items() if native == rule.peer)
        return {"usersecuritygrouplist": [{"account": self._tenant.owner.name, "group": group}]}

    def _revoke(self, rules: Sequence[str], direction: Direction) -> None:
        command = f"revokeSecurityGroup{_COMMANDS[direction]}"
        if rules:
            for_each(lambda known: self._client.do(command, "rule", known, id=known), rules)

    def _firewall(self, group: Item, names: Mapping[str, str]) -> Firewall:
        noted = notes.load(group.get("description"))
        rules = [rule for _, rule in _rules(group, names, self._tenant.owner.name)]
        if not any(rule.direction is Direction.EGRESS for rule in rules):
            rules.append(ALL_OUT)
        told = tuple(rule for rule in rules if rule.key != NONE_OUT.key)
        network = default_network(self._tenant)
        return Firewall(group["id"], noted.ref, group["name"], noted.text, network, told)


def _rules(group: Item, names: Mapping[str, str], account: str) -> Iterator[tuple[str, Rule]]:
    """A group's rules as they are written, each with its native id."""
    for direction, key in ((Direction.INGRESS, "ingressrule"), (Direction.EGRESS, "egressrule")):
        for one in group.get(key, ()):
            low, high = _range(one)
            peer = one.get("securitygroupname", "")
            if peer:
                mine = one.get("account") in (None, account)
                peer = names.get(peer, peer) if mine else f"{one['account']}/{peer}"
            described = next((tag["value"] for tag in one.get("tags", ()) if tag["key"] == _DESCRIPTION), "")
            yield one["ruleid"], Rule(direction, _spoken(one), low, high, one.get("cidr", ""), peer, described)


def _spoken(rule: Item) -> str:
    protocol = str(rule["protocol"]).lower()
    return {"all": "-1", _ICMP6: "icmpv6"}.get(protocol, protocol)


def _range(rule: Item) -> tuple[int, int]:
    match _spoken(rule):
        case "tcp" | "udp":
            low, high = int(rule["startport"]), int(rule["endport"])
            return (0, 65535) if (low, high) == _WHOLE else (low, high)
        case "icmp":
            return int(rule.get("icmptype", -1)), int(rule.get("icmpcode", -1))
    return -1, -1


def _is_whole(rule: Rule) -> bool:
    return (rule.low, rule.high) == _WHOLE


def _protocol(rule: Rule) -> dict[str, Any]:
    match rule.protocol:
        case "-1":
            return {"protocol": "all"}
        case "icmp":
            return {"protocol": "icmp", "icmptype": rule.low, "icmpcode": rule.high}
        case "tcp" | "udp":
            return {"protocol": rule.protocol, "startport": max(rule.low, 1), "endport": rule.high}
        case "icmpv6":
            return {"protocol": _ICMP6}
    return {"protocol": rule.protocol}
