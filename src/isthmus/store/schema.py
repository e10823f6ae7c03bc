"""Brings a database to the schema of this version, or refuses it and leaves it as it is."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from isthmus.store import tables
from isthmus.store.database import LOCK_SECONDS, Database, make_engine
from isthmus.store.errors import StoreError, explained
from isthmus.store.secrets import Vault

if TYPE_CHECKING:
    from alembic.config import Config

_CANARY = "canary"
_SAID = b"this is the right key"
_ADVISORY_LOCK = 0x15740705
_alembic = threading.Lock()


def prepare(database: Database, vault: Vault) -> None:
    """Creates the schema in an empty database, migrates an older one, checks key and writability."""
    if database.dialect == "sqlite":
        _make_file(Path(str(database.url.database)))
    with database.snapshot() as connection:
        version = _version(connection, database.where)
        if version is not None:
            _check_known(version, database.where)
            _check_key(connection, vault, database.where)
    if database.dialect == "sqlite":
        _use_wal(database)
    if version is None:
        _create(database, vault)
    elif version != tables.HEAD:
        _migrate(database)
    _check_writable(database)


def _make_file(path: Path) -> None:
    """For this user alone; SQLite gives its other files the same mode."""
    try:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise StoreError(f"The store {path} cannot be made: {error.strerror}.") from error


def _version(connection: Connection, where: str) -> str | None:
    """The schema's revision; None in an empty database."""
    inspector = inspect(connection)
    if inspector.has_table("alembic_version"):
        version = connection.scalar(text("SELECT version_num FROM alembic_version"))
        if version is None or not inspector.has_table(tables.settings.name):
            raise StoreError(f"{where} holds the data of another program; it was left as it is.")
        return str(version)
    taken = set(inspector.get_table_names())
    if taken and (connection.dialect.name == "sqlite" or taken & set(tables.metadata.tables)):
        raise StoreError(f"{where} holds the data of another program; it was left as it is.")
    return None


def _check_key(connection: Connection, vault: Vault, where: str) -> None:
    locked = connection.scalar(text("SELECT value FROM settings WHERE name = :name"), {"name": _CANARY})
    try:
        if locked is not None and vault.unlock(bytes(locked), _CANARY) == _SAID:
            return
    except StoreError:
        pass
    raise StoreError(f"{where} was made with another master key; it was left as it is.")


def _check_known(version: str, where: str) -> None:
    if version == tables.HEAD:
        return
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    try:
        ScriptDirectory.from_config(_config()).get_revision(version)
    except CommandError as error:
        raise StoreError(
            f"{where} was written by a newer version of Isthmus (schema {version}, this one knows {tables.HEAD}); "
            "it was left as it is."
        ) from error


def _use_wal(database: Database) -> None:
    """SQLite does not wait for others when it changes its journal, so this does."""
    deadline = time.monotonic() + LOCK_SECONDS
    try:
        with closing(sqlite3.connect(str(database.url.database), timeout=LOCK_SECONDS)) as raw:
            while True:
                try:
                    raw.execute("PRAGMA journal_mode = WAL").fetchone()
                    return
                except sqlite3.OperationalError as error:
                    if "locked" not in str(error) or time.monotonic() > deadline:
                        raise
                    time.sleep(0.02)
    except sqlite3.DatabaseError as error:
        raise explained(DBAPIError("PRAGMA journal_mode", None, error), database.where) from error


def _lock(connection: Connection) -> None:
    """One process at a time; SQLite's write transaction is such a lock already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})


def _create(database: Database, vault: Vault) -> None:
    with database.writing() as connection:
        _lock(connection)
        if _version(connection, database.where) is not None:
            _check_key(connection, vault, database.where)
            return
        tables.metadata.create_all(connection, checkfirst=False)
        tables.version.create(connection)
        connection.execute(tables.version.insert(), {"version_num": tables.HEAD})
        connection.execute(tables.settings.insert(), {"name": _CANARY, "value": vault.lock(_SAID, _CANARY)})


def _migrate(database: Database) -> None:
    """All or nothing: both databases change schemas within a transaction."""
    from alembic import command

    engine = make_engine(database.url, foreign_keys=False, pooled=False)
    try:
        with _alembic, engine.begin() as connection:
            _lock(connection)
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        raise explained(error, database.where) from error
    finally:
        engine.dispose()


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "isthmus.store:migrations")
    return config


def _check_writable(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(text("DELETE FROM settings WHERE name = ''"))
