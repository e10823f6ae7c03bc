"""Ways from a network to the internet. The default network has one from the beginning."""

from __future__ import annotations

from collections.abc import Collection

from isthmus.context import Context
from isthmus.core import kept, networks
from isthmus.core.ids import Kind, adopt
from isthmus.core.kept import Defaults, Kept
from isthmus.core.registry import Found
from isthmus.errors import Conflict, NotFound
from isthmus.model import Network


def default_id(network: Found[Network]) -> str:
    """The id of the gateway that a default network begins with."""
    return adopt(Kind.GATEWAY, network.cloud, network.id)


def defaults(cx: Context) -> Defaults:
    return {default_id(one): {"network": one.id} for one in networks.networks(cx) if one.noun.default}


def find(cx: Context, ids: Collection[str] | None = None) -> list[Kept]:
    """Gateways; `network` of their data is the id of the one that they are attached to, or empty."""
    return kept.find(cx, Kind.GATEWAY, ids, defaults(cx))


def of_network(cx: Context, network: str) -> Kept | None:
    return next((one for one in find(cx) if one.data["network"] == network), None)


def demand(cx: Context, network: str) -> None:
    """Raises Conflict (`no-gateway`) if a network has no way to the internet."""
    if of_network(cx, network) is None:
        reason = f"Network {network} is not attached to any internet gateway"
        raise Conflict(Kind.NETWORK, network, reason, "no-gateway")


def create(cx: Context) -> Kept:
    return kept.create(cx, Kind.GATEWAY, {"network": ""}, cx.tags.get("internet-gateway"))


def attach(cx: Context, known: str, network: str) -> None:
    """To be called while the wiring of the network is `changing`. Raises Conflict (`attached`)."""
    [gateway] = find(cx, [known])
    if gateway.data["network"]:
        reason = f"resource {known} is already attached to network {gateway.data['network']}"
        raise Conflict(Kind.GATEWAY, known, reason, "attached")
    if other := of_network(cx, network):
        raise Conflict(Kind.GATEWAY, known, f"Network {network} already has the gateway {other.id} attached", "network")
    kept.update(cx, Kind.GATEWAY, known, {"network": network}, defaults(cx))


def detach(cx: Context, known: str, network: str) -> None:
    """To be called while the wiring of the network is `changing`. Raises NotFound (`gateway-attachment`)."""
    [gateway] = find(cx, [known])
    if gateway.data["network"] != network:
        raise NotFound("gateway-attachment", known, f"resource {known} is not attached to network {network}")
    kept.update(cx, Kind.GATEWAY, known, {"network": ""}, defaults(cx))


def delete(cx: Context, known: str) -> None:
    """Raises Conflict (`in-use`) while it is attached."""
    [gateway] = find(cx, [known])
    if gateway.data["network"]:
        reason = f"The internetGateway '{known}' has dependencies and cannot be deleted."
        raise Conflict(Kind.GATEWAY, known, reason, "in-use")
    kept.delete(cx, Kind.GATEWAY, known, defaults(cx))
