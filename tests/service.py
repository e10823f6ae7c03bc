"""`isthmus serve` as a process of its own, on a free port."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config

ISTHMUS = (sys.executable, "-m", "isthmus")
_ADDRESS = re.compile(r"listens on http://(\S+):(\d+)")


def environment(**more: str) -> dict[str, str]:
    """This process's environment without settings of AWS or Isthmus."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ISTHMUS_"))}
    return {**kept, "AWS_EC2_METADATA_DISABLED": "true", **more}


def isthmus(*words: str, state: Path | None = None, text: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    given = environment(**({"ISTHMUS_STATE": str(state)} if state else {}), **more)
    return subprocess.run([*ISTHMUS, *words], input=text, env=given, capture_output=True, text=True, timeout=60)


class Service:
    """A running service. `log` holds the lines on standard error so far, `said` those on standard output."""

    def __init__(self, state: Path, *words: str, **more: str) -> None:
        self.state = state
        self.log: list[str] = []
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [*ISTHMUS, "serve", "--listen", "127.0.0.1:0", "--state", str(state), *words],
            env=environment(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for pipe, lines in ((self.process.stdout, self.said), (self.process.stderr, self.log)):
            threading.Thread(target=lambda pipe=pipe, lines=lines: lines.extend(pipe), daemon=True).start()
        wait(lambda: self._address() or self.process.poll() is not None, "the service to listen")
        self.port = int((self._address() or ("", "0"))[1])

    def _address(self) -> tuple[str, str] | None:
        found = _ADDRESS.search("".join(self.said))
        return (found[1], found[2]) if found else None

    def client(self, service: str = "ec2", **more: Any) -> Any:
        """A botocore client with the profile that the service wrote."""
        profile = (self.state / "aws" / "credentials").read_text()
        found = dict(line.split(" = ") for line in profile.splitlines() if " = " in line)
        return boto3.Session().client(
            service,
            region_name="us-east-1",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            config=Config(retries={"total_max_attempts": 1}, **more),
            **found,
        )

    def get(self, path: str, method: str = "GET", body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, dict(headers or {}), encode_chunked=isinstance(body, Iterator))
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read().decode())
        finally:
            connection.close()

    def raw(self, *parts: bytes, pause: float = 0.0) -> bytes:
        """All that comes back for these bytes until the other side closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            try:
                for part in parts:
                    connection.sendall(part)
                    time.sleep(pause)
            except OSError:
                pass
            return _all(connection)

    def lines(self) -> list[dict[str, Any]]:
        """The log."""
        return [json.loads(line) for line in list(self.log)]

    def line(self, request_id: str) -> dict[str, Any]:
        """What the log says of a request, once it does."""
        wait(lambda: any(line.get("id") == request_id for line in self.lines()), "the log line of a request")
        [line] = [line for line in self.lines() if line.get("id") == request_id]
        return line

    def stop(self, how: int = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(30)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Stop it, if it runs, by its own process id."""
        if self.process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()


class Answer:
    def __init__(self, status: int, headers: Mapping[str, str], body: str) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body

    @property
    def code(self) -> str:
        """The code of an error in EC2's shape, with a request id."""
        found = re.fullmatch(
            r"<\?xml[^>]*\?>\s*<Response><Errors><Error><Code>(\w+(?:\.\w+)?)</Code><Message>[^<]+</Message></Error>"
            r"</Errors><RequestID>([0-9a-f-]{36})</RequestID></Response>\s*",
            self.body,
        )
        assert found, self.body
        assert self.headers["x-amzn-requestid"] == found[2]
        return found[1]


def parse(raw: bytes) -> Answer:
    """The first answer in what came over a connection."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    length = int({name.lower(): value for name, value in headers.items()}.get("content-length", len(body)))
    return Answer(int(first.split()[1]), headers, body[:length].decode())


S = TypeVar("S", bound=Service)


@contextmanager
def ending(service: S) -> Iterator[S]:
    """End a service afterwards."""
    try:
        yield service
    finally:
        service.end()


def serving(state: Path, *words: str, **more: str) -> AbstractContextManager[Service]:
    return ending(Service(state, *words, **more))


def wait(met: Callable[[], Any], what: str, seconds: float = 30.0) -> None:
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < until, f"waited {seconds} s for {what}"
        time.sleep(0.02)


def _all(connection: socket.socket) -> bytes:
    got = b""
    try:
        while part := connection.recv(65536):
            got += part
    except OSError:
        return got
    return got


def refusal(done: Any) -> str:
    """What a command said that failed: one line."""
    assert 1 == done.returncode, done
    assert done.stderr.startswith("isthmus: ")
    assert 1 == done.stderr.count("\n")
    return str(done.stderr)
