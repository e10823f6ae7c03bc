"""How many guests one host takes: `python -m bench.density [COUNT]`.

It launches tiny guests by one request, waits until all have run their user data, measures what they take while they do
nothing, and connects to each at its public address. It gives up before the host has no memory left for others.
Not part of `make bench`, for it takes minutes and much memory.
"""

from __future__ import annotations

import base64
import os
import re
import signal
import socket
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from bench import servers
from bench.guests import machine_image
from bench.requests import Caller
from bench.wire import Line
from isthmus.providers.local import forwards

_MARK = "user data ran in a guest"
_SCRIPT = base64.b64encode(f"#!/bin/sh\necho {_MARK} >/dev/console\n".encode()).decode()
_READY = (_MARK.encode(), b"tiny: ready")
_GIVE_UP_SECONDS = 1800
_PUBLIC = {"NetworkInterface__1__DeviceIndex": 0, "NetworkInterface__1__AssociatePublicIpAddress": "true"}
_LET_IN = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "127.0.0.1/32"}
_AT_ONCE = 4
_GREETING_SECONDS = 30
_LEAST_MIB = 3072
"""What the host is left with at least."""
_IDLE_SECONDS = 60
_TICKS = 100
"""Clock ticks of a second in /proc/PID/stat, on Linux."""


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        state = Path(scratch) / "density"
        try:
            with servers.isthmus(state, "--cloud", "local") as server:
                _measure(servers.callers(state, server.endpoint, ["density"])["density"], state, count)
        finally:  # once nothing starts any more
            for pid in _machines(state):
                os.kill(pid, signal.SIGKILL)


def _measure(caller: Caller, state: Path, count: int) -> None:
    image, free = machine_image(caller), _available()
    with Line(caller.endpoint) as line:
        line.ask(caller.request("AuthorizeSecurityGroupIngress", GroupName="default", **_LET_IN))
    begun = time.perf_counter()
    with Line(caller.endpoint) as line:
        words = {"ImageId": image, "InstanceType": "t2.nano", "MinCount": count, "MaxCount": count, "UserData": _SCRIPT}
        line.ask(caller.request("RunInstances", **words, **_PUBLIC))
    answered = time.perf_counter() - begun
    while (ready := _ready(state)) < count:
        if time.perf_counter() - begun > _GIVE_UP_SECONDS:
            sys.exit(f"only {ready} of {count} guests were ready after {_GIVE_UP_SECONDS} s")
        if _available() < _LEAST_MIB:
            sys.exit(f"only {ready} of {count} guests were ready when the host had {_LEAST_MIB} MiB left")
        time.sleep(0.5)
    taken = time.perf_counter() - begun
    time.sleep(_IDLE_SECONDS / 2)
    pids = _machines(state)
    before = sum(map(_ticks, pids))
    time.sleep(_IDLE_SECONDS)
    idle = (sum(map(_ticks, pids)) - before) / _TICKS / _IDLE_SECONDS
    pss, rss = (sum(_memory(pid, what) for pid in pids) / 1024 for what in ("Pss", "Rss"))
    disk = sum(one.lstat().st_blocks for one in (state / "local" / "disks").iterdir()) * 512 / 1e6
    begun = time.perf_counter()
    addresses = _addresses(caller)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        reached = sum(pool.map(_answers, addresses))
    connected = time.perf_counter() - begun
    print(f"{count} guests, {len(pids)} machines run")
    print(f"{reached} guests greeted at their {len(addresses)} public addresses within {connected:.1f} s")
    print(f"RunInstances answered after {answered:.1f} s, all guests ready after {taken:.0f} s")
    print(f"memory: {pss / 1024:.1f} GiB PSS, of the host {(free - _available()) / 1024:.1f} GiB")
    print(f"each: PSS {pss / len(pids):.0f} MiB, RSS {rss / len(pids):.0f} MiB, disk {disk / count:.1f} MB")
    print(f"idle: {idle * 100:.0f} % of a core for all, {idle * 100 / len(pids):.2f} % each")


def _addresses(caller: Caller) -> list[str]:
    """The public addresses of all guests."""
    with Line(caller.endpoint) as line:
        body = line.ask(caller.request("DescribeInstances"))
    return [one.decode() for one in re.findall(rb"<ipAddress>([\d.]+)", body)]


def _answers(address: str) -> bool:
    """Whether the guest's own sshd greets at an address: the host's may listen at its port 22 too."""
    for port in (22, 22 + forwards.LIFT):
        with suppress(OSError), socket.create_connection((address, port), _GREETING_SECONDS) as connection:
            if b"dropbear" in connection.recv(64):
                return True
    return False


def _ready(state: Path) -> int:
    """How many guests have run their user data."""
    said = (one.read_bytes() for one in (state / "local" / "run").glob("*/console.log"))
    return sum(all(words in text for words in _READY) for text in said)


def _machines(state: Path) -> list[int]:
    """The processes that wrote the files of their numbers, and still are there."""
    told = [int(one.read_text()) for one in (state / "local" / "run").glob("*/qemu.pid")]
    return [pid for pid in told if str(state).encode() in _command(pid)]


def _command(pid: int) -> bytes:
    path = Path(f"/proc/{pid}/cmdline")
    return path.read_bytes() if path.exists() else b""


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return int(fields[11]) + int(fields[12])


def _memory(pid: int, what: str) -> int:
    """KiB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(text.split(f"\n{what}:")[1].split()[0])


def _available() -> int:
    """MiB that the host has left."""
    text = Path("/proc/meminfo").read_text()
    return int(text.split("MemAvailable:")[1].split()[0]) // 1024


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
