from __future__ import annotations

import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from metadata_guest import Service
from metadata_relay import Bridge, Client

from isthmus.imds import server

TTL = "X_aws_ec2_metadata_token_ttl_seconds"
TOKEN = "/latest/api/token"
ID = "/latest/meta-data/instance-id"

SERVE = """
import sys, time
from pathlib import Path
from isthmus.imds.identity import Identity
from isthmus.imds.server import Metadata
from isthmus.imds.tokens import Tokens
state = Path(sys.argv[1])
Metadata(lambda tenant, native: None, Tokens.kept_in(state), Identity.kept_in(state)).run_in_thread(Path(sys.argv[2]))
print("listening", flush=True)
time.sleep(60)
"""


def test_a_guest_reads_its_own_metadata(service: Service) -> None:
    with service.client("vm-1") as one, service.client("vm-2") as two:
        assert one.get(ID) == "i-0123456789abcdef0"
        assert two.get(ID) == "i-0fedcba9876543210"


def test_an_answer_looks_like_ec2s(http: Client) -> None:
    answer = http("GET", ID)

    assert (answer.headers["Server"], answer.headers["Content-Type"]) == ("EC2ws", "text/plain")


def test_user_data_comes_byte_for_byte(http: Client) -> None:
    assert http("GET", "/latest/user-data").body == b"#!/bin/sh\necho \xff\x00\n"


def test_the_signed_identity_document_is_served(http: Client, service: Service) -> None:
    assert http.get("/latest/dynamic/instance-identity/") == "document\npkcs7\nrsa2048\nsignature"
    signed = service.identity.leaves(service.guests["acme", "vm-1"])
    assert signed["rsa2048"].decode() == http.get("/latest/dynamic/instance-identity/rsa2048")


def test_a_head_request_is_answered_without_a_body(http: Client) -> None:
    answer = http("HEAD", ID)

    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "19")
    assert http.get(ID) == "i-0123456789abcdef0"


def test_what_is_not_there_is_404(http: Client) -> None:
    assert http("GET", "/latest/meta-data/iam/security-credentials/").status == 404
    assert http("GET", "/nonsense").status == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("POST", ID, "GET, HEAD"), ("DELETE", "/latest/", "GET, HEAD"), ("PUT", ID, "GET, HEAD"), ("GET", TOKEN, "PUT")],
)
def test_another_method_is_405(http: Client, method: str, path: str, allowed: str) -> None:
    answer = http(method, path)

    assert (405, allowed) == (answer.status, answer.headers["Allow"])


def test_an_unknown_guest_finds_nothing(service: Service) -> None:
    with service.client("vm-9") as http:
        assert http("GET", ID).status == 404
        assert http("PUT", TOKEN, **{TTL: "60"}).status == 404


def test_a_store_that_is_away_is_worth_a_retry(service: Service) -> None:
    with service.client("broken") as http:
        assert http("GET", ID).status == 503


# tokens


def test_a_token_opens_what_requires_one(service: Service) -> None:
    service.change(http_tokens="required")
    with service.client() as http:
        answer = http("PUT", TOKEN, **{TTL: "60"})
        assert (answer.status, answer.headers["X-Aws-Ec2-Metadata-Token-Ttl-Seconds"]) == (200, "60")

        assert http("GET", ID).status == 401
        assert http.get(ID, X_aws_ec2_metadata_token=answer.body.decode()) == "i-0123456789abcdef0"


def test_an_expired_token_is_401(service: Service, http: Client) -> None:
    token = http.token(60)

    service.now += 61
    assert http("GET", ID, X_aws_ec2_metadata_token=token).status == 401


def test_a_bad_token_is_401_even_where_none_is_required(http: Client) -> None:
    assert http("GET", ID, X_aws_ec2_metadata_token="nonsense").status == 401
    assert http("GET", ID).status == 200


def test_a_token_of_another_guest_is_401(service: Service, http: Client) -> None:
    with service.client("vm-2") as two:
        assert two("GET", ID, X_aws_ec2_metadata_token=http.token()).status == 401


@pytest.mark.parametrize("seconds", ["0", "-1", "21601", "ten", "", "1.5", "9" * 400, "\xb2"])
def test_a_token_for_a_time_out_of_range_is_400(http: Client, seconds: str) -> None:
    sent = f"PUT {TOKEN} HTTP/1.1\r\nHost: x\r\nX-aws-ec2-metadata-token-ttl-seconds: {seconds}\r\n\r\n"
    assert http.raw(sent.encode("latin-1")).status == 400


def test_a_token_without_a_time_is_400(http: Client) -> None:
    assert http("PUT", TOKEN).status == 400


def test_a_token_through_a_proxy_is_403(http: Client) -> None:
    assert http("PUT", TOKEN, **{TTL: "60", "X_Forwarded_For": "10.0.0.1"}).status == 403


def test_a_disabled_endpoint_is_403(service: Service) -> None:
    service.change(http_endpoint=False)
    with service.client() as http:
        assert http("GET", ID).status == 403
        assert http("PUT", TOKEN, **{TTL: "60"}).status == 403


# many requests


def test_the_requests_of_a_boot_cost_one_lookup(service: Service) -> None:
    with service.client() as one, service.client() as two:
        for _ in range(25):
            one.get(ID)
            two.get(ID)

    assert service.lookups == [("acme", "vm-1")]


def test_a_change_is_seen_soon(service: Service, http: Client) -> None:
    http.get(ID)
    service.change(instance_type="m1.small")

    deadline = time.monotonic() + 3 * server.CACHE_SECONDS
    while http.get("/latest/meta-data/instance-type") != "m1.small":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_requests_may_be_sent_in_one_go(http: Client) -> None:
    http.sock.sendall(b"GET /latest/ HTTP/1.1\r\nHost: x\r\n\r\n" * 3)

    received = b""
    while received.count(b"user-data") < 3:
        received += http.sock.recv(65536)
    assert received.count(b"HTTP/1.1 200 OK\r\n") == 3


def test_one_guest_has_so_many_connections_and_the_others_theirs(service: Service) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(service.client()) for _ in range(server.CONNECTIONS)]
        for http in held:
            http.get(ID)

        assert stack.enter_context(service.client())("GET", ID).status == 429
        assert stack.enter_context(service.client("vm-2")).get(ID) == "i-0fedcba9876543210"
        assert held[0].get(ID) == "i-0123456789abcdef0"


# HTTP


def test_http_1_0_is_answered_and_the_connection_closed(http: Client) -> None:
    answer = http.raw(b"GET /latest/meta-data/instance-id HTTP/1.0\r\n\r\n")

    assert answer.body == b"i-0123456789abcdef0"
    assert http.closed()


def test_a_client_may_ask_to_close(http: Client) -> None:
    assert http("GET", ID, Connection="close").headers["Connection"] == "close"
    assert http.closed()


def test_a_body_is_read_and_forgotten(http: Client) -> None:
    sent = f"PUT {TOKEN} HTTP/1.1\r\nHost: x\r\nX-aws-ec2-metadata-token-ttl-seconds: 1\r\nContent-Length: 3\r\n\r\nabc"

    assert http.raw(sent.encode()).status == 200
    assert http.get(ID) == "i-0123456789abcdef0"


@pytest.mark.parametrize("target", ["http://169.254.169.254" + ID, "HTTP://host" + ID + "?a=b", ID + "?"])
def test_a_target_may_be_absolute_or_carry_a_query(http: Client, target: str) -> None:
    assert http.get(target) == "i-0123456789abcdef0"


@pytest.mark.parametrize(
    ("status", "head"),
    [
        (400, b"GET /latest/"),
        (400, b"GET /latest/ HTTP/2.0\r\nHost: x"),
        (400, b"GET  /latest/ HTTP/1.1\r\nHost: x"),
        (400, b"get /latest/ HTTP/1.1\r\nHost: x"),
        (400, b"GET latest HTTP/1.1\r\nHost: x"),
        (400, b"GET /lat\xffest HTTP/1.1\r\nHost: x"),
        (400, b"GET /latest/ HTTP/1.1"),
        (400, b"GET /latest/ HTTP/1.1\r\nHost: x\r\nno colon"),
        (400, b"GET /latest/ HTTP/1.1\r\nHost: x\r\n folded: y"),
        (400, b"GET /latest/ HTTP/1.1\r\nHost : x"),
        (400, b"GET /latest/ HTTP/1.1\r\nHost: x\r\nA: b\nC: d"),
        (400, b"GET /latest/ HTTP/1.1\r\nHost: x\r\nA: \0"),
        (400, b"GET /latest/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1"),
        (400, b"GET /latest/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1"),
        (400, b"GET /latest/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked"),
        (400, b"GET /latest/ HTTP/1.1\r\nHost: x\r\nA: " + b" " * 16_000 + b"\0"),
        (413, b"GET /latest/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100000"),
        (431, b"GET /latest/ HTTP/1.1\r\nHost: x" + b"\r\nA: b" * 100),
        (431, b"GET /latest/ HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 40_000),
        (400, b"\x16\x03\x01\x02\x00\x01"),
    ],
)
def test_what_is_not_a_request_is_refused_and_the_connection_closed(http: Client, status: int, head: bytes) -> None:
    assert status == http.raw(head + b"\r\n\r\n").status
    assert http.closed()


def test_a_slow_request_is_given_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "REQUEST_SECONDS", 0.2)
    with service.client() as http:
        http.sock.sendall(b"GET /latest/ HTTP/1.1\r\n")
        assert http.closed()


@pytest.mark.parametrize(
    "line",
    ["ISTHMUS/2 acme vm-1\n", "ISTHMUS/1 acme\n", "ISTHMUS/1 acme vm-1 more\n", "GET / HTTP/1.1\r\n\r\n", "x" * 40_000],
)
def test_a_connection_that_names_nobody_is_closed(service: Service, line: str) -> None:
    with Client(service.socket, line) as http:
        assert http.closed()
    assert service.lookups == []


def test_nobody_named_in_time_is_nobody(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "REQUEST_SECONDS", 0.2)
    with Client(service.socket, "ISTHMUS/1 ac") as http:
        assert http.closed()


# the socket


def test_the_socket_is_its_owners_alone(service: Service) -> None:
    mode = service.socket.stat().st_mode

    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_the_socket_goes_when_the_service_stops(service: Service) -> None:
    with service.client() as http:
        http.get(ID)
        service.running.stop()
        assert http.closed()

    service.running.stop()
    assert list(service.socket.parent.iterdir()) == []


def test_a_killed_services_socket_is_replaced(near: Path, state: Path) -> None:
    path = near / "imds.sock"
    command = [sys.executable, "-c", SERVE, str(state), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as killed:
        assert killed.stdout
        assert killed.stdout.readline() == b"listening\n"
        killed.send_signal(signal.SIGKILL)
    assert path.exists()

    service = Service(path, state)
    with service.client() as http:
        assert http.get(ID) == "i-0123456789abcdef0"
    service.running.stop()
    assert list(near.iterdir()) == []


def test_a_successors_socket_is_left_alone(near: Path, state: Path) -> None:
    first, second = Service(near / "imds.sock", state), Service(near / "imds.sock", state)
    first.running.stop()

    with second.client() as http:
        assert http.get(ID) == "i-0123456789abcdef0"
    second.running.stop()


def test_a_place_where_no_socket_can_be_is_an_error_at_once(near: Path, state: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Service(near / "missing" / "imds.sock", state)
    with pytest.raises(OSError, match="107 bytes"):
        Service(near / ("x" * 100), state)
    assert "metadata" not in {thread.name for thread in threading.enumerate()}


def test_a_relay_passes_on_what_a_guest_says(service: Service) -> None:
    with Bridge(service.socket, "ISTHMUS/1 acme vm-1\n") as bridge:
        host, port = bridge.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as guest:
            guest.sendall(b"GET /latest/meta-data/instance-id HTTP/1.0\r\n\r\n")
            assert guest.makefile("rb").read().endswith(b"\r\n\r\ni-0123456789abcdef0")
