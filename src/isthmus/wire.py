"""uvicorn's HTTP protocol with bounds: how large a request's head may be, and how long it may take to come."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from isthmus.refusal import Refusal

_MALFORMED = (400, "MalformedHttpRequest", "The request is not HTTP/1.1.")
_LARGE = (431, "RequestHeaderFieldsTooLarge", "The headers of the request are too large, or too many.")
_LATE = (408, "RequestTimeout", "The request did not arrive in time.")


class Wire(HttpToolsProtocol):
    """One connection. `head_bytes`, `headers` and `head_seconds` bound each request's head."""

    head_bytes = 64 * 1024
    headers_most = 100
    head_seconds = 30.0

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._head = 0
        self._in_head = True
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.head_seconds, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._in_head:
            self._head += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self._refuse(_LARGE if self._too_large() else _MALFORMED)
            return
        except httptools.HttpParserUpgrade:
            self.cycle.keep_alive = False  # the parser takes what follows for another protocol
        if not self._in_head or not self._head:
            self._stop_timer()
        elif self._head > self.head_bytes:
            self._refuse(_LARGE)
        elif self._timer is None:
            self._timer = self.loop.call_later(self.head_seconds, self._late)

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > self.headers_most:
            raise ValueError("too many headers")

    def on_headers_complete(self) -> None:
        if self._head > self.head_bytes and self._head_size() > self.head_bytes:
            raise ValueError("head too large")
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head = True
        self._head = 0

    def _head_size(self) -> int:
        """The head's own size: what came with it may have held some of the body."""
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _too_large(self) -> bool:
        return len(self.headers or ()) > self.headers_most or self._head_size() > self.head_bytes

    def _late(self) -> None:
        self._timer = None
        if self._head and not self.transport.is_closing():
            self._refuse(_LATE)
        else:
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, why: tuple[int, str, str]) -> None:
        """Answer what cannot be read, and close; an answer that is still due comes first, and alone."""
        self._stop_timer()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            self.transport.pause_reading()
            return
        refusal = Refusal(*why)
        lines = [STATUS_LINE[refusal.status]]
        headers = [*self.server_state.default_headers, *refusal.headers(), (b"connection", b"close")]
        lines += [name + b": " + value + b"\r\n" for name, value in headers]
        self.transport.write(b"".join([*lines, b"\r\n", refusal.body]))
        self.transport.close()


def bounded(bounds: Mapping[str, float]) -> type[Wire]:
    """The protocol with these bounds."""
    return type("BoundedWire", (Wire,), dict(bounds))
