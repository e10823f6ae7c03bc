"""Public addresses that are loopback addresses of this host: their ports, carried to the guests.

A guest sees its router as the one who connects; so what the real one may reach is judged here: by the firewalls (a
port is listened on only if they open it for 127.0.0.1), by the subnet's filter, and by its route to the internet.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from isthmus.model import AclRule, Direction, Firewall, Hop
from isthmus.providers.local.forwards import HOST, LIFT, Forward, wanted
from isthmus.providers.local.netd.layout import Layout, is_v4, next_hop
from isthmus.providers.local.netd.names import short
from isthmus.providers.local.netd.plan import PublicPlan
from isthmus.providers.local.netd.pump import Limits, carry
from isthmus.providers.local.netd.spaces import Spaces
from isthmus.providers.local.netd.verdicts import passes

_log = logging.getLogger(__name__)
CONNECT_SECONDS = 5.0
IDLE_SECONDS = 60.0
"""After which a client of UDP is forgotten."""
SESSIONS = 256
LONGEST = 65535


@dataclass(frozen=True, slots=True)
class Target:
    """Where a relayed port leads."""

    space: str
    private: str
    acl: tuple[AclRule, ...] | None


def targets(layouts: Mapping[str, Layout]) -> dict[Forward, Target]:
    """What is to be relayed."""
    found: dict[Forward, Target] = {}
    for native, layout in layouts.items():
        for public in layout.publics() if not layout.routed else []:
            found |= dict.fromkeys(_forwards(layout, public), _target(native, layout, public))
    return found


def _target(native: str, layout: Layout, public: PublicPlan) -> Target:
    port = layout.port(public.port)
    subnet = layout.subnet(port.subnet) if port else None
    return Target(short(native), public.private, subnet.acl if subnet else ())


def _forwards(layout: Layout, public: PublicPlan) -> list[Forward]:
    port = layout.port(public.port)
    subnet = layout.subnet(port.subnet) if port else None
    if not (port and port.server and subnet and is_v4(public.address) and public.private in port.addresses):
        return []
    route = next_hop(subnet.routes, str(HOST))
    if route is None or route.hop is not Hop.INTERNET:
        return []
    chosen = [one for one in layout.network.firewalls if one.native in port.firewalls]
    nouns = [Firewall(one.native, "", "", "", layout.network.native, one.rules) for one in chosen]
    found = wanted(nouns, public.address).values()
    return [one for one in found if passes(subnet.acl, Direction.INGRESS, one.protocol, str(HOST), one.port)]


class Relays:
    """What listens on this host for one cloud."""

    def __init__(self, spaces: Spaces) -> None:
        self._spaces = spaces
        self._open: dict[Forward, Relay] = {}
        self.failed: list[str] = []
        """Ports that could not be had, in words."""

    async def apply(self, layouts: Mapping[str, Layout]) -> None:
        """Listeners that lead where they should stay as they are, with their connections."""
        found = targets(layouts)
        for forward, relay in list(self._open.items()):
            if found.get(forward) != relay.target:
                relay.close()
                del self._open[forward]
        self.failed = []
        taken = {relay.listening for relay in self._open.values()}
        taken |= {(one.protocol, one.address, one.listen) for one in found}
        for forward in sorted(found.keys() - self._open.keys()):
            relay = Relay(self._spaces, forward, found[forward])
            await relay.start(taken)
            if relay.listening[2]:
                self._open[forward] = relay
                taken.add(relay.listening)
            elif relay.failed:
                self.failed.append(relay.failed)
        self.failed += [relay.failed for relay in self._open.values() if relay.failed]

    def close(self) -> None:
        for relay in self._open.values():
            relay.close()
        self._open = {}


class Relay:
    """One port of a public address."""

    def __init__(self, spaces: Spaces, forward: Forward, target: Target) -> None:
        self.target = target
        self.listening = (forward.protocol, forward.address, 0)
        """Protocol, address, and the port once there is one."""
        self.failed = ""
        """What could not be had, in words."""
        self._spaces = spaces
        self._forward = forward
        self._limits = Limits(total=512, each=512)
        self._server: asyncio.Server | asyncio.DatagramTransport | None = None

    async def start(self, taken: set[tuple[str, str, int]]) -> None:
        """Listen, at a port LIFT higher where the own one may not be had."""
        protocol, address, listen, port = self._forward
        lifted = False
        try:
            await self._listen(address, listen)
            return
        except PermissionError:
            lifted = True  # as always for an ordinary user, so no failure if it can be had there
        except OSError as error:
            _log.info("%s cannot be listened on: %s", self._forward, error)
        instead = port + LIFT
        self.failed = f"{protocol}:{address}:{listen} is taken, or may not be listened on: it is not forwarded"
        if (protocol, address, instead) not in taken and instead <= LONGEST and instead != listen:
            with contextlib.suppress(OSError):
                await self._listen(address, instead)
                said = self.failed.replace("not forwarded", f"forwarded at {instead} instead")
                self.failed = "" if lifted else said

    async def _listen(self, address: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        if self._forward.protocol == "tcp":
            self._server = await asyncio.start_server(self._serve, address, port)
        else:
            self._server, _ = await loop.create_datagram_endpoint(lambda: UdpRelay(self), (address, port))
        self.listening = (self._forward.protocol, address, port)

    def close(self) -> None:
        if self._server:
            self._server.close()

    def allows(self, client: tuple[str, int]) -> bool:
        """Whether the answers may leave the subnet: its filter keeps no state."""
        return passes(self.target.acl, Direction.EGRESS, self._forward.protocol, client[0], client[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            client = writer.get_extra_info("peername")
            with self._limits.one("") as room:
                if room and client and self.allows(client):
                    guest = await self.connect(socket.SOCK_STREAM)
                    ends = await asyncio.open_connection(sock=guest)
                    await carry((reader, writer), ends)
        except (OSError, TimeoutError) as error:
            _log.debug("%s could not be reached: %s", self._forward, error)
        except Exception:
            _log.exception("a connection to %s failed", self._forward)
        finally:
            writer.close()

    async def connect(self, kind: socket.SocketKind) -> socket.socket:
        """A socket to the guest, made in its network's namespace. OSError, TimeoutError."""
        guest = self._spaces.inside(self.target.space, lambda: socket.socket(socket.AF_INET, kind))
        try:
            guest.setblocking(False)
            async with asyncio.timeout(CONNECT_SECONDS):
                to = (self.target.private, self._forward.port)
                await asyncio.get_running_loop().sock_connect(guest, to)
        except BaseException:
            guest.close()
            raise
        return guest


class UdpRelay(asyncio.DatagramProtocol):
    """Each client has a socket of its own to the guest, for as long as it says something now and then."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._transport: asyncio.DatagramTransport | None = None
        self._sessions: dict[tuple[str, int], UdpSession] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, client: tuple[str, int]) -> None:
        if (session := self._sessions.get(client)) is None:
            if len(self._sessions) >= SESSIONS or not self._relay.allows(client) or self._transport is None:
                return
            session = self._sessions[client] = UdpSession(self._transport, client)
            task = asyncio.get_running_loop().create_task(self._run(client, session))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        session.send(data)

    async def _run(self, client: tuple[str, int], session: UdpSession) -> None:
        try:
            await session.run(await self._relay.connect(socket.SOCK_DGRAM))
        except (OSError, TimeoutError) as error:
            _log.debug("a datagram could not be carried: %s", error)
        finally:
            self._sessions.pop(client, None)
            session.close()

    def connection_lost(self, _: Exception | None) -> None:
        for task in self._tasks:
            task.cancel()


class UdpSession(asyncio.DatagramProtocol):
    def __init__(self, back: asyncio.DatagramTransport, client: tuple[str, int]) -> None:
        self._back = back
        self._client = client
        self._guest: asyncio.DatagramTransport | None = None
        self._waiting: list[bytes] = []
        self._used = asyncio.get_running_loop().time()

    def send(self, data: bytes) -> None:
        self._used = asyncio.get_running_loop().time()
        if self._guest:
            self._guest.sendto(data)
        elif len(self._waiting) < 8:
            self._waiting.append(data)

    async def run(self, guest: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._guest, _ = await loop.create_datagram_endpoint(lambda: self, sock=guest)
        for data in self._waiting:
            self._guest.sendto(data)
        while (left := self._used + IDLE_SECONDS - loop.time()) > 0:
            await asyncio.sleep(left)

    def datagram_received(self, data: bytes, _: tuple[str, int]) -> None:
        self._used = asyncio.get_running_loop().time()
        with contextlib.suppress(OSError):
            self._back.sendto(data, self._client)

    def close(self) -> None:
        if self._guest:
            self._guest.close()
