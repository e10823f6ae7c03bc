"""Who asks, where, and with what: the one thing passed down every frame."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, cast

from isthmus.errors import Denied, Unsupported
from isthmus.quotas import QUOTAS
from isthmus.steady import Steady

if TYPE_CHECKING:
    from isthmus.providers import Cloud, Session
    from isthmus.store import Store, View


SERVICES = ("s3", "dynamodb")
"""What networks may have endpoints for."""


@dataclass(frozen=True, slots=True)
class Place:
    """A zone as clients see it: which cloud it is, and that cloud's own word for it."""

    zone: str
    cloud: str
    native: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request or an account may ask for, from the configuration."""

    max_body: int = 4 * 1024 * 1024
    max_list: int = 1000
    terminated_visible: timedelta = timedelta(hours=1)
    quotas: Mapping[str, int] = field(default_factory=dict)
    """Those that are not what they begin as; see quotas.py."""

    def quota(self, name: str) -> int:
        return self.quotas.get(name, QUOTAS[name].most)


@dataclass(frozen=True)
class World:
    """What all requests of one process share."""

    region: str
    places: Mapping[str, Place]
    clouds: Mapping[str, Cloud]
    store: Store
    clock: Callable[[], datetime]
    limits: Limits = field(default_factory=Limits)
    operator: str = "000000000000"
    """The account shown as owner of what belongs to a cloud itself."""
    services: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict.fromkeys(SERVICES, ()))
    """The ranges of addresses of services that networks may have endpoints for."""
    memo: dict[object, object] = field(default_factory=dict)
    """Joined listings, each kept while its sources stand; see core/registry.py."""
    numbered: tuple[str, ...] = ()
    """All zones in the order of their ids, where an account does not see all; empty: those of `places`."""

    def of(self, account: str) -> World:
        """What an account sees: all but the clouds that name their tenants themselves and know none who is it.

        Who is nobody anywhere sees all, and is refused by them.
        """
        here = tuple(
            name for name, cloud in self.clouds.items() if not cloud.admits or self.store.tenant_of(account, name)
        )
        if not here or len(here) == len(self.clouds):
            return self
        return self._parts.get(here) or self._part(here)

    @cached_property
    def _parts(self) -> dict[tuple[str, ...], World]:
        return {}

    def _part(self, here: tuple[str, ...]) -> World:
        part = self._parts[here] = replace(
            self,
            clouds={name: self.clouds[name] for name in here},
            places={zone: place for zone, place in self.places.items() if place.cloud in here},
            numbered=tuple(self.places),
            memo={},
        )
        return part

    @cached_property
    def remote(self) -> bool:
        """Whether some cloud is."""
        return any(cloud.remote for cloud in self.clouds.values())

    def place_of(self, cloud: str, native: str) -> Place:
        """The place of a cloud's own zone; the cloud's first place for a zone that is not configured."""
        return self._placed.get((cloud, native)) or self._placed[cloud, ""]

    @cached_property
    def _placed(self) -> Mapping[tuple[str, str], Place]:
        """The first place of each zone of a cloud, and under no zone the cloud's first."""
        placed: dict[tuple[str, str], Place] = {}
        for place in self.places.values():
            placed.setdefault((place.cloud, place.native), place)
            placed.setdefault((place.cloud, ""), place)
        return placed

    def zone_id(self, zone: str) -> str:
        """A zone's id in AWS's form (`use1-az1`): the region in short and the zone's place in the configuration."""
        area, *rest = self.region.split("-")
        short = area + "".join(word if word.isdigit() else word[:1] for word in rest)
        return f"{short}-az{(self.numbered or tuple(self.places)).index(zone) + 1}"


class Seed:
    """Gives the same series of random words again when it is started with the same text."""

    def __init__(self, text: str = "") -> None:
        self._text = text
        self._count = 0

    def hex(self, digits: int) -> str:
        if not self._text:
            return secrets.token_hex((digits + 1) // 2)[:digits]
        self._count += 1
        return hashlib.sha256(f"{self._text}/{self._count}".encode()).hexdigest()[:digits]


@dataclass(frozen=True)
class Context:
    account: str
    world: World
    request_id: str = ""
    access_key: str = ""
    version: str = ""
    endpoint: str = ""
    """The host the client speaks to."""
    token: str = ""
    """The ClientToken, if one was given."""
    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Tags for what the request makes, by EC2's word for the resource type."""
    seed: Seed = field(default_factory=Seed)
    after: tuple[str, ...] = ()
    """Where the page begins: listings that can, start behind this key."""
    only: frozenset[str] | None = None
    """The ids of a listing's things that may pass its filters: it need not look at others. None: any may."""
    sessions: Mapping[str, Session] = field(default_factory=dict)
    """Those that clouds gave for the request's own signature."""
    hints: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Of a listing's filters those for exact values, by name: what has none of these is left out of the answer anyway,
    so that a listing need not look at it."""
    filtered: frozenset[str] = frozenset()
    """The names of all filters of a listing."""

    @property
    def store(self) -> Store:
        return self.world.store

    def now(self) -> datetime:
        return self.world.clock()

    def view(self) -> View:
        """The account's records as they stand now."""
        return self.world.store.view(self.account)

    @cached_property
    def _sessions(self) -> dict[str, Session]:
        return {}

    def session(self, cloud: str) -> Session:
        """The tenant's own view of a cloud."""
        if cloud not in self._sessions:
            made = self.sessions.get(cloud) or self.sign_in(cloud)
            steady = cast("Session", Steady(made.once())) if self.world.clouds[cloud].remote else made
            self._sessions.setdefault(cloud, steady)
        return self._sessions[cloud]

    def sign_in(self, cloud: str) -> Session:
        """A session by what the operator keeps for the account; Denied if the account is nobody there."""
        known = self.world.store.tenant(self.account, cloud)
        opened = self.world.clouds[cloud]
        if known:
            return opened.session(known.tenant, known.secrets(self.access_key))
        if opened.admits:
            raise Denied(
                f"This account is nobody on the cloud {cloud}. Sign with that cloud's credentials, or ask its operator."
            )
        return opened.session(self.account)

    def tenant(self, cloud: str) -> str:
        """The cloud's id of this account's tenant; by default the account's own number."""
        return self.world.store.tenant_of(self.account, cloud) or self.account

    def place(self, zone: str = "") -> Place:
        """The place of a zone, or the first one for none."""
        if not zone:
            return next(iter(self.world.places.values()))
        if zone in self.world.places:
            return self.world.places[zone]
        raise Unsupported(f"There is no zone {zone}.")
