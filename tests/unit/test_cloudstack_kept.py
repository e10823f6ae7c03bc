"""What the CloudStack provider keeps in memory: for how long, and how much."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from isthmus.providers.cloudstack.filters import Turns
from isthmus.providers.cloudstack.seen import Seen


def test_what_is_told_as_before_is_not_made_anew() -> None:
    seen, made = Seen[int](), iter(range(10))

    def of(key: str, said: dict[str, int]) -> int:
        return seen.of(key, said, partial(next, made))

    assert [0, 0, 1, 2, 2, 0] == [
        *(of("a", {"state": 1}), of("a", {"state": 1}), of("b", {"state": 1})),
        *(of("a", {"state": 2}), of("a", {"state": 2}), Seen[int]().of("a", {"state": 2}, lambda: 0)),
    ]


def test_only_so_many_are_kept() -> None:
    seen = Seen[int]()

    for number in range(2 * seen.MOST + 1):
        seen.of(number, number, partial(int, number))

    assert len(seen._known) <= seen.MOST


def test_one_looks_for_all_who_came_meanwhile_and_nothing_is_kept() -> None:
    turns, begun, go_on, acts = Turns(), threading.Event(), threading.Event(), []

    def act() -> None:
        acts.append(len(turns))
        begun.set()
        assert go_on.wait(10)

    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(turns.take, "network", act, always=False)
        assert begun.wait(10)
        others = [threads.submit(turns.take, "network", act, always=False) for _ in range(3)]
        while turns._turns["network"].asked < 4:
            pass
        go_on.set()
        for one in (first, *others):
            one.result(10)

    assert [1, 1] == acts
    assert 0 == len(turns)


def test_a_turn_that_fails_is_over() -> None:
    turns = Turns()

    with ThreadPoolExecutor(1) as threads:
        failed = threads.submit(turns.take, "network", lambda: 1 / 0, always=False)  # type: ignore[arg-type]

    assert isinstance(failed.exception(), ZeroDivisionError)
    assert 0 == len(turns)
