"""The metadata service as Neutron's agents ask it: one connection, and every request signed for another server."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from metadata_guest import GUEST

from isthmus.errors import Unavailable
from isthmus.imds import agent as agents
from isthmus.imds.agent import Agent, Known
from isthmus.imds.identity import Identity
from isthmus.imds.server import Metadata
from isthmus.imds.tokens import Tokens
from isthmus.imds.tree import Guest

SECRET = b"shared"
TENANT, NATIVE = "b1946ac92492d2347c6235b4d2611184", "7c9e6679-7425-40de-944b-e07fc1f90ae7"
Ask = Callable[..., httpx.Response]


_NAMES = ("X-Instance-ID", "X-Tenant-ID", "X-Forwarded-For", "X-Secret")


class Nova(BaseHTTPRequestHandler):
    """Tells what it was asked; too much for `/openstack/long`, and too slowly for `/openstack/slow`."""

    go_on = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/openstack/slow":
            self.go_on.wait(20)
        body = b"x" * (agents.FORWARD_BYTES + 1) if self.path == "/openstack/long" else self._told()
        self.send_response(404 if self.path.endswith("absent") else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def _told(self) -> bytes:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        said = [
            f"{self.command} {self.path}{sent}",
            *(self.headers.get(name, "") for name in _NAMES),
        ]
        return "\n".join(said).encode()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def nova() -> Iterator[str]:
    Nova.go_on = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Nova)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    Nova.go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def guests() -> dict[tuple[str, str], Guest]:
    return {(TENANT, NATIVE): GUEST}


@pytest.fixture
def ask(guests: dict[tuple[str, str], Guest], nova: str, tmp_path: Path) -> Iterator[Ask]:
    """Asks as the agent does; `signature` and other headers can be another's."""

    def lookup(tenant: str, native: str) -> Guest | None:
        if native.startswith("away"):
            raise Unavailable("nobody has signed in")
        return guests.get((tenant, native))

    on_record = {"away": Known("i-0aaaaaaaaaaaaaaa0"), "away-and-shut": Known("i-0aaaaaaaaaaaaaaa1", open=False)}
    agent = Agent(SECRET, nova, lambda _, native: on_record.get(native, Known()))
    metadata = Metadata(lookup, Tokens(b"s" * 32), Identity.kept_in(tmp_path))
    running = metadata.run_for_agents(agent, "127.0.0.1", 0)
    client = httpx.Client(base_url="http://{}:{}".format(*running.listening), trust_env=False, timeout=30)

    def ask(
        path: str, native: str = NATIVE, tenant: str = TENANT, method: str = "GET", body: bytes = b"", **more: str
    ) -> httpx.Response:
        headers = {"X-Instance-ID": native, "X-Tenant-ID": tenant, "X-Forwarded-For": "10.0.0.5"}
        headers["X-Instance-ID-Signature"] = hmac.new(SECRET, native.encode(), hashlib.sha256).hexdigest()
        headers.update({name.replace("_", "-"): text for name, text in more.items()})
        given = {name: text.encode() for name, text in headers.items() if text}
        return client.request(method, path, headers=given, content=body or None)

    yield ask
    client.close()
    running.stop()


def test_a_guest_reads_the_id_that_the_api_gives(ask):
    answer = ask("/latest/meta-data/instance-id")

    assert (200, GUEST.instance_id) == (answer.status_code, answer.text)
    assert ask("/2009-04-04/user-data").content == GUEST.user_data
    assert 404 == ask("/latest/meta-data/nothing").status_code


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"X_Instance_ID_Signature": "0" * 64}, 403),
        ({"X_Instance_ID_Signature": "é"}, 403),
        ({"X_Instance_ID_Signature": ""}, 400),
        ({"tenant": ""}, 400),
        ({"native": ""}, 400),
        ({"native": "../../etc"}, 400),
        ({"native": "x" * 65}, 400),
    ],
)
def test_who_is_not_rightly_signed_for_gets_nothing(ask, said, status):
    answer = ask("/latest/meta-data/instance-id", **said)

    assert (status, False) == (answer.status_code, GUEST.instance_id in answer.text)


def test_a_signature_for_one_server_is_none_for_another(ask, guests):
    other = "00000000-7425-40de-944b-e07fc1f90ae7"
    guests[TENANT, other] = GUEST
    signature = hmac.new(SECRET, NATIVE.encode(), hashlib.sha256).hexdigest()

    assert 403 == ask("/latest/meta-data/", native=other, X_Instance_ID_Signature=signature).status_code
    assert 200 == ask("/latest/meta-data/", native=other).status_code


@pytest.mark.parametrize("who", [{"tenant": "another"}, {"native": "unknown"}])
def test_what_we_know_nothing_of_is_novas_who_looks_whose_it_is(ask, who):
    answer = ask("/latest/meta-data/instance-id", **who)

    assert [
        "GET /latest/meta-data/instance-id",
        who.get("native", NATIVE),
        who.get("tenant", TENANT),
        "10.0.0.5",
        "",
    ] == (answer.text.split("\n"))


def test_tokens_are_given_and_taken_but_not_needed(ask):
    seconds = {"X_aws_ec2_metadata_token_ttl_seconds": "60"}

    token = ask("/latest/api/token", method="PUT", **seconds)

    assert 200 == token.status_code
    assert 200 == ask("/latest/meta-data/ami-id", X_aws_ec2_metadata_token=token.text).status_code
    assert 403 == ask("/latest/meta-data/ami-id", X_aws_ec2_metadata_token="another").status_code
    assert 200 == ask("/latest/meta-data/ami-id").status_code


def test_where_the_agent_drops_what_asks_for_a_token_clients_go_on_without_one(ask):
    assert 404 == ask("/latest/api/token", method="PUT").status_code


def test_statuses_are_such_as_the_agent_knows(ask, guests):
    guests[TENANT, NATIVE] = replace(GUEST, http_tokens="required")

    assert 403 == ask("/latest/meta-data/ami-id").status_code
    assert 400 == ask("/latest/meta-data/ami-id", method="DELETE").status_code


def test_what_is_openstacks_own_is_asked_of_nova_with_the_agents_headers_alone(ask):
    answer = ask("/openstack/latest/meta_data.json", X_Secret="the guest's")

    assert "application/json" == answer.headers["content-type"]
    assert ["GET /openstack/latest/meta_data.json", NATIVE, TENANT, "10.0.0.5", ""] == answer.text.split("\n")
    sent = ask("/openstack/latest/password", method="POST", body=b"=encrypted")
    assert sent.text.startswith("POST /openstack/latest/password=encrypted\n")
    assert 400 == ask("/openstack/latest/password", method="DELETE").status_code
    assert 404 == ask("/openstack/absent").status_code
    assert 500 == ask("/openstack/long").status_code
    assert 403 == ask("/openstack/latest/meta_data.json", X_Instance_ID_Signature="0" * 64).status_code


def test_user_data_of_a_server_that_was_made_by_other_means_is_novas(ask, guests):
    guests[TENANT, NATIVE] = replace(GUEST, user_data=None)

    assert ask("/latest/user-data").text.startswith("GET /latest/user-data\n")
    assert ask("/latest/meta-data/instance-id").text == GUEST.instance_id


@pytest.mark.parametrize("shut", [{"http_endpoint": False}, {"http_tokens": "required"}])
def test_what_is_shut_for_a_guest_is_shut_at_novas_door_too(ask, guests, shut):
    guests[TENANT, NATIVE] = replace(GUEST, **shut)

    for path in ("/openstack/latest/user_data", "/latest/user-data", "/openstack"):
        assert 403 == ask(path).status_code
    assert 403 == ask("/openstack/latest/user_data", native="away-and-shut").status_code
    assert 403 == ask("/latest/meta-data/instance-id", native="away-and-shut").status_code


def test_a_slow_nova_keeps_nobody_else_waiting(ask, guests, monkeypatch):
    monkeypatch.setattr(agents, "FORWARD_SECONDS", 30.0)
    other = "00000000-7425-40de-944b-e07fc1f90ae7"
    guests[TENANT, other] = GUEST
    with ThreadPoolExecutor(agents.FORWARDS + 2) as pool:
        slow = [pool.submit(ask, "/openstack/slow") for _ in range(agents.FORWARDS + 2)]
        assert [500] == [one.result().status_code for one in wait(slow, return_when=FIRST_COMPLETED).done][:1]
        assert 200 == ask("/latest/meta-data/instance-id", native=other).status_code
        assert ask("/openstack/latest", native=other).text.startswith("GET /openstack/latest\n")
        Nova.go_on.set()
    assert [500, 500, *[200] * agents.FORWARDS] == sorted((one.result().status_code for one in slow), reverse=True)


def test_a_nova_that_takes_too_long_is_a_failure(ask, monkeypatch):
    monkeypatch.setattr(agents, "FORWARD_SECONDS", 0.2)

    assert 500 == ask("/openstack/slow").status_code


def test_while_the_cloud_cannot_be_asked_all_but_the_id_is_novas(ask):
    assert "i-0aaaaaaaaaaaaaaa0" == ask("/latest/meta-data/instance-id", native="away").text
    assert ask("/latest/meta-data/ami-id", native="away").text.startswith("GET /latest/meta-data/ami-id\naway\n")
    assert 400 == ask("/latest/meta-data/instance-id", native="away", method="PUT").status_code


def test_a_nova_that_is_away_is_a_failure(tmp_path):
    agent = Agent(SECRET, "http://127.0.0.1:1")
    metadata = Metadata(lambda *_: None, Tokens(b"s" * 32), Identity.kept_in(tmp_path))
    running = metadata.run_for_agents(agent, "127.0.0.1", 0)
    connection = http.client.HTTPConnection(*running.listening, timeout=20)
    signature = hmac.new(SECRET, NATIVE.encode(), hashlib.sha256).hexdigest()
    connection.request(
        "GET",
        "/openstack",
        headers={"X-Instance-ID": NATIVE, "X-Tenant-ID": TENANT, "X-Instance-ID-Signature": signature},
    )

    assert 500 == connection.getresponse().status
    connection.close()
    running.stop()
