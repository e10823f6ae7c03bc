"""Servers that go: Nova is told at once, and what it leaves of them is taken away afterwards.

Nova lets go of the ports that a server was made with, and Isthmus deletes them. Their notes name the server, by its ref
or natively, and Nova goes on to tell of servers that are gone: so whoever lists servers finds those of which something
is left, also after a crash, and shows them as on their way. Metadata and tags go with a server; its description stays.
Source: docs.openstack.org/api-ref/compute, "List Servers", `changes-since`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from math import inf

from isthmus.errors import Fault
from isthmus.providers.openstack import notes, ports
from isthmus.providers.openstack.client import Client, Item
from isthmus.providers.openstack.neutron import delete, said

DELETED = "DELETED"
AT_ONCE = 4
"""Servers whose ports are deleted at the same time."""
QUIET_SECONDS, MOST_SECONDS = 0.5, 5
"""How long after the last deletion, and at most after its own, the work on one begins: it would keep others waiting."""
RESUME_SECONDS = 20
"""When what another process has begun, or a try that failed, is taken up again."""
_OLDEST = timedelta(days=1)
"""Of servers that went before, nobody asks Nova any more: it may have forgotten them."""
_MARGIN = timedelta(minutes=1)
"""Nova's clock and Neutron's may differ."""
_log = logging.getLogger(__name__)


class Endings:
    """The work that is left of deletions, for all tenants of a cloud."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="endings")
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}
        """When, by the monotonic clock, a server may be begun with again: those at work and those that failed."""
        self._last = 0.0
        """When the last deletion was begun."""

    def begin(self, client: Client, server: str, own: Sequence[Item], then: Callable[[Client], object]) -> None:
        """Delete the ports that go with a server, give the others back, and do what is to be done `then`."""
        now = self._last = time.monotonic()
        with self._lock:
            self._until = {one: until for one, until in self._until.items() if until > now}
            if server in self._until:
                return
            self._until[server] = inf
        fresh = client.once()

        def work() -> None:
            done = False
            try:
                self._wait(now + MOST_SECONDS)
                _clear(fresh, own)
                then(fresh)
                done = True
            except Fault as fault:
                _log.warning("what is left of the server %s is taken away later: %s", server, fault)
            finally:
                with self._lock:
                    self._until[server] = 0 if done else time.monotonic() + RESUME_SECONDS

        self._pool.submit(work)

    def _wait(self, until: float) -> None:
        while (now := time.monotonic()) < min(until, self._last + QUIET_SECONDS):
            time.sleep(min(until, self._last + QUIET_SECONDS) - now)

    def close(self) -> None:
        """What was not begun is for those who list servers later."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _clear(client: Client, own: Sequence[Item]) -> None:
    for port in own:
        if goes(port):
            delete(client, "port", port["id"])
    ports.let_go(client, [port["id"] for port in own if not goes(port)])


def goes(port: Item) -> bool:
    """Whether Isthmus deletes a port with its server."""
    return said(port).get("keep") == "0"


def left_of(items: Iterable[Item], missing: Callable[[str], bool] = lambda _: False) -> Mapping[str, list[Item]]:
    """Ports that go with a server, by its ref or native id, and are not on it: it is gone, or still to be made.

    They may be on one that is `missing` by now, as servers and ports are read at the same time.
    """
    left: defaultdict[str, list[Item]] = defaultdict(list)
    for port in items:
        on = port["device_id"]
        server = said(port).get("server", "") if not on else on if missing(on) else ""
        if server and goes(port):
            left[server].append(port)
    return left


def leaving(client: Client, left: Mapping[str, Sequence[Item]]) -> list[tuple[Item, Sequence[Item]]]:
    """The servers that are gone and have ports left, with these."""
    now = datetime.now(UTC)
    times = [at for own in left.values() for port in own if now - (at := _changed(port)) < _OLDEST]
    if not times:
        return []
    since = (min(times) - _MARGIN).isoformat(timespec="seconds").replace("+00:00", "Z")
    changed = client.every("compute", "/servers/detail", "servers", **{"changes-since": since})
    gone = [one for one in changed if one["status"] == DELETED]
    return [(one, own) for one in gone if (own := left.get(ref_of(one), ()) or left.get(one["id"], ()))]


def is_due(own: Sequence[Item]) -> bool:
    """Whether ports were let go of so long ago that nobody can be at work on them."""
    return all(datetime.now(UTC) - _changed(port) > timedelta(seconds=RESUME_SECONDS) for port in own)


def ref_of(server: Item) -> str:
    """The ref of a server, gone or not."""
    tagged = (tag.partition("=")[2] for tag in server.get("tags") or () if tag.startswith(f"{notes.REF}="))
    return next(tagged, "") or notes.load(server.get("description")).get("ref", "")


def _changed(port: Item) -> datetime:
    return notes.moment(port.get("updated_at"))
