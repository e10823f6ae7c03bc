"""169.254.169.254 in one network: each connection is handed to the metadata service, with the name of who asks."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections.abc import Mapping
from pathlib import Path

from isthmus.providers.local import sockets
from isthmus.providers.local.netd import names
from isthmus.providers.local.netd.plan import PortPlan
from isthmus.providers.local.netd.pump import Limits, carry

_log = logging.getLogger(__name__)
LIMITS = Limits(total=512, each=32)
"""Over all networks, as the service is one."""
LONGEST_SECONDS = 120.0
BUSY_SECONDS = 0.05
_ONE_LINE = re.compile(r"[^\r\n]*")


class MetadataServer:
    """`guests` is by private address, and kept by others; who sends as another is dropped before it gets here."""

    def __init__(self, guests: Mapping[str, PortPlan], path: str) -> None:
        self._guests = guests
        self.path = path
        self._server: asyncio.Server | None = None

    async def start(self, bound: socket.socket) -> None:
        self._server = await asyncio.start_server(self._serve, sock=bound)

    def close(self) -> None:
        if self._server:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            peer = writer.get_extra_info("peername")
            guest = self._guests.get(peer[0]) if peer else None
            whose = guest.native if guest else ""
            with LIMITS.one(whose) as room:
                if guest and room and _ONE_LINE.fullmatch(f"{guest.tenant} {guest.server}"):
                    async with asyncio.timeout(LONGEST_SECONDS):
                        await self._hand_on(guest, reader, writer)
        except (OSError, TimeoutError) as error:
            _log.info("a request for metadata was not handed on: %s", error)
        except Exception:
            _log.exception("a request for metadata failed")
        finally:
            writer.close()

    async def _hand_on(self, guest: PortPlan, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        service = await _connected(self.path)
        service[1].write(f"ISTHMUS/1 {guest.tenant} {guest.server}\n".encode())
        await carry((reader, writer), service)


async def _connected(path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    service = socket.socket(socket.AF_UNIX)
    service.setblocking(False)
    try:
        with sockets.short(Path(path)) as name:
            while True:  # the caller has set a limit
                try:
                    service.connect(name)
                    break
                except BlockingIOError:  # its queue is full, which asyncio takes for a connection under way
                    await asyncio.sleep(BUSY_SECONDS)
        return await asyncio.open_unix_connection(sock=service)
    except BaseException:
        service.close()
        raise


def bound_socket() -> socket.socket:
    """To be called inside a namespace."""
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind((names.METADATA, 80))
    found.setblocking(False)
    return found
