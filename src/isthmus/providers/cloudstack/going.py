"""What is on its way out, by native id: CloudStack does not say it of machines and volumes while they still work."""

from __future__ import annotations

import time

SECONDS = 120
"""How long that is believed: a job may have failed."""


class Going:
    """Known to this process alone: elsewhere such things are seen as they were until they are gone."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def add(self, native: str) -> None:
        now = time.monotonic()
        self._until = {known: until for known, until in self._until.items() if until > now} | {native: now + SECONDS}

    def discard(self, native: str) -> None:
        self._until.pop(native, None)

    def __contains__(self, native: str) -> bool:
        return self._until.get(native, 0) > time.monotonic()
