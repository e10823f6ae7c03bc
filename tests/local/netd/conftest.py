"""Networks of the daemon with stand-ins for guests: whoever runs the tests, root or not, makes them his way."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from isthmus.model import Direction, Hop, Route, Rule
from isthmus.providers.local.netd.client import Netd, able, environment
from isthmus.providers.local.netd.plan import FirewallPlan, NetworkPlan, Plan, PortPlan, SubnetPlan

T = TypeVar("T")
SOON = 0.7
"""Seconds after which what has not come is taken for dropped: links here take microseconds."""
IN, OUT = Direction.INGRESS, Direction.EGRESS
ALL_IN, ALL_OUT = Rule(IN, "-1", cidr="0.0.0.0/0"), Rule(OUT, "-1", cidr="0.0.0.0/0")
OPEN = FirewallPlan("open", (ALL_IN, ALL_OUT))
EVERYWHERE = "0.0.0.0/0"
TO_INTERNET = (Route(EVERYWHERE, Hop.INTERNET),)


def until(look: Callable[[], T], seconds: float = 20) -> T:
    deadline = time.monotonic() + seconds
    while not (answer := look()):
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.02)
    return answer


def port(name: str, address: str, *firewalls: str, subnet: str = "a", **changes: Any) -> PortPlan:
    """A port on a server of its own name; its MAC address is of its address."""
    mac = "06:00:" + ":".join(f"{int(part):02x}" for part in address.split("."))
    plan = PortPlan(name, subnet, mac, (address,), firewalls or ("open",), True, "acme", f"server-{name}")
    return replace(plan, **changes)


def network(*ports: PortPlan, **changes: Any) -> NetworkPlan:
    """172.31.0.0/16 with the subnets `a` and `b`, all open, and no way out."""
    subnets = (SubnetPlan("a", "172.31.0.0/20"), SubnetPlan("b", "172.31.16.0/20"))
    plan = NetworkPlan("net", ("172.31.0.0/16",), internet=False, subnets=subnets, ports=ports, firewalls=(OPEN,))
    return replace(plan, **changes)


class Standin:
    """A guest: its namespace, asked as `standin.py` says."""

    def __init__(self, tap: int, plan: PortPlan) -> None:
        self.plan = plan
        mapped = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        script = str(Path(__file__).with_name("standin.py"))
        self.process = subprocess.Popen(
            ["unshare", *mapped, "--net", sys.executable, "-I", "-S", script, str(tap), plan.mac],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[tap],
            env=environment(),
        )
        os.close(tap)

    def __call__(self, do: str, *words: Any, **named: Any) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps([do, words, named]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    @property
    def address(self) -> str:
        return self.plan.addresses[0]

    def configure(self, length: int = 20) -> Standin:
        """Take the addresses without asking for them."""
        for one in self.plan.addresses:
            assert self("run", ["ip", "address", "add", f"{one}/{length}", "dev", "eth0"]) == ""
        first = self.address.rsplit(".", 1)[0] + ".1"
        assert self("run", ["ip", "route", "add", "default", "via", first, "dev", "eth0", "onlink"]) == ""
        return self

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        greeting = self.rfile.readline().decode().strip()
        request = self.rfile.readline().decode().strip()
        with contextlib.suppress(OSError):
            self.wfile.write(f"{greeting}: {request}".encode())


class Metadata(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


@dataclass
class Cloud:
    directory: Path
    prefix: str
    netd: Netd = field(init=False)
    plan: Plan = field(init=False)
    guests: list[Standin] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.netd = Netd(self.directory / "net", self.prefix)
        self.plan = Plan(str(self.directory / "metadata.sock"))

    def apply(self, *networks: NetworkPlan, **changes: Any) -> None:
        self.plan = replace(self.plan, networks=networks, **changes)
        self.netd.apply(self.plan)

    def plug(self, name: str, *, configured: bool = True) -> Standin:
        plan = next(one for each in self.plan.networks for one in each.ports if one.native == name)
        guest = Standin(self.netd.plug(name), plan)
        self.guests.append(guest)
        return guest.configure() if configured else guest

    def start(self, *networks: NetworkPlan, **changes: Any) -> list[Standin]:
        """Apply, and a guest for each port on a server; each serves its name on port 80 of TCP and 53000 of UDP."""
        self.apply(*networks, **changes)
        ports = [one for each in networks for one in each.ports if one.server]
        guests = [self.plug(one.native) for one in ports]
        for guest in guests:
            guest("serve", "tcp", 80, guest.plan.native)
            guest("serve", "udp", 53000, guest.plan.native)
        return guests

    def end(self) -> None:
        for guest in self.guests:
            guest.end()
        self.netd.clean()


def names_of_namespaces() -> list[str]:
    return subprocess.run(["ip", "netns"], capture_output=True, text=True, env=environment(), check=True).stdout.split()


@pytest.fixture
def short_path() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="netd"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def cloud(short_path: Path) -> Iterator[Cloud]:
    mode, reason = able()
    if not mode:
        pytest.skip(reason)
    metadata = Metadata(short_path / "metadata.sock")
    found = Cloud(short_path, f"isthmus-{short_path.name[-8:]}-")
    yield found
    found.end()
    metadata.shutdown()
    metadata.server_close()
