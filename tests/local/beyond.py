"""A network beyond this host, in a namespace of the test's own: as the internet is for guests."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from .conftest import until


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _answers(address: str) -> bool:
    with suppress(OSError), socket.create_connection((address, 80), 1) as connection:
        return connection.recv(100).startswith(b"world")
    return False


@contextmanager
def beyond() -> Iterator[str]:
    """The address of a service there: port 80 tells who connects from which address."""
    if os.geteuid() != 0:
        pytest.skip("a network beyond this host is for root to make")
    name, address = f"world{os.getpid()}", f"198.18.{os.getpid() >> 8 & 0xFF}.{os.getpid() & 0xFC | 2}"
    host = address[: address.rindex(".")] + f".{os.getpid() & 0xFC | 1}"
    link = f"{name}h"[-15:]
    script = (
        f"import socket\ns=socket.create_server(('{address}',80))\n"
        "while True:\n c,p=s.accept(); c.sendall(f'world {p[0]}'.encode()); c.close()"
    )
    _ip("netns", "add", name)
    try:
        _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("address", "add", f"{host}/30", "dev", link)
        _ip("link", "set", link, "up")
        _ip("-n", name, "address", "add", f"{address}/30", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        server = subprocess.Popen(["ip", "netns", "exec", name, "python3", "-c", script])
        try:
            until(lambda: _answers(address))
            yield address
        finally:
            server.kill()
            server.wait()
    finally:
        _ip("netns", "del", name)
