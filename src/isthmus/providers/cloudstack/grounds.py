"""What servers can be in: each of CloudStack's guest networks as a subnet of ours, whatever the kind of its zone.

In zones with security groups these are networks that all accounts share. Elsewhere they are the tiers of the account's
VPCs, and its isolated networks; of these each zone has a default one, which CloudStack makes with the first server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from isthmus.providers.cloudstack import notes, offerings
from isthmus.providers.cloudstack.client import Client, Item
from isthmus.providers.cloudstack.tenant import Tenant
from isthmus.together import together

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack

_GUESTS = "10.1.1.0/24"
"""The range of isolated networks, unless a zone says another."""


def default_network(tenant: Tenant) -> str:
    """The native id of a tenant's default network: all shared ones together, or all isolated ones. It is the tenant's
    alone, though CloudStack's networks need not be."""
    return f"default:{tenant.native}"


def shared_subnet(tenant: Tenant, network: str) -> str:
    """The native id of a shared network as a tenant's subnet."""
    return f"{network}:{tenant.native}"


@dataclass(frozen=True, slots=True)
class Ground:
    native: str
    name: str
    ref: str
    network: str
    zone: str
    cidr: str
    default: bool
    item: Item | None
    """CloudStack's network; None for a default one that is yet to be made."""


class Placed:
    """Which subnets of ours CloudStack's networks are. That does not change, so that it is asked for once of each."""

    MOST = 10_000

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Ground] = {}

    def of(self, cloud: CloudStack, tenant: Tenant, machines: Sequence[Item]) -> Mapping[str, Ground]:
        """By the ids of the networks that machines are in; none in zones with security groups."""
        if cloud.options.security_groups:
            return {}
        there = {(tenant.native, nic["networkid"]) for one in machines for nic in one.get("nic", ())}
        if there - self._known.keys():
            if len(self._known) > self.MOST:
                self._known = {}
            for known, ground in by_item(grounds(tenant.client, cloud, tenant)).items():
                self._known[tenant.native, known] = ground
        return {known: self._known[tenant.native, known] for _, known in there if (tenant.native, known) in self._known}


def grounds(client: Client, cloud: CloudStack, tenant: Tenant) -> Sequence[Ground]:
    """All of the configured zones; of each zone the default one comes first."""
    if cloud.options.security_groups:
        return _shared(client, cloud, tenant)
    listed, zones = together(partial(client.every, "listNetworks", "network"), partial(offerings.zones, tenant, cloud))
    own = [one for one in listed if tenant.has(one)]
    isolated = [one for one in own if one.get("type") == "Isolated" and not one.get("vpcid")]
    found = [ground for name, zone in zones.items() for ground in _isolated(zone, name, isolated, tenant)]
    return [*found, *(_tier(one) for one in own if one.get("vpcid"))]


def by_item(found: Sequence[Ground]) -> Mapping[str, Ground]:
    """By the ids of CloudStack's networks."""
    return {one.item["id"]: one for one in found if one.item}


def made_default(cloud: CloudStack, tenant: Tenant, zone: str) -> str:
    """CloudStack's id of the default network of a zone, which is made if there is none, as with the first server."""
    with cloud.making:
        for one in grounds(tenant.client, cloud, tenant):
            if one.default and one.zone == zone and one.item:
                return str(one.item["id"])
        name = f"{tenant.owner.name}-network"
        made = tenant.client.do(
            "createNetwork",
            "subnet",
            name=name,
            displaytext=name,
            zoneid=offerings.zone(tenant, cloud, zone)["id"],
            networkofferingid=offerings.isolated(tenant)["id"],
        )
    return str(made["network"]["id"])


def _shared(client: Client, cloud: CloudStack, tenant: Tenant) -> list[Ground]:
    listed = client.every("listNetworks", "network", type="Shared")
    there = [one for one in listed if tenant.here(one) and one.get("cidr")]
    there.sort(key=lambda one: (cloud.zones.index(one["zonename"]), one["name"], one["id"]))
    first = {one["zonename"]: one["id"] for one in reversed(there)}
    made = []
    for one in there:
        native, zone = shared_subnet(tenant, one["id"]), one["zonename"]
        default, network = first[zone] == one["id"], default_network(tenant)
        made.append(Ground(native, one["name"], "", network, zone, one["cidr"], default, one))
    return made


def _isolated(zone: Item, name: str, isolated: Sequence[Item], tenant: Tenant) -> list[Ground]:
    """The default one is that which CloudStack makes by itself, under the account's name."""
    here = [one for one in isolated if one["zonename"] == name]
    here.sort(key=lambda one: (one["name"] != f"{tenant.owner.name}-network", one["id"]))
    first, network = here[0] if here else None, default_network(tenant)
    cidr = first["cidr"] if first else zone.get("guestcidraddress", _GUESTS)
    default = Ground(shared_subnet(tenant, zone["id"]), f"default-{name}", "", network, name, cidr, True, first)
    more = [Ground(one["id"], one["name"], "", network, name, one["cidr"], False, one) for one in here[1:]]
    return [default, *more]


def _tier(item: Item) -> Ground:
    said = notes.load(item.get("displaytext"))
    name = said.text or item["name"]
    return Ground(item["id"], name, said.ref, item["vpcid"], item["zonename"], item["cidr"], False, item)
