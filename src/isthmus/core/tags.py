"""Labels of any resource the account can see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

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

MOST = 50
_RESERVED = "aws:"
"""Labels that a front gives by itself begin so: they do not count, and only go with their resource."""


def add(cx: Context, ids: Sequence[str], tags: Mapping[str, str]) -> None:
    """Label resources. Raises NotFound for an id that is not the account's, QuotaExceeded above 50 labels."""
    for one in ids:
        _demand(cx, one)
    known = cx.view().tags
    for one in ids:
        both = {**known.get(one, {}), **tags}
        if sum(not key.startswith(_RESERVED) for key in both) > MOST:
            raise QuotaExceeded("tag", one, f"The resource {one} would have more than {MOST} tags.")
    with cx.store.change(cx.account) as change:
        change.tag(ids, tags)


def remove(cx: Context, ids: Sequence[str], tags: Mapping[str, str | None] | None) -> None:
    """Take labels away: all of them for None, one whatever its value for a None value."""
    for one in ids:
        _demand(cx, one)
    known = cx.view().tags
    with cx.store.change(cx.account) as change:
        for one in ids:
            held = known.get(one, {})
            own = [key for key in held if not key.startswith(_RESERVED)]
            gone = [key for key in own if tags is None or (key in tags and tags[key] in (None, held[key]))]
            if gone:
                change.untag([one], gone)


def all_tags(cx: Context) -> Iterator[tuple[str, str, str]]:
    """Every (resource id, key, value) of the account."""
    for one, tags in cx.view().tags.items():
        for key, value in tags.items():
            yield one, key, value


def _demand(cx: Context, one: str) -> None:
    """Raises NotFound unless the account sees a resource with this id."""
    prefix = one.rpartition("-")[0]
    check = _CHECKS.get(prefix)
    if check is None:
        raise NotFound("resource", one)
    check(cx, one)


def _rule(cx: Context, one: str) -> None:
    view = cx.view()
    if not any(rule.id == one for group in firewalls.index(cx) for rule in listed(view, group)):
        raise NotFound("rule-id", one)


def _key(cx: Context, one: str) -> None:
    if not any(pair.id == one for pair in keys.find(cx)):
        raise NotFound(Kind.KEY, one)


_CHECKS: Mapping[str, Callable[[Context, str], object]] = {
    PREFIX[Kind.SERVER]: lambda cx, one: instances.pick(cx, [one]),
    PREFIX[Kind.VOLUME]: lambda cx, one: pick(volumes.index(cx), Kind.VOLUME, [one]),
    PREFIX[Kind.SNAPSHOT]: lambda cx, one: pick(volumes.snapshots(cx), Kind.SNAPSHOT, [one]),
    PREFIX[Kind.IMAGE]: lambda cx, one: pick(images.index(cx), Kind.IMAGE, [one]),
    PREFIX[Kind.KERNEL]: lambda cx, one: pick(images.index(cx), Kind.KERNEL, [one]),
    PREFIX[Kind.RAMDISK]: lambda cx, one: pick(images.index(cx), Kind.RAMDISK, [one]),
    PREFIX[Kind.NETWORK]: lambda cx, one: pick(networks.networks(cx), Kind.NETWORK, [one]),
    PREFIX[Kind.SUBNET]: lambda cx, one: pick(networks.subnets(cx), Kind.SUBNET, [one]),
    PREFIX[Kind.ROUTE_TABLE]: lambda cx, one: routes.one(cx, one),
    PREFIX[Kind.ACL]: lambda cx, one: acls.one(cx, one),
    PREFIX[Kind.DHCP]: lambda cx, one: dhcp.find(cx, [one]),
    PREFIX[Kind.NAT]: lambda cx, one: kept.get(cx, Kind.NAT, one),
    PREFIX[Kind.EGRESS_GATEWAY]: lambda cx, one: kept.get(cx, Kind.EGRESS_GATEWAY, one),
    PREFIX[Kind.PEERING]: lambda cx, one: kept.get(cx, Kind.PEERING, one),
    PREFIX[Kind.ENDPOINT]: lambda cx, one: kept.get(cx, Kind.ENDPOINT, one),
    PREFIX[Kind.VPN_GATEWAY]: lambda cx, one: kept.get(cx, Kind.VPN_GATEWAY, one),
    PREFIX[Kind.CUSTOMER_GATEWAY]: lambda cx, one: kept.get(cx, Kind.CUSTOMER_GATEWAY, one),
    PREFIX[Kind.VPN_CONNECTION]: lambda cx, one: kept.get(cx, Kind.VPN_CONNECTION, one),
    PREFIX[Kind.GATEWAY]: lambda cx, one: gateways.find(cx, [one]),
    PREFIX[Kind.FIREWALL]: lambda cx, one: pick(firewalls.index(cx), Kind.FIREWALL, [one]),
    PREFIX[Kind.ADDRESS]: lambda cx, one: pick(addresses.index(cx), Kind.ADDRESS, [one]),
    PREFIX[Kind.PORT]: lambda cx, one: ports.one(cx, one),
    PREFIX[Kind.RULE]: _rule,
    PREFIX[Kind.KEY]: _key,
    PREFIX[Kind.PLACEMENT]: lambda cx, one: kept.get(cx, Kind.PLACEMENT, one),
    PREFIX[Kind.SPOT]: lambda cx, one: spot.find(cx, [one]),
    PREFIX[Kind.CAPACITY]: lambda cx, one: capacity.find(cx, [one]),
    PREFIX[Kind.TEMPLATE]: lambda cx, one: kept.get(cx, Kind.TEMPLATE, one),
}
