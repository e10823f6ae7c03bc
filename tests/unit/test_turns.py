"""Turns: one at a time in an account, in all processes on one store."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from isthmus.context import Context
from isthmus.core import turns
from isthmus.core.turns import turn
from isthmus.errors import Unavailable
from isthmus.store import Store
from isthmus.store.claims import Claim, Held, Taken


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[list[Store]]:
    """That of this process, and one as another process has it."""
    opened = [Store.open(f"sqlite:///{tmp_path}/isthmus.db", b"k" * 32) for _ in range(2)]
    yield opened
    for one in opened:
        one.close()


def context(store: Store, *, remote: bool = True) -> Context:
    world: Any = SimpleNamespace(store=store, remote=remote, clock=now)
    return Context("123456789012", world)


def claim(cx: Context, what: str) -> Claim:
    return Claim.of(cx.account, "turn", what, "")


def test_who_comes_second_waits_for_another_process(stores: list[Store]) -> None:
    cx, theirs, inside = context(stores[0]), stores[1].claims, Event()
    assert isinstance(theirs.take(claim(cx, "it"), now()), Taken)

    def enter() -> bool:
        with turn(cx, "it"):
            inside.set()
            return isinstance(theirs.take(claim(cx, "it"), now()), Held)

    with ThreadPoolExecutor(1) as pool:
        entered = pool.submit(enter)
        assert not inside.wait(0.3)
        with turn(cx, "another"):
            theirs.release(claim(cx, "it"))
        assert entered.result(20)
    assert isinstance(theirs.take(claim(cx, "it"), now()), Taken)


def test_whose_turn_it_is_may_take_it_again_and_keeps_it_to_the_end(stores: list[Store]) -> None:
    cx, theirs = context(stores[0]), stores[1].claims
    with turn(cx, "it"):
        with pytest.raises(ZeroDivisionError), turn(cx, "it"):
            raise ZeroDivisionError
        assert isinstance(theirs.take(claim(cx, "it"), now()), Held)

    assert isinstance(theirs.take(claim(cx, "it"), now()), Taken)


def test_a_turn_that_does_not_come_is_unavailable(stores: list[Store], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_PATIENCE", 0)
    cx, theirs = context(stores[0]), stores[1].claims
    theirs.take(claim(cx, "it"), now())

    with pytest.raises(Unavailable), turn(cx, "it"):
        pass

    theirs.release(claim(cx, "it"))
    with turn(cx, "it"):
        pass


def test_a_cloud_of_this_process_alone_needs_no_turn_of_the_store(stores: list[Store]) -> None:
    cx = context(stores[0], remote=False)

    with turn(cx, "it"):
        assert isinstance(stores[1].claims.take(claim(cx, "it"), now()), Taken)
