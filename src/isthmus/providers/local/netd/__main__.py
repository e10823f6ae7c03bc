"""python -m isthmus.providers.local.netd DIR PREFIX MODE: the daemon of one cloud's networks, as `Netd` starts it."""

from __future__ import annotations

import asyncio
import logging
import logging.handlers
import resource
import sys
from pathlib import Path

from isthmus.providers.local.netd.daemon import Daemon
from isthmus.providers.local.netd.names import ANOTHER
from isthmus.providers.local.netd.spaces import Spaces
from isthmus.providers.local.tables import FileLock

LOG_BYTES = 1_000_000


def main(directory: str, prefix: str, mode: str) -> None:
    home = Path(directory)
    handler = logging.handlers.RotatingFileHandler(home / "netd.log", maxBytes=LOG_BYTES, backupCount=1)
    logging.basicConfig(level=logging.INFO, handlers=[handler], format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each relayed port of a public address is a listener
    lock = FileLock(home / "netd.lock")
    if not lock.acquire(wait=False):
        sys.exit(ANOTHER)
    asyncio.run(Daemon(home, Spaces(home, prefix, root=mode == "root")).run())


if __name__ == "__main__":
    main(*sys.argv[1:4])
