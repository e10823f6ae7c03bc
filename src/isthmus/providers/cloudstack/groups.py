"""Security groups in zones that have none of their own: kept in tags, carried out by CloudStack's filters."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from isthmus.errors import Conflict, Denied, Fault, Invalid, NotFound, Unsupported
from isthmus.model import WITH_PORTS, Firewall, Rule, demand_rule
from isthmus.providers import FirewallSpec
from isthmus.providers.cloudstack import filters, isolated, machines, membership, rulebook
from isthmus.providers.cloudstack.firewalls import ALL_OUT, DEFAULT
from isthmus.providers.cloudstack.grounds import by_item, default_network, grounds, made_default
from isthmus.providers.cloudstack.rulebook import Bearer, Kept, default_group
from isthmus.providers.cloudstack.tenant import Tenant

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack


class NetworkGroups:
    """What is to pass is written before the filters let it, and what is not is filtered before it is erased."""

    def __init__(self, cloud: CloudStack, tenant: Tenant) -> None:
        self._cloud = cloud
        self._tenant = tenant

    def list_firewalls(self, *, placed: bool = True) -> Sequence[Firewall]:
        return [one.firewall for one in rulebook.read(self._tenant, placed=placed).values()]

    def create_firewall(self, spec: FirewallSpec) -> Firewall:
        if not spec.ref or not spec.name:
            raise Invalid("a firewall needs a ref and a name", "name" if spec.ref else "ref")
        network = spec.network or default_network(self._tenant)
        with self._cloud.turn(f"groups of {network}"):
            known = rulebook.read(self._tenant)
            for before in known.values():
                if before.ref == spec.ref:
                    return before.firewall
            if default_group(network) not in known or known[default_group(network)].network != network:
                raise NotFound("network", network[:64])
            if any((one.network, one.name) == (network, spec.name) for one in known.values()):
                raise Conflict("firewall", spec.name[:64], "the network has a group of this name", "duplicate")
            native = secrets.token_hex(8)
            made = Kept(native, network, spec.ref, spec.name, spec.description, [ALL_OUT])
            tags = rulebook.group_tags(made)
            rulebook.write(self._tenant, self._bearer(network), native, tags)
        return made.firewall

    def delete_firewall(self, native: str) -> None:
        with self._cloud.turn(native):
            known = rulebook.read(self._tenant)
            found = known.get(native)
            if found is None:
                return
            if found.name == DEFAULT:
                raise Denied("the default firewall cannot be deleted")
            for one in known.values():
                if one.native != native and any(rule.peer == native for rule in one.rules):
                    raise Conflict("firewall", native, f"a rule of the firewall {one.native} names it", "in-use")
            if server := next((one.server for one in self._members() if native in one.groups), ""):
                raise Conflict("firewall", native, f"the server {server} uses it", "in-use")
            if found.bearer:
                rulebook.erase(self._tenant, found.bearer, native, found.keys)

    def add_rules(self, native: str, rules: Sequence[Rule]) -> None:
        with self._cloud.turn(native):
            known = rulebook.read(self._tenant)
            found = _one(known, native)
            self._check(found, rules, known)
            tags = [rulebook.rule_tag(native, rule) for rule in rules]
            rulebook.write(self._tenant, self._written(found), native, tags)
            try:
                self._tend(found.network)
            except Fault:  # who asks again does so for all of it
                bearer = found.bearer or self._bearer(found.network)
                with suppress(Fault):
                    rulebook.erase(self._tenant, bearer, native, [tag["key"] for tag in tags])
                    self._tend(found.network)
                raise

    def remove_rules(self, native: str, rules: Sequence[Rule]) -> None:
        with self._cloud.turn(native):
            known = rulebook.read(self._tenant)
            found = _one(known, native)
            going = {rule.key for rule in rules}
            if going - {rule.key for rule in found.rules}:
                raise NotFound("rule", native, f"the firewall {native} has no such rule")
            left = [rule for rule in found.rules if rule.key not in going]
            self._demand_filtered_out(found, left)
            bearer = self._written(found)
            self._tend(found.network, {**known, native: replace(found, rules=left)})
            erased = [rulebook.rule_key(native, rule) for rule in found.rules if rule.key in going]
            rulebook.erase(self._tenant, bearer, native, erased)
            self._tend(found.network)  # another may have looked at the rules before they were erased

    def _check(self, found: Kept, rules: Sequence[Rule], known: Mapping[str, Kept]) -> None:
        """Raises Invalid, NotFound, Unsupported, and Conflict for a rule that is there."""
        before = {rule.key for rule in found.rules}
        for rule in rules:
            demand_rule(rule)
            if rule.peer and (rule.peer not in known or known[rule.peer].network != found.network):
                raise NotFound("firewall", rule.peer[:64])
            if rule.protocol in WITH_PORTS and rule.high == 0:
                raise Unsupported("CloudStack has no port 0: name a range that ends above it.")
            if found.network == default_network(self._tenant) and rule.protocol not in isolated.PROTOCOLS:
                raise Unsupported("CloudStack's isolated networks filter TCP, UDP and ICMP alone: use a VPC.")
            if rule.key in before:
                raise Conflict("rule", native := found.native, f"the firewall {native} has this rule", "duplicate")
            before.add(rule.key)
        self._demand_filtered_out(found, [*found.rules, *rules])

    def _demand_filtered_out(self, found: Kept, rules: Sequence[Rule]) -> None:
        """Raises Unsupported for rules that let out less than all, where the network lets out all."""
        if found.network != default_network(self._tenant) or any(rule.key == ALL_OUT.key for rule in rules):
            return
        there = grounds(self._tenant.client, self._cloud, self._tenant)
        if any(one.network == found.network and one.item and not isolated.filters_out(one.item) for one in there):
            raise Unsupported("The offering of this network lets out all that its servers send: use a VPC.")

    def _written(self, found: Kept) -> Bearer:
        """What has the tags of a group; a default one is written when it is first changed."""
        if found.bearer:
            return found.bearer
        bearer = self._bearer(found.network)
        rulebook.write(self._tenant, bearer, found.native, rulebook.group_tags(found))
        return bearer

    def _bearer(self, network: str) -> Bearer:
        """The VPC, or the first of the account's isolated networks, which is made if there is none."""
        if network != default_network(self._tenant):
            return Bearer("Vpc", network)
        there = [one for one in grounds(self._tenant.client, self._cloud, self._tenant) if one.network == network]
        for one in there:
            if one.item:
                return Bearer("Network", one.item["id"])
        return Bearer("Network", made_default(self._cloud, self._tenant, self._cloud.zones[0]))

    def _members(self) -> Sequence[membership.Member]:
        there = grounds(self._tenant.client, self._cloud, self._tenant)
        return membership.members(self._cloud, machines.every(self._tenant), by_item(there))

    def _tend(self, network: str, groups: Mapping[str, Kept] | None = None) -> None:
        filters.tend(self._cloud, self._tenant, [network], groups=groups)


def demand(tenant: Tenant, natives: Sequence[str], network: str) -> None:
    """Raises NotFound for a group that the account has not, and Invalid for one of another network."""
    if natives:
        known = rulebook.read(tenant)
        for native in natives:
            if _one(known, native).network != network:
                raise Invalid(f"the firewall {native} is of another network", "firewalls")


def _one(known: Mapping[str, Kept], native: str) -> Kept:
    if native not in known:
        raise NotFound("firewall", native[:64])
    return known[native]
