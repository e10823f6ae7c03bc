"""DHCP for the guests of one network, as RFC 2131 and 2132 have it: a port has one address, for ever."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from isthmus.model import CLOUDS_OWN
from isthmus.providers.local.netd import names
from isthmus.providers.local.netd.layout import is_v4
from isthmus.providers.local.netd.plan import NetworkPlan, PortPlan, SubnetPlan

_log = logging.getLogger(__name__)
IP_PKTINFO = 8
"""Linux's; Python has no name for it."""
LEASE_SECONDS = 3600
MTU = 1500
LONGEST = 1500
AT_ONCE = 32
"""Packets that are read before others get their turn."""
COOKIE = b"\x63\x82\x53\x63"
DISCOVER, OFFER, REQUEST, ACK, NAK, INFORM = 1, 2, 3, 5, 6, 8
ROOM = 308
"""Bytes of options that any client takes (RFC 2131, section 2, of a packet of 576 bytes)."""
_ANSWERS = {DISCOVER: OFFER, REQUEST: ACK, INFORM: ACK}
_HEAD = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s4s")
_NODE_TYPES = {"1": 1, "2": 2, "4": 4, "8": 8}


def answer(packet: bytes, port: PortPlan, network: NetworkPlan, subnet: SubnetPlan) -> tuple[bytes, str] | None:
    """The answer to a guest's packet, and where it goes; None if it is none that is answered."""
    if len(packet) < _HEAD.size or packet[0] != 1 or packet[236:240] != COOKIE:
        return None
    _, _, _, _, xid, _, flags, client, _, _, _, hardware, _, _, _ = _HEAD.unpack_from(packet)
    if hardware[:6] != bytes.fromhex(port.mac.replace(":", "")):
        return None
    asked = options(packet[_HEAD.size :])
    kind = asked.get(53, b"\0")[0] if asked.get(53) else 0
    server = IPv4Address(names.router(subnet.cidr)).packed
    if kind not in _ANSWERS or asked.get(54, server) != server:
        return None
    own = IPv4Address(port.addresses[0]).packed
    wanted = asked.get(50) or (client if client != bytes(4) else own)
    if kind == REQUEST and wanted != own:
        body, given, said = [(54, server)], bytes(4), NAK
    else:
        body = list(_told(port, network, subnet, lease=kind != INFORM))
        given, said = (bytes(4) if kind == INFORM else own), _ANSWERS[kind]
    head = _HEAD.pack(
        *(2, 1, 6, 0, xid, 0, flags, client if said == ACK else bytes(4), given),
        *(server if said != NAK else bytes(4), bytes(4), hardware, b"", b"", COOKIE),
    )
    to = str(IPv4Address(client)) if client == own and said == ACK else "255.255.255.255"
    return head + _packed([(53, bytes([said])), *body]), to


def options(data: bytes) -> dict[int, bytes]:
    """Up to the first that is cut short."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data) and data[at] != 255:
        if data[at] == 0:
            at += 1
            continue
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            break
        found.setdefault(data[at], data[at + 2 : at + 2 + data[at + 1]])
        at += 2 + data[at + 1]
    return found


def _told(port: PortPlan, network: NetworkPlan, subnet: SubnetPlan, *, lease: bool) -> Iterator[tuple[int, bytes]]:
    """What matters most comes first: what finds no room is left out."""
    server = IPv4Address(names.router(subnet.cidr)).packed
    yield 54, server
    if lease:
        yield 51, struct.pack("!I", LEASE_SECONDS)
    yield 1, IPv4Network(subnet.cidr).netmask.packed
    yield 3, server
    yield 26, struct.pack("!H", MTU)
    told = network.dhcp
    own = [names.name_server(network.ranges[0])] if network.resolver else []
    chosen = told.name_servers or (CLOUDS_OWN,)
    yield 6, _addresses([one for given in chosen for one in (own if given == CLOUDS_OWN else [given])])
    yield 15, told.domain.encode("ascii", "ignore")
    yield 42, _addresses(told.ntp_servers)
    yield 44, _addresses(told.netbios_servers)
    yield 46, bytes([_NODE_TYPES[told.netbios_type]]) if told.netbios_type in _NODE_TYPES else b""


def _addresses(given: list[str] | tuple[str, ...]) -> bytes:
    return b"".join(IPv4Address(one).packed for one in given if is_v4(one))


def _packed(told: list[tuple[int, bytes]]) -> bytes:
    packed = b""
    for code, value in told:
        if value and len(value) < 256 and len(packed) + len(value) + 3 <= ROOM:
            packed += bytes([code, len(value)]) + value
    return (packed + b"\xff").ljust(60, b"\0")


class DhcpServer:
    """Answers on the socket of one network's namespace. `ports` is by the index of the link, and kept by others."""

    def __init__(self, bound: socket.socket, ports: dict[int, PortPlan]) -> None:
        self._socket = bound
        self._ports = ports
        self.network: NetworkPlan | None = None
        asyncio.get_running_loop().add_reader(bound, self._readable)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        for _ in range(AT_ONCE):
            try:
                packet, notes, _, _ = self._socket.recvmsg(LONGEST, 256)
                self._answer(packet, _arrived(notes))
            except BlockingIOError:
                return
            except OSError as error:
                _log.info("a DHCP answer could not be sent: %s", error)
            except Exception:
                _log.exception("a DHCP packet could not be answered")

    def _answer(self, packet: bytes, link: int) -> None:
        port, network = self._ports.get(link), self.network
        subnet = next((one for one in network.subnets if port and one.native == port.subnet), None) if network else None
        if not (port and network and subnet and port.addresses):
            return
        if found := answer(packet, port, network, subnet):
            data, to = found
            where = struct.pack("@I4s4s", link, IPv4Address(names.router(subnet.cidr)).packed, bytes(4))
            with contextlib.suppress(BlockingIOError):
                self._socket.sendmsg([data], [(socket.IPPROTO_IP, IP_PKTINFO, where)], 0, (to, 68))


def _arrived(notes: list[tuple[int, int, bytes]]) -> int:
    """The index of the link that a packet came by, or 0."""
    for level, kind, data in notes:
        if level == socket.IPPROTO_IP and kind == IP_PKTINFO and len(data) >= 12:
            return int(struct.unpack_from("@I", data)[0])
    return 0


def bound_socket() -> socket.socket:
    """To be called inside a namespace."""
    found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    found.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind(("", 67))
    found.setblocking(False)
    return found
