"""`isthmus import ec2-api`: ids that OpenStack's ec2-api gave out, from a database of its schema."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from service import isthmus

SCHEMA = """
create table items (id varchar(30) primary key, project_id varchar(64), vpc_id varchar(12), os_id varchar(36) unique,
                    data text);
create table tags (project_id varchar(64), item_id varchar(30), key varchar(127), value varchar(255),
                   primary key (project_id, item_id, key));
insert into items values ('i-0a1b2c3d', 'blue', null, 'server-1', '{}');
insert into items values ('vol-00000001', 'blue', null, 'volume-1', '{}');
insert into items values ('eni-00000002', 'red', 'vpc-00000003', 'port-1', '{}');
insert into items values ('vpc-00000003', 'red', null, 'router-1', '{}');
insert into items values ('rtb-00000004', 'red', 'vpc-00000003', null, '{}');
insert into items values ('ami-00000005', null, null, 'image-1', null);
insert into tags values ('blue', 'i-0a1b2c3d', 'Name', 'web');
"""
"""ec2-api 17.0.0's tables, as its models say, with two projects."""


@pytest.fixture
def old(tmp_path: Path) -> str:
    """The URL of ec2-api's database."""
    with closing(sqlite3.connect(tmp_path / "ec2api.db")) as database:
        database.executescript(SCHEMA)
    return f"sqlite:///{tmp_path}/ec2api.db"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    assert isthmus("account", "create", "default", state=tmp_path / "state").returncode == 0
    return tmp_path / "state"


def take(old: str, state: Path, *words: str) -> list[list[str]]:
    done = isthmus("import", "ec2-api", "--db", old, "--cloud", "memory", *words, state=state, ISTHMUS_CLOUD="memory")
    assert 0 == done.returncode, done.stderr
    return [line.split() for line in done.stdout.splitlines() if "-" in line]


def rows(state: Path, query: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(state / "isthmus.db")) as database:
        return sorted(database.execute(query).fetchall())


TOLD = [
    ["ami-", "0", "1", "1"],
    ["eni-", "1", "0", "1"],
    ["i-", "1", "0", "1"],
    ["rtb-", "0", "1", "1"],
    ["vol-", "1", "0", "1"],
    ["vpc-", "0", "1", "1"],
]


def test_ids_and_tags_are_taken_over_for_each_project(old: str, state: Path) -> None:
    assert TOLD == take(old, state)

    known = "select r.id, r.kind, r.native, t.tenant from records r join tenants t on t.account = r.account"
    assert [
        ("eni-00000002", "port", "port-1", "red"),
        ("i-0a1b2c3d", "server", "server-1", "blue"),
        ("vol-00000001", "volume", "volume-1", "blue"),
    ] == rows(state, known)
    assert [("i-0a1b2c3d", '{"Name": "web"}')] == rows(state, "select resource, tags from tags")


def test_taking_over_again_changes_nothing(old: str, state: Path) -> None:
    take(old, state)
    before = rows(state, "select id, account, native, generation from records")

    assert TOLD == take(old, state)

    assert before == rows(state, "select id, account, native, generation from records")


def test_a_dry_run_takes_nothing_over(old: str, state: Path) -> None:
    assert TOLD == take(old, state, "--dry-run")

    assert [] == rows(state, "select id from records")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("no url", "--db is no URL"),
        ("mysql+pymysql://nobody@127.0.0.1:1/x", "pip install pymysql"),
        ("sqlite:////no/such/directory/x.db", "cannot be read"),
        ("sqlite://", "no such table"),
    ],
)
def test_a_database_that_cannot_be_read_is_told(url: str, said: str, state: Path) -> None:
    done = isthmus("import", "ec2-api", "--db", url, "--cloud", "memory", state=state, ISTHMUS_CLOUD="memory")

    assert 1 == done.returncode
    assert said in done.stderr
    assert 1 == done.stderr.count("\n")


def test_a_cloud_that_is_not_configured_is_told(old: str, state: Path) -> None:
    done = isthmus("import", "ec2-api", "--db", old, "--cloud", "memry", state=state, ISTHMUS_CLOUD="memory")

    assert "Did you mean 'memory'?" in done.stderr
