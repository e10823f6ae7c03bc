"""Who does a request that must be done only once: the rows behind `core.once`."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, select, update

from isthmus.store import answers
from isthmus.store.database import Database
from isthmus.store.errors import StoreError
from isthmus.store.holder import is_dead, this_process
from isthmus.store.tables import claims

LEASE_SECONDS = 60
"""After which a holder on another host is taken for dead; on this host its end is seen at once."""
_RENEWAL_SECONDS = 15
KEPT = timedelta(hours=24)
_FREE = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """One request: its token is only known by its hash."""

    account: str
    action: str
    token: str
    digest: str

    @classmethod
    def of(cls, account: str, action: str, token: str, digest: str) -> Claim:
        return cls(account, action, hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest(), digest)


@dataclass(frozen=True, slots=True)
class Taken:
    """Yours to do. The same `seed` is given to everyone who tries the same request again."""

    seed: str


@dataclass(frozen=True, slots=True)
class Answered:
    answer: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody is at it."""


@dataclass(frozen=True, slots=True)
class Different:
    """The token was used for another request."""


Outcome = Taken | Answered | Held | Different


_MINE = and_(
    claims.c.account == bindparam("of"), claims.c.action == bindparam("doing"), claims.c.token == bindparam("known")
)
_HELD = and_(_MINE, claims.c.holder == bindparam("me"))


class Statements:
    """What claims say to the database, put together once."""

    def __init__(self, database: Database) -> None:
        lease = database.clock + LEASE_SECONDS
        names = ("account", "action", "token", "digest", "seed", "created", "holder", "answer")
        fresh: dict[str, Any] = {**{name: bindparam(name) for name in names}, "lease": lease}
        self.insert = database.insert(claims).values(fresh).on_conflict_do_nothing().returning(claims.c.seed)
        leased = (claims.c.lease > database.clock).label("leased")
        self.look = select(claims, leased).where(_MINE).with_for_update()
        again = {name: fresh[name] for name in ("digest", "seed", "created", "holder", "answer", "lease")}
        self.retake = update(claims).where(_MINE).values(again)
        self.end = (
            update(claims)
            .where(_HELD, claims.c.answer.is_(None))
            .values(holder=_FREE, lease=0, answer=bindparam("answer"))
        )
        self.renew = update(claims).where(_HELD).values(lease=lease)
        self.purge = delete(claims).where(claims.c.created < bindparam("before"), claims.c.lease <= database.clock)


class Claims:
    """A claim is held until it is finished or released, and renewed meanwhile."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._say = Statements(database)
        self._me = f"{this_process()}/{secrets.token_hex(4)}"
        self._held: set[Claim] = set()
        self._lock = threading.Lock()
        self._renewer: threading.Thread | None = None
        self._closed = threading.Event()

    def close(self) -> None:
        self._closed.set()
        if self._renewer:
            self._renewer.join()

    def take(self, claim: Claim, now: datetime) -> Outcome:
        """Tries to become the one who does it."""
        outcome: Outcome = Held()
        try:
            with self._database.writing() as connection:
                outcome = self._insert(connection, claim, now) or self._judge(connection, claim, now)
                if isinstance(outcome, Taken):
                    self._hold(claim)
        except BaseException:
            if isinstance(outcome, Taken):
                self._held.discard(claim)
            raise
        return outcome

    def finish(self, claim: Claim, answer: str) -> bool:
        """Keeps the answer for all who ask again. False if another one has taken over meanwhile."""
        try:
            return self._end(claim, answer=answer)
        finally:
            self._held.discard(claim)

    def release(self, claim: Claim) -> None:
        """It could not be done: whoever tries again begins anew."""
        try:
            with suppress(StoreError):  # then its lease runs out
                self._end(claim)
        finally:
            self._held.discard(claim)

    def purge(self, now: datetime) -> None:
        with self._database.writing() as connection:
            connection.execute(self._say.purge, {"before": now - KEPT})

    def _insert(self, connection: Connection, claim: Claim, now: datetime) -> Taken | None:
        seed = connection.scalar(self._say.insert, self._fresh(claim, now))
        return Taken(seed) if seed else None

    def _fresh(self, claim: Claim, now: datetime) -> dict[str, Any]:
        return {
            "account": claim.account,
            "action": claim.action,
            "token": claim.token,
            "digest": claim.digest,
            "seed": secrets.token_hex(16),
            "created": now,
            "answer": None,
            "holder": self._me,
        }

    def _judge(self, connection: Connection, claim: Claim, now: datetime) -> Outcome:
        row = connection.execute(self._say.look, _named(claim)).one_or_none()
        if row is None or self._at_work(row, claim):
            return Held() if row is None or row.digest == claim.digest else Different()
        if row.created <= now - KEPT:
            return self._retake(connection, claim, self._fresh(claim, now))
        if row.answer is not None:
            return Answered(answers.loads(row.answer)) if row.digest == claim.digest else Different()
        if row.digest == claim.digest:
            return self._retake(connection, claim, {**self._fresh(claim, row.created), "seed": row.seed})
        if row.holder == _FREE:  # refused before, so the token is free for a corrected request
            return self._retake(connection, claim, self._fresh(claim, now))
        return Different()

    def _at_work(self, row: Row[Any], claim: Claim) -> bool:
        if row.answer is not None or row.holder == _FREE:
            return False
        if row.holder == self._me:
            return any(_same(held, claim) for held in tuple(self._held))
        process = row.holder.rpartition("/")[0]
        return bool(row.leased) and not is_dead(process)

    def _retake(self, connection: Connection, claim: Claim, values: dict[str, Any]) -> Taken:
        connection.execute(self._say.retake, {**values, **_named(claim)})
        return Taken(values["seed"])

    def _end(self, claim: Claim, answer: str | None = None) -> bool:
        with self._database.writing() as connection:
            ended = connection.execute(self._say.end, {**_named(claim), "me": self._me, "answer": answer})
        return ended.rowcount == 1

    def _hold(self, claim: Claim) -> None:
        with self._lock:
            self._held.add(claim)
            if self._renewer is None:
                self._renewer = threading.Thread(target=self._renew, name="claims", daemon=True)
                self._renewer.start()

    def _renew(self) -> None:
        while not self._closed.wait(_RENEWAL_SECONDS):
            for claim in tuple(self._held):
                with suppress(StoreError), self._database.writing() as connection:
                    connection.execute(self._say.renew, {**_named(claim), "me": self._me})


def _named(claim: Claim) -> dict[str, str]:
    return {"of": claim.account, "doing": claim.action, "known": claim.token}


def _same(one: Claim, other: Claim) -> bool:
    return (one.account, one.action, one.token) == (other.account, other.action, other.token)
