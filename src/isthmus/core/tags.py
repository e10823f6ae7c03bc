"""Labels of any resource the account can see."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from isthmus.context import Context
from isthmus.core import (
    acls,
    addresses,
    capacity,
    dhcp,
    firewalls,
    gateways,
    images,
    instances,
    kept,
    keys,
    networks,
    ports,
    routes,
    spot,
    volumes,
)
from isthmus.core.ids import PREFIX, Kind
from isthmus.core.registry import pick
from isthmus.core.rule_ids import listed
from isthmus.errors import NotFound, QuotaExceeded
from isthmus.store import View

MOST = 50
_RESERVED = "aws:"
"""Labels that a front gives by itself begin so: they do not count, and only go with their resource."""


def add(cx: Context, ids: Sequence[str], tags: Mapping[str, str]) -> None:
    """Label resources. Raises NotFound for an id that is not the account's, QuotaExceeded above 50 labels."""
    _demand(cx, ids)
    with cx.store.change(cx.account) as change:
        known = change.view.tags
        for one in ids:
            keys = known.get(one, {}).keys() | tags.keys()
            if len(keys) > MOST and sum(not key.startswith(_RESERVED) for key in keys) > MOST:
                raise QuotaExceeded("tag", one, f"The resource {one} would have more than {MOST} tags.")
        change.tag(ids, tags)


def remove(cx: Context, ids: Sequence[str], tags: Mapping[str, str | None] | None) -> None:
    """Take labels away: all of them for None, one whatever its value for a None value."""
    _demand(cx, ids)
    known = cx.view().tags
    with cx.store.change(cx.account) as change:
        for one in ids:
            held = known.get(one, {})
            own = [key for key in held if not key.startswith(_RESERVED)]
            gone = [key for key in own if tags is None or (key in tags and tags[key] in (None, held[key]))]
            if gone:
                change.untag([one], gone)


Label = tuple[str, str, str]
"""The id of a resource, a key and its value."""


def labels(
    cx: Context,
    ids: Collection[str] | None = None,
    prefixes: Collection[str] | None = None,
    keys: Collection[str] | None = None,
) -> Iterator[Label]:
    """The account's labels by resource and key; behind `cx.after`, if that is set.

    All of them, or those of some resources, of ids that begin so, and with some keys.
    """
    everything = ids is None and prefixes is None and keys is None
    found = _all(cx) if everything else sorted(_some(cx.view().tags, ids, prefixes, keys))
    start = bisect_right(found, cx.after, key=lambda label: label[:2]) if cx.after else 0
    for position in range(start, len(found)):
        yield found[position]


def _some(
    known: Mapping[str, Mapping[str, str]],
    ids: Collection[str] | None,
    prefixes: Collection[str] | None,
    keys: Collection[str] | None,
) -> Iterator[Label]:
    for one in known if ids is None else known.keys() & ids:
        if prefixes is None or one.rpartition("-")[0] in prefixes:
            held = known[one]
            for key in held if keys is None else held.keys() & keys:
                yield one, key, held[key]


def _all(cx: Context) -> Sequence[Label]:
    """All labels in their order; the last answer again if nothing changed since."""
    view, key = cx.view(), (cx.account, "labels")
    memo = cx.world.memo.get(key)
    if isinstance(memo, _Sorted) and memo.view is view:
        return memo.labels
    made = _Sorted(view, sorted((one, *pair) for one, held in view.tags.items() for pair in held.items()))
    cx.world.memo[key] = made
    return made.labels


class _Sorted(NamedTuple):
    view: View
    labels: Sequence[Label]


def _demand(cx: Context, ids: Sequence[str]) -> None:
    """Raises NotFound unless the account sees resources with these ids: all of a kind are looked for at once."""
    held: dict[str, list[str]] = {}
    for one in ids:
        held.setdefault(one.rpartition("-")[0], []).append(one)
    for prefix, same in held.items():
        check = _CHECKS.get(prefix)
        if check is None:
            raise NotFound("resource", same[0])
        check(cx, same)


def _rules(cx: Context, ids: Sequence[str]) -> None:
    view = cx.view()
    known = {rule.id for group in firewalls.index(cx) for rule in listed(view, group)}
    for one in ids:
        if one not in known:
            raise NotFound("rule-id", one)


def _keys(cx: Context, ids: Sequence[str]) -> None:
    known = {pair.id for pair in keys.find(cx)}
    for one in ids:
        if one not in known:
            raise NotFound(Kind.KEY, one)


_CHECKS: Mapping[str, Callable[[Context, Sequence[str]], object]] = {
    PREFIX[Kind.SERVER]: lambda cx, ids: instances.demand(cx, ids),
    PREFIX[Kind.VOLUME]: lambda cx, ids: pick(volumes.index(cx), Kind.VOLUME, ids),
    PREFIX[Kind.SNAPSHOT]: lambda cx, ids: pick(volumes.snapshots(cx), Kind.SNAPSHOT, ids),
    PREFIX[Kind.IMAGE]: lambda cx, ids: pick(images.index(cx), Kind.IMAGE, ids),
    PREFIX[Kind.KERNEL]: lambda cx, ids: pick(images.index(cx), Kind.KERNEL, ids),
    PREFIX[Kind.RAMDISK]: lambda cx, ids: pick(images.index(cx), Kind.RAMDISK, ids),
    PREFIX[Kind.NETWORK]: lambda cx, ids: pick(networks.networks(cx), Kind.NETWORK, ids),
    PREFIX[Kind.SUBNET]: lambda cx, ids: pick(networks.subnets(cx), Kind.SUBNET, ids),
    PREFIX[Kind.ROUTE_TABLE]: lambda cx, ids: routes.find(cx, ids),
    PREFIX[Kind.ACL]: lambda cx, ids: acls.find(cx, ids),
    PREFIX[Kind.DHCP]: lambda cx, ids: dhcp.find(cx, ids),
    PREFIX[Kind.NAT]: lambda cx, ids: kept.find(cx, Kind.NAT, ids),
    PREFIX[Kind.EGRESS_GATEWAY]: lambda cx, ids: kept.find(cx, Kind.EGRESS_GATEWAY, ids),
    PREFIX[Kind.PEERING]: lambda cx, ids: kept.find(cx, Kind.PEERING, ids),
    PREFIX[Kind.ENDPOINT]: lambda cx, ids: kept.find(cx, Kind.ENDPOINT, ids),
    PREFIX[Kind.VPN_GATEWAY]: lambda cx, ids: kept.find(cx, Kind.VPN_GATEWAY, ids),
    PREFIX[Kind.CUSTOMER_GATEWAY]: lambda cx, ids: kept.find(cx, Kind.CUSTOMER_GATEWAY, ids),
    PREFIX[Kind.VPN_CONNECTION]: lambda cx, ids: kept.find(cx, Kind.VPN_CONNECTION, ids),
    PREFIX[Kind.GATEWAY]: lambda cx, ids: gateways.find(cx, ids),
    PREFIX[Kind.FIREWALL]: lambda cx, ids: pick(firewalls.index(cx), Kind.FIREWALL, ids),
    PREFIX[Kind.ADDRESS]: lambda cx, ids: addresses.find_addresses(cx, ids),
    PREFIX[Kind.PORT]: lambda cx, ids: ports.find_ports(cx, ids),
    PREFIX[Kind.RULE]: _rules,
    PREFIX[Kind.KEY]: _keys,
    PREFIX[Kind.PLACEMENT]: lambda cx, ids: kept.find(cx, Kind.PLACEMENT, ids),
    PREFIX[Kind.SPOT]: lambda cx, ids: spot.find(cx, ids),
    PREFIX[Kind.CAPACITY]: lambda cx, ids: capacity.find(cx, ids),
    PREFIX[Kind.FLEET]: lambda cx, ids: kept.find(cx, Kind.FLEET, ids),
    PREFIX[Kind.TEMPLATE]: lambda cx, ids: kept.find(cx, Kind.TEMPLATE, ids),
}
PREFIXES = frozenset(_CHECKS)
"""What the ids of resources begin with that can have labels."""
