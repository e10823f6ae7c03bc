"""Neutron's metadata agent: it says for which server each request is, and signs that with a secret that we share.

Sources: neutron/agent/metadata and nova/api/metadata/handler.py of OpenStack's Zed. The agent hands on method, path
and body, and none of the guest's headers; of our answers it knows the statuses 200, 400, 403, 404, 409 and 500.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from isthmus.imds.wire import Reply, Request

if TYPE_CHECKING:
    import httpx

FORWARD_SECONDS = 10.0
FORWARD_BYTES = 4 * 1024 * 1024
"""How long Nova may take to answer what it is asked for, and how much it may say."""
FORWARDS = 4
"""So many questions of one server are asked of Nova at a time."""

_ID, _TENANT, _SIGNATURE = "x-instance-id", "x-tenant-id", "x-instance-id-signature"
_HANDED_ON = (_ID, _TENANT, _SIGNATURE, "x-forwarded-for")
_WORD = re.compile(r"[0-9A-Za-z_.-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST"})
_STATUSES = MappingProxyType(
    {HTTPStatus.UNAUTHORIZED: HTTPStatus.FORBIDDEN, HTTPStatus.METHOD_NOT_ALLOWED: HTTPStatus.BAD_REQUEST}
)
"""What the agent takes for a failure of ours, and what says the same to it."""
_KNOWN_TO_AGENT = frozenset({200, 400, 403, 404, 409})

_log = logging.getLogger(__name__)


class Known(NamedTuple):
    """What is on record of a server: the instance's id, and whether its options let it read without a token."""

    id: str = ""
    open: bool = True


class Agent:
    """What is agreed upon with the agents of one cloud; belongs to one event loop.

    `secret` is never empty. `nova` is the URL of Nova's metadata service, which is asked for what only Nova knows;
    empty: nobody is. `known` tells by tenant and native id what is on record, so that the cloud need not be asked.
    """

    def __init__(
        self, secret: bytes, nova: str = "", known: Callable[[str, str], Known] = lambda _tenant, _native: Known()
    ) -> None:
        self._secret = secret
        self._nova = nova
        self._asked: Counter[str] = Counter()
        self.known = known

    def who(self, headers: Mapping[str, str]) -> tuple[str, str] | HTTPStatus:
        """The tenant and the native id of the server whose request this is, or how it is refused."""
        native, tenant = headers.get(_ID, ""), headers.get(_TENANT, "")
        if not _WORD.fullmatch(native) or not _WORD.fullmatch(tenant) or _SIGNATURE not in headers:
            return HTTPStatus.BAD_REQUEST
        made = hmac.digest(self._secret, native.encode(), hashlib.sha256).hex().encode()
        if not hmac.compare_digest(made, headers[_SIGNATURE].encode()):
            _log.warning("the metadata agent's signature for the server %s is wrong: compare the secrets", native)
            return HTTPStatus.FORBIDDEN
        return tenant, native

    async def forward(self, request: Request) -> Reply:
        """Nova's answer to the same question. It makes sure that the server is the tenant's."""
        import httpx  # slow: not for those whom no agent asks

        native = request.headers[_ID]
        if not self._nova:
            return Reply(HTTPStatus.NOT_FOUND)
        if request.method not in _METHODS:
            return Reply(HTTPStatus.BAD_REQUEST)
        if self._asked[native] >= FORWARDS:
            return Reply(HTTPStatus.INTERNAL_SERVER_ERROR)
        self._asked[native] += 1
        try:
            async with asyncio.timeout(FORWARD_SECONDS):
                return await self._ask(request)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            _log.warning("Nova's metadata service does not answer: %s", error or "it takes too long")
            return Reply(HTTPStatus.INTERNAL_SERVER_ERROR)
        finally:
            self._asked[native] -= 1
            if not self._asked[native]:
                del self._asked[native]

    async def _ask(self, request: Request) -> Reply:
        import httpx

        headers = {name: request.headers[name] for name in _HANDED_ON if name in request.headers}
        body = bytearray()
        asked = self._client.stream(
            request.method, self._nova + request.path, headers=headers, content=request.body or None
        )
        async with asked as answer:
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > FORWARD_BYTES:
                    raise httpx.HTTPError("its answer is longer than is taken")
        if answer.status_code not in _KNOWN_TO_AGENT:
            return Reply(HTTPStatus.INTERNAL_SERVER_ERROR)
        kind = answer.headers.get("content-type", "text/plain")
        return Reply(HTTPStatus(answer.status_code), bytes(body), {"Content-Type": kind})

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        import httpx

        return httpx.AsyncClient(timeout=FORWARD_SECONDS, trust_env=False)

    async def close(self) -> None:
        if "_client" in self.__dict__:
            await self._client.aclose()


def by_guest(request: Request) -> Request:
    """The request as the guest made it: `X-Forwarded-For` is the agent's own, and no sign of a proxy in the guest."""
    return replace(request, headers={name: text for name, text in request.headers.items() if name != "x-forwarded-for"})


def to_agent(reply: Reply) -> Reply:
    """The reply in words that the agent knows."""
    return replace(reply, status=_STATUSES.get(reply.status, reply.status))
