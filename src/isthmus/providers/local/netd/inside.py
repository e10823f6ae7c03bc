"""One network's namespace: made, filled and kept as its layout says."""

from __future__ import annotations

import os
from typing import TypeVar

from isthmus.providers.local.netd import dhcp, dns, metadata, names, routes, rules
from isthmus.providers.local.netd.layout import Layout, is_v4
from isthmus.providers.local.netd.names import short
from isthmus.providers.local.netd.plan import PortPlan
from isthmus.providers.local.netd.spaces import Spaces

K = TypeVar("K")


class Inside:
    """What runs for one network. Its methods that say so block, and are called by threads, one at a time."""

    def __init__(self, spaces: Spaces, native: str) -> None:
        self.spaces = spaces
        self.name = short(native)
        self.ports: dict[int, PortPlan] = {}
        """By the index of the tap."""
        self.guests: dict[str, PortPlan] = {}
        """By private address."""
        self._routed: tuple[Layout, dict[str, int]] | None = None
        self._addressed: set[str] = set()
        self._dhcp: dhcp.DhcpServer | None = None
        self._metadata: metadata.MetadataServer | None = None
        self._dns: dns.DnsServer | None = None
        self._dns_at: list[str] = []

    def make(self, layout: Layout) -> None:
        """Blocks. Closed to all before anything is in it."""
        self.spaces.open(self.name, rules.ruleset(layout))
        self._address(layout)

    def _address(self, layout: Layout) -> None:
        own = [names.METADATA, names.RESOLVER]
        own += [names.router(subnet.cidr) for subnet in layout.subnets]
        own += [names.name_server(one) for one in layout.ranges]
        wanted = {f"{one}/32" for one in own}
        if wanted == self._addressed:
            return
        listed = self.spaces.ask(self.name, "address", "show", "dev", "lo")
        entries = [entry for link in listed for entry in link.get("addr_info", []) if entry.get("family") == "inet"]
        present = {f"{one['local']}/{one['prefixlen']}" for one in entries} - {"127.0.0.1/8"}
        self.spaces.ip(self.name, [f"address add {one} dev lo" for one in sorted(wanted - present)])
        self.spaces.ip(self.name, [f"address del {one} dev lo" for one in sorted(present - wanted)])
        self._addressed = wanted

    def apply(self, layout: Layout) -> None:
        """Blocks. The filter is there before what it guards can be reached."""
        self._address(layout)
        self.spaces.filter(self.name, rules.ruleset(layout))
        self.route(layout)

    def route(self, layout: Layout) -> None:
        """Blocks."""
        links = self.spaces.links(self.name)
        if self._routed == (layout, links):
            return
        _become(self.ports, {links[port.tap]: port for port in layout.taps if port.tap in links})
        _become(self.guests, {one: port for port in layout.taps for one in port.addresses if is_v4(one)})
        listed = self.spaces.ask(self.name, "route", "show", "table", "all", "proto", str(routes.PROTOCOL))
        known = self.spaces.ask(self.name, "rule", "show")
        self.spaces.ip(
            self.name,
            [
                *routes.neighbours(layout, links),
                *routes.changes(routes.lines(layout, links), listed),
                *routes.rule_changes(layout, known),
            ],
        )
        self._routed = (layout, links)

    def plug(self, port: PortPlan, layout: Layout) -> int:
        """Blocks. The descriptor of the port's new tap."""
        self.spaces.filter(self.name, rules.ruleset(layout))
        tap = self.spaces.tap(self.name, port.tap)
        try:
            self.spaces.ip(
                self.name, [f"link set dev {port.tap} address {names.GATEWAY}", f"link set dev {port.tap} up"]
            )
            settings = [(f"conf/{port.tap}/proxy_arp", "1"), (f"neigh/{port.tap}/proxy_delay", "0")]
            self.spaces.settings(self.name, settings)
            self.route(layout)
        except BaseException:
            os.close(tap)
            raise
        return tap

    async def serve(self, layout: Layout, metadata_socket: str) -> None:
        """Start what answers the guests, or tell it of what has changed."""
        if self._dhcp is None:
            self._dhcp = dhcp.DhcpServer(self.spaces.inside(self.name, dhcp.bound_socket), self.ports)
        if self._metadata is None:
            self._metadata = metadata.MetadataServer(self.guests, metadata_socket)
            await self._metadata.start(self.spaces.inside(self.name, metadata.bound_socket))
        self._dhcp.network = layout.network
        self._metadata.path = metadata_socket
        await self._answer_names(layout)

    async def _answer_names(self, layout: Layout) -> None:
        ranges = layout.ranges if layout.network.resolver else []
        wanted = [names.RESOLVER, *map(names.name_server, ranges)] if ranges else []
        if wanted != self._dns_at:
            if self._dns:
                self._dns.close()
            self._dns = dns.DnsServer()
            self._dns_at = wanted
            await self._dns.start(self.spaces.inside(self.name, lambda: dns.bound_sockets(wanted)))

    def close(self) -> None:
        """Its servers alone; the namespace stays."""
        for server in (self._dhcp, self._metadata, self._dns):
            if server:
                server.close()
        self._dhcp = self._metadata = self._dns = None


def _become(known: dict[K, PortPlan], wanted: dict[K, PortPlan]) -> None:
    """In place, as others look things up in it; what stays is there all the time."""
    known.update(wanted)
    for key in known.keys() - wanted.keys():
        known.pop(key, None)
