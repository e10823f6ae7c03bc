"""Spot requests: each is told from the instance that fulfils it, and has the instance's digits.

A request is fulfilled at once from ordinary capacity or refused, so that there is none without an instance.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from isthmus.context import Context
from isthmus.core import servers
from isthmus.core.ids import PREFIX, Kind
from isthmus.core.instance import Instance
from isthmus.core.instances import index
from isthmus.errors import NotFound


def request_id(instance: str) -> str:
    return f"{PREFIX[Kind.SPOT]}{instance[len(PREFIX[Kind.SERVER]) :]}"


def find(cx: Context, ids: Collection[str] | None = None) -> list[Instance]:
    """The instances of the account's spot requests; NotFound names the first of `ids` that is not there."""
    known = {request_id(one.id): one for one in index(cx).ordered if one.launch.spot}
    for one in ids or ():
        if one not in known:
            raise NotFound(Kind.SPOT, one)
    return [known[one] for one in (dict.fromkeys(ids) if ids else known)]


def tag(cx: Context, made: Sequence[Instance], tags: Mapping[str, str]) -> None:
    """Label the requests of instances."""
    if tags:
        with cx.store.change(cx.account) as change:
            change.tag([request_id(one.id) for one in made], tags)


def cancel(cx: Context, ids: Collection[str]) -> None:
    """Cancel requests; their instances run on. Raises NotFound."""
    for one in find(cx, ids):
        if not one.launch.spot_cancelled:
            servers.change_launch(cx, one, spot_cancelled=cx.now().isoformat())
