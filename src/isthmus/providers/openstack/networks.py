"""Neutron's networks as networks: each has its subnets, and a router that connects them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Network
from threading import Lock
from typing import TYPE_CHECKING

from isthmus.errors import Conflict, Fault, Invalid, NotFound
from isthmus.model import Network, Subnet, Wiring, need_ref
from isthmus.providers import NetworkSpec, SubnetSpec
from isthmus.providers.openstack import firewalls, landscape, notes, routers
from isthmus.providers.openstack.client import Client, Item
from isthmus.providers.openstack.landscape import RANGE, Landscape, hosts, is_own
from isthmus.providers.openstack.neutron import create, delete, listed, note, own, retag, said
from isthmus.providers.openstack.wiring import retell, wire, wiring_of

if TYPE_CHECKING:
    from isthmus.providers.openstack.cloud import OpenStack

SMALLEST = 29
"""The longest prefix of a subnet: of the eight addresses, five are the cloud's own."""


class OpenStackNetworks:
    def __init__(self, cloud: OpenStack, client: Client) -> None:
        self._cloud = cloud
        self._client = client

    def list_networks(self) -> Sequence[Network]:
        return self._read().listing()

    def create_network(self, spec: NetworkSpec) -> Network:
        """One at a time for each tenant, as at most one is the default."""
        need_ref(spec.ref, "network")
        with self._turn():
            self._client.again()
            land = self._read(groups=True)
            if before := next((one for one in land.listing() if one.ref == spec.ref), None):
                self._complete(land, before)
                return before
            cidr = str(_range(spec.cidr))
            if spec.default and land.default:
                raise Conflict("network", land.default, "there is a default network", code="duplicate")
            noted = notes.dump(ref=spec.ref, cidr=cidr, default="1" if spec.default else "")
            item = create(self._client, "network", name=spec.name, description=noted)
            made = Network(item["id"], spec.ref, item["name"], cidr, spec.default)
            self._complete(replace(land, networks={**land.networks, made.native: item}), made)
            return made

    def delete_network(self, native: str) -> None:
        """The network first, which Neutron refuses while it is used; a repetition takes away what is left."""
        with self._turn():
            land = self._read(groups=True)
            if native in land.networks:
                self._demand_empty(land, native)
                if native == land.default:
                    group = next(one for one in land.groups if landscape.is_projects_own(one))
                    note(self._client, "firewall", group, default="none")
                for member in (one for one, of in land.members.items() if of == native):
                    delete(self._client, "network", member)
                delete(self._client, "network", native)
            for router in land.made_for(native):
                delete(self._client, "router", router["id"])
            for group in firewalls.default_of(land.groups, native):
                delete(self._client, "firewall", group["id"])

    def add_range(self, native: str, cidr: str) -> None:
        with self._cloud.turn(native):
            land = self._read()
            network, wanted = land.demand(native), _range(cidr)
            ranges = land.ranges(native)
            if str(wanted) in ranges:
                return
            if any(wanted.overlaps(IPv4Network(one)) for one in ranges):
                raise Conflict("network", native, f"{cidr} overlaps another range of the network", code="duplicate")
            retag(self._client, "network", network, [*network["tags"], f"{RANGE}{wanted}"])
            self._tell(land, native, {str(wanted)})

    def remove_range(self, native: str, cidr: str) -> None:
        with self._cloud.turn(native):
            land = self._read()
            network = land.demand(native)
            tag = f"{RANGE}{cidr}"
            if tag not in network["tags"]:
                raise Invalid(f"{cidr} is not a further range of the network", "cidr")
            if any(IPv4Network(one["cidr"]).subnet_of(IPv4Network(cidr)) for one in land.subnets_of(native)):
                raise Conflict("network", native, f"the range {cidr} has subnets", code="in-use")
            retag(self._client, "network", network, [one for one in network["tags"] if one != tag])
            self._tell(land, native, set(), {cidr})

    def wire(self, native: str, wiring: Wiring) -> None:
        with self._cloud.turn(native):
            wire(self._client, self._cloud, native, wiring)

    def wiring_of(self, native: str) -> Wiring:
        return wiring_of(self._read(), native)

    def list_subnets(self) -> Sequence[Subnet]:
        land = self._read(ports=True)
        frees = land.frees()
        return [land.subnet(one, frees[native]) for native, one in land.subnets.items()]

    def create_subnet(self, spec: SubnetSpec) -> Subnet:
        need_ref(spec.ref, "subnet")
        with self._cloud.turn(spec.network):
            land = self._read()
            item = next((one for one in land.subnets.values() if said(one).get("ref") == spec.ref), None)
            if item is None:
                item = self._make(land, spec)
            routers.connect(self._client, land, item, routers.ensure(self._client, land, land.home(item)))
            if item["id"] not in land.subnets:
                land = replace(land, subnets={**land.subnets, item["id"]: item})
        ports = listed(self._client, "port", fixed_ips=f"subnet_id={item['id']}")
        return land.subnet(item, replace(land, ports=ports).frees()[item["id"]])

    def delete_subnet(self, native: str) -> None:
        """With the Neutron network that it was alone in, if that is a member of the subnet's."""
        land = self._read(ports=True)
        if (subnet := land.subnets.get(native)) is None:
            return
        within = subnet["network_id"]
        with self._cloud.turn(land.home(subnet)):
            if any(_holds(port, native) for port in land.ports):
                raise Conflict("subnet", native, f"the subnet {native} has ports", code="in-use")
            routers.disconnect(self._client, land, subnet)
            try:
                delete(self._client, "subnet", native)
            except Fault:
                if router := land.router_of(land.home(subnet)):
                    routers.connect(self._client, self._read(), subnet, router)
                raise
            self._outlast(land, subnet)
            if within in land.members and not listed(self._client, "subnet", network_id=within):
                with suppress(Conflict):  # somebody else's ports are in it
                    delete(self._client, "network", within)

    def _outlast(self, land: Landscape, subnet: Item) -> None:
        """A network that was made by other means goes on without its last subnet: what this said of it is noted."""
        home = land.home(subnet)
        network = land.networks[home]
        if {"cidr", "main"} & said(network).keys() or len(land.subnets_of(home)) > 1:
            return
        default = "1" if home == land.default else ""
        note(self._client, "network", network, main=subnet["cidr"], default=default)
        router = land.router_of(home)
        if router and not routers.shared(land, router, home):
            note(self._client, "router", router, network=home)

    def _read(self, *, ports: bool = False, groups: bool = False) -> Landscape:
        return landscape.read(self._client, self._cloud.zones, ports=ports, groups=groups)

    def _turn(self) -> Lock:
        return self._cloud.turn(f"networks of {self._client.project}")

    def _complete(self, land: Landscape, made: Network) -> None:
        """What a network made here has besides: a firewall, or as the default one a way to the internet."""
        if made.default:
            routers.lead(self._client, self._cloud, routers.ensure(self._client, land, made.native), outside=True)
        elif not firewalls.default_of(land.groups, made.native):
            firewalls.make_default(self._client, made.native)

    def _demand_empty(self, land: Landscape, native: str) -> None:
        """Raises Conflict (`in-use`)."""
        others = [one for one in land.groups if not firewalls.is_default(one)]
        if land.subnets_of(native) or any(firewalls.network_of(land, one) == native for one in others):
            raise Conflict("network", native, f"the network {native} has subnets or firewalls", code="in-use")

    def _tell(self, land: Landscape, network: str, new: set[str], old: Collection[str] = ()) -> None:
        """Let servers reach further ranges by the router, and others no longer."""
        for subnet in land.subnets_of(network):
            if is_own(subnet) or land.is_taken(subnet):
                retell(self._client, subnet, dict.fromkeys(new, hosts(subnet["cidr"])[0]), old)

    def _make(self, land: Landscape, spec: SubnetSpec) -> Item:
        """A subnet whose addresses are shared out as EC2's are: the first is the router's, the next two nobody's.

        Its gateway is nobody until it is to lead outside; Neutron gives no public address where there is none at all.
        """
        cidr = _checked(land, spec)
        gate, nobody, first, last = hosts(cidr)
        return create(
            self._client,
            "subnet",
            name=spec.name,
            network_id=spec.network,
            ip_version=4,
            cidr=cidr,
            gateway_ip=nobody,
            allocation_pools=[{"start": first, "end": last}],
            host_routes=[{"destination": one, "nexthop": gate} for one in land.ranges(spec.network)],
            description=notes.dump(ref=spec.ref, zone=spec.zone, default="1" if spec.default else ""),
        )


def _checked(land: Landscape, spec: SubnetSpec) -> str:
    """The range of a new subnet, if it can be."""
    if spec.zone not in land.zones:
        raise Invalid(f"there is no zone {spec.zone!r}", "zone")
    land.demand(spec.network)
    if spec.default and spec.network != land.default:
        raise Invalid("default subnets are in the default network", "default")
    if spec.default and spec.zone in land.defaults:
        raise Conflict("subnet", "", f"there is a default subnet in {spec.zone}", code="duplicate")
    cidr, ranges = _range(spec.cidr), land.ranges(spec.network)
    if not any(cidr.subnet_of(IPv4Network(one)) for one in ranges):
        raise Invalid(f"{cidr} is not within {', '.join(ranges)}", "cidr")
    if cidr.prefixlen > SMALLEST:
        raise Invalid(f"{cidr} is too small", "cidr")
    for other in land.subnets_of(spec.network):
        if cidr.overlaps(IPv4Network(other["cidr"])):
            raise Conflict("subnet", other["id"], f"{cidr} overlaps {other['cidr']}", code="duplicate")
    return str(cidr)


def _range(cidr: str) -> IPv4Network:
    try:
        return IPv4Network(cidr)
    except ValueError:
        raise Invalid(f"{cidr!r} is not a range of IPv4 addresses", "cidr") from None


def _holds(port: Item, subnet: str) -> bool:
    """Whether a port is in a subnet for somebody else than the network itself."""
    inside = any(fixed["subnet_id"] == subnet for fixed in port["fixed_ips"])
    return inside and not port["device_owner"].startswith("network:") and not said(port).get("router")


def subnet_for(client: Client, zones: Sequence[str], native: str, zone: str) -> Item:
    """The named subnet, or the default one of the zone. Raises NotFound, and Invalid for a subnet of another zone."""
    if not native:
        return _default_subnet(client, zones, zone)
    subnet = own(client, "subnet", native)
    if zone_of(subnet, zones) != zone:
        raise Invalid(f"the subnet {native} is not in the zone {zone}", "subnet")
    return subnet


def _default_subnet(client: Client, zones: Sequence[str], zone: str) -> Item:
    """Where servers are who name no subnet. Raises NotFound."""
    land = landscape.read(client, zones)
    if native := land.defaults.get(zone):
        return land.subnets[native]
    raise NotFound("subnet", "", f"there is no default subnet in {zone}")


def zone_of(subnet: Item, zones: Sequence[str]) -> str:
    """A subnet that was made by other means is in the first zone."""
    return said(subnet).get("zone") or zones[0]
