"""How fast CloudStack may be asked with a pair of keys: who is refused for it waits, with all others who use the pair.

Source: CloudStack's `api.throttling.enabled`, `.interval` and `.max`: so many calls of an account in so many seconds.
Who has made them is refused with 429 before anything is done, and told for how long: "please retry after 800 ms". What
stands before CloudStack may say so in the header Retry-After.
"""

from __future__ import annotations

import re
import threading
import time
from http import HTTPStatus

import httpx

from isthmus.providers.cloudstack.refusals import refuse

FIRST_SECONDS, MOST_SECONDS = 0.5, 5.0
"""How long who was not told waits at first, and at most; each time it is twice as long."""
_TOLD = re.compile(r"retry after (\d{1,7}) ?ms", re.IGNORECASE)


def told(answer: httpx.Response, refusals: int) -> float:
    """The seconds for which a refusal says to wait; `refusals` are those of the same call before it."""
    if found := _TOLD.search(answer.text[:1000]):
        return int(found[1]) / 1000
    if (said := answer.headers.get("retry-after", "")).isdecimal():
        return float(said[:7])
    return min(FIRST_SECONDS * 2.0**refusals, MOST_SECONDS)


class Pace:
    """Of all pairs of keys, each by its API key; times are those of the monotonic clock."""

    def __init__(self) -> None:
        self._free: dict[str, float] = {}
        self._lock = threading.Lock()

    def wait(self, api: str, until: float) -> None:
        """Until the pair may be used again. Raises Throttled, at once, if that is not before `until`."""
        while (free := self._free.get(api, 0.0)) > (now := time.monotonic()):
            if free > until:
                refuse(HTTPStatus.TOO_MANY_REQUESTS, "", "", "")
            time.sleep(free - now)

    def refused(self, api: str, seconds: float) -> None:
        """A call was: nobody uses the pair for a while."""
        now = time.monotonic()
        with self._lock:
            self._free = {one: free for one, free in self._free.items() if free > now}
            self._free[api] = max(self._free.get(api, 0.0), now + seconds)
