"""A client that does as little as can be: sends prepared bytes, waits for the end of the answer."""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Self
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LARGEST = 16 << 20
"""The largest answer in bytes."""
_PATIENCE = 120.0
"""Seconds to wait for any part of an answer."""


class AnswerError(Exception):
    """An answer that was not the expected one."""


class Line:
    """One connection; opened again where the server closes it after each answer."""

    def __init__(self, endpoint: str, patience: float = _PATIENCE) -> None:
        self._endpoint = endpoint
        self._patience = patience
        self._socket: socket.socket | None = None
        self._buffer = bytearray(_LARGEST)
        self._view = memoryview(self._buffer)
        self._got = 0
        self._head = 0
        self._whole = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    def close(self) -> None:
        if self._socket:
            self._socket.close()
            self._socket = None

    def fileno(self) -> int:
        return self._opened().fileno()

    def ask(self, request: bytes) -> bytes:
        """The body of the answer. Raises AnswerError if its status is not 200."""
        self.exchange(request)
        return bytes(self._view[self._head : self._whole])

    def exchange(self, request: bytes) -> None:
        """Wait for an answer and leave it unread."""
        self.send(request)
        while not self.receive():
            pass

    def send(self, request: bytes) -> None:
        self._got = self._whole = 0
        self._opened().sendall(request)

    def receive(self) -> bool:
        """Take what has come; whether the answer is complete."""
        more = self._opened().recv_into(self._view[self._got :])
        self._got += more
        if not self._whole:
            self._read_head()
        if not more and not 0 < self._whole <= self._got:
            raise AnswerError(f"the connection ended after {self._got} bytes")
        complete = 0 < self._whole <= self._got
        if complete and b"onnection: close" in self._view[: self._head].tobytes():
            self.close()
        return complete

    def _read_head(self) -> None:
        self._head = self._buffer.find(b"\r\n\r\n", 0, self._got) + 4
        if self._head < 4:
            return
        length = _LENGTH.search(self._buffer, 0, self._head)
        if not self._buffer.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")) or not length:
            raise AnswerError(self._view[: min(self._got, 2000)].tobytes().decode("utf-8", "replace"))
        self._whole = self._head + int(length[1])

    def _opened(self) -> socket.socket:
        if self._socket is None:
            at = urlsplit(self._endpoint)
            self._socket = socket.create_connection((at.hostname, at.port), self._patience)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket


def seconds_each(endpoint: str, requests: Sequence[bytes]) -> list[float]:
    """How long each of these requests takes, one after the other on one connection."""
    taken = []
    with Line(endpoint) as line:
        line.fileno()
        for request in requests:
            begun = time.perf_counter()
            line.exchange(request)
            taken.append(time.perf_counter() - begun)
    return taken


def per_second(endpoint: str, requests: Sequence[bytes], connections: int, seconds: float) -> float:
    """How many answers come in a second, with so many connections that each wait for one answer at a time."""
    lines = [Line(endpoint) for _ in range(connections)]
    following: Iterator[bytes] = cycle(requests)
    poll = select.epoll()
    try:
        begun = time.perf_counter()
        for line in lines:
            _next(poll, line, following)
        answers, until = 0, begun + seconds
        by_number = {line.fileno(): line for line in lines}
        while time.perf_counter() < until or not answers:
            for number, _ in poll.poll(1.0):
                line = by_number[number]
                if line.receive():
                    answers += 1
                    del by_number[number]
                    _next(poll, line, following)
                    by_number[line.fileno()] = line
        return answers / (time.perf_counter() - begun)
    finally:
        poll.close()
        for line in lines:
            line.close()


def _next(poll: select.epoll, line: Line, following: Iterator[bytes]) -> None:
    """Ask on; a new connection is watched, a kept one is already."""
    fresh = not line.is_open
    line.send(next(following))
    if fresh:
        poll.register(line.fileno(), select.EPOLLIN)
