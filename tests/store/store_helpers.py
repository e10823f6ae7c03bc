"""What the tests of the store share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from isthmus.store import Record, Store

KEY = bytes(range(32))
Opener = Callable[..., Store]
CHILD = Path(__file__).with_name("store_child.py")


def record(account: str, number: int, **other: Any) -> Record:
    """A server's record."""
    values: dict[str, Any] = {
        "id": f"i-{number:017x}",
        "account": account,
        "kind": "server",
        "cloud": "here",
        "native": f"native-{number}",
        "data": {"number": number},
        "created": datetime.now(UTC),
    }
    return Record(**{**values, **other})


def put(store: Store, *records: Record) -> None:
    with store.change(records[0].account) as change:
        for one in records:
            change.put(one)


def child(*words: str) -> subprocess.Popen[str]:
    """Another process on the same store."""
    command = [sys.executable, str(CHILD), *words]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
