"""Public addresses (EC2: elastic IPs)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from isthmus.context import Context, Place
from isthmus.core import gateways, networks, ports
from isthmus.core.ids import Kind, adopt, mint
from isthmus.core.quotas import demand
from isthmus.core.records import creating, forget
from isthmus.core.registry import Found, Index, family, join, pick
from isthmus.core.registry import index as joined
from isthmus.errors import Conflict, Denied, Invalid, NotFound
from isthmus.model import Address, Network, Port
from isthmus.providers import Addresses, AddressSpec, Capability, Session
from isthmus.store import View

AUTO = "auto"
"""In the record of an address that a server has by itself: the server's id. See core/publics.py."""


def api(session: Session) -> Addresses:
    return family(session.addresses, "public addresses")


def index(cx: Context) -> Index[Address]:
    return joined(cx, Kind.ADDRESS, _addresses)


def find_addresses(cx: Context, ids: Collection[str] | None = None) -> Sequence[Found[Address]]:
    """Those that the account has allocated, not those that servers have by themselves."""
    found = pick(index(cx), Kind.ADDRESS, ids) if ids else list(index(cx))
    for one in found if ids else ():
        if one.data.get(AUTO):
            raise NotFound(Kind.ADDRESS, one.id)
    return [one for one in found if not one.data.get(AUTO)]


def one(cx: Context, allocation: str) -> Found[Address]:
    return find_addresses(cx, [allocation])[0]


def at(cx: Context, address: str) -> Found[Address]:
    """The account's public address by its number."""
    for found in find_addresses(cx):
        if found.noun.address == address:
            return found
    raise NotFound("public-address", address)


def demand_own(cx: Context, found: Found[Address]) -> None:
    """Raises Denied for an address at a port that is not its account's to change."""
    port = ports.index(cx).by_native.get((found.cloud, found.noun.port))
    if port and port.data.get(ports.OWNER):
        raise Denied(f"The address {found.noun.address} is in use by what the interface {port.id} was made for.")


def associated(cx: Context, association: str) -> Found[Address]:
    """The address by the id of its association."""
    for found in find_addresses(cx):
        if found.noun.port and association_id(found) == association:
            return found
    raise NotFound(Kind.ASSOCIATION, association)


def association_id(found: Found[Address]) -> str:
    """The id of an address's present association; empty without one."""
    if not found.noun.port:
        return ""
    return adopt(Kind.ASSOCIATION, found.cloud, f"{found.noun.native}\n{found.noun.port}\n{found.noun.private}")


def _room(cx: Context) -> Callable[[View], None]:
    """Whether one more can be allocated; those that servers have by themselves do not count."""
    known = index(cx)

    def check(view: View) -> None:
        listed = sum(not found.data.get(AUTO) for found in known)
        others = (one for one in view.of_kind(Kind.ADDRESS).values() if one.id not in known.by_id)
        demand(cx, "addresses", listed + sum(not (one.gone or one.data.get(AUTO)) for one in others))

    return check


def border(cx: Context, place: Place) -> str:
    """Where the addresses of a place are good: in the region, or in the zone of this name alone.

    Those of the region serve the cloud of its first place, and where addresses are in one zone, that place.
    """
    home = cx.place()
    if place.cloud != home.cloud:
        place = cx.world.place_of(place.cloud, place.native if _by_zone(cx, place.cloud) else "")
        return place.zone
    return place.zone if _by_zone(cx, place.cloud) and place.native != home.native else cx.world.region


def border_of(cx: Context, found: Found[Address]) -> str:
    return border(cx, cx.world.place_of(found.cloud, found.noun.zone))


def _by_zone(cx: Context, cloud: str) -> bool:
    return Capability.ADDRESS_ANY_ZONE in cx.world.clouds[cloud].lacks


def allocate(cx: Context, address: str = "", within: str = "") -> Found[Address]:
    """An address that is good in the region, or `within` another border. Raises QuotaExceeded, NotFound (`border`)."""
    wanted = within or cx.world.region
    place = next((one for one in cx.world.places.values() if border(cx, one) == wanted), None)
    if place is None:
        raise NotFound("border", wanted)
    cloud = place.cloud
    zone = place.native if _by_zone(cx, cloud) else ""
    ref = mint(Kind.ADDRESS, cx.seed)
    with creating(cx, Kind.ADDRESS, ref, cloud, tags=cx.tags.get("elastic-ip"), check=_room(cx)) as made:
        noun = made(api(cx.session(cloud)).allocate_address(AddressSpec(ref, address, zone)))
    return join(cx, cx.view(), Kind.ADDRESS, cloud, noun)


def release(cx: Context, found: Found[Address]) -> None:
    """Give an address back. Raises Conflict (`in-use`) while a port answers it."""
    if found.noun.port:
        raise Conflict(Kind.ADDRESS, found.id, f"Address {found.noun.address} is in use.", "in-use")
    api(cx.session(found.cloud)).release_address(found.noun.native)
    forget(cx, found.id)


def associate(
    cx: Context, found: Found[Address], port: Found[Port], private: str = "", *, again: bool = True
) -> Found[Address]:
    """Let a port answer this address, at its first private one unless `private` says another.

    Raises Conflict: (`no-gateway`) if the port's network has no way to the internet; without `again`, (`associated`) if
    the address is elsewhere or the private one has another.
    """
    private = private or port.noun.address
    if found.cloud != port.cloud:
        raise Invalid(f"The address {found.noun.address} is in another zone than {port.id}.", "zone")
    if private not in port.noun.addresses:
        raise Invalid(f"The address {private} is not one of {port.id}.", "private")
    if (found.noun.port, found.noun.private) == (port.noun.native, private):
        return found
    network = networks.networks(cx).id_of(Kind.NETWORK, port.cloud, port.noun.network)
    gateways.demand(cx, network)
    held = [one for one in index(cx) if (one.cloud, one.noun.port) == (port.cloud, port.noun.native)]
    held = [one for one in held if one.noun.private == private] + ([found] if found.noun.port else [])
    own = [one for one in held if not one.data.get(AUTO)]
    if own and not again:
        reason = f"resource {own[0].id} is already associated with associate-id {association_id(own[0])}"
        raise Conflict(Kind.ADDRESS, found.id, reason, "associated")
    addresses = api(cx.session(port.cloud))
    for other in held:
        addresses.disassociate_address(other.noun.native)
        if other.data.get(AUTO):
            addresses.release_address(other.noun.native)
            forget(cx, other.id)
    addresses.associate_address(found.noun.native, port.noun.native, private)
    try:
        gateways.demand(cx, network)  # again: who detaches a gateway looks for addresses afterwards
    except Conflict:
        addresses.disassociate_address(found.noun.native)
        raise
    return one(cx, found.id)


def demand_none(cx: Context, network: Found[Network]) -> None:
    """Raises Conflict (`in-use`) if ports of a network have public addresses."""
    own = {one.noun.native for one in ports.index(cx) if one.noun.network == network.noun.native}
    if any(one.cloud == network.cloud and one.noun.port in own for one in index(cx)):
        reason = f"Network {network.id} has some mapped public address(es). Please unmap those before."
        raise Conflict(Kind.NETWORK, network.id, reason, "in-use")


def disassociate(cx: Context, found: Found[Address]) -> None:
    api(cx.session(found.cloud)).disassociate_address(found.noun.native)


def _addresses(session: Session) -> Sequence[Address]:
    return session.addresses.list_addresses() if session.addresses else ()
