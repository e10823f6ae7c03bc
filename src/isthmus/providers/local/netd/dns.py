"""The name server of one network: questions are carried to the resolvers of this host, and answers back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import cast

from isthmus.providers.local.netd.pump import Limits, carry

_log = logging.getLogger(__name__)
RESOLV_CONF = Path("/etc/resolv.conf")
LIMITS = Limits(total=512, each=64)
"""Questions under way, over all networks and of one guest."""
ANSWER_SECONDS = 3.0
"""How long one resolver has; then the next one is asked."""
LONGEST_SECONDS = 60.0
LONGEST = 4096
MOST_RESOLVERS = 3


def resolvers() -> list[str]:
    """Those of this host, read anew each time as they change with the network that it is in."""
    try:
        lines = [line.split() for line in RESOLV_CONF.read_text("utf-8", "replace").splitlines()]
    except OSError:
        return []
    named = [words[1].partition("%")[0] for words in lines if len(words) > 1 and words[0] == "nameserver"]
    return [one for one in named if _is_address(one)][:MOST_RESOLVERS]


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


class DnsServer:
    """On all sockets of one network's namespace."""

    def __init__(self) -> None:
        self._servers: list[asyncio.Server | asyncio.DatagramTransport] = []

    async def start(self, bound: Iterable[socket.socket]) -> None:
        for one in bound:
            if one.type == socket.SOCK_STREAM:
                self._servers.append(await asyncio.start_server(_serve, sock=one))
            else:
                transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(_Questions, sock=one)
                self._servers.append(transport)

    def close(self) -> None:
        for server in self._servers:
            server.close()
        self._servers = []


class _Questions(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self._transport: asyncio.DatagramTransport | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, guest: tuple[str, int]) -> None:
        if len(self._tasks) < LIMITS.total and len(data) <= LONGEST:
            task = asyncio.get_running_loop().create_task(self._answer(data, guest))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, data: bytes, guest: tuple[str, int]) -> None:
        with LIMITS.one(guest[0]) as room:
            if not room:
                return
            for resolver in resolvers():
                with contextlib.suppress(OSError, TimeoutError):
                    answer = await _ask(resolver, data)
                    if self._transport:
                        self._transport.sendto(answer, guest)
                    return

    def connection_lost(self, _: Exception | None) -> None:
        for task in self._tasks:
            task.cancel()


async def _ask(resolver: str, question: bytes) -> bytes:
    """Its answer to this very question. OSError, TimeoutError."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in resolver else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.setblocking(False)
        asking.connect((resolver, 53))
        async with asyncio.timeout(ANSWER_SECONDS):
            await loop.sock_sendall(asking, question)
            while True:
                answer = await loop.sock_recv(asking, 65535)
                if answer[:2] == question[:2]:
                    return answer


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        peer = writer.get_extra_info("peername")
        with LIMITS.one(peer[0] if peer else "") as room:
            for resolver in resolvers() if room else []:
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(ANSWER_SECONDS):
                        ends = await asyncio.open_connection(resolver, 53)
                    async with asyncio.timeout(LONGEST_SECONDS):
                        await carry((reader, writer), ends)
                    return
    except Exception:
        _log.exception("a question about names failed")
    finally:
        writer.close()


def bound_sockets(addresses: Iterable[str]) -> list[socket.socket]:
    """To be called inside a namespace."""
    found: list[socket.socket] = []
    try:
        for address in addresses:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                one = socket.socket(socket.AF_INET, kind)
                found.append(one)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                one.bind((address, 53))
                one.setblocking(False)
    except OSError:
        for one in found:
            one.close()
        raise
    return found
