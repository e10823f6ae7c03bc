"""Programs that parse what others made run without a network, where this host lets a user take it from them."""

from __future__ import annotations

import functools
import os
import subprocess

TRIAL_SECONDS = 10


@functools.cache
def without_network() -> tuple[tuple[str, ...], str]:
    """What a command begins with to run in an empty network namespace, tried once, and else nothing and the reason.

    An ordinary user needs a user namespace for it, in which the user keeps its own ids and gets no rights.
    """
    words = ("unshare", "--net") if os.geteuid() == 0 else ("unshare", "--map-current-user", "--net")
    try:
        done = subprocess.run(
            [*words, "true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TRIAL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return (), str(error)
    return (words, "") if done.returncode == 0 else ((), " ".join(done.stderr.split())[:300])
