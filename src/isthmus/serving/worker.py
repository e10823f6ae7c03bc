"""A worker process, as the supervisor starts it: orders on standard input, `first` or `ready` on standard output."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

from isthmus import config
from isthmus.errors import Fault
from isthmus.options import Merged


def main() -> int:
    order = json.loads(sys.stdin.buffer.readline())
    bound = socket.socket(fileno=order["socket"])
    bound.set_inheritable(False)
    settings = config.build(Merged(order["values"], order["source"], order["origins"]))

    from isthmus.serving import process
    from isthmus.store import StoreError

    def ready(first: bool) -> None:
        sys.stdout.write("first\n" if first else "ready\n")
        sys.stdout.flush()

    process.watch(sys.stdin.fileno())
    try:
        return process.run(settings, bound, ready, Path(order["shared"]))
    except (config.ConfigError, StoreError, Fault) as error:
        process.fail(error)


if __name__ == "__main__":
    sys.exit(main())
