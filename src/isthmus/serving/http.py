"""ASGI: read the request, hand it to the front in a thread, write the answer."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial
from typing import Any

from isthmus.aws.front import Response
from isthmus.aws.request import Request
from isthmus.config import Settings
from isthmus.gateway import Gateway
from isthmus.serving import observe
from isthmus.serving.health import health
from isthmus.serving.observe import Metrics
from isthmus.serving.refusal import Refusal
from isthmus.serving.threads import Threads

Message = MutableMapping[str, Any]
Scope = Mapping[str, Any]
Headers = list[tuple[bytes, bytes]]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Page = Callable[[], tuple[int, str, bytes]]

log = logging.getLogger("isthmus.serving.http")

_METHODS = frozenset({"GET", "POST", "HEAD"})
_DRAIN_SECONDS = 5.0
"""How long what is too large may go on coming, so that its sender gets to read the refusal."""
_HEALTH_SECONDS = 1.0
"""How old an answer of /health may be."""


class Gone(Exception):
    """The client left before its request was complete."""


class App:
    """The service as an ASGI application. Requests are worked on in threads of its own."""

    def __init__(self, gateway: Gateway, settings: Settings, metrics: Metrics) -> None:
        self._gateway = gateway
        self._settings = settings
        self._metrics = metrics
        self._in_flight = 0
        self._log_requests = settings.log.requests and settings.log.level in ("debug", "info")
        self._threads = Threads(settings.http.threads, "request")
        self._pages: Mapping[str, Page] = {"/health": self._health_page, "/metrics": self._metrics_page}
        self._health: tuple[float, tuple[int, str, bytes]] = (float("-inf"), (503, "", b""))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] in self._pages and scope["method"] in ("GET", "HEAD"):
            await self._show(self._pages[scope["path"]], send)
            return
        started = time.perf_counter()
        try:
            request = _request(scope, await self._read(scope, receive))
            response = await self._work(request, started)
        except Gone:
            return
        except Refusal as refusal:
            self.refused(refusal, started)
            await _send(send, refusal.status, [*refusal.headers(), (b"connection", b"close")], refusal.body)
            return
        await _send(send, response.status, _headers(response), response.body)

    def close(self) -> None:
        """Take no more work; what is under way ends by itself."""
        self._threads.close()

    def refused(self, refusal: Refusal, started: float | None = None) -> None:
        """Count and log what was refused before it got to the front."""
        since = time.perf_counter() if started is None else started
        self._note(refusal.request_id, "", "", "", refusal.status, refusal.code, since, 0, len(refusal.body))

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body. Raises Refusal where it is too large, or where nothing could be made of it."""
        if scope["method"] not in _METHODS:
            raise Refusal(405, "MethodNotAllowed", "Only GET, POST and HEAD requests are answered.")
        if self._in_flight >= self._settings.http.in_flight:
            raise Refusal(503, "RequestLimitExceeded", "Too many requests are being worked on; try again soon.")
        most = self._settings.limits.max_body
        if _announced(scope) > most:
            await _drain(scope, receive)
            raise self._too_large()
        message = await _receive(receive)
        body: bytes | bytearray = message["body"]
        if message["more_body"]:
            body = bytearray(body)
        while message["more_body"] and len(body) <= most:
            message = await _receive(receive)
            body += message["body"]
        if len(body) > most:
            if message["more_body"]:
                await _drain(scope, receive)
            raise self._too_large()
        return bytes(body)

    def _too_large(self) -> Refusal:
        most = self._settings.limits.max_body
        return Refusal(413, "RequestEntityTooLarge", f"The body of a request has at most {most} bytes.")

    async def _work(self, request: Request, started: float) -> Response:
        """The front's answer, made in a thread."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Response] = loop.create_future()
        self._in_flight += 1
        self._metrics.in_flight.inc()
        try:
            self._threads.do(partial(self._answer, request, started, loop, future), loop)
            return await future
        finally:
            self._in_flight -= 1
            self._metrics.in_flight.dec()

    def _answer(
        self, request: Request, started: float, loop: asyncio.AbstractEventLoop, future: asyncio.Future[Response]
    ) -> None:
        try:
            response = self._gateway.front.handle(request)
        except Exception:
            response = _bug()
        self._note(
            response.request_id,
            response.account,
            response.service,
            response.action,
            response.status,
            response.code,
            started,
            len(request.body),
            len(response.body),
        )
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, future, response)

    def _note(
        self,
        request_id: str,
        account: str,
        service: str,
        action: str,
        status: int,
        code: str,
        started: float,
        taken: int,
        given: int,
    ) -> None:
        """Count a request, and log it."""
        seconds = time.perf_counter() - started
        self._metrics.count(service, action, code or str(status), seconds)
        if self._log_requests:
            observe.write(observe.request_line(request_id, account, action, status, code, seconds, taken, given))

    async def _show(self, page: Page, send: Send) -> None:
        status, kind, body = await asyncio.to_thread(page)
        headers = [(b"content-type", kind.encode()), (b"cache-control", b"no-store")]
        await _send(send, status, [*headers, (b"content-length", b"%d" % len(body))], body)

    def _health_page(self) -> tuple[int, str, bytes]:
        at, page = self._health
        if time.monotonic() - at > _HEALTH_SECONDS:
            found = health(self._gateway, self._settings)
            status = 503 if found["status"] == "failed" else 200
            page = (status, "application/json", json.dumps(found, indent=2).encode() + b"\n")
            self._health = (time.monotonic(), page)
        return page

    def _metrics_page(self) -> tuple[int, str, bytes]:
        return 200, "text/plain; version=0.0.4; charset=utf-8", self._metrics.text()


def _request(scope: Scope, body: bytes) -> Request:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        word, text = name.decode("latin-1"), value.decode("latin-1")
        headers[word] = f"{headers[word]},{text}" if word in headers else text
    return Request(
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=body,
        peer=(scope.get("client") or ("",))[0],
    )


def _announced(scope: Scope) -> int:
    """How many bytes the body is said to have; 0 if nobody says."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() and len(value) < 19 else 1 << 62
    return 0


async def _receive(receive: Receive) -> Message:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Gone
    return message


async def _drain(scope: Scope, receive: Receive) -> None:
    """Let a body that is refused come in and go, for a while; not if its sender waits to be asked for it."""
    if any(name == b"expect" for name, _ in scope["headers"]):
        return
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            while (await receive()).get("more_body"):
                pass
    except TimeoutError:
        return


def _bug() -> Response:
    """The answer to a request that found a mistake of ours; called while the exception is handled."""
    refusal = Refusal(500, "InternalError", "An internal error has occurred.")
    log.exception("request %s failed", refusal.request_id)
    return Response(refusal.status, refusal.body, refusal.request_id, service="", code=refusal.code)


def _settle(future: asyncio.Future[Response], response: Response) -> None:
    if not future.done():
        future.set_result(response)


def _headers(response: Response) -> Headers:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    given = {name for name, _ in headers}
    for name, value in (
        (b"content-type", b"text/xml;charset=UTF-8"),
        (b"x-amzn-requestid", response.request_id.encode("latin-1")),
        (b"content-length", b"%d" % len(response.body)),
    ):
        if name not in given:
            headers.append((name, value))
    return headers


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
