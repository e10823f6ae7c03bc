"""Firewalls. On user-mode networking they say which ports are forwarded to a server, and whether it may call out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from isthmus import networking
from isthmus.errors import Denied, NotFound, Unsupported
from isthmus.model import Direction, Firewall, Rule, ServerState, need_ref
from isthmus.networking import ALL_OUT
from isthmus.providers import FirewallSpec
from isthmus.providers.local import forwards, layout, wires
from isthmus.providers.local.base import Base, made, native
from isthmus.providers.local.records import FirewallRecord, PortRecord

ALL_OUT_6 = Rule(Direction.EGRESS, "-1", cidr="::/0")
NO_EGRESS = (
    "guests of the local cloud are connected by user-mode networking here, which lets out all or nothing: the rule for "
    "all traffic to 0.0.0.0/0 can be removed and added again, no other; more needs network = 'namespaces' in the "
    "cloud's settings"
)
NO_PEERS = (
    "guests of the local cloud cannot reach each other on user-mode networking, so a firewall cannot let in the "
    "members of another; this needs network = 'namespaces' in the cloud's settings, or a cloud such as OpenStack"
)
FIXED_EGRESS = (
    "a server that runs uses the firewall, and on user-mode networking whether it may call out is settled when it "
    "starts: stop the server, change the rule, and start the server"
)
ACTIVE = (ServerState.PENDING, ServerState.RUNNING, ServerState.STOPPING)


def all_of(base: Base, tenant: str) -> list[FirewallRecord]:
    """The tenant's firewalls; the first default one is there before anything was written."""
    networks = {record.noun.native for record in layout.networks(base, tenant)}
    records = [record for record in base.firewalls.owned(tenant) if record.noun.network in networks]
    first = layout.first_firewall(tenant)
    if layout.first_network(tenant) not in networks or any(record.noun.native == first for record in records):
        return records
    own = networking.default_firewall(first, layout.first_network(tenant))
    return [FirewallRecord(tenant, own, 0), *records]


def get(base: Base, tenant: str, wanted: str) -> FirewallRecord:
    """NotFound if there is none."""
    if wanted == layout.first_firewall(tenant):
        if found := next((one for one in all_of(base, tenant) if one.noun.native == wanted), None):
            return found
        raise NotFound("firewall", wanted)
    return base.firewalls.get(tenant, wanted)


def choose(base: Base, tenant: str, network: str, wanted: Iterable[str]) -> tuple[str, ...]:
    """The firewalls of a port, the network's default one if none is named; NotFound or Invalid."""
    default = layout.network(base, tenant, network).firewall
    return networking.chosen_firewalls(wanted, network, default, lambda one: get(base, tenant, one).noun)


def restricted(firewalls: Iterable[Firewall]) -> bool:
    """Whether a server of these firewalls may call nobody: none of them has a rule that lets anything out."""
    return not any(rule.key == ALL_OUT.key for firewall in firewalls for rule in firewall.rules)


def members(base: Base, tenant: str, firewall: str) -> list[PortRecord]:
    """The ports that use a firewall."""
    return [record for record in base.ports.owned(tenant) if firewall in record.noun.firewalls]


def demand_same_egress(
    base: Base, member: PortRecord, firewalls: Iterable[str], changed: Firewall | None = None
) -> None:
    """Unsupported if a port's server would have to call out now, or no longer, and cannot while it runs.

    `firewalls` are those that the port is to have; `changed` is one of them as it is to be.
    """
    server = base.servers.raw(member.noun.server)
    if server is None:
        return
    if base.state_of(server) not in ACTIVE or base.tapped(server):
        return
    before = [get(base, member.tenant, one).noun for one in member.noun.firewalls]
    after = [get(base, member.tenant, one).noun for one in firewalls]
    after = [changed if changed and changed.native == one.native else one for one in after]
    if restricted(before) != restricted(after):
        raise Unsupported(FIXED_EGRESS)


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
            network = layout.network(self._base, self._tenant, spec.network or self._default_network()).noun.native
            networking.demand_name(spec.name, network, self.list_firewalls())
            firewall = Firewall(native("fw"), spec.ref, spec.name, spec.description, network, (ALL_OUT,))
            return self._base.firewalls.put(FirewallRecord(self._tenant, firewall, made())).noun

    def delete_firewall(self, native: str) -> None:
        with self._base.lock:
            found = next((one for one in all_of(self._base, self._tenant) if one.noun.native == native), None)
            if found is None:
                return
            if native in {one.firewall for one in layout.networks(self._base, self._tenant)}:
                raise Denied("the default firewall cannot be deleted")
            ports = [record.noun for record in self._base.ports.owned(self._tenant)]
            networking.demand_unused(native, ports, self.list_firewalls())
            self._base.firewalls.drop(native)

    def add_rules(self, native: str, rules: Sequence[Rule]) -> None:
        with self._base.lock:
            record = get(self._base, self._tenant, native)
            self._change(record, networking.with_rules(record.noun, rules, self._check))
        self._apply(native)

    def remove_rules(self, native: str, rules: Sequence[Rule]) -> None:
        with self._base.lock:
            record = get(self._base, self._tenant, native)
            self._change(record, networking.without_rules(record.noun, rules))
        self._apply(native)

    def _check(self, rule: Rule) -> None:
        """NotFound if the rule's peer is not there, Unsupported if the rule cannot be here."""
        if rule.peer and not self._base.namespaces:
            raise Unsupported(NO_PEERS)
        if rule.peer:
            get(self._base, self._tenant, rule.peer)
        all_or_nothing = rule.key in (ALL_OUT.key, ALL_OUT_6.key)
        if rule.direction is Direction.EGRESS and not all_or_nothing and not self._base.namespaces:
            raise Unsupported(NO_EGRESS)

    def _change(self, record: FirewallRecord, changed: Firewall) -> None:
        if restricted([record.noun]) != restricted([changed]):
            for member in members(self._base, self._tenant, changed.native):
                if member.noun.server:
                    demand_same_egress(self._base, member, member.noun.firewalls, changed)
        self._base.firewalls.put(replace(record, noun=changed))

    def _default_network(self) -> str:
        return layout.default_network(self._base, self._tenant).noun.native

    def _apply(self, native: str) -> None:
        for member in members(self._base, self._tenant, native):
            forwards.sync(self._base, member.noun.server)
        wires.try_settle(self._base)
