"""What was measured, and what it is held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Aim:
    """What a figure should reach: `of` makes the number that is compared, `words` say it to a reader."""

    words: str
    of: Callable[[Figure], float]
    reached: Callable[[float], bool]
    shown: str = "{:.2f}"


@dataclass(frozen=True)
class Figure:
    """One quantity, measured on several servers in turn: a number for each round."""

    name: str
    unit: str
    rounds: Mapping[str, Sequence[float]]
    aims: tuple[Aim, ...] = ()
    note: str = ""

    def __getitem__(self, server: str) -> float:
        return median(self.rounds[server])

    def has(self, server: str) -> bool:
        return bool(self.rounds.get(server))


@dataclass
class Report:
    machine: Mapping[str, str]
    quick: bool
    figures: list[Figure] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    """What could not be measured here, each with the reason."""

    def add(self, figure: Figure) -> None:
        self.figures.append(figure)

    def missed(self) -> list[str]:
        return [
            f"{figure.name}: {aim.words}, found {aim.shown.format(aim.of(figure))}"
            for figure in self.figures
            for aim in figure.aims
            if not aim.reached(aim.of(figure))
        ]


def faster(than: str, times: float) -> Aim:
    """At least so many times as fast, by time taken."""
    return Aim(
        f"at least {times:g} times as fast as {than}",
        lambda figure: figure[than] / figure["isthmus"],
        lambda found: found >= times,
        "{:.0f} times",
    )


def more(than: str, times: float) -> Aim:
    """At least so many times as much, by rate."""
    return Aim(
        f"at least {times:g} times {than}'s",
        lambda figure: figure["isthmus"] / figure[than],
        lambda found: found >= times,
        "{:.2f} times",
    )


OWN = Aim(
    "its own share under 10%",
    lambda figure: figure["own"] / figure["isthmus"],
    lambda found: found < 0.1,
    "{:.0%}",
)
"""Of a gateway's time the part in which it waited for no answer of the cloud's, which is the server `own`."""


def under(limit: float, unit: str) -> Aim:
    return Aim(
        f"under {limit:g} {unit}", lambda figure: figure["isthmus"], lambda found: found < limit, "{:.2f} " + unit
    )


def alike(one: str, other: str, share: float) -> Aim:
    """One quantity of a figure that is no more than a share above another."""
    return Aim(
        f"as {other}, within {share:.0%}",
        lambda figure: figure[one] / figure[other] - 1,
        lambda found: found <= share,
        "{:+.0%}",
    )
