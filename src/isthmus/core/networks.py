"""Networks and subnets: what the clouds have, and one default network where they have none."""

from __future__ import annotations

from collections.abc import Sequence

from isthmus.context import Context, Place
from isthmus.core.ids import Kind
from isthmus.core.registry import Found, Index, index, pick
from isthmus.errors import NotFound
from isthmus.model import Network, Subnet
from isthmus.providers import Session

_DEFAULT_CIDR = "172.31.0.0/16"
_ONE_NETWORK = (Network(native="default", ref="", name="default", cidr=_DEFAULT_CIDR, default=True),)


def networks(cx: Context) -> Index[Network]:
    return index(cx, Kind.NETWORK, _networks)


def subnets(cx: Context) -> Index[Subnet]:
    return index(cx, Kind.SUBNET, _subnets)


def default_subnet(cx: Context, cloud: str, zone: str) -> Found[Subnet]:
    """The default subnet of a native zone. Raises NotFound where there is none."""
    for found in subnets(cx):
        if found.cloud == cloud and found.noun.zone == zone and found.noun.default:
            return found
    raise NotFound(Kind.SUBNET, "", f"There is no default subnet in the zone {zone}.")


def default_network(cx: Context, cloud: str) -> Found[Network]:
    """The default network of a cloud. Raises NotFound where there is none."""
    for found in networks(cx):
        if found.cloud == cloud and found.noun.default:
            return found
    raise NotFound(Kind.NETWORK, "", "There is no default network.")


def _networks(session: Session) -> Sequence[Network]:
    return session.networks.list_networks() if session.networks else _ONE_NETWORK


def _subnets(session: Session) -> Sequence[Subnet]:
    return session.networks.list_subnets() if session.networks else ()


def one_subnet(cx: Context, subnet: str) -> Found[Subnet]:
    return pick(subnets(cx), Kind.SUBNET, [subnet])[0]


def place_of(cx: Context, subnet: Found[Subnet]) -> Place:
    """The place a subnet is in: its zone, or its cloud's first if the subnet spans them."""
    return cx.world.place_of(subnet.cloud, subnet.noun.zone)
