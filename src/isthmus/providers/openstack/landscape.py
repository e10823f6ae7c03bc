"""A tenant's networks as they are in Neutron, read at once: which is the default one, and what connects each.

A network is a Neutron network of the tenant's own with its subnets of IPv4 and one router. Those made here say so in
their notes: `cidr` and perhaps `default`. Of those made by other means, the oldest that reaches the outside is the
default one, unless another says that it is, or the account's own group says that there is none. Of those taken over
from ec2-api, or whose last subnet was deleted here, `main` notes the whole range: none of them is by its age. A
Neutron network that notes another one, as `network`, is no network here: it is a member of that one, and its subnets
are that one's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network

from isthmus.errors import NotFound
from isthmus.model import Network, Subnet
from isthmus.providers.openstack import notes
from isthmus.providers.openstack.client import Client, Item
from isthmus.providers.openstack.neutron import listed, said, v4
from isthmus.together import together

LINKS = (
    "network:router_interface",
    "network:router_interface_distributed",
    "network:ha_router_replicated_interface",
)
"""The owners of ports by which routers are in subnets."""
RANGE = f"{notes.MARK}range="
"""The start of a network's tag that names a further range."""
OWN_GROUP = "default"
"""The name of the group that Neutron itself makes for each project."""
_PORT_FIELDS = ("device_id", "device_owner", "network_id", "fixed_ips", "description")


@dataclass(frozen=True)
class Landscape:
    networks: Mapping[str, Item]
    subnets: Mapping[str, Item]
    routers: Mapping[str, Item]
    ports: Sequence[Item]
    """Those of routers, or all: `id`, `device_id`, `device_owner`, `network_id` and `fixed_ips` of each."""
    groups: Sequence[Item]
    """The project's own group, or all."""
    zones: Sequence[str]
    members: Mapping[str, str] = field(default_factory=dict)
    """The Neutron networks that are members of others, by their native ids with those that they are of."""

    @cached_property
    def default(self) -> str:
        """The native id of the default network; empty where there is none."""
        for native, one in self.networks.items():
            if said(one).get("default"):
                return native
        if any(said(group).get("default") == "none" for group in self.groups if is_projects_own(group)):
            return ""
        older = (native for native, one in self.networks.items() if not {"cidr", "main"} & said(one).keys())
        return next((native for native in older if self.subnets_of(native) and self.is_outside(native)), "")

    def is_ours(self, network: str) -> bool:
        return "cidr" in said(self.networks[network])

    def home(self, item: Item) -> str:
        """The network here that a subnet or a port of Neutron's is in."""
        return self.members.get(item["network_id"], str(item["network_id"]))

    def is_taken(self, subnet: Item) -> bool:
        """Whether a subnet was made by other means in a network with a range of ours, as what was taken over from
        ec2-api: its gateway is ours to change."""
        return not is_own(subnet) and "main" in said(self.networks[self.home(subnet)])

    def is_outside(self, network: str) -> bool:
        """Whether a network has a way to the internet."""
        router = self.router_of(network)
        return bool(router and router["external_gateway_info"])

    def subnets_of(self, network: str) -> list[Item]:
        return [one for one in self.subnets.values() if self.home(one) == network]

    def links_of(self, network: str) -> list[Item]:
        """The ports of routers in a network."""
        return [one for one in self.ports if self.home(one) == network and one["device_owner"] in LINKS]

    def router_of(self, network: str) -> Item | None:
        """The router in a network, rather one that was made for it or leads outside; or one that is in none yet."""
        inside = {link["device_id"] for link in self.links_of(network)}
        made = {one["id"] for one in self.made_for(network)}

        def rank(router: Item) -> tuple[bool, bool, bool]:
            return router["id"] not in inside, router["id"] not in made, not router["external_gateway_info"]

        found = [router for native, router in self.routers.items() if native in inside | made]
        return min(found, key=rank, default=None)

    def made_for(self, network: str) -> list[Item]:
        """The routers that were made for a network: one, but after a crash."""
        return [router for router in self.routers.values() if said(router).get("network") == network]

    def is_linked(self, subnet: Item) -> bool:
        """Whether a router is in a subnet."""
        links = self.links_of(self.home(subnet))
        return any(fixed["subnet_id"] == subnet["id"] for link in links for fixed in link["fixed_ips"])

    def ranges(self, network: str) -> list[str]:
        """The first is the network's own, or that of its first subnet."""
        tags, noted = self.networks[network]["tags"] or (), said(self.networks[network])
        further = sorted(tag.removeprefix(RANGE) for tag in tags if tag.startswith(RANGE))
        if cidr := noted.get("cidr") or noted.get("main"):
            return [cidr, *further]
        return [*(one["cidr"] for one in self.subnets_of(network)), *further]

    def network(self, native: str) -> Network:
        item = self.networks[native]
        cidr, *more = self.ranges(native)
        return Network(
            native=native,
            ref=said(item).get("ref", ""),
            name=item["name"],
            cidr=cidr,
            default=native == self.default,
            more=tuple(more),
            outside=not self.is_ours(native) and self.is_outside(native),
        )

    def listing(self) -> list[Network]:
        """Without those that have no range of addresses yet."""
        return [self.network(native) for native in self.networks if self.ranges(native)]

    def demand(self, network: str) -> Item:
        """One of the tenant's networks. Raises NotFound."""
        if network not in self.networks or not self.ranges(network):
            raise NotFound("network", network[:64])
        return self.networks[network]

    def zone_of(self, subnet: Item) -> str:
        """A subnet that was made by other means is in the first zone."""
        return said(subnet).get("zone") or self.zones[0]

    @cached_property
    def defaults(self) -> Mapping[str, str]:
        """The default subnet of each zone, by the zone."""
        if not self.default:
            return {}
        within = self.subnets_of(self.default)
        chosen = {self.zone_of(one): one["id"] for one in reversed(within) if said(one).get("default")}
        if self.is_ours(self.default):
            return chosen
        first = {self.zone_of(one): one["id"] for one in reversed(within) if not is_own(one)}
        return {**first, **chosen}

    def subnet(self, item: Item, free: int) -> Subnet:
        zone = self.zone_of(item)
        return Subnet(
            native=item["id"],
            ref=said(item).get("ref", ""),
            name=item["name"],
            network=self.home(item),
            cidr=item["cidr"],
            zone=zone,
            free=free,
            default=self.defaults.get(zone) == item["id"],
        )

    def frees(self) -> Mapping[str, int]:
        """How many addresses of each subnet's pools are left. Needs all ports."""
        taken: dict[str, list[IPv4Address]] = {native: [] for native in self.subnets}
        for port in self.ports:
            for fixed in v4(port):
                taken.setdefault(fixed["subnet_id"], []).append(IPv4Address(fixed["ip_address"]))
        return {native: _free(one, taken[native]) for native, one in self.subnets.items()}


def is_own(subnet: Item) -> bool:
    """Whether a subnet was made here, and not by other means."""
    return "zone" in said(subnet)


def is_projects_own(group: Item) -> bool:
    return bool(group["name"] == OWN_GROUP)


def read(client: Client, zones: Sequence[str], *, ports: bool = False, groups: bool = False) -> Landscape:
    """With all ports and all groups if they are asked for."""
    owners = {} if ports else {"device_owner": LINKS}
    networks, subnets, routers, seen, guards = together(
        lambda: listed(client, "network"),
        lambda: listed(client, "subnet", ip_version=4),
        lambda: listed(client, "router"),
        lambda: listed(client, "port", _PORT_FIELDS, **owners),
        lambda: listed(client, "firewall") if groups else listed(client, "firewall", ("name", "tags"), name=OWN_GROUP),
    )
    here = {one["id"]: one for one in networks if not one["router:external"]}
    within = {one["id"]: one for one in subnets if one["network_id"] in here}
    members = members_of(here.values())
    whole = {native: one for native, one in here.items() if native not in members}
    return Landscape(whole, within, {one["id"]: one for one in routers}, seen, guards, zones, members)


def members_of(networks: Iterable[Item]) -> Mapping[str, str]:
    """Of a tenant's Neutron networks those that are members of others, with these."""
    there = {one["id"]: said(one).get("network", "") for one in networks}
    return {native: of for native, of in there.items() if there.get(of) == ""}


def spans(subnet: Item) -> Iterator[tuple[IPv4Address, IPv4Address]]:
    """The first and the last address of each of a subnet's pools."""
    for pool in subnet["allocation_pools"]:
        yield IPv4Address(pool["start"]), IPv4Address(pool["end"])


def _free(subnet: Item, taken: Sequence[IPv4Address]) -> int:
    pools = list(spans(subnet))
    size = sum(int(end) - int(start) + 1 for start, end in pools)
    return size - sum(any(start <= one <= end for start, end in pools) for one in taken)


def hosts(cidr: str) -> tuple[str, str, str, str]:
    """Of a range as EC2 shares it out: the router's address, one that nobody has, and the first and last of servers."""
    within = IPv4Network(cidr)
    first, last = within.network_address, within.broadcast_address
    return str(first + 1), str(first + 3), str(first + 4), str(last - 1)
