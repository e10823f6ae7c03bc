"""Ports of a public address, forwarded to its server: what the firewalls allow, kept true in the running machine."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, ip_network
from pathlib import Path
from typing import NamedTuple

from isthmus.model import Direction, Firewall, Port, Rule, ServerState
from isthmus.providers.local import firewalls, layout
from isthmus.providers.local.base import Base
from isthmus.providers.local.qmp import Qmp, QmpError
from isthmus.providers.local.tables import write

_log = logging.getLogger(__name__)
HOST = IPv4Address("127.0.0.1")
"""Who connects to a 127.x.y.z address comes from here."""
WIDE = 100
"""A rule over more ports than this forwards only those of KNOWN that lie in it: each forwarded port is a listener."""
KNOWN = {
    "tcp": (
        *(22, 25, 53, 80, 110, 143, 389, 443, 465, 587, 636, 993, 995, 1433, 1521, 2049, 2375, 2376, 3000, 3306),
        *(3389, 5000, 5432, 5671, 5672, 5900, 5985, 5986, 6379, 6443, 8000, 8080, 8443, 8888, 9000, 9090, 9200, 27017),
    ),
    "udp": (53, 123, 161, 500, 514, 1194, 4500, 5060, 51820),
}
PROTOCOLS = {"tcp": ("tcp",), "udp": ("udp",), "6": ("tcp",), "17": ("udp",), "-1": ("tcp", "udp")}
LIFT = 10000
"""Added to ports that an ordinary user may not listen on."""
_LINE = re.compile(r"^\s*(TCP|UDP)\[HOST_FORWARD\]\s+\d+\s+([\d.]+)\s+(\d+)\s+([\d.]+)\s+(\d+)\s", re.MULTILINE)


class Forward(NamedTuple):
    protocol: str
    address: str
    listen: int
    port: int


def first_free_port() -> int:
    """The lowest port on which this process may listen."""
    if os.geteuid() == 0:
        return 0
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except (OSError, ValueError):
        return 1024


def _ports(rule: Rule, protocol: str) -> Iterable[int]:
    low, high = (rule.low, rule.high) if rule.protocol in ("tcp", "udp") else (1, 65535)
    if high - low >= WIDE:
        return [port for port in KNOWN[protocol] if low <= port <= high]
    return range(max(low, 1), high + 1)


def wanted(chosen: Iterable[Firewall], address: str) -> dict[tuple[str, int], Forward]:
    """What is to be forwarded, by protocol and listening port; where two meet, the unchanged port wins."""
    found: dict[tuple[str, int], Forward] = {}
    least = first_free_port()
    rules = (rule for firewall in chosen for rule in firewall.rules if _from_host(rule))
    pairs = {(protocol, port) for rule in rules for protocol in _protocols(rule) for port in _ports(rule, protocol)}
    for protocol, port in sorted(pairs):
        listen = port if port >= least else port + LIFT
        if listen == port or (protocol, port + LIFT) not in pairs:
            found[protocol, listen] = Forward(protocol, address, listen, port)
    return found


def _protocols(rule: Rule) -> tuple[str, ...]:
    return PROTOCOLS.get(rule.protocol, ())


def _from_host(rule: Rule) -> bool:
    return rule.direction is Direction.INGRESS and bool(rule.cidr) and HOST in ip_network(rule.cidr)


def sync(base: Base, server: str) -> None:
    """Make the machine forward what it should; waits for the server's lock.

    A no-op unless it runs, and is on user-mode networking.
    """
    record = base.servers.raw(server)
    if record is None or base.state_of(record) is not ServerState.RUNNING or record.tapped:
        return
    with base.lock_of(server):
        sync_locked(base, server)


def sync_locked(base: Base, server: str) -> None:
    record = base.servers.raw(server)
    if record is None or base.state_of(record) is not ServerState.RUNNING or record.tapped:
        return
    [port] = layout.ports_on(base, server)
    target = _wanted_of(base, record.tenant, port)
    if not target and not _noted(base, server):
        return
    try:
        with base.monitor(server) as monitor:
            failed = _apply(monitor, target, port.address)
    except QmpError as error:
        _log.warning("the forwards of %s could not be set: %s", server, error)
        return
    note = {"forwards": [list(forward) for forward in target.values()], "failed": failed}
    write(base.run(server) / "forwards.json", json.dumps(note))


def _wanted_of(base: Base, tenant: str, port: Port) -> dict[tuple[str, int], Forward]:
    address = next((one.noun for one in base.addresses.everything() if one.noun.port == port.native), None)
    if address is None:
        return {}
    chosen = [firewalls.get(base, tenant, one).noun for one in port.firewalls]
    return wanted(chosen, address.address)


def _apply(monitor: Qmp, target: dict[tuple[str, int], Forward], private: str) -> list[str]:
    """Add and remove forwards; what could not be had, in words."""
    present, wished = set(_present(monitor)), set(target.values())
    lifted = {_lift(forward): forward for forward in wished - present if _lift(forward)[:3] not in _ends(wished)}
    for forward in present - wished - set(lifted):
        monitor.human(f"hostfwd_remove net0 {_here(forward)}")
    failed = []
    for forward in sorted(wished - present):
        if not _add(monitor, forward, private):
            continue
        other = _lift(forward)
        offered = other in lifted and (other in present or not _add(monitor, other, private))
        instead = f"it is forwarded at {other.listen} instead" if offered else "it is not forwarded"
        failed.append(f"{_here(forward)} is taken, or may not be listened on: {instead}")
        _log.warning("%s", failed[-1])
    for other, forward in lifted.items():
        if other in present and not any(_here(forward) in reason for reason in failed):
            monitor.human(f"hostfwd_remove net0 {_here(other)}")
    return failed


def _lift(forward: Forward) -> Forward:
    return forward._replace(listen=forward.port + LIFT)


def _ends(forwards: Iterable[Forward]) -> set[tuple[str, str, int]]:
    return {forward[:3] for forward in forwards}


def _here(forward: Forward) -> str:
    return f"{forward.protocol}:{forward.address}:{forward.listen}"


def _add(monitor: Qmp, forward: Forward, private: str) -> str:
    """QEMU's objection, or empty."""
    return monitor.human(f"hostfwd_add net0 {_here(forward)}-{private}:{forward.port}").strip()


def _present(monitor: Qmp) -> Iterator[Forward]:
    for protocol, address, listen, _, port in _LINE.findall(monitor.human("info usernet")):
        yield Forward(protocol.lower(), address, int(listen), int(port))


def _noted(base: Base, server: str) -> bool:
    return (base.run(server) / "forwards.json").exists()


def failures(base: Base) -> list[str]:
    """What could not be forwarded for servers that run, in words."""
    found: list[str] = []
    for record in base.servers.everything():
        if base.state_of(record) is ServerState.RUNNING and _noted(base, record.noun.native):
            try:
                note = json.loads((base.run(record.noun.native) / "forwards.json").read_text("utf-8"))
            except (OSError, ValueError):
                continue
            found += note.get("failed", ())
    return found
