"""A stand-in for a guest: a namespace of its own behind a tap, with ordinary sockets in it. Asked by lines of JSON.

standin.py TAP MAC: TAP is the descriptor that a machine would be given. Everything that arrives there is pumped to
another tap in here, `eth0`, and back.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import socket
import struct
import subprocess
import sys
import threading
from typing import Any

HEADER = 10
"""Bytes of virtio's header before each frame, on both taps."""


def open_tap(name: str) -> int:
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x0002 | 0x1000 | 0x4000))
    return tap


def pump(one: int, other: int) -> None:
    while True:
        for tap in select.select([one, other], [], [])[0]:
            with contextlib.suppress(OSError):
                os.write(other if tap == one else one, os.read(tap, 70000))


def run(words: list[str], text: str = "") -> str:
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False, timeout=20)
    return done.stdout if not done.returncode else f"error: {done.stderr.strip()}"


def serve(protocol: str, port: int, name: str, address: str = "") -> str:
    """Answer everyone with a name, and the address they come from."""
    if protocol == "udp":
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((address, port))

        def answer() -> None:
            while True:
                data, peer = server.recvfrom(2000)
                server.sendto(f"{name} {peer[0]} {len(data)}".encode(), peer)
    else:
        server = socket.create_server((address, port))

        def answer() -> None:
            while True:
                connection, peer = server.accept()
                with contextlib.suppress(OSError):
                    connection.sendall(f"{name} {peer[0]}\n".encode())
                kept.append(connection)
                threading.Thread(target=echo, args=[connection], daemon=True).start()

    threading.Thread(target=answer, daemon=True).start()
    return "serving"


def echo(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := connection.recv(4096):
            connection.sendall(data)
    connection.close()


kept: list[socket.socket] = []


def connect(host: str, port: int, seconds: float, source: str = "", say: str = "", *, keep: bool = False) -> str:
    """What a server says first; the error's name otherwise."""
    try:
        connection = socket.create_connection((host, port), seconds, (source, 0) if source else None)
        with contextlib.ExitStack() as stack:
            if keep:
                kept.append(connection)
            else:
                stack.enter_context(connection)
            connection.sendall(say.encode())
            if say:
                connection.shutdown(socket.SHUT_WR)
            return connection.recv(4096).decode().strip()
    except OSError as error:
        return type(error).__name__


def still(seconds: float) -> str:
    """Whether the connection that was kept last still carries."""
    kept[-1].settimeout(seconds)
    try:
        kept[-1].sendall(b"still")
        return kept[-1].recv(100).decode()
    except OSError as error:
        return type(error).__name__


def hold(host: str, port: int, number: int) -> int:
    """Connect, and say nothing; how many were made."""
    for _ in range(number):
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex((host, port))
        kept.append(connection)
    return len(kept)


def flood(host: str, port: int, number: int) -> str:
    """Datagrams of nonsense, as fast as can be."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0\0")
        sender.bind(("", 68))
        for _ in range(number):
            with contextlib.suppress(OSError):
                sender.sendto(b"\x01" * 300, (host, port))
    return "sent"


def ask(host: str, port: int, seconds: float, source: str = "", data: str = "?") -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(seconds)
        try:
            client.bind((source, 0))
            client.sendto(bytes.fromhex(data) if data != "?" else b"?", (host, port))
            answer = client.recv(4096)
            return answer.hex() if data != "?" else answer.decode()
        except OSError as error:
            return type(error).__name__


def exchange(host: str, port: int, seconds: float, data: str) -> str:
    """The first bytes of an answer over TCP."""
    try:
        with socket.create_connection((host, port), seconds) as connection:
            connection.sendall(bytes.fromhex(data))
            return connection.recv(4096).hex()
    except OSError as error:
        return type(error).__name__


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def ping(host: str, seconds: float) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.settimeout(seconds)
        body = os.urandom(4) + b"ping"  # an identifier of its own, so that it is nobody else's connection
        packet = struct.pack("!BBH", 8, 0, checksum(struct.pack("!BBH", 8, 0, 0) + body)) + body
        try:
            raw.sendto(packet, (host, 0))
            while True:
                answer, peer = raw.recvfrom(2000)
                if answer[20] == 0 and answer[24:] == body:
                    return peer[0]
        except OSError as error:
            return type(error).__name__


def dhcp(mac: str, kind: int, seconds: float, wanted: str = "") -> dict[str, str]:
    """The options of the answer to a packet of DHCP, and `address`, in hexadecimal; empty if there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0\0")
        client.bind(("", 68))
        client.settimeout(seconds)
        options = b"\x35\x01" + bytes([kind]) + (b"\x32\x04" + socket.inet_aton(wanted) if wanted else b"") + b"\xff"
        head = struct.pack("!BBBBIHH16x", 1, 1, 6, 0, 0x1234, 0, 0x8000) + bytes.fromhex(mac.replace(":", ""))
        client.sendto(head.ljust(236, b"\0") + b"\x63\x82\x53\x63" + options, ("255.255.255.255", 67))
        try:
            answer = client.recv(2000)
        except OSError:
            return {}
    found = {"address": answer[16:20].hex()}
    at = 240
    while at < len(answer) and answer[at] != 255:
        if answer[at]:
            found[str(answer[at])] = answer[at + 2 : at + 2 + answer[at + 1]].hex()
        at += 2 + answer[at + 1] if answer[at] else 1
    return found


def fetch(path: str, seconds: float) -> str:
    return connect("169.254.169.254", 80, seconds, say=f"GET {path} HTTP/1.0\r\n\r\n")


KNOWN = (run, serve, connect, still, hold, flood, ask, exchange, ping, dhcp, fetch)
DO: dict[str, Any] = {one.__name__: one for one in KNOWN}


def main(machine: int, mac: str) -> None:
    inner = open_tap("eth0")
    run(["ip", "link", "set", "dev", "lo", "up"])
    run(["ip", "link", "set", "dev", "eth0", "address", mac, "up"])
    threading.Thread(target=pump, args=[machine, inner], daemon=True).start()
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = DO[question[0]](*question[1], **question[2])
        except Exception as error:
            answer = f"error: {error!r}"
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
