"""One at a time in each account, in all processes on one store: what a cloud cannot make once by itself.

A cloud that is asked over a wire has no lock for us, and what is read there before something is made may be older than
what another process has just made.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from isthmus.context import Context
from isthmus.errors import Unavailable
from isthmus.store.claims import Claim, Taken

_FIRST_WAIT, _LONGEST_WAIT = 0.01, 0.25
_PATIENCE = 120.0
"""Seconds to wait for another process."""


@dataclass
class _Turn:
    lock: threading.RLock = field(default_factory=threading.RLock)
    deep: int = 0
    """How often who holds the lock has taken it."""


_turns: defaultdict[tuple[str, str], _Turn] = defaultdict(_Turn)


@contextmanager
def turn(cx: Context, what: str) -> Iterator[None]:
    """Be the only one at `what` in the account; who is already may take it again.

    Raises Unavailable if another process is at it for two minutes. A process that ends gives its turn up.
    """
    mine = _turns[cx.account, what]
    with mine.lock:
        claim = Claim.of(cx.account, "turn", what, "") if cx.world.remote and not mine.deep else None
        if claim:
            _take(cx, claim)
        mine.deep += 1
        try:
            yield
        finally:
            mine.deep -= 1
            if claim:
                cx.store.claims.release(claim)


def _take(cx: Context, claim: Claim) -> None:
    deadline, wait = time.monotonic() + _PATIENCE, _FIRST_WAIT
    while not isinstance(cx.store.claims.take(claim, cx.now()), Taken):
        if time.monotonic() > deadline:
            raise Unavailable("Another request of this account is still at work here.")
        time.sleep(wait)
        wait = min(wait * 1.5, _LONGEST_WAIT)
