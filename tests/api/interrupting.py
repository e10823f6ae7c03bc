"""Two requests at once: while one is under way, another comes at a chosen moment, and is done before it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError
from house import House
from tampering import Fuse, TamperedCloud, TamperedStore

from isthmus.aws.front import Front


class Interruption(Fuse):
    """At the n-th moment, the other one comes: not within a transaction, as no one else can write then."""

    def __init__(self, moment: int, store: Any, other: Callable[[], object]) -> None:
        super().__init__(moment)
        self._other = other
        self._store = store
        self.came = False

    @property
    def _writing(self) -> bool:
        return getattr(self._store._database._mine, "writing", False)

    def asked(self) -> None:
        assert not self._writing, "a cloud is asked while nobody else can write"

    def burn(self) -> None:
        if self.came or self._writing:
            return
        self._left -= 1
        if self.blown:
            self.came = True
            self._other()


def at_once(house: House, moment: int, one: Callable[[], object], other: Callable[[], object]) -> bool:
    """Do one thing, and another at a moment of it, either of which may be refused; whether there was this moment.

    The other one is served by a process of its own.
    """

    def elsewhere() -> None:
        house.front, interrupted = Front(replace(house.world, memo={})), house.front
        with house.store.noting([]):  # what it writes is not the first one's
            _ask(other)
        house.front = interrupted

    fuse = Interruption(moment, house.store, elsewhere)
    cloud, store = TamperedCloud(house.cloud, fuse), TamperedStore(house.store, fuse)
    house.front = Front(replace(house.world, memo={}, clouds={"memory": cloud}, store=store))
    _ask(one)
    house.front = Front(house.world)
    return fuse.came


def _ask(call: Callable[[], object]) -> None:
    """A refusal is an answer; that something broke is none."""
    status = 200
    try:
        call()
    except ClientError as refused:
        status = refused.response["ResponseMetadata"]["HTTPStatusCode"]
    assert status < 500
