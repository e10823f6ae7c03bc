"""The one loop that mends records: reads never write, so what a crash left unsaid is said here."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from datetime import timedelta

from isthmus.context import Context, World
from isthmus.core import (
    addresses,
    dismantle,
    firewalls,
    fleets,
    images,
    instances,
    leaving,
    nat,
    networks,
    peerings,
    ports,
    publics,
    rules,
    servers,
    volumes,
    wiring,
)
from isthmus.core.ids import Kind
from isthmus.core.nouns import dump_server
from isthmus.core.registry import Index, Noun
from isthmus.errors import Fault
from isthmus.model import ServerState
from isthmus.store import Record

_log = logging.getLogger(__name__)
_GRACE = timedelta(minutes=10)
"""How long a creation may be under way before its record is taken for left over."""


class Reconciler:
    def __init__(self, world: World) -> None:
        self._world = world

    def once(self, grace: timedelta = timedelta(0)) -> None:
        """Mend everything. `grace` spares what was begun lately: nothing at a start, when nothing is under way."""
        for cloud in self._world.clouds.values():
            cloud.mend()
        for account in self._world.store.accounts_with_records():
            try:
                _mend(Context(account, self._world.of(account)), grace)
            except Fault as fault:
                _log.warning("the records of account %s are not mended: %s", account, fault)
        self._forget_gone()
        self._world.store.purge(self._world.clock())

    def _forget_gone(self) -> None:
        """Drop what has been shown as terminated for long enough."""
        store = self._world.store
        for record in store.gone_before(self._world.clock() - self._world.limits.terminated_visible):
            with store.change(record.account) as change:
                change.untag([record.id], None)
                change.drop(record.id)

    def run(self, stop: threading.Event, every: float) -> None:
        """Mend at once, and again each `every` seconds until told to stop."""
        grace = timedelta(0)
        while True:
            try:
                self.once(grace)
            except Exception:
                _log.exception("mending failed; it is tried again in %s seconds", every)
            grace = _GRACE
            if stop.wait(every):
                return


def _mend(cx: Context, grace: timedelta) -> None:
    there = instances.index(cx)
    _finish(cx, {one.id: one.server for one in there.ordered if one.server.state is not ServerState.DELETED})
    listed: Sequence[tuple[Kind, Index[Noun]]] = [
        (Kind.VOLUME, volumes.index(cx)),  # type: ignore[list-item]
        (Kind.SNAPSHOT, volumes.snapshots(cx)),  # type: ignore[list-item]
        (Kind.IMAGE, images.index(cx)),  # type: ignore[list-item]
        (Kind.FIREWALL, firewalls.index(cx)),  # type: ignore[list-item]
        (Kind.ADDRESS, addresses.index(cx)),  # type: ignore[list-item]
        (Kind.NETWORK, networks.networks(cx)),  # type: ignore[list-item]
        (Kind.SUBNET, networks.subnets(cx)),  # type: ignore[list-item]
        (Kind.PORT, ports.index(cx)),  # type: ignore[list-item]
    ]
    _bury_servers(cx, grace)
    servers.end_those_shut_down(cx, there.ordered)
    for kind, index in listed:
        _finish(cx, {one.id: one.noun for one in index})
        _drop(cx, kind, set(index.by_id), grace)
    publics.mend(cx, cx.now() - grace)
    rules.mend(cx, grace)
    nat.mend(cx, cx.now() - grace)
    peerings.mend(cx)
    fleets.mend(cx)
    leaving.mend(cx, networks.networks(cx).by_id, cx.now() - grace)
    dismantle.sweep(cx)
    wiring.mend(cx)


def _finish(cx: Context, there: dict[str, Noun]) -> None:
    """Write down the native id of what was made but not yet said to be."""
    records = cx.view().records
    open_ones = [(one, noun) for one, noun in there.items() if one in records and not records[one].native]
    if not open_ones:
        return
    with cx.store.change(cx.account) as change:
        for one, noun in open_ones:
            data = records[one].data
            if records[one].kind == Kind.SERVER:
                data = {**data, "last": dump_server(noun)}  # type: ignore[arg-type]
            change.update(one, native=noun.native, data=data)


def _bury_servers(cx: Context, grace: timedelta) -> None:
    """Drop records of launches that came to nothing; mark servers that vanished, with the time it was seen."""
    there = {one.id for one in instances.index(cx).ordered if one.server.state is not ServerState.DELETED}
    now = cx.now()
    absent = [one for known, one in cx.view().of_kind(Kind.SERVER).items() if known not in there]
    if not absent:
        return
    with cx.store.change(cx.account) as change:
        for record in absent:
            if not record.native and record.created <= now - grace:
                change.untag([record.id], None)
                change.drop(record.id)
            elif record.native and record.gone is None:
                change.update(record.id, gone=now)


def _drop(cx: Context, kind: Kind, there: set[str], grace: timedelta) -> None:
    """Drop the records and tags of what is not there any more, or never was."""
    now = cx.now()
    left: list[Record] = [
        record
        for known, record in cx.view().of_kind(kind).items()
        if known not in there and record.created <= now - grace
    ]
    if not left:
        return
    with cx.store.change(cx.account) as change:
        for record in left:
            change.untag([record.id], None)
            change.drop(record.id)
