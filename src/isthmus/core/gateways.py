"""Ways from a network to the internet.

The default network has one from the beginning, and so have networks that were made by other means with one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from isthmus.context import Context
from isthmus.core import kept, networks
from isthmus.core.ids import Kind, adopt
from isthmus.core.kept import Defaults, Kept
from isthmus.core.registry import Found
from isthmus.errors import Conflict, NotFound
from isthmus.model import Network
from isthmus.store import View


def default_id(network: Found[Network]) -> str:
    """The id of the gateway that a network begins with, or of the one that another gateway's users gave it."""
    return network.data.get("first_gateway") or adopt(Kind.GATEWAY, network.cloud, network.id)


def defaults(cx: Context) -> Defaults:
    return {default_id(one): {"network": one.id} for one in networks.networks(cx) if begins(one)}


def begins(network: Found[Network]) -> bool:
    """Whether a network begins with a gateway."""
    return network.noun.default or network.noun.outside


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
    first = defaults(cx)

    def new(held: Mapping[str, Any]) -> Mapping[str, Any]:
        if held["network"]:
            reason = f"resource {known} is already attached to network {held['network']}"
            raise Conflict(Kind.GATEWAY, known, reason, "attached")
        return {"network": network}

    def check(view: View) -> None:
        untouched = {one: data["network"] for one, data in first.items() if one not in view.records}
        attached = {**untouched, **{one.id: one.data["network"] for one in kept.there(view, Kind.GATEWAY)}}
        if other := next((one for one, where in attached.items() if where == network and one != known), ""):
            raise Conflict(
                Kind.GATEWAY, known, f"Network {network} already has the gateway {other} attached", "network"
            )

    kept.alter(cx, Kind.GATEWAY, known, new, first, check)


def detach(cx: Context, known: str, network: str) -> None:
    """To be called while the wiring of the network is `changing`. Raises NotFound (`gateway-attachment`)."""

    def new(held: Mapping[str, Any]) -> Mapping[str, Any]:
        if held["network"] != network:
            raise NotFound("gateway-attachment", known, f"resource {known} is not attached to network {network}")
        return {"network": ""}

    kept.alter(cx, Kind.GATEWAY, known, new, defaults(cx))


def delete(cx: Context, known: str) -> None:
    """Raises Conflict (`in-use`) while it is attached."""
    first = defaults(cx)

    def check(view: View) -> None:
        if kept.held(view, Kind.GATEWAY, known, first)["network"]:
            reason = f"The internetGateway '{known}' has dependencies and cannot be deleted."
            raise Conflict(Kind.GATEWAY, known, reason, "in-use")

    kept.delete(cx, Kind.GATEWAY, known, first, check)
