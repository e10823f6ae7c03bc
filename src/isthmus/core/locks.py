"""Locks that keep snapshots from being deleted for a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from isthmus.context import Context
from isthmus.core.ids import Kind
from isthmus.core.notes import note
from isthmus.core.registry import Found
from isthmus.errors import Conflict
from isthmus.model import Snapshot

_NOTE = "lock"


@dataclass(frozen=True)
class Lock:
    """A strict one can be lifted or loosened until `open_until` only, any other at any time."""

    strict: bool
    created: datetime
    since: datetime
    """When the time now set began."""
    expires: datetime
    open_until: datetime

    def held(self, now: datetime) -> bool:
        return now < self.expires

    def closed(self, now: datetime) -> bool:
        """Whether it can only be made longer."""
        return self.strict and self.held(now) and now >= self.open_until


def lock_of(found: Found[Snapshot]) -> Lock | None:
    """The lock of a snapshot, which may have expired."""
    said = found.data.get(_NOTE)
    return _load(said) if said else None


def held(cx: Context, found: Found[Snapshot]) -> bool:
    lock = lock_of(found)
    return lock is not None and lock.held(cx.now())


def demand_free(cx: Context, found: Found[Snapshot]) -> None:
    """Raises Conflict (`locked`) for a snapshot that is locked now."""
    if held(cx, found):
        raise Conflict(Kind.SNAPSHOT, found.id, f"The snapshot {found.id} is locked.", "locked")


def lock(cx: Context, found: Found[Snapshot], wanted: Lock) -> Lock:
    """Lock a snapshot, or change its lock. Raises Conflict (`locked`) for what would loosen one that is closed."""
    now, before = cx.now(), lock_of(found)
    if before and before.held(now):
        if before.closed(now) and not (wanted.strict and wanted.expires >= before.expires):
            raise _closed(found)
        open_until = before.open_until if before.closed(now) else wanted.open_until
        wanted = replace(wanted, created=before.created, open_until=open_until)
    note(cx, Kind.SNAPSHOT, found, **{_NOTE: _dump(wanted)})
    return wanted


def unlock(cx: Context, found: Found[Snapshot]) -> None:
    """Raises Conflict for a snapshot that is not locked, and (`locked`) for a lock that is closed."""
    now, before = cx.now(), lock_of(found)
    if before is None or not before.held(now):
        raise Conflict(Kind.SNAPSHOT, found.id, f"The snapshot {found.id} is not locked.")
    if before.closed(now):
        raise _closed(found)
    note(cx, Kind.SNAPSHOT, found, **{_NOTE: None})


def lasting(cx: Context, *, strict: bool, expires: datetime, hours: int) -> Lock:
    """A lock from now on, open for some hours."""
    now = cx.now()
    return Lock(strict, now, now, expires, now + timedelta(hours=hours))


def _closed(found: Found[Snapshot]) -> Conflict:
    reason = f"The lock of the snapshot {found.id} cannot be lifted, loosened or shortened any more."
    return Conflict(Kind.SNAPSHOT, found.id, reason, "locked")


_TIMES = ("created", "since", "expires", "open_until")


def _dump(one: Lock) -> dict[str, Any]:
    return {"strict": one.strict, **{name: getattr(one, name).isoformat() for name in _TIMES}}


def _load(said: dict[str, Any]) -> Lock:
    return Lock(said["strict"], *(datetime.fromisoformat(said[name]) for name in _TIMES))
