"""The one loop that mends records: reads never write, so what a crash left unsaid is said here."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from isthmus.context import Context, World
from isthmus.core import (
    addresses,
    dismantle,
    firewalls,
    fleets,
    images,
    instances,
    labels,
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


class Reconciler:
    def __init__(self, world: World) -> None:
        self._world = world

    def once(self, oldest: datetime | None = None) -> None:
        """Mend everything. What was begun after `oldest` is spared, as it may be under way; None: nothing is."""
        oldest = oldest or self._world.clock()
        for cloud in self._world.clouds.values():
            cloud.mend()
        for account in self._world.store.accounts_with_records():
            try:
                _mend(Context(account, self._world.of(account)), oldest)
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


def _mend(cx: Context, oldest: datetime) -> None:
    known = cx.view().of_kind(Kind.SERVER)  # before the clouds are asked: what is on record now is there then
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
    _bury_servers(cx, known, oldest)
    servers.end_those_shut_down(cx, there.ordered)
    for kind, index in listed:
        _finish(cx, {one.id: one.noun for one in index})
        _drop(cx, kind, set(index.by_id), oldest)
    publics.mend(cx, oldest)
    rules.mend(cx, oldest)
    nat.mend(cx, oldest)
    peerings.mend(cx)
    fleets.mend(cx)
    leaving.mend(cx, networks.networks(cx).by_id, oldest)
    dismantle.sweep(cx)
    wiring.mend(cx)
    labels.mend(cx)


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


def _bury_servers(cx: Context, known: Mapping[str, Record], oldest: datetime) -> None:
    """Drop records of launches that came to nothing; mark servers that vanished, with the time it was seen.

    `known` are the servers that were on record before the clouds were asked.
    """
    there = {one.id for one in instances.index(cx).ordered if one.server.state is not ServerState.DELETED}
    now = cx.now()
    absent = [record for server, record in known.items() if server not in there]
    if not absent:
        return
    with cx.store.change(cx.account) as change:
        for record in absent:
            if not record.native and record.created <= oldest:
                change.untag([record.id], None)
                change.drop(record.id)
            elif record.native and record.gone is None:
                change.update(record.id, gone=now)


def _drop(cx: Context, kind: Kind, there: set[str], oldest: datetime) -> None:
    """Drop the records and tags of what is not there any more, or never was."""
    left: list[Record] = [
        record for known, record in cx.view().of_kind(kind).items() if known not in there and record.created <= oldest
    ]
    if not left:
        return
    with cx.store.change(cx.account) as change:
        for record in left:
            change.untag([record.id], None)
            change.drop(record.id)
