"""uvicorn's HTTP protocol with bounds: how large a request's head may be, and how long a request may take to come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from isthmus.serving.refusal import Refusal

_MALFORMED = (400, "MalformedHttpRequest", "The request is not HTTP/1.1.")
_LARGE = (431, "RequestHeaderFieldsTooLarge", "The headers of the request are too large, or too many.")
_LATE = (408, "RequestTimeout", "The request did not arrive in time.")


@dataclass(frozen=True, slots=True)
class Bounds:
    """`seconds`: for a whole request, from its first byte. `refused` is told of every refusal."""

    head_bytes: int
    headers: int
    seconds: float
    refused: Callable[[Refusal], None]


class Wire(HttpToolsProtocol):
    """One connection."""

    bounds: Bounds

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._head = 0
        self._in_head = True
        self._complete = True
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.bounds.seconds, self._late)

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
        if self._complete:
            if self._timer is not None:
                self._stop_timer()
        elif self._in_head and self._head > self.bounds.head_bytes:
            self._refuse(_LARGE)
        elif self._timer is None:
            self._timer = self.loop.call_later(self.bounds.seconds, self._late)

    def on_message_begin(self) -> None:
        self._complete = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self._too_large():
            raise ValueError("head too large")
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head = self._complete = True
        self._head = 0

    def _too_large(self) -> bool:
        """Whether the head is, of which at most `_head` bytes have come: some of the body may be among them."""
        if self.headers is None:
            return self._head > self.bounds.head_bytes
        if len(self.headers) > self.bounds.headers:
            return True
        if self._head <= self.bounds.head_bytes:
            return False
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > self.bounds.head_bytes

    def _late(self) -> None:
        self._timer = None
        if self._complete:
            self.transport.close()
        else:
            self._refuse(_LATE)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, why: tuple[int, str, str]) -> None:
        """Answer what cannot be read, and close. An answer to an earlier request comes first, and then none."""
        self._stop_timer()
        if self.cycle is None or self.cycle.response_complete:
            self._answer(why)
        elif self.pipeline:
            self.transport.close()
        elif self.cycle.more_body and not self.cycle.response_started:
            self.cycle.disconnected = True  # whoever waits for the body is told that there is none
            self.cycle.message_event.set()
            self._answer(why)
        else:
            self.cycle.keep_alive = False
            self.transport.pause_reading()

    def _answer(self, why: tuple[int, str, str]) -> None:
        refusal = Refusal(*why)
        self.bounds.refused(refusal)
        lines = [STATUS_LINE[refusal.status]]
        headers = [*self.server_state.default_headers, *refusal.headers(), (b"connection", b"close")]
        lines += [name + b": " + value + b"\r\n" for name, value in headers]
        self.transport.write(b"".join([*lines, b"\r\n", refusal.body]))
        self.transport.close()


def bounded(bounds: Bounds) -> type[Wire]:
    """The protocol with these bounds."""
    return type("BoundedWire", (Wire,), {"bounds": bounds})
