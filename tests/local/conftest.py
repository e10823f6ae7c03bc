"""Real clouds in temporary directories; whatever machines a test started are ended after it."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from isthmus.model import Direction, Flavor, Rule, Server, ServerState
from isthmus.providers import AddressSpec, DiskSpec, ServerSpec
from isthmus.providers.local import Local, forwards, process, tiny, way
from isthmus.providers.local.cloud import LocalSession
from isthmus.providers.local.netd.client import able

T = TypeVar("T")
ZONE = "us-east-1a"
FLAVORS = (Flavor("nano", "t2.nano", cpus=1, memory=128), Flavor("micro", "t2.micro", cpus=1, memory=160))
SSH_PORT = 22 if forwards.first_free_port() <= 22 else 22 + forwards.LIFT
"""Where the guest's port 22 is offered to this user."""
SSH = Rule(Direction.INGRESS, "tcp", 22, 22, cidr="127.0.0.0/8")
GREETING = b"booted from my own disk\r\nlogin: "
TOKEN = b"a-token"
NEEDED = ("qemu-system-x86_64", "qemu-img", "ssh")


def until(look: Callable[[], T], seconds: float = 60) -> T:
    """The first true answer of `look`."""
    deadline = time.monotonic() + seconds
    while not (answer := look()):
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.05)
    return answer


def boot_sector() -> bytes:
    """A master boot record that writes GREETING to the first serial port, byte by byte, and halts."""
    # xor ax,ax; mov ds,ax; mov si,0x7c00+len; next: lodsb; test al,al; jz halt
    # mov ah,al; wait: mov dx,0x3fd; in al,dx; test al,0x20; jz wait; mov dx,0x3f8; mov al,ah; out dx,al; jmp next; halt
    code = bytes.fromhex("31c08ed8be1f7cac84c0741188c4bafd03eca82074f8baf80388e0eeebe9f4ebfd")
    code = code[:5] + (0x7C00 + len(code)).to_bytes(2, "little") + code[7:]
    return (code + GREETING + b"\0").ljust(510, b"\0") + b"\x55\xaa"


class _Handler(socketserver.StreamRequestHandler):
    """Answers one metadata request by the guest that the relay's first line names."""

    def handle(self) -> None:
        _, tenant, native = self.rfile.readline().decode().split()
        method, path, _ = self.rfile.readline().decode().split()
        head = b""
        while (line := self.rfile.readline()).strip():
            head += line
        items: dict[str, bytes] = self.server.items_of(tenant, native)  # type: ignore[attr-defined]
        body = TOKEN if method == "PUT" else items.get(path.removeprefix("/latest/"))
        status = b"404 Not Found" if body is None else b"200 OK"
        if method == "GET" and b": %s\r\n" % TOKEN not in head:
            body, status = None, b"401 Unauthorized"
        self.wfile.write(b"HTTP/1.1 " + status + b"\r\nConnection: close\r\n\r\n" + (body or b""))


class MetadataServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path: Path, public_key: str, cloud: Local) -> None:
        super().__init__(str(path), _Handler)
        self.public_key = public_key
        self.cloud = cloud
        self.user_data: dict[str, bytes] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def items_of(self, tenant: str, native: str) -> dict[str, bytes]:
        items = {
            "meta-data/instance-id": f"i-of-{native}".encode(),
            "meta-data/local-hostname": b"guest.example",
            "meta-data/tenant": tenant.encode(),
            "meta-data/public-keys/0/openssh-key": self.public_key.encode(),
        }
        for server in self.cloud.session(tenant).compute.list_servers([native]):
            for port in server.ports:
                macs = f"meta-data/network/interfaces/macs/{port.mac}"
                items[f"{macs}/local-ipv4s"] = "\n".join(port.addresses).encode()
        return items | ({"user-data": data} if (data := self.user_data.get(tenant)) else {})


@dataclass
class World:
    """A cloud with its metadata service, and a key to its guests."""

    cloud: Local
    metadata: MetadataServer
    key: Path
    session: LocalSession = field(init=False)

    def __post_init__(self) -> None:
        self.session = self.cloud.session("acme,ltd")

    def spec(self, ref: str, **changes: Any) -> ServerSpec:
        disk = DiskSpec("vol-0123456789abcdef0" if ref == "first" else f"{ref}-root", "/dev/sda1", 0, root=True)
        return replace(ServerSpec(ref, ref, "image-tiny", "nano", ZONE, (disk,)), **changes)

    def launched(self, ref: str, *, ready: bool = True, **changes: Any) -> Server:
        server = self.session.compute.create_server(self.spec(ref, **changes))
        self.wait(server.native, ServerState.RUNNING)
        if ready:
            self.says(server.native, b"tiny: ready")
        return self.server(server.native)

    def server(self, native: str) -> Server:
        [server] = self.session.compute.list_servers([native])
        return server

    def wait(self, native: str, state: ServerState) -> Server:
        until(lambda: self.server(native).state in (state, ServerState.ERROR))
        assert self.server(native).state is state
        return self.server(native)

    def says(self, native: str, words: bytes, times: int = 1) -> str:
        """What the console says once it says `words`."""
        until(lambda: self.session.compute.console_output(native).output.count(words) >= times)
        return self.session.compute.console_output(native).output.decode(errors="replace")

    def address(self, native: str) -> str:
        """A new public address of a server."""
        address = self.session.addresses.allocate_address(AddressSpec(f"address-of-{native}"))
        self.session.addresses.associate_address(address.native, self.server(native).ports[0].native)
        return address.address

    def greeting(self, address: str) -> bytes:
        """What the guest's port 22 says first, or nothing. ssh itself does not serve a user who has no name."""
        with contextlib.suppress(OSError), socket.create_connection((address, SSH_PORT), 10) as connection:
            return connection.recv(64)
        return b""

    def ssh(self, address: str, command: str, user: str = "root") -> str:
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes"]
        words = [word for option in (*options, "ConnectTimeout=10") for word in ("-o", option)]
        done = subprocess.run(
            ["ssh", *words, "-p", str(SSH_PORT), "-i", str(self.key), f"{user}@{address}", command],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return (done.stdout + done.stderr).strip()


@pytest.fixture(scope="session")
def tiny_image(tmp_path_factory: pytest.TempPathFactory) -> tiny.Tiny:
    """The built tiny image; built now if it was not yet."""
    if absent := [program for program in NEEDED if not shutil.which(program)]:
        pytest.skip(f"not installed: {', '.join(absent)} (apt-get install qemu-system-x86 qemu-utils openssh-client)")
    with (tmp_path_factory.getbasetemp().parent / "tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return tiny.build(tiny.cached(which := tiny.preferred()), print, which)
        except tiny.BuildError as error:
            pytest.skip(str(error))


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private key, and beside it the public one; ssh-keygen makes none for a user who has no name."""
    path, made = tmp_path_factory.mktemp("key") / "id", Ed25519PrivateKey.generate()
    path.touch(0o600)
    path.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    public = made.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    path.with_suffix(".pub").write_bytes(public)
    return path


def end_machines(cloud: Local) -> None:
    """End all that runs in a cloud, and nothing else."""
    cloud.close()
    for pid, name in list(process.machines(cloud.base.prefix)):
        process.terminate(pid, name)
    cloud.base.netd.clean()


def make_world(directory: Path, key: Path, **settings: Any) -> Iterator[World]:
    state = directory / "a, b"  # a path with what shells and option lists stumble over
    cloud = Local("local", state, (ZONE,), FLAVORS, accelerator="tcg", **settings)
    metadata = MetadataServer(state / "metadata.sock", key.with_suffix(".pub").read_text().strip(), cloud)
    yield World(cloud, metadata, key)
    metadata.shutdown()
    metadata.server_close()
    end_machines(cloud)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def world(tmp_path: Path, tiny_image: tiny.Tiny, key: Path) -> Iterator[World]:
    yield from make_world(tmp_path, key)


@pytest.fixture
def user_mode(tmp_path: Path, tiny_image: tiny.Tiny, key: Path) -> Iterator[World]:
    """A cloud whose guests are on user-mode networking."""
    yield from make_world(tmp_path, key, network=way.SLIRP)


@pytest.fixture(scope="module", params=[way.SLIRP, way.NAMESPACES])
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_image: tiny.Tiny, key: Path
) -> Iterator[World]:
    """One cloud for the tests of a file, which are run on both ways of connecting guests."""
    if request.param == way.NAMESPACES and not able()[0]:
        pytest.skip(f"no networks can be made of namespaces here: {able()[1]}")
    yield from make_world(tmp_path_factory.mktemp("shared"), key, network=request.param)


@pytest.fixture
def slirp(tmp_path: Path) -> Iterator[Local]:
    """A cloud in which nothing is booted, and that would connect guests by user-mode networking."""
    cloud = Local("local", tmp_path / "state", (ZONE,), FLAVORS, accelerator="tcg", network=way.SLIRP)
    yield cloud
    end_machines(cloud)


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[Local]:
    """A cloud in which nothing is booted."""
    cloud = Local("local", tmp_path / "state", (ZONE,), FLAVORS, accelerator="tcg")
    yield cloud
    end_machines(cloud)


class _Name(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"the host")


@pytest.fixture
def service() -> Iterator[int]:
    """A service on all of the host's addresses."""
    with socketserver.ThreadingTCPServer(("", 0), _Name) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def hosts_addresses() -> list[str]:
    said = subprocess.run(["ip", "-4", "-o", "address"], capture_output=True, text=True, check=True).stdout
    return [line.split()[3].partition("/")[0] for line in said.splitlines()]
