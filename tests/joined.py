"""Listings that were mended change by change, held against the same ones made anew."""

from __future__ import annotations

from typing import Any

from isthmus.context import Context
from isthmus.core import addresses, firewalls, images, instances, networks, ports, volumes

_KINDS = (
    volumes.index,
    volumes.snapshots,
    images.index,
    addresses.index,
    firewalls.index,
    ports.index,
    networks.networks,
    networks.subnets,
)


def demand_mended(cx: Context) -> None:
    """Fails unless each listing is, in content and order, what it is when nothing was remembered."""
    mended = _all(cx)
    cx.world.memo.clear()
    assert mended == _all(cx)


def _all(cx: Context) -> list[Any]:
    indexes = [index(cx) for index in _KINDS]
    joined = instances.index(cx)
    return [
        [(list(one), one.ids, dict(one.by_native)) for one in indexes],
        (joined.ordered, joined.keys, joined.by_id, joined.by_native, joined.ended),
        [{server: held for server, held in each.items() if held} for each in joined.hung],
    ]
