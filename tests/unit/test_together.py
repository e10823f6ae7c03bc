"""What is asked at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from isthmus.together import AT_ONCE, for_each, together


def test_things_are_asked_at_the_same_time_and_answered_in_their_order() -> None:
    both = threading.Barrier(2, timeout=5)

    assert [0, 1] == sorted(together(both.wait, both.wait))
    assert [1, 4, 9] == for_each(lambda number: number**2, [1, 2, 3])
    assert [[], [2]] == [for_each(lambda number: number, numbers) for numbers in ([], [2])]


def test_what_is_raised_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        together(lambda: 1, lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        for_each(lambda number: 1 // number, [1, 0])


def test_more_than_there_is_room_for_may_ask_others_on_their_way() -> None:
    def inner(number: int) -> int:
        return sum(together(partial(int, number), partial(int, number)))

    def outer(number: int) -> list[int]:
        return for_each(inner, [number, number])

    with ThreadPoolExecutor(2 * AT_ONCE) as askers:
        asked = [askers.submit(together, partial(outer, number), partial(outer, number)) for number in range(AT_ONCE)]
        answers = [one.result(timeout=30) for one in asked]

    assert [[[2 * n, 2 * n]] * 2 for n in range(AT_ONCE)] == answers
