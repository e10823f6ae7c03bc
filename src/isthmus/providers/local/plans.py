"""The records of all tenants, as the one plan that the daemon of networks makes true."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from isthmus.model import Address, Firewall, Network, Port, Subnet, Wiring
from isthmus.providers.local.netd.plan import FirewallPlan, NetworkPlan, Plan, PortPlan, PublicPlan, SubnetPlan


@dataclass(frozen=True, slots=True)
class Tenant:
    """What one tenant has."""

    name: str
    networks: Mapping[Network, Wiring]
    subnets: Collection[Subnet]
    ports: Collection[Port]
    firewalls: Collection[Firewall]
    addresses: Collection[Address]


def compiled(tenants: Iterable[Tenant], up: Collection[str], metadata_socket: str, routed: str) -> Plan:
    """The plan of the networks that have a port on a server that is `up`: all others can wait.

    Ports on other servers are left out, those on no server are not: a NAT's is one.
    """
    networks = tuple(network for tenant in tenants for network in _networks(tenant, up))
    return Plan(metadata_socket, networks, routed)


def _networks(tenant: Tenant, up: Collection[str]) -> Iterator[NetworkPlan]:
    for network, wiring in tenant.networks.items():
        ports = [one for one in tenant.ports if one.network == network.native and (not one.server or one.server in up)]
        if any(port.server for port in ports):
            yield _network(tenant, network, wiring, ports)


def _network(tenant: Tenant, network: Network, wiring: Wiring, ports: Collection[Port]) -> NetworkPlan:
    own = network.native
    parts = {part.subnet: part for part in wiring.subnets}
    subnets = [one for one in tenant.subnets if one.network == own]
    owners = {port.native for port in ports}
    return NetworkPlan(
        native=own,
        ranges=network.ranges,
        internet=wiring.internet,
        resolver=wiring.resolver,
        dhcp=wiring.dhcp,
        peers=wiring.peers,
        subnets=tuple(
            SubnetPlan(one.native, one.cidr, parts[one.native].routes, parts[one.native].acl)
            if one.native in parts
            else SubnetPlan(one.native, one.cidr)
            for one in subnets
        ),
        ports=tuple(_port(tenant, port) for port in ports),
        firewalls=tuple(FirewallPlan(one.native, one.rules) for one in tenant.firewalls if one.network == own),
        publics=tuple(PublicPlan(one.address, one.private, one.port) for one in tenant.addresses if one.port in owners),
    )


def _port(tenant: Tenant, port: Port) -> PortPlan:
    return PortPlan(
        native=port.native,
        subnet=port.subnet,
        mac=port.mac,
        addresses=port.addresses,
        firewalls=port.firewalls,
        source_check=port.source_check,
        tenant=tenant.name if port.server else "",
        server=port.server,
    )
