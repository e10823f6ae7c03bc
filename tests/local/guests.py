"""Real guests that answer each other by TCP and UDP. They are commanded by their serial consoles, past all networks."""

from __future__ import annotations

import base64
import re
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from isthmus.providers.local.sockets import short

WEB, ECHO, DATAGRAM = 8080, 7777, 5300
"""A guest's ports: TCP that tells who is there and who asks, TCP that says all again, UDP that tells as WEB does."""
SECONDS = 2
"""After which a question is taken for unanswered; an answer takes some milliseconds, where the host is not busy."""
Answers = Mapping[str, str]
"""What was answered, by protocol: the name of who answered, and the address that it was asked from."""

_CODE = bytes.fromhex(
    "4881ec80020000 31c0 31ff 4889e6 6a205a 0f05 89c3"  # given = read(0, own, 32)
    "6a2958 6a025f 6a025e 31d2 0f05 89c5"  # here = socket(AF_INET, SOCK_DGRAM, 0)
    "89ef 6a3158 4889e6 6a105a 0f05"  # bind(here, own, 16)
    "4531d2 83fb20 7435"  # given == 32? to the client
    "89ef 6a2d58 488d742440 ba00020000 4c8d442410 4c8d4c2430 41c70110000000 0f05"  # recvfrom(here, ..., &other, &16)
    "89ef 6a2c58 4889e6 6a205a 6a104159 0f05 ebcb"  # sendto(here, own and other, 32, 0, other, 16); again
    "89ef 6a2c58 4889e6 6a105a 4c8d442410 6a104159 0f05"  # the client: sendto(here, own, 16, 0, other, 16)
    "89ef 6a2d58 488d742440 ba00020000 4531c0 4531c9 0f05 89c2"  # length = recvfrom(here, answer, 512, 0, 0, 0)
    "6a0158 6a015f 0f05 6a3c58 31ff 0f05"  # write(1, answer, length); exit(0)
)
"""UDP for x86-64, which the guest has no program for. It reads `own`, and maybe `other`: addresses of C, 16 bytes.

With `own` alone it answers each datagram with both; with `other`, it sends one there and writes what is answered.
"""
_HEAD = (64).to_bytes(2, "little") + (56).to_bytes(2, "little") + (1).to_bytes(2, "little") + bytes(6)


def _program() -> bytes:
    """`_CODE` as an ELF file: one header, one segment that holds all of it."""
    base, start = 0x400000, 64 + 56
    words = (base + start, 64, 0)
    elf = b"\x7fELF\x02\x01\x01" + bytes(9) + bytes.fromhex("02003e0001000000")
    elf += b"".join(word.to_bytes(8, "little") for word in words) + bytes(4) + _HEAD
    size = start + len(_CODE)
    segment = bytes.fromhex("0100000005000000") + b"".join(
        word.to_bytes(8, "little") for word in (0, base, base, size, size, 0x1000)
    )
    return elf + segment + _CODE


def c_address(address: str, port: int, name: str = "") -> bytes:
    """An address as the program takes it, with a name of at most 8 letters where it has nothing to say."""
    return (
        (2).to_bytes(2, "little") + port.to_bytes(2, "big") + socket.inet_aton(address) + name.encode().ljust(8, b"\0")
    )


def told(datagram: bytes) -> str:
    """What an answer of the program says: a name, and the address that was seen."""
    name = datagram[8:16].rstrip(b"\0").decode()
    return f"{name} {socket.inet_ntoa(datagram[20:24])}" if datagram else ""


def user_data(name: str) -> str:
    """Makes a tiny guest one of these."""
    program = base64.b64encode(_program()).decode()
    own = c_address("0.0.0.0", DATAGRAM, name).hex()
    return rf"""#!/bin/sh
dmesg -n 1
echo {program} | base64 -d >/bin/udp
mkdir -p /www/cgi-bin
echo 'printf "Content-Type: text/plain\r\n\r\n{name} $REMOTE_ADDR"' | sed '1i #!/bin/sh' >/www/cgi-bin/who
chmod 755 /bin/udp /www/cgi-bin/who
httpd -p 0.0.0.0:{WEB} -h /www
nc -ll -p {ECHO} -e cat &
echo {own} | xxd -r -p | udp &
stty raw -echo </dev/ttyS0
while read -r number words; do
  (eval "$words") >/tmp/said 2>&1 </dev/null
  echo "@$number $(base64 /tmp/said | tr -d '\n')."
done </dev/ttyS0 >/dev/ttyS0 &
"""


@dataclass
class Guest:
    """One of these guests, by the directory of its machine. Called with a command, it runs that."""

    name: str
    id: str
    address: str
    interface: str
    directory: Path
    _asked: int = 0
    _console: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        self._console = socket.socket(socket.AF_UNIX)
        with short(self.directory / "console.sock") as path:
            self._console.connect(path)

    def close(self) -> None:
        self._console.close()

    def __call__(self, command: str, seconds: float = 30) -> str:
        """What the command writes."""
        self._asked += 1
        self._console.sendall(f"{self._asked} {command}\n".encode())
        deadline, heard = time.monotonic() + seconds, b""
        while not (found := re.search(rb"@%d ([\w+/=]*)\." % self._asked, heard)):
            assert time.monotonic() < deadline, f"{self.name}: {command}: {heard!r}"
            self._console.settimeout(1)
            with suppress(TimeoutError):
                heard += self._console.recv(4096)
        return base64.b64decode(found[1]).decode(errors="replace").strip()

    def asks(
        self,
        address: str,
        source: str = "0.0.0.0",
        port: int = 0,
        seconds: int = SECONDS,
    ) -> Answers:
        """What is answered at an address by TCP and, from `source` and `port`, by UDP."""
        sent = (c_address(source, port) + c_address(address, DATAGRAM)).hex()
        tcp = rf"printf 'GET /cgi-bin/who HTTP/1.0\r\n\r\n' | timeout {seconds} nc {address} {WEB} | tail -n 1"
        udp = f"echo {sent} | xxd -r -p | timeout {seconds} udp | xxd -p | tr -d '\\n'"
        both = f"({tcp} >/tmp/tcp) & ({udp} >/tmp/udp) & wait"
        said = self(f'exec 2>/dev/null; {both}; echo "$(cat /tmp/tcp),$(cat /tmp/udp)"')
        tcp, _, udp = said.partition(",")
        return _answers(tcp, told(bytes.fromhex(udp)))

    def answers(self, source: str, *protocols: str) -> Answers:
        """What it answers to who comes from `source`."""
        return dict.fromkeys(protocols or ("tcp", "udp"), f"{self.name} {source}")

    def pings(self, address: str) -> bool:
        return ", 0% packet loss" in self(f"ping -c 1 -W {SECONDS} {address}")

    def hears(self, address: str, port: int) -> str:
        """What a server says by itself."""
        return self(f"exec 2>/dev/null; timeout {SECONDS} nc {address} {port}")

    def datagrams(self) -> int:
        """How many have reached its program so far."""
        return int(self("grep '^Udp: [0-9]' /proc/net/snmp").split()[1])


def _answers(tcp: str, udp: str) -> Answers:
    return {protocol: said for protocol, said in (("tcp", tcp), ("udp", udp)) if said}


def asked_by_host(address: str) -> Answers:
    """What is answered at an address to this host."""
    tcp = udp = b""
    with suppress(OSError), socket.create_connection((address, WEB), SECONDS) as connection:
        connection.sendall(b"GET /cgi-bin/who HTTP/1.0\r\n\r\n")
        tcp = b"".join(iter(lambda: connection.recv(4096), b""))
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(SECONDS)
        client.connect((address, DATAGRAM))
        client.send(b"?")
        udp = client.recv(100)
    return _answers(tcp.decode().rpartition("\n")[2], told(udp))
