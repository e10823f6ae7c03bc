"""What an account's servers are: the clouds' servers, how they were launched, and what hangs on them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from isthmus.context import Context
from isthmus.core import addresses, firewalls, volumes
from isthmus.core.ids import Kind, minted
from isthmus.core.instance import Instance, Unlisted, launched
from isthmus.core.nouns import load_server
from isthmus.core.registry import (
    NO_TAGS,
    Found,
    Index,
    Native,
    Noun,
    all_of,
    as_before,
    differences,
    fan_out,
    identify,
    same,
)
from isthmus.errors import NotFound
from isthmus.model import Address, Firewall, Server, ServerState, Volume
from isthmus.providers import Session
from isthmus.store import Record, View

T = TypeVar("T", bound=Noun)


class Instances:
    """All instances of an account, in their order: by reservation, then by id."""

    def __init__(self, live: Iterable[Instance], ended: Iterable[Instance], hung: _Hung, sources: _Sources) -> None:
        self.ended: Mapping[str, Instance] = {one.id: one for one in ended}
        """Those that are on record only, as their clouds no longer have them."""
        self.ordered: Sequence[Instance] = sorted((*self.ended.values(), *live), key=lambda one: one.key)
        self.keys: Sequence[tuple[str, str]] = [one.key for one in self.ordered]
        self.by_id: Mapping[str, Instance] = {one.id: one for one in self.ordered}
        self.by_native: Mapping[Native, Instance] = {
            one.native: one for one in sorted(self.ordered, key=lambda one: one.id not in self.ended)
        }
        self.hung = hung
        self.sources = sources

    @property
    def firewalls(self) -> Index[Firewall]:
        """Those that were read with them."""
        return self.sources.firewalls

    @cached_property
    def oldest(self) -> datetime | None:
        """When the first of those that ended did."""
        return min((one.record.gone for one in self.ended.values() if one.record and one.record.gone), default=None)

    def is_live(self, native: Native) -> bool:
        """Whether this is one that its cloud has."""
        return native in self.by_native and self.by_native[native].id not in self.ended

    def mended(
        self,
        dropped: Iterable[str],
        live: Sequence[Instance],
        ended: Sequence[Instance],
        hung: _Hung,
        sources: _Sources,
    ) -> Instances:
        """The next ones: without what is dropped, and with what is new or changed."""
        made = Instances((), (), hung, sources)
        keys, ordered = list(self.keys), list(self.ordered)
        by_id, by_native, gone = dict(self.by_id), dict(self.by_native), dict(self.ended)
        for old in [self.by_id[one] for one in {*dropped, *(each.id for each in (*live, *ended))} & by_id.keys()]:
            place = bisect_left(keys, old.key)
            del keys[place], ordered[place], by_id[old.id]
            gone.pop(old.id, None)
            if by_native.get(old.native) is old:
                del by_native[old.native]
        for one in (*live, *ended):
            place = bisect_left(keys, one.key)
            keys.insert(place, one.key)
            ordered.insert(place, one)
            by_id[one.id] = one
        gone.update((one.id, one) for one in ended)
        by_native.update((one.native, one) for one in ended if one.native not in by_native)
        by_native.update((one.native, one) for one in live)
        made.keys, made.ordered, made.by_id, made.by_native, made.ended = keys, ordered, by_id, by_native, gone
        return made


class _Sources(NamedTuple):
    """What instances are joined of: the very same objects make the very same instances."""

    view: View
    servers: tuple[Sequence[Server], ...]
    volumes: Index[Volume]
    addresses: Index[Address]
    firewalls: Index[Firewall]

    def flat(self) -> tuple[object, ...]:
        return (self.view, *self.servers, self.volumes, self.addresses, self.firewalls)


class _Hung(NamedTuple):
    """What hangs on servers, by native server."""

    volumes: Mapping[Native, tuple[Found[Volume], ...]]
    addresses: Mapping[Native, tuple[Found[Address], ...]]


def find(cx: Context, ids: Collection[str] | None = None) -> Iterator[Instance]:
    """Instances in their order, of those of `cx.only` and behind `cx.after`.

    Raises NotFound for an id that is not the account's.
    """
    if ids:
        ordered: Sequence[Instance] = sorted(pick(cx, ids), key=_key)
    elif (wanted := _wanted(cx)) is not None:
        by_id = some(cx, wanted).by_id
        ordered = sorted((by_id[one] for one in wanted if one in by_id), key=_key)
    else:
        ordered = index(cx).ordered
    start = bisect_right(ordered, cx.after, key=_key) if cx.after else 0
    for place in range(start, len(ordered)):
        yield ordered[place]


def pick(cx: Context, ids: Collection[str]) -> list[Instance]:
    """These instances, in the order asked; NotFound names the first that is not the account's."""
    by_id = some(cx, ids).by_id
    for one in ids:
        if one not in by_id:
            raise NotFound(Kind.SERVER, one)
    return [by_id[one] for one in dict.fromkeys(ids)]


def demand(cx: Context, ids: Collection[str]) -> None:
    """Raises NotFound for the first of these that is not the account's; joins nothing where it need not."""
    natives = _recorded(cx, ids)
    for cloud, wanted in (natives or {}).items():
        compute = cx.session(cloud).compute
        there = {server.native for server in compute.list_servers(wanted)} if compute else ()
        if not all(native in there for native in wanted):
            natives = None
            break
    if natives is None:
        pick(cx, ids)


def _key(one: Instance) -> tuple[str, str]:
    return one.key


def some(cx: Context, ids: Collection[str]) -> Instances:
    """At least these instances, as far as they are the account's: remote clouds are asked for no others.

    Only what is on record is known by its native id; for anything else all must be looked at.
    """
    if _natives(cx, ids) is None:
        return index(cx)
    view = cx.view()
    listed, *parts = all_of(cx, *reads(cx, ids))
    sources = _Sources(view, tuple(one for _, one in listed), *parts)
    join = _Join(cx, sources, _Hung(_grouped(sources.volumes, _attached), _grouped(sources.addresses, _public)))
    live = [one for cloud, found in listed for one in join.these(cloud, found) if not _taken_back(one)]
    return Instances(live, join.ended(set(ids) - {one.id for one in live}), join.hung, sources)


def reads(cx: Context, ids: Collection[str] | None = None) -> list[Callable[[Context], Any]]:
    """What instances are joined of, to be read at the same time: servers by their clouds, then what hangs on them."""
    wanted = ids or _wanted(cx)
    natives = _natives(cx, wanted) if wanted is not None else None

    def servers(cx: Context) -> list[tuple[str, Sequence[Server]]]:
        if natives is None:
            return fan_out(cx, _servers)
        asked = ((cloud, which, cx.session(cloud).compute) for cloud, which in natives.items())
        return [(cloud, compute.list_servers(which)) for cloud, which, compute in asked if compute]

    return [servers, volumes.seen, addresses.index, firewalls.seen]


def _wanted(cx: Context) -> Collection[str] | None:
    """The ids of all that a request's filters let pass, as far as they can be an instance's; None for any."""
    if cx.only is None:
        return None
    records = cx.view().records
    return [one for one in cx.only if one not in records or records[one].kind == Kind.SERVER]


def _natives(cx: Context, ids: Collection[str]) -> Mapping[str, list[str]] | None:
    """The native ids of these by their clouds; None where all are to be looked at."""
    return _recorded(cx, ids) if cx.world.remote else None


def _recorded(cx: Context, ids: Collection[str]) -> Mapping[str, list[str]] | None:
    """The native ids of these by their clouds; None unless all are on record."""
    found: dict[str, list[str]] = {}
    for record in map(cx.view().records.get, ids):
        if record is None or record.kind != Kind.SERVER or not record.native or record.cloud not in cx.world.clouds:
            return None
        found.setdefault(record.cloud, []).append(record.native)
    return found


def index(cx: Context) -> Instances:
    """All instances of the account, those lately terminated too.

    Records are read before the clouds: what vanishes in between is then shown as terminated, and what appears
    in between is looked up again, so nothing is ever told wrongly. After a change only what changed is joined again.
    """
    view = cx.view()
    listed, *parts = all_of(cx, *reads(cx))
    view = cx.view() if _news(view, listed) else view
    memo = cx.world.memo.get((cx.account, "instances"))
    known = memo if isinstance(memo, Instances) else None
    listed = as_before(listed, known.sources.servers if known else ())
    sources = _Sources(view, tuple(servers for _, servers in listed), *parts)
    expired = bool(known and known.oldest and known.oldest <= cx.now() - cx.world.limits.terminated_visible)
    if known and not expired and same(known.sources.flat(), sources.flat()):
        return known
    made = _mended(cx, known, sources, listed, expired=expired) if known else None
    if made is None:
        hung = _Hung(_grouped(sources.volumes, _attached), _grouped(sources.addresses, _public))
        join = _Join(cx, sources, hung, known)
        live = [one for cloud, servers in listed for one in join.these(cloud, servers) if not _taken_back(one)]
        made = Instances(
            live, join.ended(view.of_kind(Kind.SERVER).keys() - {one.id for one in live}), join.hung, sources
        )
    cx.world.memo[(cx.account, "instances")] = made
    return made


def _mended(
    cx: Context, known: Instances, sources: _Sources, listed: Sequence[tuple[str, Sequence[Server]]], *, expired: bool
) -> Instances | None:
    """Instances brought up to date; None if most of them are to be joined anyway, or nobody knows what changed."""
    before = known.sources
    if len(listed) != len(before.servers):  # not the same clouds were asked
        return None
    records = sources.view.trail.since(before.view.trail)
    attached = _regrouped(known.hung.volumes, before.volumes, sources.volumes, _attached)
    public = _regrouped(known.hung.addresses, before.addresses, sources.addresses, _public)
    walls = sources.firewalls.trail.since(before.firewalls.trail)
    if records is None or attached is None or public is None or walls is None:
        return None
    if volumes.unlisted(cx, before.volumes) != volumes.unlisted(cx, sources.volumes):
        return None
    gone, new = differences(listed, before.servers)
    touched = attached[1] | public[1] | _guarded(known, sources.firewalls, walls)
    for each in records:
        if one := known.by_id.get(each):
            touched.add(one.native)
        if record := sources.view.records.get(each):
            touched.add((record.cloud, record.native))
    stale = {native for native in touched | gone if known.is_live(native)}
    if 2 * (len(stale) + len(new)) > len(known.ordered):
        return None
    join = _Join(cx, sources, _Hung(attached[0], public[0]), known)
    again = [(native[0], known.by_native[native].server) for native in stale - gone]
    live = [one for cloud, server in (*again, *new) if not _taken_back(one := join.one(cloud, server))]
    old = {known.by_native[native].id for native in stale}
    doubtful = old | records | (known.ended.keys() if expired else frozenset())
    settled = {one.id for one in live} | (known.by_id.keys() & doubtful) - known.ended.keys() - old
    ended = join.ended(doubtful - settled)
    dropped = old | (doubtful & known.ended.keys())
    made = known.mended(dropped, live, ended, join.hung, sources)
    whole = len(made.ordered) == len(made.ended) + sum(len(servers) for servers in sources.servers)
    return made if whole else None


def _attached(found: Found[Volume]) -> Iterator[Native]:
    return ((found.cloud, one.server) for one in found.noun.attachments)


def _public(found: Found[Address]) -> Iterator[Native]:
    if found.noun.server:
        yield (found.cloud, found.noun.server)


def _grouped(
    everything: Index[T], servers: Callable[[Found[T]], Iterable[Native]]
) -> dict[Native, tuple[Found[T], ...]]:
    """What hangs on each server."""
    made: dict[Native, tuple[Found[T], ...]] = {}
    for found in everything:
        for server in servers(found):
            made[server] = (*made.get(server, ()), found)
    return made


def _regrouped(
    before: Mapping[Native, tuple[Found[T], ...]],
    old: Index[T],
    new: Index[T],
    servers: Callable[[Found[T]], Iterable[Native]],
) -> tuple[Mapping[Native, tuple[Found[T], ...]], set[Native]] | None:
    """What hangs on each server now, and on which something changed; None if nobody knows what did."""
    changed = new.trail.since(old.trail)
    if changed is None:
        return None
    if not changed:
        return before, set()
    made, touched = dict(before), set()
    for known in changed:
        for server in servers(old.by_id[known]) if known in old.by_id else ():
            made[server] = tuple(one for one in made.get(server, ()) if one.id != known)
            touched.add(server)
    for known in sorted(changed & new.by_id.keys()):
        for server in servers(new.by_id[known]):
            made[server] = tuple(sorted((*made.get(server, ()), new.by_id[known]), key=lambda one: one.id))
            touched.add(server)
    return made, touched


def _guarded(known: Instances, walls: Index[Firewall], changed: Collection[str]) -> set[Native]:
    """The servers that some firewalls guard, or did."""
    if not changed:
        return set()
    before = known.sources.firewalls
    natives = {
        (one.cloud, one.noun.native) for each in changed for index in (before, walls) if (one := index.by_id.get(each))
    }
    return {
        one.native
        for one in known.ordered
        if one.server.ports and any((one.cloud, wall) in natives for wall in one.server.ports[0].firewalls)
    }


def young(cx: Context, cloud: str, servers: Sequence[Server], public: Index[Address] | None = None) -> list[Instance]:
    """Servers just made: nothing hangs on them yet but `public` addresses, so nothing else is asked for."""
    there: Index[Address] = public or Index()
    sources = _Sources(cx.view(), (), Index(), there, firewalls.seen(cx))
    return _Join(cx, sources, _Hung({}, _grouped(there, _public))).these(cloud, servers)


def _servers(session: Session) -> Sequence[Server]:
    return session.compute.list_servers() if session.compute else ()


def _news(view: View, listed: Sequence[tuple[str, Sequence[Server]]]) -> bool:
    """Whether a cloud shows one of our servers that is younger than the view."""
    return any(servers and servers[-1].ref and servers[-1].ref not in view.records for _, servers in listed)


class _Join:
    """Puts servers, records, volumes, addresses and firewalls together; reuses what did not change."""

    def __init__(self, cx: Context, sources: _Sources, hung: _Hung, known: Instances | None = None) -> None:
        self._cx = cx
        self._view = sources.view
        self._known = known.by_id if known else {}
        self._walls = sources.firewalls.by_native
        self._unlisted = volumes.unlisted(cx, sources.volumes)
        self.hung = hung

    def these(self, cloud: str, servers: Sequence[Server]) -> list[Instance]:
        return [self.one(cloud, server) for server in servers]

    def one(self, cloud: str, server: Server) -> Instance:
        known = identify(self._view, Kind.SERVER, cloud, server)
        record = self._view.records.get(known)
        before = self._known.get(known)
        launch = before.launch if before and before.record is record else launched(record, known)
        walls = server.ports[0].firewalls if server.ports else ()
        return Instance(
            known,
            self._cx.account,
            cloud,
            server,
            launch,
            self._view.tags.get(known, NO_TAGS),
            self._volumes(cloud, server),
            self.hung.addresses.get((cloud, server.native), ()),
            tuple(wall for native in walls if (wall := self._walls.get((cloud, native)))),
            record,
        )

    def _volumes(self, cloud: str, server: Server) -> tuple[Found[Volume], ...] | Unlisted:
        if cloud not in self._unlisted:
            return self.hung.volumes.get((cloud, server.native), ())
        return Unlisted(volumes.named(self._view, cloud, server))

    def ended(self, ids: Iterable[str]) -> list[Instance]:
        """What is left of servers that their clouds do not have.

        Nothing of one that never was, that ended long ago, or whose cloud the account is nobody on.
        """
        records = self._view.of_kind(Kind.SERVER)
        return [one for known in ids if (record := records.get(known)) and (one := self._ended(record))]

    def _ended(self, record: Record) -> Instance | None:
        last = record.data.get("last")
        if not last or record.cloud not in self._cx.world.clouds:
            return None
        oldest = self._cx.now() - self._cx.world.limits.terminated_visible
        if record.gone and record.gone < oldest:
            return None
        before, tags = self._known.get(record.id), self._view.tags.get(record.id, NO_TAGS)
        if before and before.record is record and before.tags is tags and before.server.state is ServerState.DELETED:
            return before
        server = replace(load_server(last), state=ServerState.DELETED)
        return Instance(
            record.id, self._cx.account, record.cloud, server, launched(record, record.id), tags, (), (), (), record
        )


def _taken_back(one: Instance) -> bool:
    """Whether this is what is left of a launch that came to nothing: nobody was ever told its id."""
    return one.record is None and one.server.state is ServerState.DELETING and minted(Kind.SERVER, one.server.ref)
