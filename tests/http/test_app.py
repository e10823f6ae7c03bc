"""The ASGI application beside its front, its log and its metrics."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from isthmus import config
from isthmus.aws.front import Response
from isthmus.aws.request import Request
from isthmus.serving import observe
from isthmus.serving.http import App
from isthmus.serving.observe import Metrics
from isthmus.serving.threads import Threads

SCOPE = {"type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b"", "headers": []}


class Written:
    """What was written to the log."""

    def __init__(self) -> None:
        self.lines: list[str] = []


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    found = Written()
    monkeypatch.setattr(observe, "write", found.lines.append)
    handler = observe.Direct()
    handler.setFormatter(observe.Lines())
    logging.getLogger("isthmus.serving.http").addHandler(handler)
    yield found
    logging.getLogger("isthmus.serving.http").removeHandler(handler)


def ask(app: App, *bodies: bytes, **scope: Any) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of the answer to a request that comes in these pieces."""
    pieces = [
        {"type": "http.request", "body": body, "more_body": number < len(bodies)}
        for number, body in enumerate(bodies, 1)
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return pieces.pop(0) if pieces else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app({**SCOPE, **scope}, receive, send))
    if not sent:
        return 0, {}, ""
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, sent[1]["body"].decode()


def app_of(handle: Any, **flags: object) -> App:
    settings = config.load(flags={"cloud": "memory", **flags}, environ={})
    gateway: Any = SimpleNamespace(front=SimpleNamespace(handle=handle))
    return App(gateway, settings, Metrics())


def echo(request: Request) -> Response:
    return Response(200, request.body, "11111111-2222-4333-a444-555555555555", action="Echo")


def test_a_defect_is_an_internal_error_that_tells_nothing(written: Written) -> None:
    def broken(request: Request) -> Response:
        raise ValueError("the parameter was " + request.body.decode())

    status, headers, body = ask(app_of(broken), b"top-secret")

    assert status == 500
    assert "<Code>InternalError</Code>" in body
    assert f"<RequestID>{headers['x-amzn-requestid']}</RequestID>" in body
    logged = "".join(written.lines)
    assert headers["x-amzn-requestid"] in logged
    assert "ValueError" in logged
    assert "test_app.py" in logged
    assert "top-secret" not in body + logged


def test_a_body_in_pieces_is_put_together() -> None:
    assert ask(app_of(echo), b"one", b"two", b"", b"three")[2] == "onetwothree"


def test_who_leaves_gets_no_answer(written: Written) -> None:
    asked: list[Request] = []
    app = app_of(lambda request: asked.append(request))

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError(message)

    asyncio.run(app(SCOPE, receive, send))

    assert not asked
    assert not written.lines


def test_too_many_requests_at_a_time_are_put_off() -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(request: Request) -> Response:
        entered.set()
        leave.wait(10)
        return echo(request)

    app = app_of(slow, **{"http.in_flight": 1})
    answers: list[tuple[int, dict[str, str], str]] = []
    thread = threading.Thread(target=lambda: answers.append(ask(app, b"first")))
    thread.start()
    assert entered.wait(10)

    status, _, body = ask(app, b"second")
    leave.set()
    thread.join()

    assert (status, "<Code>RequestLimitExceeded</Code>" in body) == (503, True)
    assert answers[0][0] == 200


def test_a_repeated_header_is_joined() -> None:
    seen: list[Request] = []

    def keep(request: Request) -> Response:
        seen.append(request)
        return echo(request)

    ask(app_of(keep), b"", headers=[(b"a", b"1"), (b"b", b"\xff"), (b"a", b"2")])

    assert dict(seen[0].headers) == {"a": "1,2", "b": "\xff"}


def test_a_line_of_the_log_is_one_json_object_whatever_is_in_it() -> None:
    line = observe.request_line("i\n", "a\"'", "A" * 5000 + "\u2028", 200, "\0", 0.00123, 1, 2)
    found = json.loads(line)

    assert "\n" not in line
    assert (found["ms"], found["in"], found["out"]) == (1.23, 1, 2)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["time"])
    assert len(line) < 1000


def test_a_line_of_the_log_is_cheap() -> None:
    began = time.process_time()
    for _ in range(2000):
        observe.request_line("11111111-2222-4333-a444-555555555555", "123456789012", "Echo", 200, "", 0.1, 1, 2)

    assert (time.process_time() - began) / 2000 < 30e-6


def test_metrics_do_not_grow_without_end() -> None:
    metrics = Metrics()
    for number in range(10_000):
        metrics.count("ec2", f"Action{number}", "200", 0.001)

    assert len(metrics.text()) < 2_000_000
    assert b'action="other"' in metrics.text()


def test_threads_help_out_when_one_waits() -> None:
    release = threading.Event()
    done = threading.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        threads = Threads(4, "test")
        threads.do(lambda: release.wait(10), loop)
        threads.do(done.set, loop)
        assert await asyncio.to_thread(done.wait, 5)
        release.set()
        threads.close()

    asyncio.run(main())


def test_threads_are_no_more_than_allowed() -> None:
    most, now = 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1

    async def main() -> None:
        loop = asyncio.get_running_loop()
        threads = Threads(3, "test")
        for _ in range(30):
            threads.do(work, loop)
        while now or not threads._queue.empty():
            await asyncio.sleep(0.01)
        threads.close()

    asyncio.run(main())

    assert 1 < most <= 3


def test_metrics_of_services_that_are_gone_are_removed(tmp_path: Path) -> None:
    (tmp_path / "metrics-999999999").mkdir()
    (tmp_path / "metrics-999999999" / "counter_1.db").touch()
    (tmp_path / "metrics-1").mkdir()

    made = observe.metrics_directory(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["metrics-1", made.name])
