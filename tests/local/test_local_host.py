"""Nothing of the host's own network is changed: a network namespace stands for a host that nobody else is on."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from isthmus.providers.local import Local, tiny, way
from isthmus.providers.local.netd import names
from isthmus.providers.local.netd.client import able, environment

from .conftest import FLAVORS, ZONE, end_machines, until

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(
        os.geteuid() != 0, reason="only root routes public addresses, and an ordinary user changes none"
    ),
    pytest.mark.skipif(not able()[0], reason=f"no networks can be made of namespaces here: {able()[1]}"),
]
RANGE = "203.0.113.0/24"
OWN = """
ip link set lo up
ip link add own0 type veth peer name own1
ip address add 192.0.2.10/24 dev own0
ip link set own0 up
ip link set own1 up
ip route add default via 192.0.2.1
ip route add 10.1.0.0/16 via 192.0.2.2 table 77
ip rule add priority 1000 from 198.51.100.0/24 lookup 77
nft add table inet own
nft add chain inet own input '{ type filter hook input priority 0; policy accept; }'
nft add rule inet own input tcp dport 9 counter drop
"""
"""What the host has of its own."""
ON_HOST = """
import socket, sys, time
from contextlib import suppress
from pathlib import Path
from isthmus.model import Direction, Flavor, Rule, ServerState
from isthmus.providers import AddressSpec, DiskSpec, ServerSpec
from isthmus.providers.local import Local
from isthmus.providers.local.layout import first_firewall

state, zone, public = sys.argv[1:]
sys.stdin.readline()
flavors = [Flavor("nano", "nano", 1, 128)]
cloud = Local("local", Path(state), (zone,), flavors, accelerator="tcg", network="namespaces", public=public)
session = cloud.session("acme")
ssh = Rule(Direction.INGRESS, "tcp", 22, 22, cidr="192.0.2.0/24")
session.firewalls.add_rules(first_firewall("acme"), [ssh])
given = {}
for number in range(2):
    disk = DiskSpec(f"root-{number}", "/dev/sda1", 0, root=True)
    made = session.compute.create_server(ServerSpec(f"server-{number}", "name", "image-tiny", "nano", zone, (disk,)))
    address = session.addresses.allocate_address(AddressSpec(f"address-{number}"))
    session.addresses.associate_address(address.native, made.ports[0].native)
    given[made.native] = address.address

def greeting(address):
    with suppress(OSError), socket.create_connection((address, 22), 5) as connection:
        connection.settimeout(5)
        return connection.recv(64)

for address in given.values():
    while not (greeting(address) or b"").startswith(b"SSH-"):
        time.sleep(0.2)
print(*given.values(), flush=True)
sys.stdin.readline()
for native in given:
    session.compute.delete_server(native)
while session.compute.list_servers() or cloud.base.netd.health()["running"]:
    time.sleep(0.05)
print("gone", flush=True)
sys.stdin.readline()
"""
"""Guests with public addresses, until somebody says a line; each has answered at its address, from the host's own."""


@pytest.fixture
def host(tmp_path: Path, tiny_image: tiny.Tiny) -> Iterator[subprocess.Popen[str]]:
    words = ["unshare", "--net", sys.executable, "-c", ON_HOST, str(tmp_path / "state"), ZONE, RANGE]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    mine = Path("/proc/self/ns/net").readlink()
    until(lambda: Path(f"/proc/{child.pid}/ns/net").readlink() != mine)
    inside(child, "sh", "-e", "-c", OWN)
    until(lambda: not {"NO-CARRIER", "tentative"} & set(re.findall(r"[\w-]+", inside(child, "ip", "address"))))
    yield child
    child.kill()
    child.communicate()
    end_machines(Local("local", tmp_path / "state", (ZONE,), FLAVORS, network=way.NAMESPACES, public=RANGE))
    shutil.rmtree(tmp_path, ignore_errors=True)


def inside(host: subprocess.Popen[str], *words: str) -> str:
    done = subprocess.run(
        ["nsenter", "--net", "--target", str(host.pid), *words], capture_output=True, text=True, env=environment()
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def told(host: subprocess.Popen[str]) -> dict[str, list[Any]]:
    """All that a host's kernel says of its network's settings."""
    asked = {
        "links": "link show",
        "addresses": "address show",
        "routes": "-4 route show table all",
        "IPv6 routes": "-6 route show table all",
        "rules": "-4 rule show",
        "IPv6 rules": "-6 rule show",
    }
    said = {name: json.loads(inside(host, "ip", "-json", *words.split()) or "[]") for name, words in asked.items()}
    kinds = [f"/proc/sys/net/ipv{version}/conf/{which}" for version in (4, 6) for which in ("all", "default")]
    settings = inside(host, "sh", "-c", f"grep -rs . {' '.join(kinds)} /proc/sys/net/ipv4/ip_forward || true")
    filters = json.loads(inside(host, "nft", "--json", "list", "ruleset"))["nftables"]
    return {**said, "filters": filters, "settings": sorted(settings.splitlines())}


def say(host: subprocess.Popen[str]) -> str:
    """Let the host go on, and hear what it says then."""
    assert host.stdin
    assert host.stdout
    host.stdin.write("\n")
    host.stdin.flush()
    return host.stdout.readline()


def test_a_cloud_adds_its_own_link_and_routes_to_the_host_and_takes_them_away_again(
    host: subprocess.Popen[str], tmp_path: Path
) -> None:
    before = told(host)
    assert all(before[name] for name in before)
    assert len(before["settings"]) > 50

    publics = say(host).split()
    assert len(publics) == 2
    meanwhile = told(host)
    more = {name: [one for one in meanwhile[name] if one not in before[name]] for name in before}
    assert [] == [one for name in before for one in before[name] if one not in meanwhile[name]]
    link = f"isth{names.short(Local('local', tmp_path / 'state').base.prefix.strip('.').replace('.', '-'))}"
    assert [link] == [one["ifname"] for one in more.pop("links")]
    assert [(link, [])] == [(one["ifname"], one["addr_info"]) for one in more.pop("addresses")]
    assert sorted((one, link) for one in publics) == sorted((one["dst"], one["dev"]) for one in more.pop("routes"))
    assert not any(more.values()), more

    assert "gone\n" == say(host)
    assert before == told(host)
