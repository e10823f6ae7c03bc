"""What routes lead to: whether it is there, and what its cloud calls it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from isthmus.context import Context
from isthmus.core import gateways, kept, ports
from isthmus.core.ids import Kind
from isthmus.core.registry import Found
from isthmus.core.routes import Entry
from isthmus.model import Hop, Network, Route

VPN, ENDPOINT = "vpn", "endpoint"


def led(cx: Context, network: Found[Network], entry: Entry) -> Route | None:
    """A route as the network's cloud takes it; None where what it leads to is not there any more."""
    find = _FIND.get(entry.hop)
    native = find(cx, network, entry.target) if find else None
    return None if native is None else Route(entry.to, Hop(entry.hop), native)


def _gateway(cx: Context, network: Found[Network], target: str) -> str | None:
    there = any(one.id == target and one.data["network"] == network.id for one in gateways.find(cx))
    return "" if there else None


def _egress(cx: Context, network: Found[Network], target: str) -> str | None:
    there = any(one.id == target and one.data["network"] == network.id for one in kept.find(cx, Kind.EGRESS_GATEWAY))
    return "" if there else None


def _port(cx: Context, network: Found[Network], target: str) -> str | None:
    found = ports.index(cx).by_id.get(target)
    return found.noun.native if found and found.cloud == network.cloud else None


_FIND: Mapping[str, Callable[[Context, Found[Network], str], str | None]] = {
    Hop.INTERNET: _gateway,
    Hop.EGRESS: _egress,
    Hop.PORT: _port,
}
