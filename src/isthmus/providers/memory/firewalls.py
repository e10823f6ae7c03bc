"""Firewalls and their rules, which nothing ever meets."""

from __future__ import annotations

from collections.abc import Sequence

from isthmus import networking
from isthmus.errors import Denied
from isthmus.model import Firewall, Rule, need_ref
from isthmus.providers import FirewallSpec
from isthmus.providers.memory.world import Tenant, World


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
            need_ref(spec.ref, "firewall")
            network = tenant.networks.get(spec.network or tenant.default_network()).native
            networking.demand_name(spec.name, network, tenant.firewalls)
            self._world.room("firewall", len(tenant.firewalls))
            native = self._world.native("firewall")
            return tenant.firewalls.put(
                Firewall(native, spec.ref, spec.name, spec.description, network, (networking.ALL_OUT,))
            )

    def delete_firewall(self, native: str) -> None:
        with self._world:
            tenant = self._tenant
            if tenant.firewalls.find(native) is None:
                return
            if native in tenant.default_firewalls.values():
                raise Denied("the default firewall cannot be deleted")
            using = (tenant.ports.get(one) for one in tenant.guarded[native])
            networking.demand_unused(native, using, tenant.firewalls)
            tenant.firewalls.drop(native)
            del tenant.guarded[native]

    def add_rules(self, native: str, rules: Sequence[Rule]) -> None:
        with self._world:
            firewalls = self._tenant.firewalls
            firewalls.put(networking.with_rules(firewalls.get(native), rules, self._check))

    def remove_rules(self, native: str, rules: Sequence[Rule]) -> None:
        with self._world:
            firewalls = self._tenant.firewalls
            firewalls.put(networking.without_rules(firewalls.get(native), rules))

    def _check(self, rule: Rule) -> None:
        if rule.peer:
            self._tenant.firewalls.get(rule.peer)
