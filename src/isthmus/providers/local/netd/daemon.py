"""The daemon: makes DIR/plan.json true, hands out taps, and ends when no port is on a server any more."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from isthmus.providers.local import sockets
from isthmus.providers.local.netd import edge, links, names
from isthmus.providers.local.netd.inside import Inside
from isthmus.providers.local.netd.layout import Layout, layouts
from isthmus.providers.local.netd.outside import Outside
from isthmus.providers.local.netd.plan import Plan
from isthmus.providers.local.netd.processes import CODE, Noted, end
from isthmus.providers.local.netd.relays import Relays
from isthmus.providers.local.netd.spaces import Spaces
from isthmus.providers.local.process import birth

T = TypeVar("T")
_log = logging.getLogger(__name__)
LONGEST_QUESTION = 4096
QUESTION_SECONDS = 10.0
WATCH_SECONDS = 5.0


class Refusal(Exception):
    """What the asker is told instead of an answer."""


class Daemon:
    def __init__(self, directory: Path, spaces: Spaces) -> None:
        self._directory = directory
        self._spaces = spaces
        self._insides: dict[str, Inside] = {}
        self._layouts: dict[str, Layout] = {}
        self._plan = Plan("")
        self._failed: list[str] = []
        self._mutex = asyncio.Lock()
        self._ended = asyncio.Event()
        self._outside = Outside(spaces, directory)
        self._relays = Relays(spaces)

    async def run(self) -> None:
        """Until it is told to end, or has nothing left to do."""
        holder = Noted(self._directory / "anchor.pid", self._directory).pid()
        born = birth(holder)
        for word in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(word, self._ended.set)
        listening = listen(self._directory)
        with contextlib.suppress(FileNotFoundError):
            await self._settle()
        server = await asyncio.start_unix_server(self._serve, sock=listening, limit=LONGEST_QUESTION)
        Noted(self._directory / "netd.pid", self._directory).note(os.getpid())
        watching = asyncio.create_task(self._watch())
        await self._ended.wait()
        watching.cancel()
        server.close()
        self._relays.close()
        for inside in self._insides.values():
            inside.close()
        if not self._layouts:
            await asyncio.to_thread(end, holder, born)

    # -- questions ---------------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        descriptor = -1
        try:
            async with asyncio.timeout(QUESTION_SECONDS):
                question = json.loads(await reader.readline())
            answer, descriptor = await self._answer(question)
        except Refusal as refusal:
            answer = {"error": str(refusal)}
        except (ValueError, TypeError, KeyError, TimeoutError):
            answer = {"error": "this is no question that the daemon of the networks knows"}
        except Exception as error:
            _log.exception("a question could not be answered")
            answer = {"error": f"the networks could not be made: {error}"}
        try:
            await _say(writer, answer, descriptor)
        except OSError as error:
            _log.info("an answer could not be given: %s", error)
        finally:
            if descriptor >= 0:
                os.close(descriptor)
            writer.close()
        if not self._layouts and question_applies(answer):
            self._ended.set()

    async def _answer(self, question: Any) -> tuple[dict[str, Any], int]:
        match question:
            case {"do": "apply"}:
                await self._settle()
                if self._failed:
                    raise Refusal("; ".join(self._failed)[:2000])
                return {"applied": len(self._layouts), "code": CODE}, -1
            case {"do": "plug", "port": str(port)}:
                return {"plugged": port}, await self._plug(port)
            case {"do": "health"}:
                return self._health(), -1
            case {"do": "stop"}:
                self._ended.set()
                return {}, -1
            case _:
                raise ValueError(question)

    def _health(self) -> dict[str, Any]:
        return {
            "mode": "root" if self._spaces.root else "user",
            "networks": len(self._layouts),
            "outside": self._outside.failed,
            "failed": [*self._failed, *self._relays.failed],
        }

    async def _plug(self, native: str) -> int:
        async with self._mutex:
            for name, layout in self._layouts.items():
                port = layout.port(native)
                if port and port.server and port.addresses:
                    inside = self._insides.get(name)
                    if inside is None:
                        raise Refusal(f"the network {name} could not be made: {'; '.join(self._failed)}"[:2000])
                    try:
                        return await asyncio.to_thread(inside.plug, port, layout)
                    except OSError as error:
                        raise Refusal(f"the port {native} could not be given a tap: {error}") from None
            raise Refusal(f"the plan has no port {native} that is on a server")

    # -- the plan ------------------------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Make the present plan true; what fails is told in `_failed`, and hinders nothing else."""
        async with self._mutex:
            self._plan = await asyncio.to_thread(Plan.load, self._directory / "plan.json")
            self._failed = []
            self._layouts = layouts(self._plan)
            await self._drop()
            for native, layout in self._layouts.items():
                if native not in self._insides:
                    await self._open(native, layout)
            await self._connect()
            for native, layout in self._layouts.items():
                if native in self._insides:
                    await self._serve_network(native, layout)
            await self._relays.apply(self._layouts)

    async def _connect(self) -> None:
        """The edge, and the links between namespaces."""
        linked = edge.with_edge(self._layouts)
        if linked:
            await self._try("the edge", self._outside.make)
        made = {native: one for native, one in self._layouts.items() if native in self._insides}
        await self._try("the links", partial(links.settle, self._spaces, made, with_edge=bool(linked)))
        if linked:
            await self._try("the edge", partial(self._outside.apply, linked, self._plan.routed))

    async def _serve_network(self, native: str, layout: Layout) -> None:
        inside = self._insides[native]
        if await self._try(f"the network {native}", partial(inside.apply, layout)):
            try:
                await inside.serve(layout, self._plan.metadata_socket)
            except Exception as error:
                _log.exception("the network %s cannot be served", native)
                self._failed.append(f"the network {native}: {error}")

    async def _watch(self) -> None:
        """What guests may not reach at the host follows the host's addresses, slirp4netns is there again, and where
        somebody has removed the whole directory nothing is wanted any more."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            async with self._mutex:
                if not (self._directory / "plan.json").exists():
                    _log.warning("the plan is gone: all networks are removed")
                    self._layouts = {}
                    await self._drop()
                    await asyncio.to_thread(self._outside.leave)
                    self._ended.set()
                    return
                linked = edge.with_edge(self._layouts)
                if linked:
                    try:
                        await asyncio.to_thread(self._outside.look, linked)
                    except Exception:
                        _log.exception("the edge could not be looked after")

    async def _open(self, native: str, layout: Layout) -> None:
        inside = Inside(self._spaces, native)
        if await self._try(f"the network {native}", partial(inside.make, layout)):
            self._insides[native] = inside

    async def _drop(self) -> None:
        """Whatever has a namespace, of this life or an earlier one, and should not; and what has lost its own."""
        present = await asyncio.to_thread(self._spaces.names)
        for native, inside in list(self._insides.items()):
            if native not in self._layouts or inside.name not in present:
                self._insides.pop(native).close()
        wanted = {Inside(self._spaces, native).name for native in self._layouts}
        if edge.with_edge(self._layouts):
            wanted.add(names.EDGE)
        if names.EDGE in set(present) - wanted:
            await asyncio.to_thread(self._outside.remove)
        for name in present:
            if name not in wanted | {names.EDGE}:
                await self._try(f"the namespace {name}", partial(self._spaces.remove, name))

    async def _try(self, what: str, do: Callable[[], object]) -> bool:
        try:
            await asyncio.to_thread(do)
        except Exception as error:
            _log.exception("%s could not be made as it should be", what)
            self._failed.append(f"{what}: {error}")
            return False
        return True


def question_applies(answer: dict[str, Any]) -> bool:
    return "applied" in answer


def listen(directory: Path) -> socket.socket:
    """The socket for questions, which its owner alone may ask."""
    path = directory / "netd.sock"
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        with sockets.short(path) as name:
            bound.bind(name)
    finally:
        os.umask(before)
    bound.setblocking(False)
    return bound


async def _say(writer: asyncio.StreamWriter, answer: dict[str, Any], descriptor: int) -> None:
    data = json.dumps(answer).encode() + b"\n"
    if descriptor < 0:
        writer.write(data)
        await writer.drain()
        return
    own = writer.get_extra_info("socket")
    with socket.socket(fileno=os.dup(own.fileno())) as connection:
        socket.send_fds(connection, [data], [descriptor])
