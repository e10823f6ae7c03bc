"""Another process on a store: `store_child.py put|once|hang|setting|open URL ACCOUNT N`, as the tests say."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from store_helpers import KEY, put, record

from isthmus.core.once import once
from isthmus.store import Store


def put_many(store: Store, account: str, first: str) -> None:
    """One change for each of 50 records, and a count of them all in one further record."""
    for number in range(int(first), int(first) + 50):
        with store.change(account) as change:
            before = change.view.records["i-" + "f" * 17]
            change.put(record(account, number))
            change.update(before.id, data={"count": before.data["count"] + 1})


def run_once(store: Store, account: str, name: str) -> None:
    answer = once(store, account, "Run", "token", "same", datetime.now(UTC), lambda seed: _work(store, account, seed))
    print(answer["seed"], flush=True)


def _work(store: Store, account: str, seed: str) -> Mapping[str, Any]:
    number = int(hashlib.sha256(f"{seed}{time.time_ns()}".encode()).hexdigest()[:15], 16)
    put(store, record(account, number))
    time.sleep(0.1)
    return {"seed": seed}


def hang(store: Store, account: str, name: str) -> None:
    once(store, account, "Run", "token", "same", datetime.now(UTC), _hang)


def _hang(seed: str) -> Mapping[str, Any]:
    print(seed, flush=True)
    time.sleep(600)
    return {}


def setting(store: Store, account: str, name: str) -> None:
    print(store.setting(name).hex(), flush=True)


DEEDS: Mapping[str, Callable[[Store, str, str], None]] = {
    "put": put_many,
    "once": run_once,
    "hang": hang,
    "setting": setting,
}


def main(deed: str, url: str, account: str, word: str) -> None:
    store = Store.open(url, KEY)
    DEEDS[deed](store, account, word)
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
