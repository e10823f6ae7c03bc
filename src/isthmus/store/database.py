"""Connections to SQLite or PostgreSQL: single reads, consistent snapshots, and write transactions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    PoolProxiedConnection,
    Table,
    cast,
    create_engine,
    event,
    extract,
    func,
    select,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, TimeoutError
from sqlalchemy.pool import NullPool

from isthmus.store import tables
from isthmus.store.errors import StoreError, explained

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

    Insert = sqlite.Insert | postgresql.Insert

LOCK_SECONDS = 30
"""How long a writer waits for the others."""

DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgresql+psycopg": "postgresql+psycopg"}
_SNAPSHOT = {"sqlite": "BEGIN", "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"}
_CLOCK: Mapping[str, ColumnElement[int]] = {
    "sqlite": cast(func.strftime("%s", "now"), BigInteger),
    "postgresql": cast(extract("epoch", func.clock_timestamp()), BigInteger),
}
_PULSE = {
    "sqlite": "SELECT generation FROM generations WHERE account = ?",
    "postgresql": "SELECT generation FROM generations WHERE account = %s",
}


class Database:
    """One database. Every failure of it leaves as a StoreError. Safe to use from many threads."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self.dialect = url.get_backend_name()
        self.where = _where(url)
        self.insert = _insert(self.dialect)
        self.clock = _CLOCK[self.dialect]
        self._writer = make_engine(url)
        self._reader = make_engine(url, isolation_level="AUTOCOMMIT")
        self._pulse = make_engine(url, isolation_level="AUTOCOMMIT", pool_pre_ping=False)
        self._pulses: list[PoolProxiedConnection] = []
        """Idle connections to ask for generations: the engine's pool would take longer than the question."""
        # SQLite has one writer; queueing here spares the threads of this process its polling for the lock.
        self._turn: AbstractContextManager[Any] = threading.Lock() if self.dialect == "sqlite" else nullcontext()
        self._mine = threading.local()

    def close(self) -> None:
        while self._pulses:
            self._pulses.pop().close()
        for engine in (self._writer, self._reader, self._pulse):
            engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """For single statements: each sees what is committed when it runs."""
        with self._explaining(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """For several reads that must agree with each other."""
        with self.reading() as connection:
            connection.exec_driver_sql(_SNAPSHOT[self.dialect])
            try:
                yield connection
            finally:
                if not connection.invalidated:
                    connection.exec_driver_sql("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: committed at the end, rolled back by any exception."""
        if getattr(self._mine, "writing", False):
            raise RuntimeError("a change was begun within another one of the same thread")
        with self._turn:
            self._mine.writing = True
            try:
                with self._explaining(), self._writer.begin() as connection:
                    yield connection
            finally:
                self._mine.writing = False

    def generation(self, account: str) -> int:
        """The number of the account's last change; 0 before the first. Past SQLAlchemy, as every request asks this."""
        with self._explaining():
            try:
                raw = self._pulses.pop()
            except IndexError:
                raw = self._pulse.raw_connection()
            try:
                row = raw.driver_connection.execute(_PULSE[self.dialect], (account,)).fetchone()  # type: ignore[union-attr]
            except BaseException as error:
                raw.invalidate()
                if isinstance(error, self._driver_error):
                    return self._generation_anew(account)
                raise
            self._pulses.append(raw)
        return int(row[0]) if row else 0

    @property
    def _driver_error(self) -> type[Exception]:
        return self._pulse.dialect.loaded_dbapi.Error

    def _generation_anew(self, account: str) -> int:
        """The same on a connection that is known to live: the server may have been restarted."""
        column = tables.generations.c
        with self.reading() as connection:
            return connection.scalar(select(column.generation).where(column.account == account)) or 0

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise explained(error, self.where) from error
        except TimeoutError as error:
            raise StoreError(f"{self.where} is too busy: no connection became free.") from error


def _insert(dialect: str) -> Callable[[Table], Insert]:
    """An INSERT that knows ON CONFLICT; a dialect is imported when a store is in it, for a quick start."""
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert
    from sqlalchemy.dialects import sqlite

    return sqlite.insert


def parse(url: str) -> URL:
    """Raises StoreError for what is no address of a database that can hold a store."""
    try:
        parsed = make_url(url)
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise StoreError("The address of the store is no database URL, such as sqlite:////var/lib/x.db.") from error
    if parsed.drivername not in DRIVERS:
        raise StoreError(f"The store can be in sqlite or postgresql, not in {parsed.drivername}.")
    if parsed.drivername == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreError("The store needs a file: sqlite:///path.")
    return parsed.set(drivername=DRIVERS[parsed.drivername])


def make_engine(url: URL, *, foreign_keys: bool = True, pooled: bool = True, **options: Any) -> Engine:
    """An engine whose transactions are the database's own; on SQLite they take the write lock at once."""
    if pooled:
        options = {"pool_size": 8, "max_overflow": 32, "pool_use_lifo": True, **options}
    else:
        options["poolclass"] = NullPool
    if url.get_backend_name() == "postgresql":
        options.setdefault("pool_pre_ping", True)
        return create_engine(url, hide_parameters=True, **options)
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": LOCK_SECONDS}, **options)
    event.listen(engine, "connect", lambda raw, _: _settle(raw, foreign_keys))
    if options.get("isolation_level") != "AUTOCOMMIT":
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _settle(raw: Any, foreign_keys: bool) -> None:
    raw.isolation_level = None
    raw.execute("PRAGMA synchronous = NORMAL")
    raw.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")


def _where(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return f"The store {url.database}"
    return f"The database {url.database or ''} at {url.host or url.query.get('host') or 'the local socket'}"
