"""Public addresses that servers have while they run, without anybody asking for an address.

Such an address is the cloud's, as an elastic one is, but its user never sees it as a thing of its own: its record says
whose it is. Its ref follows from the server's id, so that it is not given twice, whatever happens in between.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from isthmus.context import Context, Seed
from isthmus.core import addresses, ports
from isthmus.core.addresses import AUTO, api
from isthmus.core.ids import Kind, mint
from isthmus.core.instance import Instance
from isthmus.core.instances import index
from isthmus.core.records import creating, forget
from isthmus.core.registry import Found, join
from isthmus.errors import Conflict, NoCapacity, NotFound
from isthmus.model import Address, Server, ServerState, Subnet
from isthmus.providers import AddressSpec

LAUNCH = "launch"
"""In the record of a port that was made for a server: which one, until that is there."""
_GOING = frozenset({ServerState.PENDING, ServerState.RUNNING})


def ref_of(server: str) -> str:
    return mint(Kind.ADDRESS, Seed(server))


def demand_able(cx: Context, subnet: Found[Subnet]) -> None:
    """Raises Unsupported for a subnet on a cloud that has no public addresses to give."""
    api(cx.session(subnet.cloud))


def allocate(cx: Context, cloud: str, server: str, zone: str, subnet: str) -> Found[Address]:
    """An address for a server that is to run, by the server's id. `zone` and `subnet` are its cloud's own."""
    ref = ref_of(server)
    with creating(cx, Kind.ADDRESS, ref, cloud, {AUTO: server}) as made:
        try:
            noun = made(api(cx.session(cloud)).allocate_address(AddressSpec(ref, zone=zone, subnet=subnet)))
        except NoCapacity as fault:
            raise NoCapacity("public-address", "", str(fault)) from fault
    return join(cx, cx.view(), Kind.ADDRESS, cloud, noun)


def associate(cx: Context, found: Found[Address], server: Server) -> None:
    api(cx.session(found.cloud)).associate_address(found.noun.native, server.ports[0].native)


def release(cx: Context, server: str) -> None:
    """Give back the address of a server that no longer runs, if it has one. Somebody else may do so meanwhile."""
    found = addresses.index(cx).by_id.get(ref_of(server))
    if found is None:
        return
    family = api(cx.session(found.cloud))
    with suppress(NotFound):
        family.disassociate_address(found.noun.native)
        family.release_address(found.noun.native)
    forget(cx, found.id)


def renew(cx: Context, one: Instance) -> None:
    """Give a server that starts an address, if it was launched with one and has no other."""
    if one.launch.public and one.server.ports and one.address is None:
        server = one.server
        associate(cx, allocate(cx, one.cloud, one.id, server.zone, server.ports[0].subnet), server)


def mend(cx: Context, oldest: datetime) -> None:
    """Give back the addresses of servers that were halted from within, and finish what a crash left half done.

    What was given after `oldest` is spared: its server may be about to be made, or to start.
    """
    known = index(cx).by_id
    for found in list(addresses.index(cx)):
        if not found.record or not found.data.get(AUTO) or found.record.created > oldest:
            continue
        one = known.get(str(found.data[AUTO]))
        if one is None or one.server.state not in _GOING:
            release(cx, found.data[AUTO])
    for one in known.values():
        if one.launch.public and one.server.state is ServerState.RUNNING:
            renew(cx, one)
    _drop_ports(cx)


def _drop_ports(cx: Context) -> None:
    """Delete ports that were made for servers which then were not."""
    records = cx.view().records
    for found in list(ports.index(cx)):
        server = found.data.get(LAUNCH)
        if server and not found.noun.server and server not in records:
            try:
                ports.delete(cx, found)
            except Conflict:
                continue
