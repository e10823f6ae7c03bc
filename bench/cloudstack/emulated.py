"""The tests' emulator of CloudStack as a program, whose answers take a while.

PYTHONPATH=tests python -m bench.cloudstack.emulated SECONDS ACCOUNT: the account as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from typing import Any

from emulators.cloudstack.server import Emulator, running
from emulators.cloudstack.world import Account, world


class Slow(Emulator):
    """Calls that are made at the same time wait at the same time."""

    seconds = 0.0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(self.seconds)
        await super().__call__(scope, receive, send)


def main(seconds: float, account: Account) -> None:
    made = Slow(world(groups=True))
    made.seconds = seconds
    made.world.accounts[account.api] = account
    with running(made):
        print(f"It listens on {made.url}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main(float(sys.argv[1]), Account(**json.loads(sys.argv[2])))
