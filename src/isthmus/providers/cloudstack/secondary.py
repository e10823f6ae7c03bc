"""Further private addresses of a server's interface. Source: CloudStack's API, addIpToNic and removeIpFromNic."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network

from isthmus.errors import Conflict, Fault, Invalid, NoCapacity, NotFound
from isthmus.providers.cloudstack import machines
from isthmus.providers.cloudstack.client import Item, Unsure
from isthmus.providers.cloudstack.tenant import Tenant


def of(nic: Item) -> Sequence[Item]:
    """Each with an `id` of its own."""
    return nic.get("secondaryip") or ()


def interface(there: Sequence[Item], native: str) -> tuple[Item, Item]:
    """A server and its interface. Raises NotFound."""
    for host in there:
        for nic in host.get("nic", ()):
            if nic["id"] == native:
                return host, nic
    raise NotFound("port", native[:64])


def add(tenant: Tenant, native: str, addresses: Sequence[str], count: int) -> None:
    """Those that are named, if they are not there already, and `count` more: all or none.

    Raises NotFound, Invalid, Conflict, NoCapacity.
    """
    _, nic = interface(machines.every(tenant), native)
    there = {one["ipaddress"] for one in of(nic)}
    wanted = [one for one in dict.fromkeys(addresses) if one not in there]
    for one in wanted:
        _check(one, nic)
    made: list[str] = []
    try:
        for address in [*wanted, *[""] * count]:
            made.append(_add(tenant, native, address))
    except Fault as fault:
        undo = tenant.client.begin if isinstance(fault, Unsure) else tenant.client.do  # who waited once waits no more
        for known in made:
            with suppress(Fault):
                undo("removeIpFromNic", "address", known, id=known)
        raise


def _add(tenant: Tenant, native: str, address: str) -> str:
    try:
        done = tenant.client.do("addIpToNic", "port", native, nicid=native, ipaddress=address or None)
        return str(done["nicsecondaryip"]["id"])
    except (Invalid, Conflict) as fault:
        if address:
            raise Conflict("address", address, f"{address} cannot be had: {fault}", "in-use") from fault
        raise NoCapacity("address", "", str(fault)) from fault


def _check(address: str, nic: Item) -> None:
    if address == nic.get("ipaddress"):
        raise Conflict("address", address, f"{address} is the first address of the port", "in-use")
    try:
        within = IPv4Address(address) in IPv4Network(f"{nic['gateway']}/{nic['netmask']}", strict=False)
    except ValueError:
        within = False
    if not within:
        raise Invalid(f"{address} is no address of the port's subnet", "address")


def chosen(tenant: Tenant, native: str, addresses: Sequence[str]) -> list[Item]:
    """Those of these addresses. Raises NotFound, and Invalid for one that is not a further one of the interface."""
    _, nic = interface(machines.every(tenant), native)
    known = {one["ipaddress"]: one for one in of(nic)}
    for one in addresses:
        if one not in known:
            raise Invalid(f"{one} is not a further address of the port {native}", "addresses")
    return [known[one] for one in dict.fromkeys(addresses)]


def remove(tenant: Tenant, native: str, going: Sequence[Item], *, public: bool) -> None:
    """Where there are `public` addresses, those that are answered at one of them are no server's then."""
    host, _ = interface(machines.every(tenant), native)
    numbers = {one["ipaddress"] for one in going}
    for address in _public(tenant, host) if public and going else ():
        if address.get("vmipaddress") in numbers:
            unanswer(tenant, address["id"])
    for one in going:
        with suppress(NotFound):
            tenant.client.do("removeIpFromNic", "address", one["id"], id=one["id"])


def unanswer(tenant: Tenant, native: str) -> None:
    """Let no server have a public address. CloudStack refuses where its server's end has done so just before.

    Raises NotFound.
    """
    try:
        tenant.client.do("disableStaticNat", "address", native, ipaddressid=native)
    except (Invalid, Conflict):
        items = tenant.all("listPublicIpAddresses", "publicipaddress")
        if any(one["id"] == native and one.get("isstaticnat") for one in items):
            raise


def _public(tenant: Tenant, host: Item) -> list[Item]:
    listed = tenant.all("listPublicIpAddresses", "publicipaddress")
    return [one for one in listed if one.get("isstaticnat") and one.get("virtualmachineid") == host["id"]]
