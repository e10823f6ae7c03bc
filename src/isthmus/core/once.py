"""Does a request with a token once, however often, from wherever, and after whatever crash it is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from isthmus.errors import Unavailable
from isthmus.store import Store, answers
from isthmus.store.claims import Answered, Claim, Different, Taken

_FIRST_WAIT = 0.01
_LONGEST_WAIT = 0.25
_PATIENCE = 120.0
"""Seconds to wait for another one who does the same request."""


class Mismatch(Exception):
    """The token was used before for a request with other parameters."""


def once(
    store: Store,
    account: str,
    action: str,
    token: str,
    digest: str,
    now: datetime,
    run: Callable[[str], Mapping[str, Any]],
) -> Mapping[str, Any]:
    """The answer of `run`, or of whoever ran it first with this token within 24 hours.

    `run` gets a seed to mint ids from: it is the same again after a crash or a failure, so what was made by then is
    found and not made twice. Raises Mismatch if `digest` is not the first one's, Unavailable if the first one is still
    at work after two minutes.
    """
    claim = Claim.of(account, action, token, digest)
    deadline = time.monotonic() + _PATIENCE
    wait = _FIRST_WAIT
    while True:
        match store.claims.take(claim, now):
            case Answered(answer):
                return answer
            case Different():
                raise Mismatch(f"the token was used before for another {action}")
            case Taken(seed):
                if (mine := _run(store, claim, seed, run)) is not None:
                    return mine
        if time.monotonic() > deadline:
            raise Unavailable(f"The same {action} is still being worked on.")
        time.sleep(wait)
        wait = min(wait * 1.5, _LONGEST_WAIT)


def _run(store: Store, claim: Claim, seed: str, run: Callable[[str], Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The answer; None if another process took over meanwhile, whose answer then counts."""
    try:
        text = answers.dumps(run(seed))
    except BaseException:
        store.claims.release(claim)
        raise
    return answers.loads(text) if store.claims.finish(claim, text) else None
