"""VPN gateways, the gateways of customers, and the connections between them: records, since no cloud has tunnels yet.

Of a connection the keys of its tunnels are kept sealed; see Store.seal.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Collection, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any, NamedTuple

from isthmus.context import Context
from isthmus.core import kept
from isthmus.core.ids import Kind
from isthmus.core.kept import Kept
from isthmus.errors import Conflict, NotFound

INSIDE = IPv4Network("169.254.0.0/16")
# ranges that tunnels cannot have; source: "Tunnel options for your Site-to-Site VPN connection"
RESERVED = frozenset(
    IPv4Network(text) for text in (*(f"169.254.{number}.0/30" for number in range(6)), "169.254.169.252/30")
)
_OUTSIDE = IPv4Network("192.0.2.0/24")
"""Where tunnels would end on our side: addresses for documentation, since nothing answers there."""
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
    data = {"network": "", "asn": asn, "zone": zone}
    return kept.create(cx, Kind.VPN_GATEWAY, data, cx.tags.get("vpn-gateway"))


def attach(cx: Context, known: str, network: str) -> None:
    """Raises Conflict (`attached`) if either has another already."""
    [gateway] = kept.live(cx, Kind.VPN_GATEWAY, [known])
    held = gateway.data["network"]
    others = (one.id for one in kept.live(cx, Kind.VPN_GATEWAY) if one.data["network"] == network and one.id != known)
    if held not in ("", network):
        raise Conflict(Kind.VPN_GATEWAY, known, f"The vpnGateway '{known}' is attached to {held}.", "attached")
    if other := next(others, ""):
        raise Conflict(Kind.VPN_GATEWAY, known, f"The network '{network}' has the vpnGateway {other}.", "attached")
    kept.update(cx, Kind.VPN_GATEWAY, known, {"network": network})


def detach(cx: Context, known: str, network: str) -> None:
    """Raises NotFound (`vpn-attachment`)."""
    [gateway] = kept.live(cx, Kind.VPN_GATEWAY, [known])
    if gateway.data["network"] != network:
        raise NotFound("vpn-attachment", known, f"The vpnGateway '{known}' is not attached to '{network}'.")
    kept.update(cx, Kind.VPN_GATEWAY, known, {"network": ""})


def delete_gateway(cx: Context, known: str) -> None:
    """Raises Conflict (`in-use`) while it is attached or has connections."""
    [gateway] = kept.live(cx, Kind.VPN_GATEWAY, [known])
    if gateway.data["network"] or _used(cx, "gateway", known):
        raise Conflict(Kind.VPN_GATEWAY, known, f"The vpnGateway '{known}' is in use.", "in-use")
    kept.bury(cx, Kind.VPN_GATEWAY, known, {})


def create_customer(cx: Context, address: str, asn: int, device: str) -> Kept:
    """The gateway of a customer; one that is there already, with this address and number, is the answer."""
    for one in kept.live(cx, Kind.CUSTOMER_GATEWAY):
        if (one.data["address"], one.data["asn"]) == (address, asn):
            return one
    data = {"address": address, "asn": asn, "device": device}
    return kept.create(cx, Kind.CUSTOMER_GATEWAY, data, cx.tags.get("customer-gateway"))


def delete_customer(cx: Context, known: str) -> None:
    """Raises Conflict (`in-use`) while it has connections."""
    kept.live(cx, Kind.CUSTOMER_GATEWAY, [known])
    if _used(cx, "customer", known):
        raise Conflict(Kind.CUSTOMER_GATEWAY, known, f"The customerGateway '{known}' is in use.", "in-use")
    kept.bury(cx, Kind.CUSTOMER_GATEWAY, known, {})


def _used(cx: Context, side: str, known: str) -> bool:
    return any(one.data[side] == known for one in kept.live(cx, Kind.VPN_CONNECTION))


def connect(
    cx: Context, gateway: str, customer: str, wanted: Sequence[tuple[str, str]], data: Mapping[str, Any]
) -> Kept:
    """A connection; `wanted` are the inner range and the key of each tunnel, empty where they are ours to choose."""
    kept.live(cx, Kind.VPN_GATEWAY, [gateway])
    kept.live(cx, Kind.CUSTOMER_GATEWAY, [customer])
    taken = [IPv4Network(inside) for inside, _ in wanted if inside]
    tunnels = []
    for number in range(2):
        inside, key = wanted[number] if number < len(wanted) else ("", "")
        chosen = IPv4Network(inside) if inside else _free(taken)
        taken.append(chosen)
        key = key or _random_key()
        tunnels.append({"inside": str(chosen), "outside": _outside(), "key": cx.store.seal(key, cx.account)})
    said = {**data, "gateway": gateway, "customer": customer, "routes": [], "tunnels": tunnels}
    return kept.create(cx, Kind.VPN_CONNECTION, said, cx.tags.get("vpn-connection"))


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
    [found] = kept.live(cx, Kind.VPN_CONNECTION, [known])
    if not found.data["static"]:
        raise Conflict(Kind.VPN_CONNECTION, known, f"The connection {known} has no static routes.", "dynamic")
    kept.update(cx, Kind.VPN_CONNECTION, known, {"routes": list(dict.fromkeys([*found.data["routes"], cidr]))})


def remove_route(cx: Context, known: str, cidr: str) -> None:
    """Raises NotFound."""
    [found] = kept.live(cx, Kind.VPN_CONNECTION, [known])
    if cidr not in found.data["routes"]:
        raise NotFound("route", cidr, f"The connection {known} has no route to {cidr}.")
    kept.update(cx, Kind.VPN_CONNECTION, known, {"routes": [one for one in found.data["routes"] if one != cidr]})


def _free(taken: Sequence[IPv4Network]) -> IPv4Network:
    """A random inner range that no other tunnel of the connection has."""
    while True:
        number = secrets.randbelow(1 << 14)
        found = IPv4Network((int(INSIDE.network_address) + 4 * number, 30))
        if found not in RESERVED and found not in taken:
            return found


def _outside() -> str:
    return str(_OUTSIDE[1 + secrets.randbelow(_OUTSIDE.num_addresses - 2)])


def _random_key() -> str:
    """Begins with a letter, as a key must not begin with a zero."""
    return secrets.choice(string.ascii_letters) + "".join(secrets.choice(_KEY) for _ in range(_KEY_LENGTH - 1))
