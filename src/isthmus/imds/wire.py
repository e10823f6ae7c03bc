"""The little HTTP that the metadata service speaks: strict on what comes in, in the manner of EC2 on what goes out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from http import HTTPStatus

HEAD_BYTES = 16 * 1024
HEADER_LINES = 64
BODY_BYTES = 4 * 1024
"""A larger body is refused; what a smaller one says means nothing here, and something to Nova."""

_REQUEST_LINE = re.compile(r"([A-Z]{1,16}) ([!-~]{1,4096}) HTTP/1\.([01])")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\x00-\x08\x0a-\x1f\x7f]*)")
_TARGET = re.compile(r"(?:http://[^/?#]+)?(/[^?#]*|(?=\?|$))(?:\?[^#]*)?", re.IGNORECASE)
_LENGTH = re.compile(r"[0-9]{1,9}")


class Refused(Exception):
    """The request is not one this service reads. After it the connection is of no more use."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """`path` is without query and still percent-encoded; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    keep_alive: bool
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    status: HTTPStatus
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


async def read(reader: asyncio.StreamReader) -> Request:
    """The next request. Refused when it is malformed, IncompleteReadError when the client has gone."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE) from None
    request = parse(head)
    body = await reader.readexactly(_body_length(request.headers))
    return replace(request, body=body) if body else request


def parse(head: bytes) -> Request:
    """A request from its head, with the empty line at the end. Raises Refused."""
    first, *lines = head.decode("latin-1")[:-4].split("\r\n")
    if len(lines) > HEADER_LINES:
        raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    asked = _REQUEST_LINE.fullmatch(first)
    target = asked and _TARGET.fullmatch(asked[2])
    if not asked or not target:
        raise Refused(HTTPStatus.BAD_REQUEST)
    headers = _headers(lines)
    newer = asked[3] == "1"
    if newer and "host" not in headers:
        raise Refused(HTTPStatus.BAD_REQUEST)
    return Request(asked[1], target[1] or "/", headers, _keep_alive(newer, headers.get("connection", "")))


def render(request: Request | None, reply: Reply) -> bytes:
    """The reply as bytes; without a request (none could be read) the connection is announced as closed."""
    body = reply.body or (
        b"" if reply.status < HTTPStatus.BAD_REQUEST else f"{reply.status} - {reply.status.phrase}".encode()
    )
    headers = {
        "Content-Type": "text/plain",
        "Content-Length": str(len(body)),
        "Date": formatdate(usegmt=True),
        "Server": "EC2ws",
        "Connection": "keep-alive" if request and request.keep_alive else "close",
        **reply.headers,
    }
    lines = [f"HTTP/1.1 {reply.status} {reply.status.phrase}", *(f"{name}: {text}" for name, text in headers.items())]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head if request and request.method == "HEAD" else head + body


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        header = _HEADER.fullmatch(line)
        if not header:
            raise Refused(HTTPStatus.BAD_REQUEST)
        name = header[1].lower()
        value = header[2].strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _body_length(headers: Mapping[str, str]) -> int:
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not _LENGTH.fullmatch(length):
        raise Refused(HTTPStatus.BAD_REQUEST)
    if int(length) > BODY_BYTES:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return int(length)


def _keep_alive(newer: bool, connection: str) -> bool:
    options = {option.strip().lower() for option in connection.split(",")}
    return "close" not in options if newer else "keep-alive" in options
