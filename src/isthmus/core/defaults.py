"""The default network, made anew after it was deleted: as it was from the beginning."""

from __future__ import annotations

from ipaddress import IPv4Network

from isthmus.context import Context
from isthmus.core import networks, wiring
from isthmus.core.registry import Found
from isthmus.errors import Conflict, NoCapacity
from isthmus.model import Network, Subnet

CIDR = IPv4Network("172.31.0.0/16")
_PARTS = 4
"""At least so many default subnets have room in it."""


def create_network(cx: Context) -> Found[Network]:
    """The default network of the first cloud, with a subnet in each zone and a way to the internet.

    Raises Conflict (`duplicate`) if there is one.
    """
    cloud = cx.place().cloud
    try:
        made = networks.create_network(cx, str(CIDR), cloud=cloud, default=True)
    except Conflict as fault:
        raise Conflict("default-network", "", str(fault), fault.code) from fault
    for place in [one for one in cx.world.places.values() if one.cloud == cloud]:
        create_subnet(cx, made, place.zone)
    return networks.one_network(cx, made.id)


def create_subnet(cx: Context, network: Found[Network], zone: str) -> Found[Subnet]:
    """The default subnet of a zone, in the first part of the network that is free. Raises NoCapacity."""
    zones = sum(place.cloud == network.cloud for place in cx.world.places.values())
    bits = (max(zones, _PARTS) - 1).bit_length()
    taken = [IPv4Network(one.noun.cidr) for one in networks.subnets_of(cx, network)]
    for cidr in IPv4Network(network.noun.cidr).subnets(prefixlen_diff=bits):
        if not any(cidr.overlaps(other) for other in taken):
            made = networks.create_subnet(cx, network, str(cidr), zone, default=True)
            wiring.settle(cx, network)
            return made
    raise NoCapacity("subnet", "", f"There is no room for a subnet in {network.id}.")
