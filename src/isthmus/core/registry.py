"""Joins what the clouds have with what the store knows: one rule for every kind of resource.

A listing is kept (`World.memo`) while its sources are the very same objects: providers and the store answer
the identical tuple or view while nothing changed, so a describe of an unchanged account joins nothing again.
After a change only what changed is joined again, as far as providers list the identical objects for all the rest.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cached_property
from itertools import compress, count
from operator import is_not
from threading import Semaphore
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from isthmus.context import Context
from isthmus.core.ids import Kind, adopt, minted
from isthmus.errors import NotFound, Unsupported
from isthmus.providers import Session
from isthmus.store import Record, Trail, View


class Noun(Protocol):
    """What every listed thing of a cloud has."""

    @property
    def native(self) -> str: ...
    @property
    def ref(self) -> str: ...


T = TypeVar("T", bound=Noun)
F = TypeVar("F")
R = TypeVar("R")

Native = tuple[str, str]
"""A cloud and what something is called there."""

_executor = ThreadPoolExecutor(max_workers=32, thread_name_prefix="fan-out")
_readers = ThreadPoolExecutor(max_workers=64, thread_name_prefix="read")
AT_ONCE = 8
"""So many things are done at the same time for one request: a cloud that does one after another lets the last one wait
for all of them, and who waits too long gives up."""
NO_TAGS: Mapping[str, str] = {}


class Found(NamedTuple, Generic[T]):
    """A cloud's thing under the id that clients know, with its record and tags if the account has them."""

    id: str
    account: str
    cloud: str
    noun: T
    record: Record | None
    tags: Mapping[str, str]

    @property
    def data(self) -> Mapping[str, Any]:
        return self.record.data if self.record else {}


class Index(Generic[T]):
    """All of one kind that an account may see: by id, in that order, and by native id."""

    def __init__(
        self, found: Iterable[Found[T]] = (), sources: tuple[object, ...] = (), trail: Trail | None = None
    ) -> None:
        self.by_id: Mapping[str, Found[T]] = {one.id: one for one in found}
        self.by_native: Mapping[tuple[str, str], Found[T]] = {
            (one.cloud, one.noun.native): one for one in self.by_id.values()
        }
        self.sources = sources
        self.trail = trail or Trail()
        """By which of its things it differs from earlier ones."""

    @cached_property
    def ids(self) -> Sequence[str]:
        return list(self.by_id)

    def id_of(self, kind: Kind, cloud: str, native: str) -> str:
        """The id of what something else names natively: as it is listed, else derived; empty for nothing named."""
        found = self.by_native.get((cloud, native))
        if found:
            return found.id
        return adopt(kind, cloud, native) if native else ""

    def __iter__(self) -> Iterator[Found[T]]:
        return iter(self.by_id.values())

    def mended(self, gone: Iterable[Native], changed: Iterable[Found[T]], sources: tuple[object, ...]) -> Index[T]:
        """The next one: without what is gone, and with what is new or changed."""
        by_id, by_native = dict(self.by_id), dict(self.by_native)
        dropped = {by_native.pop(native).id for native in gone}
        now = {one.id: one for one in changed}
        for known in dropped - now.keys():
            del by_id[known]
        by_id.update(now)
        by_native.update(((one.cloud, one.noun.native), one) for one in now.values())
        if not now.keys() <= self.by_id.keys():
            by_id = {known: by_id[known] for known in sorted(by_id)}
        made: Index[T] = Index((), sources, self.trail.step(dropped | now.keys()))
        made.by_id, made.by_native = by_id, by_native
        return made


def all_of(cx: Context, *reads: Callable[[Context], Any]) -> list[Any]:
    """Read several kinds, at the same time if that is asked of some cloud over a wire."""
    if not cx.world.remote:
        return [read(cx) for read in reads]
    return [one.result() for one in [_readers.submit(read, cx) for read in reads]]


def warm(cx: Context, *reads: Callable[[Context], Any]) -> None:
    """Read at the same time what will be looked at in turn, where some cloud is asked over a wire."""
    if cx.world.remote:
        all_of(cx, *reads)


def fan_out(cx: Context, read: Callable[[Session], R]) -> list[tuple[str, R]]:
    """Ask every configured cloud, at the same time if there are several."""
    names = list(cx.world.clouds)
    if len(names) == 1:
        return [(names[0], read(cx.session(names[0])))]
    sessions = [cx.session(name) for name in names]
    return list(zip(names, _executor.map(read, sessions), strict=True))


def identify(view: View, kind: Kind, cloud: str, noun: Noun) -> str:
    """The id of a listed thing: its record's, else the one it carries, else the one by which all accounts know it, else
    one derived from its native id."""
    if record := view.by_native(cloud, kind, noun.native):
        return record.id
    if minted(kind, noun.ref):
        return noun.ref
    return view.common_id(cloud, kind, noun.native) or adopt(kind, cloud, noun.native)


def join(cx: Context, view: View, kind: Kind, cloud: str, noun: T) -> Found[T]:
    """One thing with its record and tags."""
    known = identify(view, kind, cloud, noun)
    return Found(known, cx.account, cloud, noun, view.records.get(known), view.tags.get(known, NO_TAGS))


def index(
    cx: Context, kind: Kind, read: Callable[[Session], Sequence[T]], kind_of: Callable[[T], Kind] | None = None
) -> Index[T]:
    """Everything of a kind, joined; the last answer again if nothing changed since.

    `kind_of` tells apart what one listing mixes.
    """
    say = kind_of or (lambda _: kind)
    view = cx.view()
    memo = cx.world.memo.get((cx.account, kind))
    known: Index[T] | None = memo if isinstance(memo, Index) else None
    listed = as_before(fan_out(cx, read), known.sources[1:] if known else ())
    if _unrecorded(view, listed):
        view = cx.view()
    sources = (view, *(nouns for _, nouns in listed))
    if known and same(known.sources, sources):
        return known

    def one(cloud: str, noun: T) -> Found[T]:
        return join(cx, view, say(noun), cloud, noun)

    made = _mended(known, sources, view, listed, one) if known else None
    if made is None:
        found = [one(cloud, noun) for cloud, nouns in listed for noun in nouns]
        made = Index(sorted(_distinct(view, say, found), key=lambda each: each.id), sources)
    cx.world.memo[(cx.account, kind)] = made
    return made


def _distinct(view: View, kind_of: Callable[[T], Kind], found: Sequence[Found[T]]) -> Iterable[Found[T]]:
    """Under ids of their own. What is in several clouds, as an image that was copied to a zone of another one, carries
    one id in all: it is that of the thing where the record says that it was made, else in the first of them."""
    owners = {one.id: one for one in reversed(found)}
    if len(owners) == len(found):
        return found
    owners |= {one.id: one for one in found if one.record and one.record.cloud == one.cloud}
    return [one if owners[one.id] is one else _derived(view, kind_of(one.noun), one) for one in found]


def _derived(view: View, kind: Kind, one: Found[T]) -> Found[T]:
    known = adopt(kind, one.cloud, one.noun.native)
    return one._replace(id=known, record=view.records.get(known), tags=view.tags.get(known, NO_TAGS))


def _mended(
    known: Index[T],
    sources: tuple[object, ...],
    view: View,
    listed: Sequence[tuple[str, Sequence[T]]],
    one: Callable[[str, T], Found[T]],
) -> Index[T] | None:
    """An index brought up to date; None if most of it is to be joined anyway, or if ids are not one thing's alone."""
    before = known.sources[0]
    records = view.trail.since(before.trail) if isinstance(before, View) else None
    if records is None:
        return None
    gone, new = differences(listed, known.sources[1:])
    touched = {native for each in records for native in _natives(known, view, each)} - gone
    total = sum(len(nouns) for _, nouns in listed)
    if 2 * (len(gone) + len(new) + len(touched)) > total:
        return None
    again = ((native[0], known.by_native[native].noun) for native in touched)
    made = known.mended(gone | touched, [one(*each) for each in (*again, *new)], sources)
    return made if len(made.by_id) == len(made.by_native) == total else None


def as_before(listed: Sequence[tuple[str, R]], before: Sequence[object]) -> list[tuple[str, R]]:
    """Listings of the same clouds as before: one that says what it said then is that very object.

    What is made anew of a cloud's answer so counts as unchanged. An empty one is left, as it can stand for something;
    and so are all where not the same clouds were asked: some requests need not ask every one.
    """
    if len(before) != len(listed):
        return list(listed)
    pairs = zip(listed, before, strict=True)
    return [(cloud, then if then and then == now else now) for (cloud, now), then in pairs]


def _natives(known: Index[T], view: View, changed: str) -> Iterator[Native]:
    """What is listed that a record is of, or was."""
    if found := known.by_id.get(changed):
        yield (found.cloud, found.noun.native)
    record = view.records.get(changed)
    if record and (record.cloud, record.native) in known.by_native:
        yield (record.cloud, record.native)


def differences(
    listed: Sequence[tuple[str, Sequence[T]]], before: Sequence[object]
) -> tuple[set[Native], list[tuple[str, T]]]:
    """Of listings of the same clouds now and before: what is gone or another object now, and what is new."""
    gone: set[Native] = set()
    new: list[tuple[str, T]] = []
    for (cloud, now), then in zip(listed, before, strict=True):
        if now is not then:
            was, is_now = _apart(then, now)  # type: ignore[arg-type]
            there, were = set(map(id, is_now)), set(map(id, was))
            gone |= {(cloud, noun.native) for noun in was if id(noun) not in there}
            new += [(cloud, noun) for noun in is_now if id(noun) not in were]
    return gone, new


def _apart(one: Sequence[T], other: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    """Two long sequences without most of what they have in common, in a fraction of the time that sets would take."""
    shorter = min(len(one), len(other))
    head = next(compress(count(), map(is_not, one, other)), shorter)
    tail = next(compress(count(), map(is_not, reversed(one), reversed(other))), shorter)
    tail = min(tail, shorter - head)
    one, other = one[head : len(one) - tail], other[head : len(other) - tail]
    if len(one) != len(other):
        return one, other
    differ = list(map(is_not, one, other))
    return list(compress(one, differ)), list(compress(other, differ))


def same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    """Whether two tuples hold the very same objects."""
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))


def _unrecorded(view: View, listed: Iterable[tuple[str, Sequence[Noun]]]) -> bool:
    """Whether the newest thing listed may be younger than the view: records are written before what they tell of."""
    return any(nouns and nouns[-1].ref and nouns[-1].ref not in view.records for _, nouns in listed)


def pick(everything: Index[T], kind: Kind, ids: Collection[str]) -> list[Found[T]]:
    """The things with these ids, in their order; NotFound names the first that is not there."""
    for one in ids:
        if one not in everything.by_id:
            raise NotFound(kind, one)
    return [everything.by_id[one] for one in dict.fromkeys(ids)]


def find(cx: Context, everything: Index[T], kind: Kind, ids: Collection[str] | None = None) -> Iterator[Found[T]]:
    """The things with these ids, or all: in the order of ids, of those of `cx.only`, and behind `cx.after`.

    Raises NotFound at once for the first id that is not there.
    """
    chosen = everything.ids
    if ids:
        chosen = sorted(one.id for one in pick(everything, kind, ids))
    elif cx.only is not None:
        chosen = sorted(cx.only & everything.by_id.keys())
    start = bisect_right(chosen, cx.after[-1]) if cx.after else 0
    return (everything.by_id[chosen[place]] for place in range(start, len(chosen)))


def family(given: F | None, name: str) -> F:
    """A provider's family, or Unsupported where the cloud has none."""
    if given is None:
        raise Unsupported(f"This cloud has no {name}.")
    return given


def gather(act: Callable[[F], R], things: Sequence[F]) -> list[R]:
    """Do one thing for each, several at the same time. Raises what the first of them raises, when all were tried."""
    if len(things) == 1:
        return [act(things[0])]
    room = Semaphore(AT_ONCE)
    begun: list[Future[R]] = []
    for thing in things:
        room.acquire()
        begun.append(_executor.submit(act, thing))
        begun[-1].add_done_callback(lambda _: room.release())
    wait(begun)
    return [one.result() for one in begun]


def each(cx: Context, act: Callable[[F], object], things: Sequence[F]) -> None:
    """Act on each: one after another, or at the same time if that is asked of some cloud over a wire."""
    if cx.world.remote and len(things) > 1:
        gather(act, things)
        return
    for one in things:
        act(one)
