"""Where the nouns are kept: by native id, by ref, and as a listing that is built once per change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Generic, Protocol, TypeVar

from isthmus.errors import Denied, NotFound


class Noun(Protocol):
    @property
    def native(self) -> str: ...
    @property
    def ref(self) -> str: ...


class SharedNoun(Noun, Protocol):
    @property
    def owner(self) -> str: ...
    @property
    def public(self) -> bool: ...
    @property
    def shared_with(self) -> tuple[str, ...]: ...


N = TypeVar("N", bound=Noun)
S = TypeVar("S", bound=SharedNoun)


class Table(Generic[N]):
    """One tenant's things of one kind, in the order they were made."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, N] = {}
        self._refs: dict[str, str] = {}
        self._listing: tuple[N, ...] | None = ()

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[N]:
        return iter(self._items.values())

    def find(self, native: str) -> N | None:
        return self._items.get(native)

    def get(self, native: str) -> N:
        """The thing, or NotFound."""
        if (found := self._items.get(native)) is None:
            raise NotFound(self.kind, native)
        return found

    def by_ref(self, ref: str) -> N | None:
        native = self._refs.get(ref)
        return None if native is None else self._items[native]

    def put(self, item: N) -> N:
        self._items[item.native] = item
        if item.ref:
            self._refs[item.ref] = item.native
        self._listing = None
        return item

    def drop(self, native: str) -> None:
        gone = self._items.pop(native)
        self._refs.pop(gone.ref, None)
        self._listing = None

    def listing(self, natives: Collection[str] | None = None) -> tuple[N, ...]:
        """All, as the same object until something changes; or those of `natives` that there are."""
        if natives is not None:
            return tuple(self._items[native] for native in dict.fromkeys(natives) if native in self._items)
        if self._listing is None:
            self._listing = tuple(self._items.values())
        return self._listing


class Shared(Generic[S]):
    """All tenants' things of a kind that can be shown to others."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, S] = {}
        self._refs: dict[tuple[str, str], str] = {}
        self._owned: Counter[str] = Counter()
        self._listings: dict[str, tuple[S, ...]] = {}

    def __iter__(self) -> Iterator[S]:
        return iter(self._items.values())

    def owned(self, tenant: str) -> int:
        """How many are the tenant's own."""
        return self._owned[tenant]

    def raw(self, native: str) -> S | None:
        """The thing whoever's it is: for the cloud's own use only."""
        return self._items.get(native)

    def find(self, tenant: str, native: str) -> S | None:
        found = self._items.get(native)
        return found if found is not None and _visible(found, tenant) else None

    def get(self, tenant: str, native: str) -> S:
        """The thing if the tenant may see it, or NotFound."""
        if (found := self.find(tenant, native)) is None:
            raise NotFound(self.kind, native)
        return found

    def own(self, tenant: str, native: str) -> S:
        """The tenant's own thing; NotFound if it cannot be seen, Denied if it is only shared."""
        found = self.get(tenant, native)
        if found.owner != tenant:
            raise Denied(f"the {self.kind} {native} is not yours to change")
        return found

    def by_ref(self, tenant: str, ref: str) -> S | None:
        native = self._refs.get((tenant, ref))
        return None if native is None else self._items[native]

    def put(self, item: S) -> S:
        if item.native not in self._items:
            self._owned[item.owner] += 1
        self._items[item.native] = item
        if item.ref:
            self._refs[item.owner, item.ref] = item.native
        self._listings.clear()
        return item

    def drop(self, native: str) -> None:
        gone = self._items.pop(native)
        self._refs.pop((gone.owner, gone.ref), None)
        self._owned[gone.owner] -= 1
        self._listings.clear()

    def listing(self, tenant: str, natives: Collection[str] | None = None) -> tuple[S, ...]:
        """What the tenant may see: the same object until something changes; or those of `natives`."""
        if natives is not None:
            asked = (self.find(tenant, native) for native in dict.fromkeys(natives))
            return tuple(found for found in asked if found is not None)
        if tenant not in self._listings:
            self._listings[tenant] = tuple(item for item in self._items.values() if _visible(item, tenant))
        return self._listings[tenant]


def _visible(item: SharedNoun, tenant: str) -> bool:
    return item.public or item.owner == tenant or tenant in item.shared_with
