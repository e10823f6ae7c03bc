"""What the emulated routers would let pass. Source: CloudStack's documentation, "Network ACLs" and "Firewall rules".

Whoever is in the same network is reached without a router. A tier's list is gone through in the order of its numbers;
where nothing fits nothing comes in, and all goes out unless an outgoing rule says otherwise.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

from emulators.cloudstack.world import Item, World


class Packet(NamedTuple):
    """The first of a connection: answers to it pass."""

    protocol: str = "tcp"
    port: int = 0


def comes_in(world: World, source: str, machine: str, packet: Packet) -> bool:
    """Whether one of the internet reaches a machine at its public address."""
    nic = _nic(world, machine)
    address = _public(world, machine)
    if address is None:
        return False
    network = _network(world, nic)
    if "vpcid" in network:
        return _acl(world, network, "Ingress", source, packet)
    rules = _of(world, "firewallrule", "ipaddressid", address["id"])
    return any(_fits(one, packet) and _within(source, one["cidrlist"]) for one in rules)


def goes_out(world: World, machine: str, target: str, packet: Packet) -> bool:
    """Whether a machine reaches one of the internet: by its router's own address, if it has none."""
    nic = _nic(world, machine)
    network = _network(world, nic)
    if "vpcid" in network:
        return _acl(world, network, "Egress", target, packet)
    named = any(
        _fits(one, packet)
        and _within(nic["ipaddress"], one["cidrlist"])
        and (not one["destcidrlist"] or _within(target, one["destcidrlist"]))
        for one in _of(world, "egressrule", "networkid", network["id"])
    )
    return named != bool(network["egressdefaultpolicy"])


def reaches(world: World, machine: str, other: str, packet: Packet) -> bool:
    """Whether a machine reaches another by its private address."""
    mine, theirs = _nic(world, machine), _nic(world, other)
    if mine["networkid"] == theirs["networkid"]:
        return True
    here, there = _network(world, mine), _network(world, theirs)
    if not here.get("vpcid") or here.get("vpcid") != there.get("vpcid"):
        return False
    out = _acl(world, here, "Egress", theirs["ipaddress"], packet)
    return out and _acl(world, there, "Ingress", mine["ipaddress"], packet)


def _acl(world: World, network: Item, way: str, peer: str, packet: Packet) -> bool:
    named = next((one["name"] for one in world.acl_lists if one["id"] == network["aclid"]), "")
    if named:
        return named == "default_allow"
    items = [one for one in _of(world, "aclitem", "aclid", network["aclid"]) if one["traffictype"] == way]
    for one in sorted(items, key=lambda one: int(one["number"])):
        if _fits(one, packet) and _within(peer, one["cidrlist"]):
            return bool(one["action"] == "Allow")
    return way == "Egress" and not items


def _fits(rule: Item, packet: Packet) -> bool:
    if rule["protocol"] == "all":
        return True
    if rule["protocol"] != packet.protocol:
        return False
    return packet.protocol not in ("tcp", "udp") or int(rule["startport"]) <= packet.port <= int(rule["endport"])


def _within(address: str, cidrs: str) -> bool:
    return any(IPv4Address(address) in IPv4Network(one) for one in cidrs.split(","))


def _nic(world: World, machine: str) -> Item:
    nic: Item = world.things["machine"][machine][1]["nic"][0]
    return nic


def _network(world: World, nic: Item) -> Item:
    return world.things["network"][nic["networkid"]][1]


def _public(world: World, machine: str) -> Item | None:
    return next((one for one in _of(world, "address", "virtualmachineid", machine)), None)


def _of(world: World, kind: str, field: str, value: str) -> list[Item]:
    return [one for _, one in world.things[kind].values() if one.get(field) == value]
