"""Firewalls: which ports of a server's public address are forwarded to it, and whether it may call out at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from isthmus.errors import Conflict, Denied, Invalid, NotFound, Unsupported
from isthmus.model import Direction, Firewall, Rule, ServerState, demand_rule
from isthmus.providers import FirewallSpec
from isthmus.providers.local import forwards, networks
from isthmus.providers.local.base import Base, made, native, need_ref
from isthmus.providers.local.records import FirewallRecord

DEFAULT = "default"
# protocol -> the largest value of `low` and `high`
ALL_OUT = Rule(Direction.EGRESS, "-1", cidr="0.0.0.0/0")
ALL_OUT_6 = Rule(Direction.EGRESS, "-1", cidr="::/0")
NO_EGRESS = (
    "guests of the local cloud are connected by user-mode networking, which lets out all or nothing: "
    "the rule for all traffic to 0.0.0.0/0 can be removed and added again, no other; more needs a cloud with networks"
)
NO_PEERS = (
    "guests of the local cloud cannot reach each other, so a firewall cannot let in the members of another; "
    "this needs a cloud with networks, such as OpenStack or CloudStack"
)
FIXED_EGRESS = (
    "a server that runs uses the firewall, and whether it may call out is settled when it starts: "
    "stop the server, change the rule, and start the server"
)
ACTIVE = (ServerState.PENDING, ServerState.RUNNING, ServerState.STOPPING)


def default_of(tenant: str) -> str:
    return f"fw-{hashlib.sha256(tenant.encode()).hexdigest()[:16]}"


def all_of(base: Base, tenant: str) -> tuple[FirewallRecord, ...]:
    """The tenant's firewalls; the default one is there before anything was written."""
    records = base.firewalls.owned(tenant)
    if any(record.noun.native == default_of(tenant) for record in records):
        return records
    return (_default(tenant), *records)


def get(base: Base, tenant: str, wanted: str) -> FirewallRecord:
    if wanted == default_of(tenant):
        return base.firewalls.find(tenant, wanted) or _default(tenant)
    return base.firewalls.get(tenant, wanted)


def _default(tenant: str) -> FirewallRecord:
    own = default_of(tenant)
    rules = (Rule(Direction.INGRESS, "-1", peer=own), ALL_OUT)
    network = networks.network_of(tenant)
    return FirewallRecord(tenant, Firewall(own, "", DEFAULT, "default VPC security group", network, rules), 0)


def restricted(firewalls: Iterable[Firewall]) -> bool:
    """Whether a server of these firewalls may call nobody: none of them has a rule that lets anything out."""
    return not any(rule.key == ALL_OUT.key for firewall in firewalls for rule in firewall.rules)


def members(base: Base, tenant: str, firewall: str) -> list[str]:
    """The servers that use a firewall."""
    servers = base.servers.owned(tenant)
    return [one.noun.native for one in servers if any(firewall in port.firewalls for port in one.noun.ports)]


class LocalFirewalls:
    def __init__(self, base: Base, tenant: str) -> None:
        self._base = base
        self._tenant = tenant

    def list_firewalls(self, *, placed: bool = True) -> Sequence[Firewall]:  # noqa: ARG002
        return [record.noun for record in all_of(self._base, self._tenant)]

    def create_firewall(self, spec: FirewallSpec) -> Firewall:
        need_ref(spec.ref, "firewall")
        with self._base.lock:
            if found := self._base.firewalls.by_ref(self._tenant, spec.ref):
                return found.noun
            if not spec.name:
                raise Invalid("a firewall needs a name", "name")
            network = networks.network_of(self._tenant)
            if spec.network not in ("", network):
                raise NotFound("network", spec.network)
            if any(other.name == spec.name for other in self.list_firewalls()):
                raise Conflict("firewall", spec.name, f"there is a firewall {spec.name!r}", code="duplicate")
            firewall = Firewall(native("fw"), spec.ref, spec.name, spec.description, network, (ALL_OUT,))
            return self._base.firewalls.put(FirewallRecord(self._tenant, firewall, made())).noun

    def delete_firewall(self, native: str) -> None:
        if native == default_of(self._tenant):
            raise Denied("the default firewall cannot be deleted")
        with self._base.lock:
            if not self._base.firewalls.find(self._tenant, native):
                return
            if members(self._base, self._tenant, native):
                raise Conflict("firewall", native, f"a server uses the firewall {native}", code="in-use")
            self._base.firewalls.drop(native)

    def add_rules(self, native: str, rules: Sequence[Rule]) -> None:
        with self._base.lock:
            record = get(self._base, self._tenant, native)
            known = {rule.key for rule in record.noun.rules}
            for rule in rules:
                check(rule)
                if rule.key in known:
                    raise Conflict("rule", native, f"the firewall {native} has this rule", code="duplicate")
                known.add(rule.key)
            self._change(record, (*record.noun.rules, *rules))
        self._apply(native)

    def remove_rules(self, native: str, rules: Sequence[Rule]) -> None:
        with self._base.lock:
            record = get(self._base, self._tenant, native)
            going = {rule.key for rule in rules}
            if going - {rule.key for rule in record.noun.rules}:
                raise NotFound("rule", native, f"the firewall {native} has no such rule")
            self._change(record, tuple(rule for rule in record.noun.rules if rule.key not in going))
        self._apply(native)

    def _change(self, record: FirewallRecord, rules: tuple[Rule, ...]) -> None:
        changed = replace(record, noun=replace(record.noun, rules=rules))
        if restricted([record.noun]) != restricted([changed.noun]):
            self._check_members(record.noun, changed.noun)
        self._base.firewalls.put(changed)

    def _check_members(self, before: Firewall, after: Firewall) -> None:
        for member in members(self._base, self._tenant, before.native):
            server = self._base.servers.get(self._tenant, member)
            others = [
                get(self._base, self._tenant, one).noun
                for one in server.noun.ports[0].firewalls
                if one != before.native
            ]
            changes = restricted([*others, before]) != restricted([*others, after])
            if changes and self._base.state_of(server) in ACTIVE:
                raise Unsupported(FIXED_EGRESS)

    def _apply(self, native: str) -> None:
        for member in members(self._base, self._tenant, native):
            forwards.sync(self._base, member)


def check(rule: Rule) -> None:
    """Invalid if the rule cannot be, Unsupported if it cannot be here."""
    demand_rule(rule)
    if rule.peer:
        raise Unsupported(NO_PEERS)
    if rule.direction is Direction.EGRESS and rule.key not in (ALL_OUT.key, ALL_OUT_6.key):
        raise Unsupported(NO_EGRESS)
