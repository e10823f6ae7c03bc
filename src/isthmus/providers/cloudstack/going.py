"""What is on its way out, by native id: CloudStack does not say it of machines and volumes while they still work."""

from __future__ import annotations

import time

SECONDS = 120
"""How long that is believed: a job may have failed."""


class Going:
    """Known to this process alone: elsewhere such things are seen as they were until they are gone."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def add(self, native: str) -> None:
        now = time.time()
        self._since = {known: at for known, at in self._since.items() if now - at < SECONDS} | {native: now}

    def discard(self, native: str) -> None:
        self._since.pop(native, None)

    def since(self, native: str) -> float:
        """Seconds since 1970; 0 if it is not going, or has been for too long."""
        at = self._since.get(native, 0)
        return at if time.time() - at < SECONDS else 0

    def __contains__(self, native: str) -> bool:
        return self.since(native) > 0
