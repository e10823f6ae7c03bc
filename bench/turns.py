"""What is compared takes turns, so that each meets the machine in the same moods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence


def in_turn(turns: Mapping[str, Callable[[], float]], rounds: int, scale: float) -> dict[str, list[float]]:
    """Each in turn, beginning with another one each round; the first round only warms up."""
    found: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(-1, rounds):
        for name in rotated(list(turns), number):
            taken = turns[name]() * scale
            if number >= 0:
                found[name].append(taken)
    return found


def rotated(names: Sequence[str], number: int) -> Iterator[str]:
    return (names[(place + number) % len(names)] for place in range(len(names)))
