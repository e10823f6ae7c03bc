"""What an account's servers are: the clouds' servers, how they were launched, and what hangs on them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from isthmus.context import Context
from isthmus.core import addresses, firewalls, volumes
from isthmus.core.ids import Kind, minted
from isthmus.core.nouns import load_server
from isthmus.core.registry import NO_TAGS, Found, Index, fan_out, identify, same
from isthmus.errors import NotFound
from isthmus.model import Address, Firewall, Port, Server, ServerState, Volume
from isthmus.providers import Session
from isthmus.store import Record, View


@dataclass(frozen=True)
class Launch:
    """What only the API knows of a server: how it was asked for. Kept in its record."""

    reservation: str = ""
    index: int = 0
    image: str = ""
    key: str = ""
    user_data: str = ""
    """Base64."""
    token: str = ""
    termination_protected: bool = False
    stop_protected: bool = False
    shutdown: str = "stop"
    """What a shutdown from inside does: `stop` or `terminate`."""
    http_tokens: str = "optional"
    http_endpoint: str = "enabled"
    hop_limit: int = 1
    metadata_tags: str = "disabled"
    credits: str = "standard"
    monitored: bool = False
    ebs_optimized: bool = False
    group: str = ""
    """The placement group, by its id; it keeps its name while it has servers."""
    group_name: str = ""
    partition: int = 0
    """Of a placement group that has partitions, from 1."""
    profile: str = ""
    """The name of the rights that programs on it are said to have: for EC2 the ARN of an instance profile."""
    profile_association: str = ""
    """The id of that, if it was given later; and since when."""
    profile_since: str = ""
    spot: str = ""
    """Of a spot instance, its kind of request: `one-time` or `persistent`."""
    spot_price: str = ""
    spot_behavior: str = ""
    spot_until: str = ""
    spot_cancelled: str = ""
    """When its request was cancelled."""
    public: bool = False
    """Whether it has a public address of its own while it runs."""
    reason: str = ""
    """Why it was stopped or terminated, and when."""

    def dump(self) -> dict[str, Any]:
        return asdict(self)


_LAUNCH = frozenset(one.name for one in fields(Launch))


class Instance(NamedTuple):
    """A server with all that a front may say of it."""

    id: str
    account: str
    cloud: str
    server: Server
    launch: Launch
    tags: Mapping[str, str]
    disks: tuple[Found[Volume], ...]
    addresses: tuple[Found[Address], ...]
    groups: tuple[Found[Firewall], ...]
    record: Record | None

    @property
    def key(self) -> tuple[str, str]:
        return (self.launch.reservation, self.id)

    @property
    def address(self) -> Found[Address] | None:
        """The public address of its first private one."""
        first = self.server.ports[0] if self.server.ports else None
        return self.address_of(first, first.address) if first else None

    def address_of(self, port: Port, private: str) -> Found[Address] | None:
        for found in self.addresses:
            if found.noun.private == private and found.noun.port == port.native:
                return found
        return None


@dataclass(frozen=True)
class Instances:
    """All instances of an account, in their order: by reservation, then by id."""

    ordered: Sequence[Instance]
    sources: tuple[object, ...]
    expires: datetime | None
    """When the first of the terminated ones is no longer shown."""

    @cached_property
    def by_id(self) -> Mapping[str, Instance]:
        return {one.id: one for one in self.ordered}

    @cached_property
    def keys(self) -> Sequence[tuple[str, ...]]:
        return [one.key for one in self.ordered]

    @cached_property
    def by_native(self) -> Mapping[tuple[str, str], Instance]:
        return {(one.cloud, one.server.native): one for one in self.ordered}


def find(cx: Context, ids: Collection[str] | None = None) -> Iterator[Instance]:
    """Instances in their order, behind `cx.after`; NotFound for an id that is not the account's."""
    if ids:
        yield from sorted(pick(cx, ids), key=lambda one: one.key)
        return
    everything = index(cx)
    start = bisect_right(everything.keys, cx.after) if cx.after else 0
    for position in range(start, len(everything.ordered)):
        yield everything.ordered[position]


def pick(cx: Context, ids: Collection[str]) -> list[Instance]:
    """These instances, in the order asked; NotFound names the first that is not the account's."""
    by_id = index(cx).by_id
    for one in ids:
        if one not in by_id:
            raise NotFound(Kind.SERVER, one)
    return [by_id[one] for one in dict.fromkeys(ids)]


def index(cx: Context) -> Instances:
    """All instances of the account, those lately terminated too.

    Records are read before the clouds: what vanishes in between is then shown as terminated, and what appears
    in between is looked up again, so nothing is ever told wrongly.
    """
    view = cx.view()
    listed = fan_out(cx, _servers)
    parts = (volumes.index(cx), addresses.index(cx), firewalls.index(cx))
    view = cx.view() if _news(view, listed) else view
    sources = (view, *(servers for _, servers in listed), *parts)
    memo = cx.world.memo.get((cx.account, "instances"))
    known = memo if isinstance(memo, Instances) else None
    if known and same(known.sources, sources) and not (known.expires and known.expires <= cx.now()):
        return known
    made = _Join(cx, view, parts, known).all(listed)
    gone = [one.record.gone for one in made if one.record and one.record.gone]
    expires = min(gone) + cx.world.limits.terminated_visible if gone else None
    result = Instances(sorted(made, key=lambda one: one.key), sources, expires)
    cx.world.memo[(cx.account, "instances")] = result
    return result


def young(cx: Context, cloud: str, servers: Sequence[Server], public: Index[Address] | None = None) -> list[Instance]:
    """Servers just made: nothing hangs on them yet but `public` addresses, so nothing else is asked for."""
    view = cx.view()
    parts: tuple[Index[Volume], Index[Address], Index[Firewall]] = (Index({}), public or Index({}), firewalls.index(cx))
    return _Join(cx, view, parts, None).these(cloud, servers)


def _servers(session: Session) -> Sequence[Server]:
    return session.compute.list_servers() if session.compute else ()


def _news(view: View, listed: Sequence[tuple[str, Sequence[Server]]]) -> bool:
    """Whether a cloud shows one of our servers that is younger than the view."""
    return any(servers and servers[-1].ref and servers[-1].ref not in view.records for _, servers in listed)


class _Join:
    """Puts servers, records, volumes, addresses and firewalls together; reuses what did not change."""

    def __init__(
        self,
        cx: Context,
        view: View,
        parts: tuple[Index[Volume], Index[Address], Index[Firewall]],
        known: Instances | None,
    ) -> None:
        self._cx = cx
        self._view = view
        self._known = known.by_id if known else {}
        attached, public, walls = parts
        self._walls = walls.by_native
        self._disks: dict[tuple[str, str], list[Found[Volume]]] = {}
        for volume in attached:
            for attachment in volume.noun.attachments:
                self._disks.setdefault((volume.cloud, attachment.server), []).append(volume)
        self._public: dict[tuple[str, str], list[Found[Address]]] = {}
        for one in public:
            if one.noun.server:
                self._public.setdefault((one.cloud, one.noun.server), []).append(one)

    def all(self, listed: Sequence[tuple[str, Sequence[Server]]]) -> list[Instance]:
        made = [one for cloud, servers in listed for one in self.these(cloud, servers) if not _taken_back(one)]
        there = {one.id for one in made}
        absent = (record for known, record in self._view.of_kind(Kind.SERVER).items() if known not in there)
        return made + [one for record in absent if (one := self._terminated(record))]

    def these(self, cloud: str, servers: Sequence[Server]) -> list[Instance]:
        return [self._one(cloud, server) for server in servers]

    def _one(self, cloud: str, server: Server) -> Instance:
        known = identify(self._view, Kind.SERVER, cloud, server)
        record = self._view.records.get(known)
        before = self._known.get(known)
        launch = before.launch if before and before.record is record else _launch(record, known)
        walls = server.ports[0].firewalls if server.ports else ()
        return Instance(
            known,
            self._cx.account,
            cloud,
            server,
            launch,
            self._view.tags.get(known, NO_TAGS),
            tuple(self._disks.get((cloud, server.native), ())),
            tuple(self._public.get((cloud, server.native), ())),
            tuple(wall for native in walls if (wall := self._walls.get((cloud, native)))),
            record,
        )

    def _terminated(self, record: Record) -> Instance | None:
        """What is left of a server that its cloud no longer has; None if it never was or was long ago."""
        last = record.data.get("last")
        if not last:
            return None
        oldest = self._cx.now() - self._cx.world.limits.terminated_visible
        if record.gone and record.gone < oldest:
            return None
        before = self._known.get(record.id)
        if before and before.record is record and before.server.state is ServerState.DELETED:
            return before
        server = replace(load_server(last), state=ServerState.DELETED)
        tags = self._view.tags.get(record.id, NO_TAGS)
        return Instance(
            record.id, self._cx.account, record.cloud, server, _launch(record, record.id), tags, (), (), (), record
        )


def _taken_back(one: Instance) -> bool:
    """Whether this is what is left of a launch that came to nothing: nobody was ever told its id."""
    return one.record is None and one.server.state is ServerState.DELETING and minted(Kind.SERVER, one.server.ref)


def _launch(record: Record | None, known: str) -> Launch:
    """How a server was launched; for one made by other means, a reservation of its own."""
    said = record.data.get("launch", {}) if record else {}
    launch = Launch(**{name: value for name, value in said.items() if name in _LAUNCH})
    return launch if launch.reservation else replace(launch, reservation="r" + known[known.index("-") :])
