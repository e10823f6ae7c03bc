"""A store and a cloud that fail at a chosen moment, as if the process had been killed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from house import House

from isthmus.aws.front import Front

FAMILIES = ("compute", "volumes", "images", "networks", "ports", "firewalls", "addresses", "keys", "metrics", "labels")


class Crash(BaseException):
    """The end of the process: nothing may catch it."""


class Fuse:
    """Burns through at the n-th moment; from then on every moment is a Crash."""

    def __init__(self, moments: int) -> None:
        self._left = moments
        self._lock = threading.Lock()

    @property
    def blown(self) -> bool:
        return self._left < 0

    def asked(self) -> None:
        """A cloud is asked for something."""

    def burn(self) -> None:
        with self._lock:
            self._left -= 1
            if self.blown:
                raise Crash


class Family:
    """A provider's family; before and after each call that changes something is a moment."""

    def __init__(self, family: Any, fuse: Fuse) -> None:
        self._family, self._fuse = family, fuse

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call: Callable[..., Any] = getattr(self._family, name)
        self._fuse.asked()
        if name.startswith("list_"):
            return call

        def tampered(*args: Any, **named: Any) -> Any:
            self._fuse.burn()
            answer = call(*args, **named)
            self._fuse.burn()
            return answer

        return tampered


class TamperedSession:
    def __init__(self, session: Any, fuse: Fuse) -> None:
        for name in FAMILIES:
            setattr(self, name, Family(getattr(session, name), fuse))


class TamperedCloud:
    def __init__(self, cloud: Any, fuse: Fuse) -> None:
        self._cloud, self._fuse = cloud, fuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cloud, name)

    def session(self, tenant: str) -> TamperedSession:
        return TamperedSession(self._cloud.session(tenant), self._fuse)


class TamperedClaims:
    """Releases always: what a dead process held is free when its lease is over."""

    def __init__(self, claims: Any, fuse: Fuse) -> None:
        self._claims, self._fuse = claims, fuse
        self.release = claims.release

    def take(self, *asked: Any) -> Any:
        self._fuse.burn()
        return self._claims.take(*asked)

    def finish(self, claim: Any, answer: str) -> Any:
        try:
            self._fuse.burn()
        except Crash:
            self.release(claim)
            raise
        done = self._claims.finish(claim, answer)
        self._fuse.burn()
        return done


class TamperedStore:
    """Before a change, just before it is committed, and just after are moments."""

    def __init__(self, store: Any, fuse: Fuse) -> None:
        self._store, self._fuse = store, fuse
        self.claims = TamperedClaims(store.claims, fuse)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @contextmanager
    def change(self, account: str) -> Iterator[Any]:
        self._fuse.burn()
        with self._store.change(account) as change:
            yield change
            self._fuse.burn()
        self._fuse.burn()


def crash_at(house: House, moment: int, call: Callable[..., Any], **asked: Any) -> bool:
    """Whether the process died at this moment of a call; a new one over the same store and cloud has taken over."""
    fuse = Fuse(moment)
    whole = house.new_world()
    broken = replace(whole, clouds={"memory": TamperedCloud(house.cloud, fuse)}, store=TamperedStore(house.store, fuse))
    house.front = Front(broken)
    with suppress(Crash):
        call(**asked)
    house.world = house.new_world()
    house.front = Front(house.world)
    house.mend()
    return fuse.blown
