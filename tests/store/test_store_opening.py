from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from postgres import Cluster
from sqlalchemy import create_engine, inspect, make_url, text
from store_helpers import KEY, Opener, child, put, record

from isthmus.store import Store, StoreError, tables
from isthmus.store.secrets import Vault


def migrate(url: str, revision: str) -> None:
    """Makes the schema as it was at a revision, in an empty database."""
    engine = create_engine(url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", "isthmus.store:migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def execute(url: str, statement: str, **values: Any) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement), values)
    engine.dispose()


def contents(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that a database holds."""
    engine = create_engine(url)
    with engine.connect() as connection:
        names = inspect(connection).get_table_names()
        found = {name: sorted(map(repr, connection.execute(text(f"SELECT * FROM {name}")))) for name in names}
    engine.dispose()
    return found  # type: ignore[return-value]


def refused(url: str, key: bytes = KEY) -> str:
    """The sentence with which a store is refused; it is one, and says no secret."""
    with pytest.raises(StoreError) as error:
        Store.open(url, key)
    said = str(error.value)
    assert said.endswith(".")
    assert "\n" not in said
    assert "hunter2" not in said
    return said


def test_what_was_stored_is_there_when_it_is_opened_again(opened: Opener) -> None:
    first = opened()
    account = first.create_account("ops")
    made = record(account.id, 1)
    put(first, made)
    shared = first.setting("page-tokens")
    first.close()

    again = opened()

    assert [account] == again.accounts()
    assert {made.id: made} == again.view(account.id).records
    assert shared == again.setting("page-tokens")


def test_a_new_schema_is_what_the_migrations_make(url: str) -> None:
    Store.open(url, KEY).close()
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        made = compare_metadata(context, tables.metadata)
        tables.metadata.drop_all(connection)
        connection.execute(text("DROP TABLE alembic_version"))
        connection.commit()
    migrate(url, "head")
    with engine.connect() as connection:
        migrated = compare_metadata(
            MigrationContext.configure(connection, opts={"compare_type": True}), tables.metadata
        )
    engine.dispose()

    assert (made, migrated) == ([], [])


def test_the_newest_migration_is_the_head() -> None:
    config = Config()
    config.set_main_option("script_location", "isthmus.store:migrations")

    assert ScriptDirectory.from_config(config).get_heads() == [tables.HEAD]


def old(url: str) -> None:
    """A store of the first revision, with something in it."""
    migrate(url, "0001")
    locked = Vault(KEY).lock(b"this is the right key", "canary")
    execute(url, "INSERT INTO settings VALUES ('canary', :locked)", locked=locked)
    execute(url, "INSERT INTO accounts VALUES ('123456789012', 'ops', '2026-01-01 00:00:00')")


def test_a_store_of_the_first_revision_is_migrated(url: str, opened: Opener) -> None:
    old(url)

    store = opened()

    assert [account.name for account in store.accounts()] == ["ops"]
    put(store, record("123456789012", 1))
    assert tables.HEAD in contents(url)["alembic_version"][0]


@pytest.mark.parametrize("begin", ["new", "old"])
def test_several_processes_may_open_it_first(url: str, opened: Opener, begin: str) -> None:
    if begin == "old":
        old(url)
    others = [child("setting", url, "", "shared") for _ in range(3)]
    with ThreadPoolExecutor(2) as pool:
        mine = {store.setting("shared").hex() for store in pool.map(lambda _: opened(), range(2))}

    assert len(mine | {other.communicate(timeout=60)[0].strip() for other in others}) == 1
    assert [other.returncode for other in others] == [0, 0, 0]


def test_an_up_to_date_store_is_opened_without_the_migration_tool(url: str) -> None:
    """Alembic takes a quarter of a second to import."""
    Store.open(url, KEY).close()
    code = (
        "import sys; from isthmus.store import Store; "
        f"Store.open({url!r}, {KEY!r}).close(); print('alembic' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True).stdout.strip() == "False"


def test_another_key_is_refused(url: str, opened: Opener) -> None:
    opened().close()
    before = contents(url)

    assert "another master key" in refused(url, bytes(32))

    assert before == contents(url)
    opened()


def test_an_old_store_with_another_key_is_not_migrated(url: str) -> None:
    old(url)
    before = contents(url)

    assert "another master key" in refused(url, bytes(32))

    assert before == contents(url)


def test_a_newer_store_is_refused(url: str) -> None:
    Store.open(url, KEY).close()
    execute(url, "UPDATE alembic_version SET version_num = '9999'")
    before = contents(url)

    assert "newer" in refused(url)

    assert before == contents(url)


def test_the_data_of_another_program_is_refused(url: str) -> None:
    execute(url, "CREATE TABLE records (word TEXT)")
    before = contents(url)

    assert "another program" in refused(url)

    assert before == contents(url)


def test_a_migrated_database_of_another_program_is_refused(url: str) -> None:
    execute(url, "CREATE TABLE alembic_version (version_num TEXT)")
    execute(url, "INSERT INTO alembic_version VALUES ('0001')")
    before = contents(url)

    assert "another program" in refused(url)

    assert before == contents(url)


@pytest.mark.parametrize(
    "url_of_nothing",
    ["", "nonsense", "mysql://root:hunter2@localhost/x", "sqlite://", "sqlite:///:memory:", "nosuch+thing://x"],
)
def test_what_is_no_address_of_a_store_is_refused(url_of_nothing: str) -> None:
    refused(url_of_nothing)


def test_a_database_server_that_is_not_there_is_refused(tmp_path: Path) -> None:
    said = refused(f"postgresql+psycopg://me:hunter2@/isthmus?host={tmp_path}")

    assert "cannot be reached" in said


def test_a_database_that_is_not_there_is_refused(postgres: Cluster) -> None:
    url = postgres.database()
    postgres.drop(url)

    assert "does not exist" in refused(url)


def test_a_read_only_database_is_refused(postgres: Cluster) -> None:
    url = postgres.database()
    Store.open(url, KEY).close()
    execute(url, f"ALTER DATABASE {make_url(url).database} SET default_transaction_read_only = on")

    assert "read-only" in refused(url)
    postgres.drop(url)


def test_a_restarted_server_is_not_noticed(postgres: Cluster) -> None:
    url = postgres.database()
    store = Store.open(url, KEY)
    account = store.create_account("ops").id
    put(store, record(account, 1))
    store.view(account)
    everyone = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'"

    for deed in (store.view, store.account, lambda known: put(store, record(known, 2))):
        postgres.execute(everyone.format(make_url(url).database))
        deed(account)

    store.close()
    postgres.drop(url)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def test_the_files_can_be_read_by_their_owner_alone(file: Path) -> None:
    store = Store.open(f"sqlite:///{file}", KEY)
    store.create_account("ops")

    assert {0o600} == {stat.S_IMODE(each.stat().st_mode) for each in file.parent.glob("store.db*")}
    store.close()


@pytest.mark.parametrize("damage", [b"no database at all", b"SQLite format 3\0", os.urandom(8192), b"\0" * 4096])
def test_a_file_that_is_no_database_is_refused_and_left_alone(file: Path, damage: bytes) -> None:
    file.write_bytes(damage)

    said = refused(f"sqlite:///{file}")

    assert str(file) in said
    assert damage == file.read_bytes()


def test_a_truncated_file_is_refused_and_left_alone(file: Path) -> None:
    with closing(Store.open(f"sqlite:///{file}", KEY)) as store:
        account = store.create_account("ops").id
        put(store, *(record(account, number) for number in range(500)))
    damaged = file.read_bytes()[: file.stat().st_size // 3]
    file.write_bytes(damaged)

    assert "damaged" in refused(f"sqlite:///{file}")

    assert damaged == file.read_bytes()


def test_a_place_that_cannot_hold_a_file_is_refused(file: Path) -> None:
    file.write_bytes(b"")

    refused(f"sqlite:///{file}/store.db")
    refused(f"sqlite:///{file.parent}")
    refused(f"sqlite:///{file.parent}/missing/store.db")
    refused("sqlite:////proc/store.db")


def mounted(directory: Path, options: str) -> Iterator[Path]:
    """A small file system of its own."""
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)]
    if os.geteuid() != 0 or not shutil.which("mount") or subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("only root can mount a file system to fill up or to make read-only")
    yield directory
    subprocess.run(["umount", str(directory)], check=True)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    yield from mounted(tmp_path / "small", "size=1m")


def test_a_read_only_place_is_refused(small: Path) -> None:
    url = f"sqlite:///{small / 'store.db'}"
    Store.open(url, KEY).close()
    before = (small / "store.db").read_bytes()
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)

    assert "read-only" in refused(url)
    refused(f"sqlite:///{small / 'other.db'}")

    assert before == (small / "store.db").read_bytes()


def test_a_full_disk_is_said_and_nothing_is_lost(small: Path) -> None:
    url = f"sqlite:///{small / 'store.db'}"
    store = Store.open(url, KEY)
    account = store.create_account("ops").id
    put(store, record(account, 1))

    with pytest.raises(StoreError, match="disk is full"):
        put(store, *(record(account, number, data={"much": "x" * 10_000}) for number in range(500)))

    assert len(store.view(account).records) == 1
    store.close()
    with closing(Store.open(url, KEY)) as again:
        assert len(again.view(account).records) == 1


def test_a_full_disk_at_the_first_start_is_said(small: Path) -> None:
    (small / "ballast").write_bytes(b"x" * (1024 * 1024 - 8192))

    assert "full" in refused(f"sqlite:///{small / 'store.db'}")


def test_a_locked_store_is_still_read(file: Path) -> None:
    with closing(Store.open(f"sqlite:///{file}", KEY)) as store, closing(sqlite3.connect(file)) as other:
        account = store.create_account("ops").id
        other.execute("BEGIN IMMEDIATE")

        assert store.view(account).records == {}
        assert store.account(account)
