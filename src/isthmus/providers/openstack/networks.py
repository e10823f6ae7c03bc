"""Neutron's networks as networks: each has its subnets, and a router that connects them. Source: api-ref/network."""

from __future__ import annotations

from collections.abc import Sequence

from isthmus.errors import Invalid, NotFound
from isthmus.providers.openstack import notes
from isthmus.providers.openstack.client import Client, Item, known


def zone_of(subnet: Item, zones: Sequence[str]) -> str:
    """A subnet that was made by other means is in the first zone."""
    return notes.load(subnet["description"]).get("zone") or zones[0]


def own_subnet(client: Client, native: str) -> Item:
    """A subnet of the tenant's. Raises NotFound."""
    found: Item = client.get("network", f"/v2.0/subnets/{known('subnet', native)}", "subnet", native)["subnet"]
    if found["project_id"] != client.project:
        raise NotFound("subnet", native)
    return found


def beside(client: Client, subnet: Item) -> list[Item]:
    """All subnets of IPv4 in the network of one."""
    return client.every("network", "/v2.0/subnets", "subnets", network_id=subnet["network_id"], ip_version=4)


def default_subnet(client: Client, zones: Sequence[str], zone: str) -> Item:
    """Where servers are who name no subnet. Raises NotFound."""
    for one in client.every("network", "/v2.0/subnets", "subnets", project_id=client.project, ip_version=4):
        if zone_of(one, zones) == zone:
            return one
    raise NotFound("subnet", "", f"there is no default subnet in {zone}")


def subnet_for(client: Client, zones: Sequence[str], native: str, zone: str) -> Item:
    """The named subnet, or the default one of the zone. Raises NotFound, and Invalid for a subnet of another zone."""
    if not native:
        return default_subnet(client, zones, zone)
    subnet = own_subnet(client, native)
    if zone_of(subnet, zones) != zone:
        raise Invalid(f"the subnet {native} is not in the zone {zone}", "subnet")
    return subnet
