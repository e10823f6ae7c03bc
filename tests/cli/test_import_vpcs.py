"""`isthmus import ec2-api --os-cloud`: the networks of a VPC are tagged in Neutron as one, and it is taken over."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from service import isthmus

pytest.importorskip("openstack", reason="openstacksdk is not installed")

ITEMS = (
    ("vpc-0000000a", "red", None, "router-1", {"cidr_block": "10.0.0.0/16", "route_table_id": "rtb-0000000d"}),
    ("subnet-0000000b", "red", "vpc-0000000a", "subnet-1", {}),
    ("subnet-0000000c", "red", "vpc-0000000a", "subnet-2", {}),
    ("rtb-0000000d", "red", "vpc-0000000a", None, {"routes": []}),
    ("igw-0000000e", "red", "vpc-0000000a", None, {}),
    ("sg-0000000a", "red", "vpc-0000000a", "group-1", {}),
    ("sg-0000000f", "red", "vpc-0000000a", "group-2", {}),
    ("vpc-00000010", "red", None, "router-2", {"cidr_block": "10.1.0.0/16"}),
    ("vpc-00000011", "red", None, "router-3", {"cidr_block": "10.2.0.0/16"}),
    ("subnet-00000012", "red", "vpc-00000011", "subnet-of-blue", {}),
    ("vpc-00000013", "red", None, "router-4", {"cidr_block": "172.31.0.0/16", "is_default": True}),
    ("subnet-00000014", "red", "vpc-00000013", "subnet-4", {}),
    ("sg-00000013", "red", "vpc-00000013", "group-4", {}),
)
"""Of ec2-api 17.0.0: VPCs with two subnets, with none, with one of another project, and the default one with one."""

TAGS = {
    "router-1": ["isthmus:network=network-2"],
    "network-2": ["isthmus:main=10.0.0.0/16", "ours"],
    "network-1": ["isthmus:network=network-2"],
    "group-1": ["isthmus:default=1", "isthmus:network=network-2"],
    "group-2": ["isthmus:network=network-2"],
    "router-4": ["isthmus:network=network-4"],
    "network-4": ["isthmus:default=1", "isthmus:main=172.31.0.0/16"],
    "group-4": ["isthmus:network=network-4"],
}
"""What things of Neutron's are tagged with then: the oldest network leads."""


class Cloud:
    """Keystone's tokens, and of Neutron what is asked for; `refuses` is the status of writes from the `after`th on."""

    def __init__(self) -> None:
        self.refuses, self.after = 0, 0
        self.things: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in ("networks", "subnets", "routers")}
        self.things["security-groups"] = {}
        for number, age in ((1, "2020-02-01"), (2, "2020-01-01"), (4, "2020-03-01")):
            self.add("networks", f"network-{number}", created_at=age, **{"router:external": False})
            self.add("subnets", f"subnet-{number}", network_id=f"network-{number}", cidr=f"10.0.{number}.0/24")
        self.add("subnets", "subnet-of-blue", "blue", network_id="network-of-blue", cidr="10.2.0.0/24")
        for number in range(1, 5):
            self.add("routers", f"router-{number}")
            self.add("security-groups", f"group-{number}", name="g")
        self.things["networks"]["network-2"]["tags"] = ["ours"]

    def add(self, kind: str, native: str, project: str = "red", **more: Any) -> None:
        self.things[kind][native] = {"id": native, "project_id": project, "tags": [], "description": "", **more}

    @property
    def tagged(self) -> dict[str, list[str]]:
        everything = [one for there in self.things.values() for one in there.values()]
        marked = [one for one in everything if any(tag.startswith("isthmus:") for tag in one["tags"])]
        return {one["id"]: sorted(one["tags"]) for one in marked}

    def read(self, kind: str, project: str) -> list[dict[str, Any]]:
        return [one for one in self.things[kind].values() if one["project_id"] == project]

    def write(self, kind: str, native: str, tags: list[str]) -> int:
        if self.refuses and not self.after:
            return self.refuses
        self.after -= 1
        self.things[kind][native]["tags"] = tags
        return 200


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """With settings that name it in `isthmus.toml`, and an administrator in `clouds.yaml`."""
    made = Cloud()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

        def answer(self, status: int, body: Any, **headers: str) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(text)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            kind = asked.path.rpartition("/")[2]
            if kind == "v3":
                version = {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": f"{at}/v3"}]}
                return self.answer(200, {"version": version})
            return self.answer(200, {kind.replace("-", "_"): made.read(kind, parse_qs(asked.query)["project_id"][0])})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            end = {"interface": "public", "region": "one", "region_id": "one", "id": "1", "url": at}
            token = {
                "methods": ["password"],
                "expires_at": "2999-01-01T00:00:00.000000Z",
                "issued_at": "2020-01-01T00:00:00.000000Z",
                "user": {"id": "admin", "name": "admin", "domain": {"id": "default", "name": "Default"}},
                "project": {"id": "admin", "name": "admin", "domain": {"id": "default", "name": "Default"}},
                "roles": [{"id": "admin", "name": "admin"}],
                "catalog": [{"type": "network", "name": "neutron", "id": "1", "endpoints": [end]}],
            }
            self.answer(201, {"token": token}, **{"X-Subject-Token": "secret"})

        def do_PUT(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            _, _, kind, native, _ = self.path.split("/")
            self.answer(made.write(kind, native, body["tags"]), body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    at = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    login = f"auth_url: {at}/v3, username: admin, password: x, project_name: admin, user_domain_name: Default"
    (tmp_path / "clouds.yaml").write_text(
        f"clouds: {{admin: {{auth: {{{login}, project_domain_name: Default}}, region_name: one}}}}"
    )
    (tmp_path / "isthmus.toml").write_text(
        "[clouds.private]\nkind = 'openstack'\nzones = { us-east-1a = 'nova' }\n"
        f"cloud = 'gateway'\nclouds_yaml = '{tmp_path}/clouds.yaml'\n"
    )
    with closing(sqlite3.connect(tmp_path / "ec2api.db")) as database, database:
        database.execute("create table items (id, project_id, vpc_id, os_id, data)")
        database.execute("create table tags (project_id, item_id, key, value)")
        for *row, data in ITEMS:
            database.execute("insert into items values (?,?,?,?,?)", (*row, json.dumps(data)))
    yield made
    server.shutdown()
    server.server_close()


def take(place: Path, *words: str, status: int = 0) -> tuple[str, str]:
    given = ("--db", f"sqlite:///{place}/ec2api.db", "--cloud", "private", "--config", f"{place}/isthmus.toml")
    done = isthmus("import", "ec2-api", *given, "--os-cloud", "admin", *words, state=place / "state")
    assert status == done.returncode, done.stderr
    return done.stdout, done.stderr


def records(place: Path) -> dict[str, str]:
    with closing(sqlite3.connect(place / "state" / "isthmus.db")) as database:
        return dict(database.execute("select id, native from records"))


def test_the_networks_of_a_vpc_are_tagged_as_one_and_it_is_taken_over(cloud: Cloud, tmp_path: Path) -> None:
    said, left = take(tmp_path)

    assert TAGS == cloud.tagged
    assert len(TAGS) == said.count("Tagged ")
    assert "Tagged network network-1: isthmus:network=network-2\n" in said
    known = records(tmp_path)
    assert ("network-2", "network-4") == (known["vpc-0000000a"], known["vpc-00000013"])
    assert {"igw-0000000e", "rtb-0000000d", "subnet-0000000b", "subnet-0000000c", "sg-0000000a"} <= known.keys()
    assert not {"vpc-00000010", "vpc-00000011"} & known.keys()
    none, theirs = left.splitlines()
    assert none.startswith("Left: vpc-00000010: it has no subnets")
    assert theirs.startswith("Left: vpc-00000011: the login that --os-cloud names sees no subnet of it")


def test_a_dry_run_says_what_it_would_tag_and_tags_nothing(cloud: Cloud, tmp_path: Path) -> None:
    said, _ = take(tmp_path, "--dry-run")

    assert len(TAGS) == said.count("Would tag ")
    assert "Would tag network network-2: isthmus:main=10.0.0.0/16\n" in said
    assert {} == cloud.tagged
    assert not (tmp_path / "state" / "isthmus.db").exists()


def test_what_is_tagged_already_is_not_tagged_again(cloud: Cloud, tmp_path: Path) -> None:
    take(tmp_path)
    before = records(tmp_path)
    cloud.refuses = 500

    said, _ = take(tmp_path)

    assert ("Tagged" in said, before, TAGS) == (False, records(tmp_path), cloud.tagged)


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_after_a_failure_between_two_tags_a_repetition_ends_in_the_same_state(
    cloud: Cloud, tmp_path: Path, after: int
) -> None:
    cloud.refuses, cloud.after = 503, after
    said, _ = take(tmp_path, status=1)
    assert after == len(cloud.tagged) == said.count("Tagged ")
    assert not any(known.startswith("vpc-") for known in records(tmp_path))
    cloud.refuses = 0

    take(tmp_path)

    assert TAGS == cloud.tagged
    assert "network-2" == records(tmp_path)["vpc-0000000a"]


def test_the_network_that_leads_goes_on_to_lead_without_its_subnet(cloud: Cloud, tmp_path: Path) -> None:
    take(tmp_path)
    del cloud.things["subnets"]["subnet-2"]

    said, left = take(tmp_path)

    assert ("Tagged" in said, "vpc-0000000a" in left, TAGS) == (False, False, cloud.tagged)


def test_a_login_without_the_right_to_tag_is_told(cloud: Cloud, tmp_path: Path) -> None:
    cloud.refuses = 403

    _, left = take(tmp_path, status=1)

    assert 1 == left.count("\n")
    assert {} == cloud.tagged
    assert {} == records(tmp_path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--os-cloud", "nobody"), "the login to OpenStack cannot be"),
        (("--neutron-db", "sqlite://"), "Say --os-cloud or --neutron-db"),
        (("--cloud", "memory"), "memory is none in the settings"),
    ],
)
def test_an_administrator_that_cannot_be_is_told(
    cloud: Cloud, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    _, left = take(tmp_path, *words, status=1)

    assert said in left
    assert {} == cloud.tagged
