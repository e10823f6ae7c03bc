"""What changed from one version of a snapshot to the next: what is made of an old one is mended, not made anew."""

from __future__ import annotations

from collections.abc import Iterable

_STEPS = 64
"""How many versions back are remembered."""


class Trail:
    """The way a snapshot came: the ids of what changed, version by version. Never changes itself."""

    __slots__ = ("_mark", "_steps")

    def __init__(self, steps: tuple[tuple[object, frozenset[str]], ...] = ()) -> None:
        self._mark = object()
        self._steps = steps
        """The marks of earlier versions, oldest first, each with what changed from it to the next."""

    def step(self, changed: Iterable[str]) -> Trail:
        """The trail of the next version."""
        return Trail((*self._steps[1 - _STEPS :], (self._mark, frozenset(changed))))

    def since(self, before: Trail) -> frozenset[str] | None:
        """The ids of what changed since a version; None if this one did not come from it, or too long ago."""
        if before is self:
            return frozenset()
        found: set[str] = set()
        for mark, changed in reversed(self._steps):
            found |= changed
            if mark is before._mark:
                return frozenset(found)
        return None
