"""Holds accounts to their quotas, within the change that would exceed them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from isthmus.context import Context
from isthmus.core.ids import Kind
from isthmus.core.registry import Found, Index, T, fan_out
from isthmus.errors import QuotaExceeded
from isthmus.quotas import QUOTAS
from isthmus.store import Record, View

_OF_RECORDS = {
    Kind.ROUTE_TABLE: "route_tables_per_vpc",
    Kind.ACL: "acls_per_vpc",
    Kind.GATEWAY: "internet_gateways",
    Kind.EGRESS_GATEWAY: "egress_gateways",
    Kind.NAT: "nat_gateways",
    Kind.DHCP: "dhcp_options",
    Kind.ENDPOINT: "endpoints_per_vpc",
    Kind.VPN_GATEWAY: "vpn_gateways",
    Kind.CUSTOMER_GATEWAY: "customer_gateways",
    Kind.VPN_CONNECTION: "vpn_connections",
    Kind.PLACEMENT: "placement_groups",
    Kind.FLEET: "fleets",
    Kind.TEMPLATE: "launch_templates",
    Kind.KEY: "key_pairs",
}


def most(cx: Context, name: str) -> int:
    """How much the account may have, by its quota and by those of the clouds themselves, which keep them.

    A tenant of two clouds of one realm has one quota for both.
    """
    own, asked = cx.world.limits.quota(name), fan_out(cx, lambda session: session.quotas())
    theirs = {(cx.world.clouds[cloud].realm, cx.tenant(cloud)): said.get(name) for cloud, said in asked}
    return own if None in theirs.values() else min(own, sum(one or 0 for one in theirs.values()))


def demand(cx: Context, name: str, have: int, of: str = "", more: int = 1) -> None:
    """Raises QuotaExceeded for `more` than what the quota leaves; `of` is the id of what has them."""
    if have + more > cx.world.limits.quota(name):
        raise exceeded(cx, name, of)


def exceeded(cx: Context, name: str, of: str = "") -> QuotaExceeded:
    quota, most = QUOTAS[name], cx.world.limits.quota(name)
    whose = f"The {quota.per} {of}" if of else f"An {quota.per}" if quota.per[0] in "ai" else f"A {quota.per}"
    return QuotaExceeded(quota.kind, of, f"{whose} can have at most {most} {quota.what}.")


def demand_record(
    cx: Context,
    kind: Kind,
    there: Sequence[Record],
    data: Mapping[str, Any],
    defaults: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> None:
    """The same for one more thing of the store's own, beside those that are `there` and those that are by default."""
    name = _OF_RECORDS.get(kind)
    if name and QUOTAS[name].per == "account":
        demand(cx, name, len(there))
    elif name:
        network = data["network"]
        every = {**defaults, **{one.id: one.data for one in there}}
        demand(cx, name, sum(said["network"] == network for said in every.values()), network)


def room(
    cx: Context, kind: Kind, name: str, index: Index[T], within: Callable[[Found[T]], bool] | None = None, of: str = ""
) -> Callable[[View], None]:
    """A check, in the change that keeps a record, whether there may be one more beside what the clouds have.

    Counts what is listed `within` something, and all that is on record and not listed yet: what others make right now.
    """

    def check(view: View) -> None:
        records = view.of_kind(kind)
        if len(index.by_id) + len(records) < cx.world.limits.quota(name):
            return
        listed = sum(within(one) for one in index) if within else len(index.by_id)
        young = sum(record.gone is None and known not in index.by_id for known, record in records.items())
        demand(cx, name, listed + young, of)

    return check
