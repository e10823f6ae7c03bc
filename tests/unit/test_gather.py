"""Things that are done at the same time."""

from __future__ import annotations

import threading
import time

import pytest

from isthmus.core.registry import AT_ONCE, gather


def test_only_so_many_are_done_at_the_same_time_and_answers_are_in_order() -> None:
    lock, doing, most = threading.Lock(), 0, 0

    def act(number: int) -> int:
        nonlocal doing, most
        with lock:
            doing += 1
            most = max(most, doing)
        time.sleep(0.01)
        with lock:
            doing -= 1
        return -number

    assert [-number for number in range(3 * AT_ONCE)] == gather(act, range(3 * AT_ONCE))
    assert 1 < most <= AT_ONCE


def test_a_failure_keeps_nothing_else_from_being_done() -> None:
    done: list[int] = []

    def act(number: int) -> None:
        if number < 2 * AT_ONCE:
            raise ValueError(number)
        done.append(number)

    with pytest.raises(ValueError, match="^0$"):
        gather(act, range(2 * AT_ONCE + 1))
    assert [2 * AT_ONCE] == done
