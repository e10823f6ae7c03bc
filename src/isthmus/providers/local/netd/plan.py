"""What the networks of one cloud are to be, as a whole: written by Isthmus, made true by the daemon.

The daemon knows nothing else, so it can be killed and started again at any time. All nouns are by their native ids.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from isthmus.model import AclRule, Dhcp, Route, Rule
from isthmus.providers.local.codec import decode, encode
from isthmus.providers.local.tables import write


@dataclass(frozen=True, slots=True)
class PortPlan:
    """A port; it has a tap if it is on a server."""

    native: str
    subnet: str
    mac: str
    addresses: tuple[str, ...]
    """The first is told to the guest by DHCP."""
    firewalls: tuple[str, ...] = ()
    source_check: bool = True
    """Whether the guest may send only from, and be sent only to, its own addresses."""
    tenant: str = ""
    server: str = ""
    """With `tenant`, whom the metadata service takes it for; empty for a port on no server, as that of a NAT."""

    @property
    def tap(self) -> str:
        """The name of its interface: at most 15 bytes, the kernel's limit."""
        return f"tap{hashlib.sha256(self.native.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class SubnetPlan:
    native: str
    cidr: str
    routes: tuple[Route, ...] = ()
    """What leaves the network; where two hold, the longer prefix does."""
    acl: tuple[AclRule, ...] | None = None
    """None lets all pass."""


@dataclass(frozen=True, slots=True)
class FirewallPlan:
    """Its members are the ports that name it, also those of networks that are peers."""

    native: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class PublicPlan:
    """A public address and the private one that answers it, of a server's port or a NAT's."""

    address: str
    private: str
    port: str


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """One network, which is one network namespace while any of its ports is on a server."""

    native: str
    ranges: tuple[str, ...]
    internet: bool = True
    """Whether there is a way out for routes to the internet, and for public addresses."""
    resolver: bool = True
    """Whether the second address of the network, and 169.254.169.253, answer DNS."""
    dhcp: Dhcp = field(default_factory=Dhcp)
    peers: tuple[str, ...] = ()
    subnets: tuple[SubnetPlan, ...] = ()
    ports: tuple[PortPlan, ...] = ()
    firewalls: tuple[FirewallPlan, ...] = ()
    publics: tuple[PublicPlan, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    metadata_socket: str
    """Where requests to 169.254.169.254 arrive; each connection begins with `ISTHMUS/1 <tenant> <server>`."""
    networks: tuple[NetworkPlan, ...] = ()
    routed: str = ""
    """The range of public addresses that this host routes to guests, for root alone; empty: public addresses are
    loopback addresses of this host, whose TCP and UDP ports are relayed to the guests."""

    def save(self, path: Path) -> None:
        write(path, json.dumps(encode(self)))

    @staticmethod
    def load(path: Path) -> Plan:
        """FileNotFoundError if there is none; ValueError, TypeError or KeyError if it is damaged."""
        plan: Plan = decode(Plan, json.loads(path.read_text("utf-8")))
        return plan
