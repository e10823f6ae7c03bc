"""What comes over a connection, good and bad."""

from __future__ import annotations

import json
import time
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from service import Service, parse

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"


def test_a_signed_request_is_answered(service: Service) -> None:
    answer = service.client().describe_regions()

    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert [region["RegionName"] for region in answer["Regions"]] == ["us-east-1"]
    assert headers["content-type"] == "text/xml;charset=UTF-8"
    assert headers["server"] == "Isthmus"
    assert headers["x-amzn-requestid"] == answer["ResponseMetadata"]["RequestId"]
    assert abs(parsedate_to_datetime(headers["date"]).timestamp() - time.time()) < 5


def test_a_wrong_secret_is_refused(service: Service) -> None:
    with pytest.raises(ClientError) as caught:
        _stranger(service).describe_regions()

    assert caught.value.response["Error"]["Code"] == "AuthFailure"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 401


def _stranger(service: Service) -> Any:
    client = service.client()
    client._request_signer._credentials.secret_key = "wrong"
    return client


def test_a_head_request_has_no_body(service: Service) -> None:
    raw = service.raw(b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 4")
    assert b"content-length: " in head
    assert body == b""


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PROPFIND"])
def test_other_methods_are_refused(service: Service, method: str) -> None:
    target = "x:80" if method == "CONNECT" else "/"
    answer = parse(service.raw(f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()))

    assert (answer.status, answer.code) in {(405, "MethodNotAllowed"), (400, "MalformedHttpRequest")}


def test_a_body_that_is_announced_as_too_large_is_refused(service: Service) -> None:
    answer = service.get("/", "POST", b"A" * 70_000)

    assert (answer.status, answer.code) == (413, "RequestEntityTooLarge")
    assert answer.headers["connection"] == "close"


def test_a_body_that_grows_too_large_is_refused(service: Service) -> None:
    answer = service.get("/", "POST", iter([b"A" * 30_000] * 4), {"Transfer-Encoding": "chunked"})

    assert (answer.status, answer.code) == (413, "RequestEntityTooLarge")


def test_a_body_at_the_limit_is_read(service: Service) -> None:
    answer = service.get("/", "POST", b"A" * 65_536)

    assert answer.status in (400, 403)
    assert answer.code != "RequestEntityTooLarge"


def test_a_chunked_body_is_read(service: Service) -> None:
    answer = service.get("/", "POST", iter([b"Action=Describe", b"Regions"]), {"Transfer-Encoding": "chunked"})

    assert answer.code == "MissingAuthenticationToken" or answer.status in (400, 401, 403)


def test_a_sender_who_waits_to_be_asked_is_told_at_once(service: Service) -> None:
    began = time.monotonic()
    answer = parse(service.raw(HEAD + b"Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n"))

    assert answer.code == "RequestEntityTooLarge"
    assert time.monotonic() - began < 2


def test_a_body_that_does_not_come_is_not_waited_for(service: Service) -> None:
    answer = parse(service.raw(HEAD + b"Content-Length: 100\r\n\r\nAction="))

    assert (answer.status, answer.code) == (408, "RequestTimeout")


def test_a_head_that_does_not_come_is_not_waited_for(service: Service) -> None:
    answer = parse(service.raw(b"POST / HTTP/1.1\r\nHost:"))

    assert (answer.status, answer.code) == (408, "RequestTimeout")


def test_a_head_that_drips_is_not_waited_for(service: Service) -> None:
    began = time.monotonic()
    answer = parse(service.raw(HEAD, *[b"X-A: 1\r\n"] * 12, pause=0.25))

    assert (answer.status, answer.code) == (408, "RequestTimeout")
    assert time.monotonic() - began < 6


def test_a_connection_without_a_request_is_closed(service: Service) -> None:
    assert service.raw() == b""


def test_what_is_no_http_is_refused(service: Service) -> None:
    for garbage in (b"\x16\x03\x01\x02\x00\x01\x00", b"GARBAGE\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\0" * 100):
        answer = parse(service.raw(garbage))

        assert (answer.status, answer.code) == (400, "MalformedHttpRequest")


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: -5\r\n",
        b"Content-Length: x\r\n",
        b"Content-Length: 3\r\nContent-Length: 4\r\n",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: nonsense\r\n",
        b"Content-Length: 99999999999999999999999999\r\n",
        b"No colon\r\n",
    ],
)
def test_a_head_that_contradicts_itself_is_refused(service: Service, lines: bytes) -> None:
    answer = parse(service.raw(HEAD + lines + b"\r\nabc"))

    assert 400 <= answer.status < 500
    assert answer.code


def test_a_head_with_too_many_lines_is_refused(service: Service) -> None:
    answer = parse(service.raw(HEAD + b"A: b\r\n" * 60 + b"\r\n"))

    assert (answer.status, answer.code) == (431, "RequestHeaderFieldsTooLarge")


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
def test_a_head_that_is_too_large_is_refused(service: Service, end: bytes) -> None:
    answer = parse(service.raw(HEAD + b"A: " + b"b" * 20_000 + end))

    assert (answer.status, answer.code) == (431, "RequestHeaderFieldsTooLarge")


def test_a_url_that_is_too_large_is_refused(service: Service) -> None:
    answer = parse(service.raw(b"GET /?" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"))

    assert answer.status == 431


def test_a_large_body_does_not_count_as_head(service: Service) -> None:
    answer = parse(service.raw(HEAD + b"Content-Length: 20000\r\nConnection: close\r\n\r\n" + b"a" * 20_000))

    assert answer.status in (400, 403)


def test_requests_on_one_connection_are_answered_in_order(service: Service) -> None:
    one = b"POST /one HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nA=1"
    last = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    raw = service.raw(one + one + last)

    assert raw.count(b"HTTP/1.1 ") == 3
    assert raw.rindex(b"HTTP/1.1 200") > raw.rindex(b"HTTP/1.1 4")


def test_what_follows_a_request_does_not_answer_for_it(service: Service) -> None:
    raw = service.raw(HEAD + b"Content-Length: 3\r\n\r\nA=1" + b"\x00garbage\r\n\r\n")

    assert parse(raw).code != "MalformedHttpRequest"
    assert raw.count(b"HTTP/1.1 ") == 1


def test_an_upgrade_is_not_made(service: Service) -> None:
    raw = service.raw(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")

    assert parse(raw).status == 200


def test_health_tells_of_the_service_and_nobody_else(service: Service) -> None:
    account = service.client("sts").get_caller_identity()["Account"]
    found = json.loads(service.get("/health").body)

    assert found["status"] == "ok"
    assert found["clouds"]["memory"]["zones"] == ["us-east-1a"]
    assert found["store"] == {"kind": "sqlite", "ok": True}
    assert account not in json.dumps(found)


def test_metrics_count_requests(service: Service) -> None:
    def count() -> float:
        name = 'isthmus_requests_total{action="DescribeKeyPairs",code="200",service="ec2"} '
        lines = service.get("/metrics").body.splitlines()
        return next((float(line.removeprefix(name)) for line in lines if line.startswith(name)), 0.0)

    before = count()
    service.client().describe_key_pairs()

    assert count() == before + 1


def test_the_log_has_a_line_for_each_request_and_no_secret(service: Service) -> None:
    client = service.client()
    answer = client.describe_images(Filters=[{"Name": "name", "Values": ["very-private"]}])
    secret = client._request_signer._credentials.secret_key

    line = service.line(answer["ResponseMetadata"]["RequestId"])
    assert line["action"] == "DescribeImages"
    assert line["status"] == 200
    assert line["account"] == service.client("sts").get_caller_identity()["Account"]
    assert line["ms"] > 0
    text = "".join(service.log)
    assert "very-private" not in text
    assert secret not in text
    assert "Signature" not in text


def test_what_is_refused_before_it_is_read_is_logged(service: Service) -> None:
    answer = parse(service.raw(b"GARBAGE\r\n\r\n"))

    line = service.line(answer.headers["x-amzn-requestid"])
    assert (line["status"], line["code"]) == (400, "MalformedHttpRequest")


def test_a_malformed_chunk_is_refused(service: Service) -> None:
    answer = parse(service.raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"3\r\nA=1\r\nzz\r\n", pause=0.1))

    assert (answer.status, answer.code) == (400, "MalformedHttpRequest")
