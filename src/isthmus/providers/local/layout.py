"""The networks, subnets and ports that there are, the default ones among them before anything was written.

The first default network of a tenant is 172.31.0.0/16 with a subnet for every zone, as EC2 has it. Its natives are
made of the tenant's name, and need no record until somebody changes it.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from ipaddress import IPv4Network

from isthmus.errors import NotFound
from isthmus.model import Hop, Network, Port, Route, Subnet, SubnetWiring, Wiring
from isthmus.networking import RESERVED
from isthmus.providers.local.base import Base
from isthmus.providers.local.records import NetworkRecord, PortRecord, SubnetRecord

CIDR = IPv4Network("172.31.0.0/16")
SUBNETS = tuple(CIDR.subnets(new_prefix=20))
OUT = (Route("0.0.0.0/0", Hop.INTERNET),)


def _key(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:16]


def first_network(tenant: str) -> str:
    """The native of a tenant's first default network."""
    return f"net-{_key(tenant)}"


def first_subnet(tenant: str, zone: str) -> str:
    return f"subnet-{_key(tenant, zone)}"


def first_firewall(tenant: str) -> str:
    """The native of the default firewall of a tenant's first default network."""
    return f"fw-{_key(tenant)}"


def networks(base: Base, tenant: str) -> list[NetworkRecord]:
    records = base.networks.owned(tenant)
    found = [record for record in records if not record.gone]
    native = first_network(tenant)
    if any(record.noun.native == native for record in records):
        return found
    noun = Network(native, "", "default", str(CIDR), default=True)
    return [NetworkRecord(tenant, noun, 0, first_firewall(tenant)), *found]


def network(base: Base, tenant: str, native: str) -> NetworkRecord:
    """NotFound if there is none."""
    for record in networks(base, tenant):
        if record.noun.native == native:
            return record
    raise NotFound("network", native)


def default_network(base: Base, tenant: str) -> NetworkRecord:
    """NotFound if it was deleted."""
    for record in networks(base, tenant):
        if record.noun.default:
            return record
    raise NotFound("network", "", "there is no default network")


def subnets(base: Base, tenant: str) -> list[SubnetRecord]:
    records = base.subnets.owned(tenant)
    found = [record for record in records if not record.gone]
    noted = {record.noun.native for record in records}
    if any(record.noun.native == first_network(tenant) for record in networks(base, tenant)):
        return [one for one in _first_subnets(base, tenant) if _fits(one.noun, noted, found)] + found
    return found


def _first_subnets(base: Base, tenant: str) -> list[SubnetRecord]:
    owner = first_network(tenant)
    return [
        SubnetRecord(
            tenant,
            Subnet(first_subnet(tenant, zone.name), "", f"default-{zone.name}", owner, str(cidr), zone.name, 0, True),
            0,
        )
        for zone, cidr in zip(base.zones, SUBNETS, strict=False)
    ]


def _fits(subnet: Subnet, noted: set[str], others: list[SubnetRecord]) -> bool:
    """Whether there is a default subnet: a zone may be new to a cloud in which somebody has used its range."""
    if subnet.native in noted:
        return False
    cidr = IPv4Network(subnet.cidr)
    near = (other.noun for other in others if other.noun.network == subnet.network)
    return not any(cidr.overlaps(IPv4Network(other.cidr)) for other in near)


def subnet(base: Base, tenant: str, native: str) -> SubnetRecord:
    """NotFound if there is none."""
    for record in subnets(base, tenant):
        if record.noun.native == native:
            return record
    raise NotFound("subnet", native)


def default_subnet(base: Base, tenant: str, zone: str) -> Subnet:
    """NotFound if it was deleted."""
    for record in subnets(base, tenant):
        if record.noun.default and record.noun.zone == zone:
            return record.noun
    raise NotFound("subnet", "", f"there is no default subnet in the zone {zone}")


def wiring(base: Base, record: NetworkRecord) -> Wiring:
    """How a network is connected; one that was never wired anew leads out of all of its default subnets."""
    if record.wiring is not None:
        return record.wiring
    native = record.noun.native
    own = sorted(one.noun.native for one in subnets(base, record.tenant) if one.noun.network == native)
    return Wiring(internet=True, subnets=tuple(SubnetWiring(one, OUT) for one in own))


def taken(base: Base, tenant: str, subnet: str) -> set[str]:
    """The addresses that ports have in a subnet."""
    ports = base.ports.owned(tenant)
    return {address for port in ports if port.noun.subnet == subnet for address in port.noun.addresses}


def counted(subnet: Subnet, used: int) -> Subnet:
    """The subnet with the addresses that are left when `used` are given out."""
    return replace(subnet, free=IPv4Network(subnet.cidr).num_addresses - RESERVED - 1 - used)


def ports_on(base: Base, server: str) -> tuple[Port, ...]:
    """A server's ports by their index."""
    found = (record.noun for record in base.ports.everything() if record.noun.server == server)
    return tuple(sorted(found, key=lambda port: port.index))


def adopt_ports(base: Base) -> None:
    """Give the ports that older versions kept in the records of servers records of their own."""
    for found in base.servers.everything():
        if not found.noun.ports:
            continue
        with base.lock:
            record = base.servers.raw(found.noun.native)
            if record is None:
                continue
            for port in record.noun.ports:
                if base.ports.raw(port.native) is None:
                    base.ports.put(PortRecord(record.tenant, port, record.made))
            base.servers.put(replace(record, noun=replace(record.noun, ports=())))
