"""What routes lead to: whether it is there, and what its cloud calls it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from isthmus.context import Context
from isthmus.core import gateways, instances, kept, networks, ports
from isthmus.core.ids import Kind
from isthmus.core.registry import Found
from isthmus.core.routes import Entry
from isthmus.errors import Invalid
from isthmus.model import Hop, Network, Route

VPN, ENDPOINT = "vpn", "endpoint"


def led(cx: Context, network: Found[Network], entry: Entry) -> Route | None:
    """A route as the network's cloud takes it; None where what it leads to is not there any more."""
    find = _FIND.get(entry.hop)
    native = find(cx, network, entry.target) if find else None
    return None if native is None else Route(entry.to, Hop(entry.hop), native)


def alive(cx: Context, network: Found[Network], entry: Entry) -> bool:
    """Whether what a route leads to is there; that a tunnel may be down is another matter."""
    if entry.hop == VPN:
        return any(
            one.id == entry.target and one.data["network"] == network.id for one in kept.live(cx, Kind.VPN_GATEWAY)
        )
    return entry.hop == ENDPOINT or led(cx, network, entry) is not None


def demand(cx: Context, network: Found[Network], hop: str, target: str) -> None:
    """Raises NotFound for what is not there, and Invalid for what does not serve this network."""
    _HAVE[hop](cx, target)
    if not alive(cx, network, Entry("", hop, target)):
        raise Invalid(f"{target} and the route table belong to different networks, or it is not ready.", "target")


def server_of(cx: Context, entry: Entry) -> str:
    """The id of the server that has the port which a route leads to, or empty."""
    found = ports.index(cx).by_id.get(entry.target)
    one = instances.index(cx).by_native.get((found.cloud, found.noun.server)) if found and found.noun.server else None
    return one.id if one else ""


def _gateway(cx: Context, network: Found[Network], target: str) -> str | None:
    there = any(one.id == target and one.data["network"] == network.id for one in gateways.find(cx))
    return "" if there else None


def _egress(cx: Context, network: Found[Network], target: str) -> str | None:
    there = any(one.id == target and one.data["network"] == network.id for one in kept.find(cx, Kind.EGRESS_GATEWAY))
    return "" if there else None


def _port(cx: Context, network: Found[Network], target: str) -> str | None:
    found = ports.index(cx).by_id.get(target)
    return found.noun.native if found and found.cloud == network.cloud else None


def _nat(cx: Context, network: Found[Network], target: str) -> str | None:
    for one in kept.find(cx, Kind.NAT):
        if one.id == target and not one.gone and one.data["network"] == network.id:
            found = ports.index(cx).by_id.get(one.data["port"])
            return found.noun.native if found else None
    return None


def _peer(cx: Context, network: Found[Network], target: str) -> str | None:
    for one in kept.find(cx, Kind.PEERING):
        both = one.data["networks"]
        if one.id == target and not one.gone and one.data["status"] == "active" and network.id in both:
            other = networks.networks(cx).by_id.get(next(known for known in both if known != network.id))
            return other.noun.native if other else None
    return None


_HAVE: Mapping[str, Callable[[Context, str], object]] = {
    Hop.INTERNET: lambda cx, target: gateways.find(cx, [target]),
    Hop.EGRESS: lambda cx, target: kept.find(cx, Kind.EGRESS_GATEWAY, [target]),
    Hop.PORT: lambda cx, target: ports.one(cx, target),
    Hop.NAT: lambda cx, target: kept.live(cx, Kind.NAT, [target]),
    Hop.PEER: lambda cx, target: kept.live(cx, Kind.PEERING, [target]),
    VPN: lambda cx, target: kept.live(cx, Kind.VPN_GATEWAY, [target]),
}
"""Raises NotFound for what is not there."""
_FIND: Mapping[str, Callable[[Context, Found[Network], str], str | None]] = {
    Hop.INTERNET: _gateway,
    Hop.EGRESS: _egress,
    Hop.PORT: _port,
    Hop.NAT: _nat,
    Hop.PEER: _peer,
}
