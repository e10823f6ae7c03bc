"""The metadata service: who asks is told by the connection, and what they may read by their Guest.

A listener says who asks, and the rest is the same for all of them. On the Unix socket the cloud's relay writes one
line first, `ISTHMUS/1 <tenant> <native>`, and plain HTTP follows: the whole connection is one guest's. On the port for
Neutron's metadata agents each request names its guest in headers, signed (agent.py).
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
import socket
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from isthmus.errors import Denied, Unavailable
from isthmus.imds import wire
from isthmus.imds.agent import Agent, by_guest, to_agent
from isthmus.imds.identity import Identity
from isthmus.imds.tokens import LONGEST, Tokens
from isthmus.imds.tree import Guest, answer, tree
from isthmus.imds.wire import Refused, Reply, Request

CONNECTIONS = 64
"""At most so many at a time for one guest."""
AGENTS_CONNECTIONS = 1024
"""And so many for all agents of a cloud, who make one for each request."""
REQUEST_SECONDS = 15.0
"""A request must have come in completely so long after the connection was made, or after the last answer."""
ANSWER_SECONDS = 15.0
LOOKUPS = 32
"""At most so many guests are looked up at a time."""
CACHE_SECONDS = 1.0
"""How old a guest's metadata may be: long enough that the requests of one boot cost one lookup."""

T = TypeVar("T")
Answers = Callable[[Request], Awaitable[Reply]]

_log = logging.getLogger(__name__)
_PREAMBLE = re.compile(r"ISTHMUS/1 (\S{1,255}) (\S{1,255})\n")
_LONGEST_SOCKET_PATH = 107
_TOKEN = "x-aws-ec2-metadata-token"  # noqa: S105 - a header's name
_TTL = "x-aws-ec2-metadata-token-ttl-seconds"


class Peer(NamedTuple):
    """A guest as its cloud names it."""

    tenant: str
    native: str


_AGENTS = Peer("", "")
"""Stands for all agents."""

Lookup = Callable[[str, str], Guest | None]
"""By tenant and native id; called in a thread. None: there is no such guest."""

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""What is done with a new connection."""


@dataclass(frozen=True, slots=True)
class _View:
    guest: Guest
    leaves: Mapping[str, bytes]


class Metadata:
    """Serves until closed. Belongs to the event loop it was first used in."""

    def __init__(self, lookup: Lookup, tokens: Tokens, identity: Identity) -> None:
        self._lookup = lookup
        self._tokens = tokens
        self._identity = identity
        self._views: dict[Peer, tuple[float, asyncio.Future[_View | None]]] = {}
        self._open: Counter[Peer] = Counter()
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._servers: list[asyncio.Server] = []
        self._sockets: dict[Path, int] = {}
        self._agents: list[Agent] = []
        self._pool = ThreadPoolExecutor(LOOKUPS, thread_name_prefix="metadata")

    async def serve_unix(self, path: Path) -> None:
        """Listen on a Unix socket, in place of whatever a process before this one left there. OSError if impossible."""
        listener, inode = _bind(path)
        server = await asyncio.start_unix_server(self._handler(self._greet), sock=listener, limit=wire.HEAD_BYTES)
        self._servers.append(server)
        self._sockets[path] = inode

    async def serve_agents(self, agent: Agent, host: str, port: int) -> tuple[str, int]:
        """Listen for a cloud's metadata agents, and answer where (port 0: the system's choice). Raises OSError."""
        handle = self._handler(lambda reader, writer: self._meet(agent, reader, writer))
        server = await asyncio.start_server(handle, host, port, limit=wire.HEAD_BYTES)
        self._servers.append(server)
        self._agents.append(agent)
        name = server.sockets[0].getsockname()
        return name[0], name[1]

    async def close(self) -> None:
        """Stop listening, remove the sockets that are still ours, and end the connections."""
        for server in self._servers:
            server.close()
        for path, inode in self._sockets.items():
            with suppress(FileNotFoundError):
                if path.stat().st_ino == inode:
                    path.unlink()
        for writer in self._connections.values():
            writer.transport.abort()
        if self._connections:
            await asyncio.wait(self._connections, timeout=5)
        for agent in self._agents:
            await agent.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def run_in_thread(self, path: Path) -> Running[None]:
        """Serve a Unix socket from an event loop in a thread of its own. Listening when this returns."""
        return Running(self, self.serve_unix(path))

    def run_for_agents(self, agent: Agent, host: str, port: int) -> Running[tuple[str, int]]:
        """The same for a cloud's metadata agents."""
        return Running(self, self.serve_agents(agent, host, port))

    def _handler(self, serve: Handle) -> Handle:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - for the type checker
            self._connections[task] = writer
            try:
                await serve(reader, writer)
            except (asyncio.IncompleteReadError, TimeoutError, ConnectionError):
                pass  # the client went away, or was too slow
            finally:
                del self._connections[task]
                writer.close()

        return handle

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(REQUEST_SECONDS):
            peer = await _preamble(reader)
        if peer:
            await self._admit(peer, CONNECTIONS, partial(self._reply, peer), reader, writer)

    async def _meet(self, agent: Agent, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._admit(_AGENTS, AGENTS_CONNECTIONS, partial(self._reply_by, agent), reader, writer)

    async def _admit(
        self, peer: Peer, most: int, answer: Answers, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._open[peer] += 1
        try:
            if self._open[peer] > most:
                await _send(writer, None, Reply(HTTPStatus.TOO_MANY_REQUESTS))
            else:
                await _converse(answer, reader, writer)
        finally:
            self._open[peer] -= 1
            if not self._open[peer]:
                del self._open[peer]

    async def _reply(self, peer: Peer, request: Request) -> Reply:
        try:
            view = await self._view(peer)
        except Exception:
            _log.exception("the metadata of a guest could not be read")
            return Reply(HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "1"})
        return reply(view.guest, view.leaves, self._tokens, request) if view else Reply(HTTPStatus.NOT_FOUND)

    async def _reply_by(self, agent: Agent, request: Request) -> Reply:
        who = agent.who(request.headers)
        if isinstance(who, HTTPStatus):
            return Reply(who)
        path = [part for part in request.path.split("/") if part]
        try:
            view = await self._view(Peer(*who))
        except (Unavailable, Denied) as fault:
            _log.warning("the metadata of the server %s is Nova's: %s", who[1], fault)
            return await self._reply_unseen(agent, who, request, path)
        except Exception:
            _log.exception("the metadata of a guest could not be read")
            return Reply(HTTPStatus.INTERNAL_SERVER_ERROR)
        if view is None:
            return await agent.forward(request)
        guest = view.guest
        if path == ["latest", "api", "token"] and _TTL not in request.headers:
            return Reply(HTTPStatus.NOT_FOUND)  # the agent dropped it: clients go on without a token
        if path[:1] == ["openstack"]:
            free = guest.http_endpoint and _admitted(guest, self._tokens, request)
            return await agent.forward(request) if free else Reply(HTTPStatus.FORBIDDEN)
        made = reply(guest, view.leaves, self._tokens, by_guest(request))
        if made.status == HTTPStatus.NOT_FOUND and path[1:] == ["user-data"]:
            return await agent.forward(request)  # the server was made by other means than ours
        return to_agent(made)

    async def _reply_unseen(self, agent: Agent, who: tuple[str, str], request: Request, path: list[str]) -> Reply:
        """By what is on record alone: the cloud cannot be asked."""
        known = await self._in_thread(lambda: agent.known(*who))
        if not known.open:
            return Reply(HTTPStatus.FORBIDDEN)
        if known.id and path[1:] == ["meta-data", "instance-id"] and request.method in ("GET", "HEAD"):
            return Reply(HTTPStatus.OK, known.id.encode())
        return await agent.forward(request)

    def _in_thread(self, work: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def _view(self, peer: Peer) -> _View | None:
        now = asyncio.get_running_loop().time()
        until, view = self._views.get(peer, (0.0, None))
        if view is None or (view.done() and until <= now):
            self._forget(now)
            view = asyncio.ensure_future(self._in_thread(lambda: self._load(peer)))
            self._views[peer] = (now + CACHE_SECONDS, view)
        return await asyncio.shield(view)

    def _load(self, peer: Peer) -> _View | None:
        guest = self._lookup(peer.tenant, peer.native)
        return _View(guest, tree(guest, self._identity.leaves(guest))) if guest else None

    def _forget(self, now: float) -> None:
        for peer in [peer for peer, (until, view) in self._views.items() if view.done() and until <= now]:
            del self._views[peer]


class Running(Generic[T]):
    """A metadata service in its own thread; `listening` is what the listener says of itself."""

    def __init__(self, metadata: Metadata, listen: Coroutine[Any, Any, T]) -> None:
        self._metadata = metadata
        self._listen = listen
        self._started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, T]] = Future()
        self._thread = threading.Thread(target=self._run, name="metadata", daemon=True)
        self._thread.start()
        self._loop, self._stop, self.listening = self._started.result()

    def stop(self) -> None:
        """Close the service and wait for its thread. A second call does nothing."""
        if self._thread.is_alive():
            with suppress(RuntimeError):  # the loop has just ended
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _serve(self) -> None:
        stop = asyncio.Event()
        listening = await self._listen
        self._started.set_result((asyncio.get_running_loop(), stop, listening))
        await stop.wait()
        await self._metadata.close()


def reply(guest: Guest, leaves: Mapping[str, bytes], tokens: Tokens, request: Request) -> Reply:
    """What EC2's metadata service says to a request of this guest."""
    if not guest.http_endpoint:
        return Reply(HTTPStatus.FORBIDDEN)
    asks_token = [part for part in request.path.split("/") if part] == ["latest", "api", "token"]
    if asks_token and request.method == "PUT":
        return _new_token(guest, tokens, request)
    if asks_token or request.method not in ("GET", "HEAD"):
        return Reply(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "PUT" if asks_token else "GET, HEAD"})
    if not _admitted(guest, tokens, request):
        return Reply(HTTPStatus.UNAUTHORIZED)
    body = answer(leaves, request.path)
    return Reply(HTTPStatus.NOT_FOUND) if body is None else Reply(HTTPStatus.OK, body)


def _new_token(guest: Guest, tokens: Tokens, request: Request) -> Reply:
    if "x-forwarded-for" in request.headers:  # an open proxy in the guest must not hand out tokens
        return Reply(HTTPStatus.FORBIDDEN)
    asked = request.headers.get(_TTL, "")
    if not re.fullmatch(r"[0-9]{1,5}", asked) or not 1 <= int(asked) <= LONGEST:
        return Reply(HTTPStatus.BAD_REQUEST)
    token = tokens.issue(guest.instance_id, int(asked))
    return Reply(HTTPStatus.OK, token.encode(), {"X-Aws-Ec2-Metadata-Token-Ttl-Seconds": asked})


def _admitted(guest: Guest, tokens: Tokens, request: Request) -> bool:
    token = request.headers.get(_TOKEN)
    if token is None:
        return guest.http_tokens == "optional"
    return tokens.valid(guest.instance_id, token)


async def _converse(answer: Answers, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                request = await wire.read(reader)
        except Refused as refused:
            return await _send(writer, None, Reply(refused.status))
        await _send(writer, request, await answer(request))
        if not request.keep_alive:
            return None


async def _preamble(reader: asyncio.StreamReader) -> Peer | None:
    """Who is at the other end of a new connection; None: not one to talk to."""
    try:
        line = _PREAMBLE.fullmatch((await reader.readuntil(b"\n")).decode())
    except (asyncio.LimitOverrunError, UnicodeDecodeError):
        return None
    return Peer(line[1], line[2]) if line else None


async def _send(writer: asyncio.StreamWriter, request: Request | None, reply: Reply) -> None:
    writer.write(wire.render(request, reply))
    async with asyncio.timeout(ANSWER_SECONDS):
        await writer.drain()


def _bind(path: Path) -> tuple[socket.socket, int]:
    """A listening socket that takes the place of any file at `path` in one step, and its inode."""
    draft = path.with_name(f".{secrets.token_hex(4)}")
    if max(len(os.fsencode(each)) for each in (path, draft)) > _LONGEST_SOCKET_PATH:
        raise OSError(f"{path}: too long; a Unix socket's path has at most {_LONGEST_SOCKET_PATH} bytes")
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(str(draft))
        draft.chmod(0o600)
        listener.listen(128)
        inode = draft.stat().st_ino
        draft.rename(path)
    except BaseException:
        listener.close()
        draft.unlink(missing_ok=True)
        raise
    return listener, inode
