"""NAT gateways: a port in a subnet whose public address servers of other subnets share for calls to the internet.

A gateway is a record of the store. The record comes first, then its port, then the port's public address, each found
again by its ref; `mend` takes back what a crash left half made, and clears away what is left of deleted ones.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from typing import Any

from isthmus.context import Context
from isthmus.core import addresses, gateways, kept, networks, ports
from isthmus.core.addresses import association_id
from isthmus.core.ids import Kind, mint
from isthmus.core.kept import Kept
from isthmus.core.ports import OWNER
from isthmus.core.records import forget
from isthmus.core.registry import Found
from isthmus.core.wiring import changing
from isthmus.errors import Conflict, Fault, NotFound, Unavailable
from isthmus.model import Address, Port, Subnet

NAT = "nat_gateway"
PENDING, AVAILABLE, FAILED, DELETING, DELETED = "pending", "available", "failed", "deleting", "deleted"


def find(cx: Context, ids: Collection[str] | None = None) -> list[Kept]:
    return kept.find(cx, Kind.NAT, ids)


def create(cx: Context, subnet: Found[Subnet], address: Found[Address] | None, private: str = "") -> Kept:
    """A gateway in a subnet; without a public address, one that only reaches other networks.

    Raises Conflict: (`no-gateway`) if a public one's network has no way to the internet, (`associated`) if the address
    is in use.
    """
    network = networks.network_of(cx, subnet)
    if address:
        gateways.demand(cx, network.id)
    ref = mint(Kind.PORT, cx.seed)
    if address and address.noun.port and address.noun.port != _native(cx, ref):
        reason = f"{address.id} is already associated: {association_id(address)}"
        raise Conflict(Kind.ADDRESS, address.id, reason, "associated")
    said = {"network": network.id, "subnet": subnet.id, "address": address.id if address else ""}
    made = kept.create(cx, Kind.NAT, {**said, "port": ref}, cx.tags.get("natgateway"))
    try:
        port = _port(cx, made, ref, private)
        if address:
            addresses.associate(cx, addresses.one(cx, address.id), port, again=False)
        return kept.update(cx, Kind.NAT, made.id, {"done": True})
    except Unavailable:
        raise
    except Fault:
        _clear(cx, made)
        with suppress(NotFound):  # who has deleted it meanwhile sees it as deleted
            kept.delete(cx, Kind.NAT, made.id)
        raise


def _native(cx: Context, ref: str) -> str:
    """The native id of the port that the same request made before, if it did."""
    found = ports.index(cx).by_id.get(ref)
    return found.noun.native if found else ""


def _port(cx: Context, made: Kept, ref: str, private: str) -> Found[Port]:
    data = {OWNER: NAT, "description": f"Interface for NAT Gateway {made.id}"}
    return ports.create(cx, made.data["subnet"], (), private, data=data, ref=ref)


def state(cx: Context, found: Kept) -> str:
    """Failed is one whose port or public address was taken away in the cloud, by others."""
    port = port_of(cx, found)
    if found.gone:
        return DELETING if port else DELETED
    if not found.data.get("done"):
        return PENDING
    address = address_of(cx, found)
    whole = port and (not found.data["address"] or (address and address.noun.port == port.noun.native))
    return AVAILABLE if whole else FAILED


def delete(cx: Context, known: str) -> Kept:
    """What led through it leads nowhere from now on. Raises NotFound."""
    [found] = kept.live(cx, Kind.NAT, [known])
    with changing(cx, found.data["network"]):
        buried = kept.bury(cx, Kind.NAT, known, _last(cx, found))
    _clear(cx, found)
    return buried


def _last(cx: Context, found: Kept) -> dict[str, Any]:
    """What its addresses were: shown until it is forgotten."""
    port, address = port_of(cx, found), address_of(cx, found)
    return {
        "private": port.noun.address if port else "",
        "public": address.noun.address if address else "",
    }


def _clear(cx: Context, found: Kept) -> None:
    """Free the address, and delete the port."""
    port, address = port_of(cx, found), address_of(cx, found)
    if port and address and address.noun.port == port.noun.native:
        addresses.disassociate(cx, address)
    if port:
        ports.delete(cx, port)


def port_of(cx: Context, found: Kept) -> Found[Port] | None:
    return ports.index(cx).by_id.get(found.data["port"])


def address_of(cx: Context, found: Kept) -> Found[Address] | None:
    return addresses.index(cx).by_id.get(found.data["address"])


def mend(cx: Context, oldest: datetime) -> None:
    """Clear away what was made before `oldest` and never got done, and what is left of deleted gateways."""
    for found in find(cx):
        if found.gone or (not found.data.get("done") and found.created <= oldest):
            with suppress(Conflict):  # what others did to its port in the cloud is theirs to undo
                _clear(cx, found)
                if not found.gone:
                    forget(cx, found.id)
