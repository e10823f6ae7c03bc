"""`isthmus import`: ids that OpenStack's ec2-api gave out, and Nova's own, from databases of their schemas."""

from __future__ import annotations

import json
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
insert into items values ('vpc-00000003', 'red', null, 'router-1', '{"cidr_block": "10.0.0.0/16",
    "route_table_id": "rtb-00000004", "dhcp_options_id": "dopt-00000010"}');
insert into items values ('subnet-00000006', 'red', 'vpc-00000003', 'subnet-1', '{"route_table_id": "rtb-0000000c"}');
insert into items values ('vpc-00000007', 'red', null, 'router-2', '{}');
insert into items values ('subnet-00000008', 'red', 'vpc-00000007', 'subnet-2', '{}');
insert into items values ('subnet-00000009', 'red', 'vpc-00000007', 'subnet-3', '{}');
insert into items values ('vpc-0000000a', 'red', null, 'router-3', '{}');
insert into items values ('rtb-00000004', 'red', 'vpc-00000003', null, '{"routes": [
    {"destination_cidr_block": "10.0.0.0/16", "gateway_id": null},
    {"destination_cidr_block": "0.0.0.0/0", "gateway_id": "igw-0000000b"},
    {"destination_cidr_block": "10.9.0.0/16", "network_interface_id": "eni-00000002"},
    {"destination_cidr_block": "10.8.0.0/16", "gateway_id": "vgw-0000000e"}]}');
insert into items values ('rtb-0000000c', 'red', 'vpc-00000003', null, '{"routes": []}');
insert into items values ('rtb-0000000d', 'red', 'vpc-00000007', null, '{"routes": []}');
insert into items values ('igw-0000000b', 'red', 'vpc-00000003', null, '{}');
insert into items values ('igw-0000000f', 'red', null, null, '{}');
insert into items values ('dopt-00000010', 'red', null, null,
    '{"dhcp_configuration": {"domain-name": ["example.org"]}}');
insert into items values ('vgw-0000000e', 'red', 'vpc-00000003', null, '{}');
insert into items values ('ami-00000005', null, null, 'image-1', null);
insert into tags values ('blue', 'i-0a1b2c3d', 'Name', 'web');
insert into items values ('aki-00000011', null, null, 'image-2', null);
insert into tags values ('red', 'vpc-00000003', 'Name', 'ours');
insert into tags values ('green', 'ami-00000005', 'Name', 'base');
"""
"""ec2-api 17.0.0's tables, as its models say, with two projects; of three VPCs one has a subnet, one two, one none."""

NEUTRON = """
create table subnets (id varchar(36) primary key, project_id varchar(255), name varchar(255), network_id varchar(36),
                      cidr varchar(64));
insert into subnets values
    ('subnet-1', 'red', '', 'network-1', '10.0.0.0/24'), ('subnet-2', 'red', '', 'network-2', '10.0.1.0/24'),
    ('subnet-3', 'red', '', 'network-3', '10.0.2.0/24'), ('subnet-4', 'red', '', 'network-1', '10.0.3.0/24');
"""
"""What is asked for of Neutron's tables (Zed): ec2-api gave each subnet a network of its own."""


NOVA = """
create table instances (uuid varchar(36), project_id varchar(255), deleted integer, display_name varchar(255));
create table instance_id_mappings (id integer primary key, uuid varchar(36), deleted integer);
create table volume_id_mappings (id integer primary key, uuid varchar(36), deleted integer);
create table snapshot_id_mappings (id integer primary key, uuid varchar(36), deleted integer);
create table s3_images (id integer primary key, uuid varchar(36), deleted integer);
create table block_device_mapping (instance_uuid varchar(36), volume_id varchar(36), deleted integer);
insert into instances values ('server-1', 'blue', 0, 'web'), ('server-2', 'red', 0, 'db'), ('server-3', 'red', 3, '');
insert into instance_id_mappings values (1, 'server-1', 0), (42, 'server-2', 0), (3, 'server-3', 0);
insert into volume_id_mappings values (1, 'volume-1', 0), (2, 'volume-2', 0), (3, 'volume-3', 0);
insert into block_device_mapping values ('server-2', 'volume-1', 0), ('server-1', 'volume-2', 7), ('server-2', null, 0);
insert into snapshot_id_mappings values (1, 'snapshot-1', 0);
insert into s3_images values (1, 'image-1', 0), (2, 'image-2', 0);
"""
"""What is asked for of Nova's tables (Zed), with two projects, a deleted server and a detached volume."""


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


def take(old: str, state: Path, *words: str, gateway: str = "ec2-api") -> list[list[str]]:
    done = isthmus("import", gateway, "--db", old, "--cloud", "memory", *words, state=state, ISTHMUS_CLOUD="memory")
    assert 0 == done.returncode, done.stderr
    return [line.split() for line in done.stdout.splitlines() if "-" in line]


def rows(state: Path, query: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(state / "isthmus.db")) as database:
        return sorted(database.execute(query).fetchall())


TOLD = [
    ["aki-", "1", "0", "1"],
    ["ami-", "1", "0", "1"],
    ["dopt-", "1", "0", "1"],
    ["eni-", "1", "0", "1"],
    ["i-", "1", "0", "1"],
    ["igw-", "1", "1", "2"],
    ["rtb-", "0", "3", "3"],
    ["subnet-", "3", "0", "3"],
    ["vgw-", "0", "1", "1"],
    ["vol-", "1", "0", "1"],
    ["vpc-", "0", "3", "3"],
]


def test_ids_and_tags_are_taken_over_for_each_project(old: str, state: Path) -> None:
    assert TOLD == take(old, state)

    known = "select r.id, r.kind, r.native, t.tenant from records r join tenants t on t.account = r.account"
    assert [
        ("dopt-00000010", "dhcp-options", "dopt-00000010", "red"),
        ("eni-00000002", "port", "port-1", "red"),
        ("i-0a1b2c3d", "server", "server-1", "blue"),
        ("igw-0000000f", "internet-gateway", "igw-0000000f", "red"),
        ("subnet-00000006", "subnet", "subnet-1", "red"),
        ("subnet-00000008", "subnet", "subnet-2", "red"),
        ("subnet-00000009", "subnet", "subnet-3", "red"),
        ("vol-00000001", "volume", "volume-1", "blue"),
    ] == rows(state, known)
    tags = "select t.tenant, resource, tags from tags join tenants t on t.account = tags.account"
    assert [("blue", "i-0a1b2c3d", '{"Name": "web"}'), ("green", "ami-00000005", '{"Name": "base"}')] == rows(
        state, tags
    )


def test_ids_of_public_images_are_known_to_all_projects(old: str, state: Path) -> None:
    take(old, state)

    known = rows(state, "select id, kind, cloud, native from records where account = 'everyone'")
    assert [
        ("everyone/aki-00000011", "kernel", "memory", "image-2"),
        ("everyone/ami-00000005", "image", "memory", "image-1"),
    ] == known
    with closing(sqlite3.connect(state / "isthmus.db")) as database, database:
        database.execute("delete from tags where resource = 'ami-00000005'")
    assert TOLD == take(old, state)
    assert [] == rows(state, "select tags from tags where resource = 'ami-00000005'"), "what was untagged stays so"


def test_taking_over_again_changes_nothing(old: str, state: Path) -> None:
    take(old, state)
    before = rows(state, "select id, account, native, generation from records")

    assert TOLD == take(old, state)

    assert before == rows(state, "select id, account, native, generation from records")


def test_the_id_of_a_vpc_with_one_subnet_is_taken_over_by_neutrons_networks(
    old: str, state: Path, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "neutron.db")) as database:
        database.executescript(NEUTRON)
    neutron = ("--neutron-db", f"sqlite:///{tmp_path}/neutron.db")
    more = {"igw-": ["igw-", "2", "0", "2"], "rtb-": ["rtb-", "2", "1", "3"], "vpc-": ["vpc-", "1", "2", "3"]}
    told = [more.get(line[0], line) for line in TOLD]

    for words in ((*neutron, "--dry-run"), (), neutron, neutron):
        assert (told if words else TOLD) == take(old, state, *words)

    vpcs = (
        "select r.id, r.native, t.tenant from records r join tenants t on t.account = r.account where r.kind='network'"
    )
    assert [("vpc-00000003", "network-1", "red")] == rows(state, vpcs)
    assert [('{"Name": "ours"}',)] == rows(state, "select tags from tags where resource = 'vpc-00000003'")


def test_what_ec2_api_alone_knew_of_a_vpc_is_put_on_record(old: str, state: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "neutron.db")) as database:
        database.executescript(NEUTRON)
    words = ("import", "ec2-api", "--db", old, "--neutron-db", f"sqlite:///{tmp_path}/neutron.db", "--cloud", "memory")

    said = isthmus(*words, state=state, ISTHMUS_CLOUD="memory").stderr

    held = {known: json.loads(data) for known, data in rows(state, "select id, data from records")}
    assert {"network": "vpc-00000003"} == held["igw-0000000b"]
    assert {"network": ""} == held["igw-0000000f"]
    assert {"options": {"domain-name": ["example.org"]}} == held["dopt-00000010"]
    led = [(one["to"], one["hop"], one["target"]) for one in held["rtb-00000004"]["routes"]]
    assert [("0.0.0.0/0", "internet", "igw-0000000b"), ("10.9.0.0/16", "port", "eni-00000002")] == led
    assert {"table": "rtb-0000000c", "table_association": "rtbassoc-00000006"} == held["subnet-00000006"]
    assert {
        "first_table": "rtb-00000004",
        "first_association": "rtbassoc-00000003",
        "first_gateway": "igw-0000000b",
    } == held["vpc-00000003"]
    assert "rtb-0000000d" not in held
    for known, reason in (
        ("rtb-0000000d", "its VPC is not taken over"),
        ("vpc-00000007", "several subnets, each in a network of its own: say --os-cloud"),
        ("vpc-0000000a", "no subnets"),
        ("rtb-00000004 10.8.0.0/16", "no vgw-0000000e that the route"),
        ("vpc-00000003 10.0.0.0/16", "its subnet here, 10.0.0.0/24"),
        ("vpc-00000003 dopt-00000010", "no options to a VPC"),
        ("vgw-0000000e", "VPNs"),
    ):
        assert any(line.startswith(f"Left: {known}: ") and reason in line for line in said.splitlines()), (known, said)


def test_a_neutron_that_cannot_be_read_is_told(old: str, state: Path) -> None:
    words = ("import", "ec2-api", "--db", old, "--cloud", "memory", "--neutron-db", "no url")

    done = isthmus(*words, state=state, ISTHMUS_CLOUD="memory")

    assert (1, True) == (done.returncode, "--neutron-db is no URL" in done.stderr)


def test_a_dry_run_takes_nothing_over(old: str, state: Path) -> None:
    assert TOLD == take(old, state, "--dry-run")

    assert [] == rows(state, "select id from records")


def test_ids_of_nova_itself_are_taken_over_of_servers_and_their_volumes(tmp_path: Path, state: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "nova.db")) as database:
        database.executescript(NOVA)
    told = [["ami-", "0", "2", "2"], ["i-", "2", "0", "2"], ["snap-", "0", "1", "1"], ["vol-", "1", "2", "3"]]

    for words in (("--dry-run",), (), ()):
        assert told == take(f"sqlite:///{tmp_path}/nova.db", state, *words, gateway="nova")

    known = "select r.id, r.kind, r.native, t.tenant from records r join tenants t on t.account = r.account"
    assert [
        ("i-00000001", "server", "server-1", "blue"),
        ("i-0000002a", "server", "server-2", "red"),
        ("vol-00000001", "volume", "volume-1", "red"),
    ] == rows(state, known)


def test_an_id_that_another_account_has_is_left(old: str, state: Path, tmp_path: Path) -> None:
    take(old, state)
    with closing(sqlite3.connect(tmp_path / "ec2api.db")) as database, database:
        database.execute("update items set project_id = 'red', os_id = 'server-9' where id = 'i-0a1b2c3d'")

    [left] = [row for row in take(old, state) if row[0] == "i-"]

    assert ["i-", "0", "1", "1"] == left
    assert [("server-1",)] == rows(state, "select native from records where kind = 'server'")


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


def test_a_public_image_keeps_the_first_id_that_was_taken_over(old: str, state: Path, tmp_path: Path) -> None:
    take(old, state)
    with closing(sqlite3.connect(tmp_path / "ec2api.db")) as database, database:
        database.execute("update items set id = 'ami-0000000b' where id = 'ami-00000005'")
        database.execute("update items set os_id = 'image-9' where id = 'aki-00000011'")

    told = {row[0]: row for row in take(old, state)}

    assert (["aki-", "0", "1", "1"], ["ami-", "0", "1", "1"]) == (told["aki-"], told["ami-"])
    known = rows(state, "select id, native from records where account = 'everyone'")
    assert [("everyone/aki-00000011", "image-2"), ("everyone/ami-00000005", "image-1")] == known
