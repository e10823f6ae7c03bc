"""What stands between a guest and the service in these tests: a plain client, and a TCP bridge as a relay."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str]


class Client:
    """One connection to the service's socket, with `preamble` already said; speaks HTTP or raw bytes."""

    def __init__(self, path: Path, preamble: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(path))
        self.sock.sendall(preamble.encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.sock.close()

    def __call__(self, method: str, path: str, **headers: str) -> Answer:
        """A request; header names are written with underscores."""
        lines = [f"{method} {path} HTTP/1.1", "Host: 169.254.169.254"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return self.raw("\r\n".join([*lines, "", ""]).encode(), method)

    def raw(self, sent: bytes, method: str = "GET") -> Answer:
        self.sock.sendall(sent)
        response = http.client.HTTPResponse(self.sock, method=method)
        response.begin()
        return Answer(response.status, response.read(), dict(response.getheaders()))

    def get(self, path: str, **headers: str) -> str:
        answer = self("GET", path, **headers)
        assert answer.status == 200, (path, answer)
        return answer.body.decode()

    def token(self, seconds: int = 60) -> str:
        answer = self("PUT", "/latest/api/token", X_aws_ec2_metadata_token_ttl_seconds=str(seconds))
        assert answer.status == 200, answer
        return answer.body.decode()

    def closed(self) -> bool:
        try:
            return self.sock.recv(1) == b""
        except ConnectionError:
            return True


class Bridge:
    """Listens on a loopback address and passes each connection on to the service, as a cloud's relay does."""

    def __init__(self, path: Path, preamble: str) -> None:
        self._path, self._preamble = path, preamble
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = Client(self._path, self._preamble).sock
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
