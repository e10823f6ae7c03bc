"""Tags are shown in the clouds that have labels, soon after they were given.

The store stays the truth. What is given is shown by a thread of its own: no request waits for it, and none fails. What
could not be shown then, or was lost with the process, is shown when records are mended.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from isthmus.context import Context, World
from isthmus.core import addresses, firewalls, images, instances, networks, volumes
from isthmus.core.ids import PREFIX, Kind
from isthmus.core.registry import Found, Noun
from isthmus.errors import Fault, Unavailable
from isthmus.model import ServerState

QUIET_SECONDS = 0.3
"""How long is waited for more before anything is shown."""
AGAIN_SECONDS = 2.0
"""After which it is looked again for what was not there yet."""
MOST_LOOKS = 15
"""After so many the rest is left to those who mend."""
_END_SECONDS = 5.0
_log = logging.getLogger(__name__)


class _Thing(NamedTuple):
    """What can have labels: its id, where it is, and the tags that it has."""

    id: str
    cloud: str
    native: str
    tags: Mapping[str, str]


def _servers(cx: Context) -> Iterator[_Thing]:
    for one in instances.index(cx).ordered:
        if one.server.state is not ServerState.DELETED:
            yield _Thing(one.id, one.cloud, one.server.native, one.tags)


def _all(read: Callable[[Context], Iterable[Found[Noun]]]) -> Callable[[Context], Iterator[_Thing]]:
    def things(cx: Context) -> Iterator[_Thing]:
        for one in read(cx):
            if getattr(one.noun, "owner", "") in ("", cx.tenant(one.cloud)):
                yield _Thing(one.id, one.cloud, one.noun.native, one.tags)

    return things


_KINDS: Mapping[Kind, Callable[[Context], Iterator[_Thing]]] = {
    Kind.SERVER: _servers,
    Kind.VOLUME: _all(volumes.index),  # type: ignore[arg-type]
    Kind.SNAPSHOT: _all(volumes.snapshots),  # type: ignore[arg-type]
    Kind.IMAGE: _all(images.index),  # type: ignore[arg-type]
    Kind.NETWORK: _all(networks.networks),  # type: ignore[arg-type]
    Kind.SUBNET: _all(networks.subnets),  # type: ignore[arg-type]
    Kind.FIREWALL: _all(firewalls.index),  # type: ignore[arg-type]
    Kind.ADDRESS: _all(addresses.index),  # type: ignore[arg-type]
}
_OF_PREFIX = {PREFIX[kind]: kind for kind in _KINDS} | dict.fromkeys(
    (PREFIX[Kind.KERNEL], PREFIX[Kind.RAMDISK]), Kind.IMAGE
)


def show(cx: Context, ids: Collection[str] | None = None) -> set[str]:
    """Show the tags of these things, or of all. Answers the ids of those that are not there."""
    families = {cloud: cx.session(cloud).labels for cloud in cx.world.clouds}
    able = {cloud: labels.list_kinds() for cloud, labels in families.items() if labels is not None}
    if not able:
        return set()
    missing = set(ids or ())
    kinds = _KINDS if ids is None else {_OF_PREFIX[one.rpartition("-")[0]] for one in ids}
    wanted: dict[str, dict[str, dict[str, Mapping[str, str]]]] = {cloud: {} for cloud in able}
    for kind in kinds:
        for one in _KINDS[kind](cx):
            if ids is None or one.id in ids:
                missing.discard(one.id)
                if kind in able.get(one.cloud, ()):
                    wanted[one.cloud].setdefault(kind, {})[one.native] = one.tags
    for cloud, things in wanted.items():
        labels = families[cloud]
        if things and labels is not None:
            labels.set_labels(things)
    return missing


def mend(cx: Context) -> None:
    """Show all tags that are not shown as they are."""
    try:
        show(cx)
    except Fault as fault:
        _log.warning("the tags of account %s are not shown in its clouds: %s", cx.account, fault)


class Labeller:
    """Shows what this process writes of tags."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._due: dict[str, dict[str, int]] = {}
        """Account -> ids, each with how often it was looked for."""
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="labels", daemon=True)

    def start(self) -> None:
        self._world.store.tagged = self.note
        self._thread.start()

    def stop(self) -> None:
        """What is not shown by then is left to those who mend."""
        self._world.store.tagged = None
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_END_SECONDS)

    def note(self, account: str, ids: Iterable[str]) -> None:
        """The tags of these things have changed."""
        found = [one for one in ids if one.rpartition("-")[0] in _OF_PREFIX]
        if found:
            with self._lock:
                self._due.setdefault(account, {}).update(dict.fromkeys(found, 0))
            self._wake.set()

    def once(self) -> None:
        """Show what is due."""
        with self._lock:
            due, self._due = self._due, {}
        for account, looks in due.items():
            left = self._shown(account, looks)
            with self._lock:
                again = self._due.setdefault(account, {}) if left else {}
                for one in left:
                    again.setdefault(one, looks[one] + 1)

    def _shown(self, account: str, looks: Mapping[str, int]) -> list[str]:
        """The ids that are to be looked for again: what is being made is not there yet."""
        cx = Context(account, self._world.of(account))
        try:
            left: Collection[str] = show(cx, looks.keys())
        except Fault as fault:
            _log.info("tags of account %s are shown later: %s", account, fault)
            left = looks if isinstance(fault, Unavailable) else ()
        tags = cx.view().tags
        return [one for one in left if one in tags and looks[one] < MOST_LOOKS]

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(AGAIN_SECONDS if self._due else None)
            self._stop.wait(QUIET_SECONDS)
            self._wake.clear()
            try:
                self.once()
            except Exception:
                _log.exception("tags are not shown in the clouds; they are when records are mended")
