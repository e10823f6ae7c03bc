"""Neutron's metadata agent: it says for which server each request is, and signs that with a secret that we share.

Sources: neutron/agent/metadata and nova/api/metadata/handler.py of OpenStack's Zed. The agent hands on the method and
the path, and none of the guest's headers; of our answers it knows the statuses 200, 400, 403, 404, 409 and 500.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import MappingProxyType

import httpx

from isthmus.imds.wire import Reply, Request

FORWARD_SECONDS = 10.0
FORWARD_BYTES = 4 * 1024 * 1024
"""How long Nova may take to answer what it is asked for, and how much it may say."""

_ID, _TENANT, _SIGNATURE = "x-instance-id", "x-tenant-id", "x-instance-id-signature"
_HANDED_ON = (_ID, _TENANT, _SIGNATURE, "x-forwarded-for")
_WORD = re.compile(r"[0-9A-Za-z_.-]{1,64}")
_STATUSES = MappingProxyType(
    {HTTPStatus.UNAUTHORIZED: HTTPStatus.FORBIDDEN, HTTPStatus.METHOD_NOT_ALLOWED: HTTPStatus.BAD_REQUEST}
)
"""What the agent takes for a failure of ours, and what says the same to it."""
_NOVAS = frozenset({HTTPStatus.OK, HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Agent:
    """What is agreed upon with the agents of one cloud. `secret` is never empty."""

    secret: bytes = field(repr=False)
    nova: str = ""
    """The URL of Nova's metadata service, which is asked for what only Nova knows; empty: nobody is."""
    known: Callable[[str, str], str] = lambda tenant, native: ""
    """The instance's id by tenant and native id, as far as the cloud need not be asked; empty: not known."""

    def who(self, headers: Mapping[str, str]) -> tuple[str, str] | HTTPStatus:
        """The tenant and the native id of the server whose request this is, or how it is refused."""
        native, tenant = headers.get(_ID, ""), headers.get(_TENANT, "")
        if not _WORD.fullmatch(native) or not _WORD.fullmatch(tenant) or _SIGNATURE not in headers:
            return HTTPStatus.BAD_REQUEST
        made = hmac.digest(self.secret, native.encode(), hashlib.sha256).hex().encode()
        if not hmac.compare_digest(made, headers[_SIGNATURE].encode()):
            _log.warning("the metadata agent's signature for the server %s is wrong: compare the secrets", native)
            return HTTPStatus.FORBIDDEN
        return tenant, native

    def forward(self, request: Request) -> Reply:
        """Nova's answer to the same question. Blocks."""
        if not self.nova:
            return Reply(HTTPStatus.NOT_FOUND)
        headers = {name: request.headers[name] for name in _HANDED_ON if name in request.headers}
        body = bytearray()
        try:
            with (
                httpx.Client(timeout=FORWARD_SECONDS, trust_env=False) as client,
                client.stream("GET", self.nova + request.path, headers=headers) as answer,
            ):
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > FORWARD_BYTES:
                        raise httpx.HTTPError("more than is taken")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            _log.warning("Nova's metadata service does not answer: %s", error)
            return Reply(HTTPStatus.INTERNAL_SERVER_ERROR)
        status = HTTPStatus(answer.status_code) if answer.status_code in _NOVAS else HTTPStatus.INTERNAL_SERVER_ERROR
        kind = answer.headers.get("content-type", "text/plain")
        return Reply(status, bytes(body) if status == HTTPStatus.OK else b"", {"Content-Type": kind})


def by_guest(request: Request) -> Request:
    """The request as the guest made it: `X-Forwarded-For` is the agent's own, and no sign of a proxy in the guest."""
    headers = {name: text for name, text in request.headers.items() if name != "x-forwarded-for"}
    return Request(request.method, request.path, headers, request.keep_alive)


def to_agent(reply: Reply) -> Reply:
    """The reply in words that the agent knows."""
    return Reply(_STATUSES.get(reply.status, reply.status), reply.body, reply.headers)
