"""The networks of zones with security groups: together one network of ours, which cannot be changed.

Each zone has one that all accounts share, or several; each is a subnet of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, NoReturn

from isthmus.errors import Denied, Invalid, NotFound, Unsupported
from isthmus.model import Hop, Network, Route, Subnet, SubnetWiring, Wiring
from isthmus.providers import Capability, NetworkSpec, SubnetSpec
from isthmus.providers.cloudstack.grounds import Ground, default_network, grounds
from isthmus.providers.cloudstack.tenant import Tenant

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack

OUT = Route("0.0.0.0/0", Hop.INTERNET)
_TAKEN = 3
"""Addresses of a range that no server has: its own, the gateway's and the one of all."""


class SharedNetworks:
    def __init__(self, cloud: CloudStack, tenant: Tenant) -> None:
        self._cloud = cloud
        self._tenant = tenant

    def list_networks(self) -> Sequence[Network]:
        found = self._grounds()
        return [default_of(default_network(self._tenant), found)] if found else []

    def list_subnets(self) -> Sequence[Subnet]:
        return [subnet_of(one) for one in self._grounds()]

    def create_network(self, spec: NetworkSpec) -> NoReturn:  # noqa: ARG002
        raise Unsupported(self._cloud.lacks[Capability.NETWORKS])

    def delete_network(self, native: str) -> None:
        if native == default_network(self._tenant):
            raise Denied("the default network cannot be deleted")

    def add_range(self, native: str, cidr: str) -> NoReturn:  # noqa: ARG002
        raise Unsupported(self._cloud.lacks[Capability.NETWORK_RANGES])

    def remove_range(self, native: str, cidr: str) -> None:
        self._demand(native)
        raise Invalid(f"{cidr} is not a further range of the network", "cidr")

    def create_subnet(self, spec: SubnetSpec) -> NoReturn:  # noqa: ARG002
        raise Unsupported(self._cloud.lacks[Capability.NETWORKS])

    def delete_subnet(self, native: str) -> None:
        if any(one.native == native for one in self._grounds()):
            raise Denied("a default subnet cannot be deleted")

    def wire(self, native: str, wiring: Wiring) -> None:
        if wiring != self.wiring_of(native):
            raise Unsupported(self._cloud.lacks[Capability.ROUTES])

    def wiring_of(self, native: str) -> Wiring:
        self._demand(native)
        return all_out(self._grounds())

    def _demand(self, native: str) -> None:
        if native != default_network(self._tenant):
            raise NotFound("network", native[:64])

    def _grounds(self) -> Sequence[Ground]:
        return grounds(self._tenant.offered, self._cloud, self._tenant)


def default_of(native: str, found: Sequence[Ground]) -> Network:
    """One network of ours that several of CloudStack's are."""
    ranges = list(dict.fromkeys(one.cidr for one in found if one.network == native))
    return Network(native, "", "default", ranges[0], default=True, more=tuple(ranges[1:]))


def subnet_of(one: Ground) -> Subnet:
    """Of free addresses CloudStack tells nothing: all that a range has at all are said to be."""
    free = max(IPv4Network(one.cidr).num_addresses - _TAKEN, 1)
    return Subnet(one.native, one.ref, one.name, one.network, one.cidr, one.zone, free, default=one.default)


def all_out(found: Sequence[Ground]) -> Wiring:
    """How a network is connected all of whose subnets lead to the internet."""
    return Wiring(
        internet=True, subnets=tuple(SubnetWiring(one, (OUT,)) for one in sorted(one.native for one in found))
    )
