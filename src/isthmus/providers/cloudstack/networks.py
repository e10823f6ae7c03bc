"""The networks of zones with security groups: each zone has one that all accounts share, or several.

Together they are one network of ours, which cannot be changed; each is a subnet of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, NoReturn

from isthmus.errors import Denied, Invalid, NotFound, Unsupported
from isthmus.model import Hop, Network, Route, Subnet, SubnetWiring, Wiring
from isthmus.providers import Capability, NetworkSpec, SubnetSpec
from isthmus.providers.cloudstack.client import Client, Item
from isthmus.providers.cloudstack.tenant import Tenant

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack

SHARED = "shared"
"""The native id of the one network."""
_TAKEN = 3
"""Addresses of a range that no server has: its own, the gateway's and the one of all."""


class SharedNetworks:
    def __init__(self, cloud: CloudStack, tenant: Tenant) -> None:
        self._cloud = cloud
        self._client = tenant.client

    def list_networks(self) -> Sequence[Network]:
        ranges = [one["cidr"] for one in subnets(self._client, self._cloud)]
        if not ranges:
            return []
        return [Network(SHARED, "", "default", ranges[0], default=True, more=tuple(dict.fromkeys(ranges[1:])))]

    def list_subnets(self) -> Sequence[Subnet]:
        """Of free addresses CloudStack tells nothing: all that a range has at all are said to be."""
        seen: set[str] = set()
        found = []
        for one in subnets(self._client, self._cloud):
            zone, cidr = one["zonename"], one["cidr"]
            free = max(IPv4Network(cidr).num_addresses - _TAKEN, 1)
            found.append(Subnet(one["id"], "", one["name"], SHARED, cidr, zone, free, default=zone not in seen))
            seen.add(zone)
        return found

    def create_network(self, spec: NetworkSpec) -> NoReturn:  # noqa: ARG002
        raise Unsupported(self._cloud.lacks[Capability.NETWORKS])

    def delete_network(self, native: str) -> None:
        if native == SHARED:
            raise Denied("the default network cannot be deleted")

    def add_range(self, native: str, cidr: str) -> NoReturn:  # noqa: ARG002
        raise Unsupported(self._cloud.lacks[Capability.NETWORK_RANGES])

    def remove_range(self, native: str, cidr: str) -> None:
        _demand(native)
        raise Invalid(f"{cidr} is not a further range of the network", "cidr")

    def create_subnet(self, spec: SubnetSpec) -> NoReturn:  # noqa: ARG002
        raise Unsupported(self._cloud.lacks[Capability.NETWORKS])

    def delete_subnet(self, native: str) -> None:
        if any(one["id"] == native for one in subnets(self._client, self._cloud)):
            raise Denied("a default subnet cannot be deleted")

    def wire(self, native: str, wiring: Wiring) -> None:
        if wiring != self.wiring_of(native):
            raise Unsupported(self._cloud.lacks[Capability.ROUTES])

    def wiring_of(self, native: str) -> Wiring:
        _demand(native)
        out = (Route("0.0.0.0/0", Hop.INTERNET),)
        names = sorted(one["id"] for one in subnets(self._client, self._cloud))
        return Wiring(internet=True, subnets=tuple(SubnetWiring(name, out) for name in names))


def subnets(client: Client, cloud: CloudStack) -> list[Item]:
    """The shared networks of the configured zones, in the order of these; the first of a zone is its default one."""
    listed = client.every("listNetworks", "network", type="Shared")
    there = [one for one in listed if one["zonename"] in cloud.zones and one.get("cidr")]
    return sorted(there, key=lambda one: (cloud.zones.index(one["zonename"]), one["name"], one["id"]))


def _demand(native: str) -> None:
    if native != SHARED:
        raise NotFound("network", native[:64])
