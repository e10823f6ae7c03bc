"""Joins what the clouds have with what the store knows: one rule for every kind of resource.

A listing is kept (`World.memo`) while its sources are the very same objects: providers and the store answer
the identical tuple or view while nothing changed, so a describe of an unchanged account joins nothing again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from isthmus.context import Context
from isthmus.core.ids import Kind, adopt, minted
from isthmus.errors import NotFound, Unsupported
from isthmus.providers import Session
from isthmus.store import Record, View


class Noun(Protocol):
    """What every listed thing of a cloud has."""

    @property
    def native(self) -> str: ...
    @property
    def ref(self) -> str: ...


T = TypeVar("T", bound=Noun)
F = TypeVar("F")
R = TypeVar("R")

_executor = ThreadPoolExecutor(max_workers=32, thread_name_prefix="fan-out")
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


@dataclass(frozen=True)
class Index(Generic[T]):
    """All of one kind that an account may see, by id and by native id."""

    by_id: Mapping[str, Found[T]]
    sources: tuple[object, ...] = field(default=(), repr=False)

    @cached_property
    def by_native(self) -> Mapping[tuple[str, str], Found[T]]:
        return {(found.cloud, found.noun.native): found for found in self.by_id.values()}

    def id_of(self, kind: Kind, cloud: str, native: str) -> str:
        """The id of what something else names natively: as it is listed, else derived; empty for nothing named."""
        found = self.by_native.get((cloud, native))
        if found:
            return found.id
        return adopt(kind, cloud, native) if native else ""

    def __iter__(self) -> Iterator[Found[T]]:
        return iter(self.by_id.values())


def fan_out(cx: Context, read: Callable[[Session], R]) -> list[tuple[str, R]]:
    """Ask every configured cloud, at the same time if there are several."""
    names = list(cx.world.clouds)
    if len(names) == 1:
        return [(names[0], read(cx.session(names[0])))]
    sessions = [cx.session(name) for name in names]
    return list(zip(names, _executor.map(read, sessions), strict=True))


def identify(view: View, kind: Kind, cloud: str, noun: Noun) -> str:
    """The id of a listed thing: its record's, else the one it carries, else one derived from its native id."""
    if record := view.by_native(cloud, kind, noun.native):
        return record.id
    if minted(kind, noun.ref):
        return noun.ref
    return adopt(kind, cloud, noun.native)


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
    listed = fan_out(cx, read)
    if _unrecorded(view, listed):
        view = cx.view()
    sources = (view, *(nouns for _, nouns in listed))
    memo = cx.world.memo.get((cx.account, kind))
    if isinstance(memo, Index) and same(memo.sources, sources):
        return memo
    found = (join(cx, view, say(noun), cloud, noun) for cloud, nouns in listed for noun in nouns)
    made = Index({one.id: one for one in sorted(found, key=lambda one: one.id)}, sources)
    cx.world.memo[(cx.account, kind)] = made
    return made


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


def find(everything: Index[T], kind: Kind, ids: Collection[str] | None = None) -> Sequence[Found[T]]:
    """The things with these ids, or all of them."""
    return pick(everything, kind, ids) if ids else list(everything)


def family(given: F | None, name: str) -> F:
    """A provider's family, or Unsupported where the cloud has none."""
    if given is None:
        raise Unsupported(f"This cloud has no {name}.")
    return given


def gather(act: Callable[[F], R], things: Sequence[F]) -> list[R]:
    """Do one thing for each, at the same time if there are several."""
    return [act(things[0])] if len(things) == 1 else list(_executor.map(act, things))
