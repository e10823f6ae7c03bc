"""The filters of a VPC's tiers: a list for each, made of the groups of the instances in it.

A VPC's router filters a tier, so that what the groups of one instance let pass, passes to all of its tier. A new list
is made whole, and then put in the place of the old one: the router is told once, and is never half open.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from ipaddress import IPv4Network
from typing import NamedTuple

from isthmus.errors import Fault
from isthmus.model import Direction
from isthmus.providers.cloudstack import openings
from isthmus.providers.cloudstack.client import Item
from isthmus.providers.cloudstack.grounds import Ground
from isthmus.providers.cloudstack.membership import Sight
from isthmus.providers.cloudstack.openings import ALL, ANY, EVERYWHERE, Opening
from isthmus.providers.cloudstack.tenant import Tenant
from isthmus.together import for_each, together

OUT, INSIDE = "isthmus-out", "isthmus-inside"
"""The beginnings of names of lists of filters: of a tier with a route to the internet, and of one without."""
DENY = "default_deny"
"""CloudStack's own list that lets nothing pass."""
_AT_ONCE = 8
"""Items of a list that are made at the same time."""
_WAYS = {"ingress": Direction.INGRESS, "egress": Direction.EGRESS}


class Row(NamedTuple):
    """One item of a list of filters."""

    way: str
    action: str
    opening: Opening


def is_closed(acl: Item) -> bool:
    """Whether a list is of a tier without a route to the internet."""
    return bool(acl["name"] == DENY or acl["name"].startswith(INSIDE))


def is_own(acl: Item) -> bool:
    return str(acl["name"]).startswith((INSIDE, OUT))


def tend(tenant: Tenant, sight: Sight, tiers: Sequence[Ground], routes: Mapping[str, bool]) -> bool:
    """Make the lists of a VPC's tiers what they shall be; `routes` says which are to have a route to the internet.

    Whether that was a change.
    """
    if not tiers:
        return False
    lists, items, vpcs = together(
        partial(tenant.client.every, "listNetworkACLLists", "networkacllist"),
        partial(tenant.client.every, "listNetworkACLs", "networkacl"),
        partial(tenant.all, "listVPCs", "vpc"),
    )
    cidr = next((IPv4Network(one["cidr"]) for one in vpcs if one["id"] == sight.network), None)
    return cidr is not None and any(for_each(_Tier(tenant, sight, routes, cidr, lists, items).tend, tiers))


class _Tier(NamedTuple):
    tenant: Tenant
    sight: Sight
    routes: Mapping[str, bool]
    cidr: IPv4Network
    """The VPC's."""
    lists: Sequence[Item]
    items: Sequence[Item]

    def tend(self, tier: Ground) -> bool:
        now = next((one for one in self.lists if one["id"] == (tier.item or {}).get("aclid")), None)
        closed = now is None or is_closed(now)
        out = self.routes.get(tier.native, not closed)
        here = self.sight.on(tier.native)
        mine = [one for one in self.lists if is_own(one) and one.get("description") == tier.native]
        if not here and not out and closed and now not in mine:
            return False
        rules, addresses = self.sight.rules(here), self.sight.addresses()
        wanted = _rows(openings.openings(rules, addresses, None if out else self.cidr))
        kind = OUT if out else INSIDE
        if now and now in mine and now["name"].startswith(kind) and self._held(now) == wanted:
            return False
        made = self._list(f"{kind}.{secrets.token_hex(8)}", tier.native, wanted)
        self._do("replaceNetworkACLList", tier.native, networkid=tier.native, aclid=made)
        for one in mine:
            with suppress(Fault):  # one that stays is of no tier, and goes with the next change
                self._do("deleteNetworkACLList", tier.native, id=one["id"])
        return True

    def _held(self, acl: Item) -> list[Row]:
        held = [one for one in self.items if one.get("aclid") == acl["id"]]
        return [_row(one) for one in sorted(held, key=lambda one: int(one["number"]))]

    def _list(self, name: str, tier: str, wanted: Sequence[Row]) -> str:
        """A whole list that is of no tier yet; its description says for which it is."""
        asked = {"name": name, "vpcid": self.sight.network, "description": tier}
        made = str(self._do("createNetworkACLList", tier, **asked)["networkacllist"]["id"])

        def add(numbered: tuple[int, Row]) -> None:
            number, row = numbered
            said = {"action": row.action, "traffictype": row.way, "cidrlist": list(row.opening.cidrs)}
            self._do("createNetworkACL", tier, aclid=made, number=number, **said, **row.opening.said)

        try:
            with ThreadPoolExecutor(_AT_ONCE) as threads:
                list(threads.map(add, enumerate(wanted, 1)))
        except BaseException:
            with suppress(Fault):  # it is of no tier: nobody has to wait until it is gone
                self.tenant.client.begin("deleteNetworkACLList", "subnet", tier, id=made)
            raise
        return made

    def _do(self, command: str, tier: str, **params: object) -> Item:
        return self.tenant.client.do(command, "subnet", tier, **params)


def _rows(found: Sequence[Opening]) -> list[Row]:
    """What passes, and last that nothing else does."""
    passing = [Row(one.direction.value, "allow", one) for one in found]
    return [*passing, *(Row(way, "deny", Opening(to, ALL, *ANY, (EVERYWHERE,))) for way, to in _WAYS.items())]


def _row(item: Item) -> Row:
    way = str(item.get("traffictype", "")).lower()
    opening = openings.opening(item, _WAYS.get(way, Direction.INGRESS), item.get("cidrlist"))
    return Row(way, str(item.get("action", "")).lower(), opening)
