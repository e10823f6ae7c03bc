"""VPN gateways, the gateways of customers, and the connections between them: records, since no cloud has tunnels yet.

Of a connection the keys of its tunnels are kept sealed; see Store.seal.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Collection, Container, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any, NamedTuple

from isthmus.context import Context
from isthmus.core import kept
from isthmus.core.ids import Kind
from isthmus.core.kept import Kept
from isthmus.core.quotas import demand
from isthmus.errors import Conflict, Invalid, NotFound
from isthmus.store import Record, View

INSIDE = IPv4Network("169.254.0.0/16")
# ranges that tunnels cannot have; source: "Tunnel options for your Site-to-Site VPN connection"
RESERVED = frozenset(
    IPv4Network(text) for text in (*(f"169.254.{number}.0/30" for number in range(6)), "169.254.169.252/30")
)
_OUTSIDE = IPv4Network("192.0.2.0/24")
"""Where tunnels would end on our side: addresses for documentation, since nothing answers there."""
TUNNELS = 2
"""Of a connection."""
_KEY = string.ascii_letters + string.digits
_KEY_LENGTH = 32


class Tunnel(NamedTuple):
    """One of the two tunnels of a connection; `inside` is a range of four addresses."""

    outside: str
    inside: str
    key: str


def gateways(cx: Context, ids: Collection[str] | None = None) -> list[Kept]:
    return kept.find(cx, Kind.VPN_GATEWAY, ids)


def customers(cx: Context, ids: Collection[str] | None = None) -> list[Kept]:
    return kept.find(cx, Kind.CUSTOMER_GATEWAY, ids)


def connections(cx: Context, ids: Collection[str] | None = None) -> list[Kept]:
    return kept.find(cx, Kind.VPN_CONNECTION, ids)


def create_gateway(cx: Context, asn: int, zone: str) -> Kept:
    """Raises QuotaExceeded."""
    data = {"network": "", "asn": asn, "zone": zone}
    return kept.create(cx, Kind.VPN_GATEWAY, data, cx.tags.get("vpn-gateway"))


def attach(cx: Context, known: str, network: str) -> None:
    """Raises Conflict (`attached`) if either has another already."""

    def new(held: Mapping[str, Any]) -> Mapping[str, Any]:
        if held["network"] not in ("", network):
            reason = f"The vpnGateway '{known}' is attached to {held['network']}."
            raise Conflict(Kind.VPN_GATEWAY, known, reason, "attached")
        return {"network": network}

    def check(view: View) -> None:
        others = [one.id for one in kept.there(view, Kind.VPN_GATEWAY) if one.data["network"] == network]
        if other := next((one for one in others if one != known), ""):
            reason = f"The network '{network}' has the vpnGateway {other}."
            raise Conflict(Kind.VPN_GATEWAY, known, reason, "attached")

    kept.alter(cx, Kind.VPN_GATEWAY, known, new, check=check)


def detach(cx: Context, known: str, network: str) -> None:
    """Raises NotFound (`vpn-attachment`)."""

    def new(held: Mapping[str, Any]) -> Mapping[str, Any]:
        if held["network"] != network:
            raise NotFound("vpn-attachment", known, f"The vpnGateway '{known}' is not attached to '{network}'.")
        return {"network": ""}

    kept.alter(cx, Kind.VPN_GATEWAY, known, new)


def delete_gateway(cx: Context, known: str) -> None:
    """Raises Conflict (`in-use`) while it is attached or has connections."""

    def check(view: View) -> None:
        if kept.held(view, Kind.VPN_GATEWAY, known)["network"] or _used(view, "gateway", known):
            raise Conflict(Kind.VPN_GATEWAY, known, f"The vpnGateway '{known}' is in use.", "in-use")

    kept.bury(cx, Kind.VPN_GATEWAY, known, {}, check)


def create_customer(cx: Context, address: str, asn: int, device: str) -> Kept:
    """The gateway of a customer; one that is there already, with this address and number, is the answer.

    Raises QuotaExceeded.
    """
    data = {"address": address, "asn": asn, "device": device}
    return kept.create(
        cx,
        Kind.CUSTOMER_GATEWAY,
        data,
        cx.tags.get("customer-gateway"),
        same=lambda held: (held["address"], held["asn"]) == (address, asn),
    )


def delete_customer(cx: Context, known: str) -> None:
    """Raises Conflict (`in-use`) while it has connections."""

    def check(view: View) -> None:
        if _used(view, "customer", known):
            raise Conflict(Kind.CUSTOMER_GATEWAY, known, f"The customerGateway '{known}' is in use.", "in-use")

    kept.bury(cx, Kind.CUSTOMER_GATEWAY, known, {}, check)


def _used(view: View, side: str, known: str) -> bool:
    return any(one.data[side] == known for one in kept.there(view, Kind.VPN_CONNECTION))


def connect(
    cx: Context, gateway: str, customer: str, wanted: Sequence[tuple[str, str]], data: Mapping[str, Any]
) -> Kept:
    """A connection; `wanted` are the inner range and the key of each tunnel, empty where they are ours to choose.

    Raises QuotaExceeded, and Invalid for an inner range that another connection of the gateway has.
    """

    def said(view: View) -> Mapping[str, Any]:
        kept.held(view, Kind.VPN_GATEWAY, gateway)
        kept.held(view, Kind.CUSTOMER_GATEWAY, customer)
        others = kept.there(view, Kind.VPN_CONNECTION)
        of_gateway = sum(one.data["gateway"] == gateway for one in others)
        demand(cx, "connections_per_vpn_gateway", of_gateway, gateway)
        tunnels = _tunnels(cx, others, gateway, wanted)
        return {**data, "gateway": gateway, "customer": customer, "routes": [], "tunnels": tunnels}

    return kept.create(cx, Kind.VPN_CONNECTION, said, cx.tags.get("vpn-connection"))


def _tunnels(
    cx: Context, others: Sequence[Record], gateway: str, wanted: Sequence[tuple[str, str]]
) -> list[dict[str, str]]:
    """As they are kept: with outer addresses that no other tunnel of the account has, and inner ones of the gateway."""
    inner = {tunnel["inside"] for one in others if one.data["gateway"] == gateway for tunnel in one.data["tunnels"]}
    outer = {tunnel["outside"] for one in others for tunnel in one.data["tunnels"]}
    if held := sorted(inner.intersection(inside for inside, _ in wanted)):
        raise Invalid(f"Another connection of {gateway} has a tunnel with the inside range {held[0]}.", "inside")
    inner.update(inside for inside, _ in wanted)
    made = []
    for number in range(TUNNELS):
        inside, key = wanted[number] if number < len(wanted) else ("", "")
        inside, outside = inside or _inside(inner), _outside(outer)
        inner.add(inside)
        outer.add(outside)
        made.append({"inside": inside, "outside": outside, "key": cx.store.seal(key or _random_key(), cx.account)})
    return made


def tunnels(cx: Context, connection: Kept) -> list[Tunnel]:
    return [
        Tunnel(said["outside"], said["inside"], cx.store.unseal(said["key"], cx.account))
        for said in connection.data["tunnels"]
    ]


def disconnect(cx: Context, known: str) -> None:
    """Its keys are forgotten at once. Raises NotFound."""
    kept.bury(cx, Kind.VPN_CONNECTION, known, {"tunnels": [], "routes": []})


def add_route(cx: Context, known: str, cidr: str) -> None:
    """Raises Conflict (`dynamic`) for a connection that learns its routes; a route that is there already stays."""

    def new(held: Mapping[str, Any]) -> Mapping[str, Any]:
        if not held["static"]:
            raise Conflict(Kind.VPN_CONNECTION, known, f"The connection {known} has no static routes.", "dynamic")
        return {"routes": list(dict.fromkeys([*held["routes"], cidr]))}

    kept.alter(cx, Kind.VPN_CONNECTION, known, new)


def remove_route(cx: Context, known: str, cidr: str) -> None:
    """Raises NotFound."""

    def new(held: Mapping[str, Any]) -> Mapping[str, Any]:
        if cidr not in held["routes"]:
            raise NotFound("route", cidr, f"The connection {known} has no route to {cidr}.")
        return {"routes": [one for one in held["routes"] if one != cidr]}

    kept.alter(cx, Kind.VPN_CONNECTION, known, new)


def _inside(taken: Container[str]) -> str:
    """A random inner range that no other tunnel has."""
    while True:
        found = IPv4Network((int(INSIDE.network_address) + 4 * secrets.randbelow(1 << 14), 30))
        if found not in RESERVED and str(found) not in taken:
            return str(found)


def _outside(taken: Container[str]) -> str:
    """A random outer address that no other tunnel has: there are more than all connections can have."""
    return secrets.choice([str(one) for one in _OUTSIDE.hosts() if str(one) not in taken])


def _random_key() -> str:
    """Begins with a letter, as a key must not begin with a zero."""
    return secrets.choice(string.ascii_letters) + "".join(secrets.choice(_KEY) for _ in range(_KEY_LENGTH - 1))
