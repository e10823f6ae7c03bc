"""Firewalls and their rules, which nothing ever meets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from isthmus.errors import Conflict, Denied, Invalid, NotFound
from isthmus.model import Firewall, Rule, demand_rule
from isthmus.providers import FirewallSpec
from isthmus.providers.memory.world import EVERYTHING_OUT, Tenant, World

# protocol -> the largest value of `low` and `high`


class MemoryFirewalls:
    def __init__(self, world: World, tenant: Tenant) -> None:
        self._world = world
        self._tenant = tenant

    def list_firewalls(self, *, placed: bool = True) -> Sequence[Firewall]:  # noqa: ARG002
        with self._world:
            return self._tenant.firewalls.listing()

    def create_firewall(self, spec: FirewallSpec) -> Firewall:
        with self._world:
            tenant = self._tenant
            if found := tenant.firewalls.by_ref(spec.ref):
                return found
            if not spec.ref or not spec.name:
                raise Invalid("a firewall needs a ref and a name", "name" if spec.ref else "ref")
            network = tenant.networks.get(spec.network or tenant.default_network()).native
            if any(other.name == spec.name and other.network == network for other in tenant.firewalls):
                raise Conflict("firewall", spec.name, f"there is a firewall {spec.name!r}", code="duplicate")
            self._world.room("firewall", len(tenant.firewalls))
            native = self._world.native("firewall")
            return tenant.firewalls.put(
                Firewall(native, spec.ref, spec.name, spec.description, network, (EVERYTHING_OUT,))
            )

    def delete_firewall(self, native: str) -> None:
        with self._world:
            tenant = self._tenant
            if tenant.firewalls.find(native) is None:
                return
            if native in tenant.default_firewalls.values():
                raise Denied("the default firewall cannot be deleted")
            others = (other for other in tenant.firewalls if other.native != native)
            if tenant.guarded[native] or any(rule.peer == native for other in others for rule in other.rules):
                raise Conflict("firewall", native, f"the firewall {native} is in use", code="in-use")
            tenant.firewalls.drop(native)
            del tenant.guarded[native]

    def add_rules(self, native: str, rules: Sequence[Rule]) -> None:
        with self._world:
            firewall = self._tenant.firewalls.get(native)
            known = {rule.key for rule in firewall.rules}
            for rule in rules:
                self._check(rule)
                if rule.key in known:
                    raise Conflict("rule", native, f"the firewall {native} has this rule", code="duplicate")
                known.add(rule.key)
            self._tenant.firewalls.put(replace(firewall, rules=(*firewall.rules, *rules)))

    def remove_rules(self, native: str, rules: Sequence[Rule]) -> None:
        with self._world:
            firewall = self._tenant.firewalls.get(native)
            going = {rule.key for rule in rules}
            if going - {rule.key for rule in firewall.rules}:
                raise NotFound("rule", native, f"the firewall {native} has no such rule")
            left = tuple(rule for rule in firewall.rules if rule.key not in going)
            self._tenant.firewalls.put(replace(firewall, rules=left))

    def _check(self, rule: Rule) -> None:
        demand_rule(rule)
        if rule.peer:
            self._tenant.firewalls.get(rule.peer)
