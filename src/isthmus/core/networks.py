"""Networks and subnets: what the clouds have, and one default network where they have none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext

from isthmus.context import Context, Place
from isthmus.core.ids import Kind, mint
from isthmus.core.quotas import demand, room
from isthmus.core.records import creating, forget
from isthmus.core.registry import Found, Index, family, index, join, pick
from isthmus.core.turns import turn
from isthmus.errors import Conflict, Invalid, NotFound, QuotaExceeded
from isthmus.model import Network, Subnet
from isthmus.providers import Networks, NetworkSpec, Session, SubnetSpec

TURN = "wiring"
"""What one at a time is at, who makes subnets or connects networks: they share routers."""
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


def one_network(cx: Context, network: str) -> Found[Network]:
    return pick(networks(cx), Kind.NETWORK, [network])[0]


def network_of(cx: Context, subnet: Found[Subnet]) -> Found[Network]:
    """The network that a subnet is in. Raises NotFound for a subnet that went with it meanwhile."""
    if found := networks(cx).by_native.get((subnet.cloud, subnet.noun.network)):
        return found
    raise NotFound(Kind.SUBNET, subnet.id)


def subnets_of(cx: Context, network: Found[Network]) -> list[Found[Subnet]]:
    return [one for one in subnets(cx) if (one.cloud, one.noun.network) == (network.cloud, network.noun.native)]


def setting(network: Found[Network], name: str) -> bool:
    """What an account has set for a network, or how it began: `dns_support`, `dns_hostnames` or `usage_metrics`."""
    first = {"dns_support": True, "dns_hostnames": network.noun.default, "usage_metrics": False}
    return bool(network.data.get(name, first[name]))


def create_network(cx: Context, cidr: str, *, cloud: str = "", default: bool = False) -> Found[Network]:
    cloud = cloud or cx.place().cloud
    ref = mint(Kind.NETWORK, cx.seed)
    tags = cx.tags.get("vpc", {})
    check = room(cx, Kind.NETWORK, "vpcs", networks(cx))
    alone = turn(cx, "default network") if default else nullcontext()
    with creating(cx, Kind.NETWORK, ref, cloud, tags=tags, check=check) as made, alone:
        noun = made(api(cx.session(cloud)).create_network(NetworkSpec(ref, tags.get("Name", ref), cidr, default)))
    return join(cx, cx.view(), Kind.NETWORK, cloud, noun)


def add_range(cx: Context, found: Found[Network], cidr: str, agrees: Callable[[], None]) -> None:
    """Give a network a further range. Raises QuotaExceeded, and what `agrees` raises of what stands against it.

    Both are looked at afterwards as well, as others may come at the same time.
    """
    family = api(cx.session(found.cloud))

    def check(more: int) -> None:
        demand(cx, "ranges_per_vpc", len(one_network(cx, found.id).noun.ranges), found.id, more)
        agrees()

    check(1)
    family.add_range(found.noun.native, cidr)
    try:
        check(0)
    except (Conflict, QuotaExceeded):
        family.remove_range(found.noun.native, cidr)
        raise


def create_subnet(
    cx: Context, network: Found[Network], cidr: str, zone: str = "", *, default: bool = False
) -> Found[Subnet]:
    """A subnet in a zone, by default the first one of the network's cloud."""
    place = cx.place(zone) if zone else cx.world.place_of(network.cloud, "")
    if place.cloud != network.cloud:
        raise Invalid(f"The network {network.id} does not reach the zone {place.zone}.", "zone")
    ref = mint(Kind.SUBNET, cx.seed)
    tags = cx.tags.get("subnet", {})
    spec = SubnetSpec(ref, tags.get("Name", ref), network.noun.native, cidr, place.native, default)
    beside = {one.id for one in subnets_of(cx, network)}
    check = room(cx, Kind.SUBNET, "subnets_per_vpc", subnets(cx), lambda one: one.id in beside, network.id)
    with creating(cx, Kind.SUBNET, ref, network.cloud, tags=tags, check=check) as made, turn(cx, TURN):
        noun = made(api(cx.session(network.cloud)).create_subnet(spec))
    return join(cx, cx.view(), Kind.SUBNET, network.cloud, noun)


def delete_subnet(cx: Context, found: Found[Subnet]) -> None:
    api(cx.session(found.cloud)).delete_subnet(found.noun.native)
    forget(cx, found.id)


def api(session: Session) -> Networks:
    return family(session.networks, "networks")


def _networks(session: Session) -> Sequence[Network]:
    return session.networks.list_networks() if session.networks else _ONE_NETWORK


def _subnets(session: Session) -> Sequence[Subnet]:
    return session.networks.list_subnets() if session.networks else ()


def one_subnet(cx: Context, subnet: str) -> Found[Subnet]:
    return pick(subnets(cx), Kind.SUBNET, [subnet])[0]


def place_of(cx: Context, subnet: Found[Subnet]) -> Place:
    """The place a subnet is in: its zone, or its cloud's first if the subnet spans them."""
    return cx.world.place_of(subnet.cloud, subnet.noun.zone)
