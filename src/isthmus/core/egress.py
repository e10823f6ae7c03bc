"""Ways from a network to the internet for connections that begin inside, over IPv6."""

from __future__ import annotations

from collections.abc import Collection

from isthmus.context import Context
from isthmus.core import kept
from isthmus.core.ids import Kind
from isthmus.core.kept import Kept
from isthmus.core.registry import Found
from isthmus.core.wiring import changing
from isthmus.model import Network


def find(cx: Context, ids: Collection[str] | None = None) -> list[Kept]:
    return kept.find(cx, Kind.EGRESS_GATEWAY, ids)


def create(cx: Context, network: Found[Network]) -> Kept:
    tags = cx.tags.get("egress-only-internet-gateway")
    return kept.create(cx, Kind.EGRESS_GATEWAY, {"network": network.id}, tags)


def delete(cx: Context, known: str) -> None:
    """What led through it leads nowhere from now on. Raises NotFound."""
    [found] = find(cx, [known])
    with changing(cx, found.data["network"]):
        kept.delete(cx, Kind.EGRESS_GATEWAY, known)
