"""Networks on their way out: nothing new comes into one that is being deleted.

What is in a network is partly records, and its cloud cannot tell of those. Who deletes a network says so first, in the
same step in which it sees that nothing is in it; whoever then writes down something in it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

from isthmus.context import Context
from isthmus.core.ids import Kind
from isthmus.errors import NotFound
from isthmus.store import Record, View

_LEAVING = "leaving"
"""The kind of records that say which networks are being deleted, or were a short while ago."""


def within(data: Mapping[str, Any]) -> Collection[str]:
    """The ids of the networks that a record's thing is in, or connects."""
    return data.get("networks") or [data.get("network", "")]


def demand_staying(view: View, data: Mapping[str, Any]) -> None:
    """Raises NotFound for what would be in a network that is being deleted."""
    leaving = view.of_kind(_LEAVING)
    for network in within(data) if leaving else ():
        if _mark(network) in leaving:
            raise NotFound(Kind.NETWORK, network)


def begin(cx: Context, network: str, check: Callable[[View], None]) -> None:
    """Say that a network is to be deleted, unless `check` says what is in it."""
    with cx.store.change(cx.account) as change:
        check(change.view)
        change.put(Record(_mark(network), cx.account, _LEAVING, "", network, {}, cx.now()))


def stay(cx: Context, network: str) -> None:
    """Its cloud has refused to delete it."""
    with cx.store.change(cx.account) as change:
        change.drop(_mark(network))


def end(cx: Context, network: str, own: Collection[str]) -> None:
    """Forget a network that is gone, with what was its own; that it is gone is remembered for those who come late."""
    with cx.store.change(cx.account) as change:
        for one in (network, *own):
            change.drop(one)
        change.put(Record(_mark(network), cx.account, _LEAVING, "", network, {}, cx.now(), cx.now()))


def mend(cx: Context, there: Collection[str], oldest: datetime) -> None:
    """Let networks stay whose deletion was begun before `oldest` and never done."""
    left = [one for one in cx.view().of_kind(_LEAVING).values() if one.gone is None and one.created <= oldest]
    for one in left:
        if one.native in there:
            stay(cx, one.native)
        else:
            end(cx, one.native, ())


def _mark(network: str) -> str:
    return f"{_LEAVING}-{network}"
