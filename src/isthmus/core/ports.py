"""Ports (EC2: network interfaces): those of servers, and those that wait for one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from isthmus.context import Context
from isthmus.core import firewalls, networks
from isthmus.core.ids import Kind, adopt, mint, minted
from isthmus.core.quotas import demand, room
from isthmus.core.records import creating, forget
from isthmus.core.registry import Found, Index, family, find, join, pick
from isthmus.core.registry import index as joined
from isthmus.errors import Denied, NoCapacity, NotFound, QuotaExceeded
from isthmus.model import Firewall, Port, Subnet
from isthmus.providers import Capability, Ports, PortSpec, Session

OWNER = "kind"
"""In the record of a port that is not its account's to change: what it was made for."""


def api(session: Session) -> Ports:
    return family(session.ports, "network interfaces")


def index(cx: Context) -> Index[Port]:
    return joined(cx, Kind.PORT, _ports)


def find_ports(cx: Context, ids: Collection[str] | None = None) -> Iterator[Found[Port]]:
    return find(cx, index(cx), Kind.PORT, ids)


def one(cx: Context, port: str) -> Found[Port]:
    return pick(index(cx), Kind.PORT, [port])[0]


def own(cx: Context, port: str) -> Found[Port]:
    """A port that is its account's to change. Raises Denied for one that something else made for itself."""
    found = one(cx, port)
    if found.data.get(OWNER):
        raise Denied(f"The interface {found.id} is managed by what it was made for.")
    return found


def attached(cx: Context, attachment: str) -> Found[Port]:
    """The port by the id of its attachment. Raises NotFound."""
    for found in index(cx):
        if found.noun.server and attachment_id(found.cloud, found.noun) == attachment:
            return found
    raise NotFound(Kind.ATTACHED_PORT, attachment)


def port_id(cloud: str, port: Port) -> str:
    """The id of a port, which needs no record."""
    return port.ref if minted(Kind.PORT, port.ref) else adopt(Kind.PORT, cloud, port.native)


def attachment_id(cloud: str, port: Port) -> str:
    """The id of a port's present attachment."""
    return adopt(Kind.ATTACHED_PORT, cloud, f"{port.native}\n{port.server}")


def create(
    cx: Context,
    subnet: str,
    groups: Sequence[str] = (),
    address: str = "",
    secondary: Sequence[str] = (),
    count: int = 0,
    data: Mapping[str, object] | None = None,
    *,
    delete_with_server: bool = False,
    ref: str = "",
) -> Found[Port]:
    """A port in a subnet, with further addresses as named and `count` more. `data` is what only the API knows.

    Raises QuotaExceeded.
    """
    demand(cx, "addresses_per_interface", 1, more=len(secondary) + count)
    within = networks.one_subnet(cx, subnet)
    guards = firewalls.for_launch(cx, within.cloud, within, groups)
    ref = ref or mint(Kind.PORT, cx.seed)
    spec = PortSpec(
        ref,
        within.noun.native,
        address,
        tuple(secondary),
        count,
        tuple(guard.noun.native for guard in guards),
        delete_with_server,
    )
    check = room(cx, Kind.PORT, "interfaces", index(cx))
    with creating(cx, Kind.PORT, ref, within.cloud, data, cx.tags.get("network-interface"), check) as made:
        noun = made(_create(cx, within.cloud, spec))
    return join(cx, cx.view(), Kind.PORT, within.cloud, noun)


def _create(cx: Context, cloud: str, spec: PortSpec) -> Port:
    try:
        return api(cx.session(cloud)).create_port(spec)
    except NoCapacity as fault:
        raise NoCapacity(Kind.SUBNET, "", str(fault)) from fault


def delete(cx: Context, found: Found[Port]) -> None:
    api(cx.session(found.cloud)).delete_port(found.noun.native)
    forget(cx, found.id)


def add_addresses(cx: Context, found: Found[Port], addresses: Sequence[str], count: int = 0) -> tuple[str, ...]:
    """Give a port further addresses, as named and `count` more; those that are new are the answer.

    Raises QuotaExceeded, also for what others give it at the same time.
    """
    clouds = api(cx.session(found.cloud))
    try:
        clouds.add_addresses(found.noun.native, addresses, count)
    except NoCapacity as fault:
        raise NoCapacity(Kind.SUBNET, "", str(fault)) from fault
    after = one(cx, found.id).noun
    new = tuple(now for now in after.secondary if now not in found.noun.secondary)
    try:
        demand(cx, "addresses_per_interface", len(after.addresses), found.id, more=0)
    except QuotaExceeded:
        clouds.remove_addresses(found.noun.native, new)
        raise
    return new


def most(cx: Context) -> tuple[int, int]:
    """How many ports a server can have, and how many addresses a port: one where no cloud can do more."""

    def able(*capabilities: Capability) -> bool:
        return any(one not in cloud.lacks for cloud in cx.world.clouds.values() for one in capabilities)

    limits = cx.world.limits
    return (
        limits.quota("interfaces_per_server") if able(Capability.PORTS, Capability.SERVER_PORTS) else 1,
        limits.quota("addresses_per_interface") if able(Capability.PORT_ADDRESSES) else 1,
    )


def subnet_of(cx: Context, found: Found[Port]) -> Found[Subnet]:
    """The subnet that a port is in. Raises NotFound for a port that went with it meanwhile."""
    if within := networks.subnets(cx).by_native.get((found.cloud, found.noun.subnet)):
        return within
    raise NotFound(Kind.PORT, found.id)


def guards(cx: Context, found: Found[Port]) -> list[Found[Firewall]]:
    """The firewalls of a port that the account sees, in their order."""
    known = firewalls.index(cx).by_native
    return [guard for native in found.noun.firewalls if (guard := known.get((found.cloud, native)))]


def set_firewalls(cx: Context, found: Found[Port], groups: Sequence[str]) -> None:
    within = networks.subnets(cx).by_native.get((found.cloud, found.noun.subnet))
    chosen = firewalls.for_launch(cx, found.cloud, within, groups)
    api(cx.session(found.cloud)).set_firewalls(found.noun.native, [guard.noun.native for guard in chosen])


def _ports(session: Session) -> Sequence[Port]:
    return session.ports.list_ports() if session.ports else ()
