"""Public addresses: loopback addresses of this host, in 127.13.0.0/16, or of a range that is routed to guests."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from isthmus import networking
from isthmus.errors import Conflict, Invalid, NoCapacity
from isthmus.model import Address, need_ref
from isthmus.providers import AddressSpec
from isthmus.providers.local import forwards, wires
from isthmus.providers.local.base import Base, made, native
from isthmus.providers.local.records import AddressRecord

RANGE = IPv4Network("127.13.0.0/16")


class LocalAddresses:
    def __init__(self, base: Base, tenant: str) -> None:
        self._base = base
        self._tenant = tenant

    def list_addresses(self) -> Sequence[Address]:
        return [self._view(record.noun) for record in self._base.addresses.owned(self._tenant)]

    def _view(self, address: Address) -> Address:
        port = self._base.ports.raw(address.port)
        server = port.noun.server if port else ""
        return address if address.server == server else replace(address, server=server)

    def allocate_address(self, spec: AddressSpec) -> Address:
        need_ref(spec.ref, "address")
        with self._base.lock:
            if found := self._base.addresses.by_ref(self._tenant, spec.ref):
                return self._view(found.noun)
            address = Address(native("addr"), spec.ref, self._choose(spec.address))
            return self._base.addresses.put(AddressRecord(self._tenant, address, made())).noun

    def release_address(self, native: str) -> None:
        with self._base.lock:
            record = self._base.addresses.find(self._tenant, native)
            if record is None:
                return
            if record.noun.port:
                raise Conflict("address", native, f"the address {record.noun.address} is in use", code="in-use")
            self._base.addresses.drop(native)

    def associate_address(self, native: str, port: str, private: str = "") -> None:
        with self._base.lock:
            record = self._base.addresses.get(self._tenant, native)
            own = self._base.ports.get(self._tenant, port).noun
            private = private or own.address
            if private not in own.addresses:
                raise Invalid(f"{private} is not an address of the port {port}", "private")
            if (record.noun.port, record.noun.private) == (port, private):
                return
            if record.noun.port:
                raise Conflict("address", native, f"another port has {record.noun.address}", code="in-use")
            if server := self._base.servers.raw(own.server):
                networking.demand_there(replace(server.noun, state=self._base.state_of(server)))
            if any((other.port, other.private) == (port, private) for other in self.list_addresses()):
                raise Conflict("port", port, f"{private} has a public address", code="in-use")
            noun = replace(record.noun, server="", port=port, private=private)
            self._base.addresses.put(replace(record, noun=noun))
        forwards.sync(self._base, own.server)
        wires.try_settle(self._base)

    def disassociate_address(self, native: str) -> None:
        with self._base.lock:
            record = self._base.addresses.get(self._tenant, native)
            server = self._view(record.noun).server
            if not record.noun.port:
                return
            free(self._base, record.noun.port, [record.noun.private])
        forwards.sync(self._base, server)
        wires.try_settle(self._base)

    def _choose(self, wanted: str) -> str:
        taken = {record.noun.address for record in self._base.addresses.everything()}
        given = IPv4Network(self._base.routed) if self._base.routed else RANGE
        if wanted:
            return _wanted(given, wanted, taken)
        taken |= _listening()
        for offset in range(given.num_addresses):
            address = given.network_address + (_start(self._base) + offset) % given.num_addresses
            if str(address) not in taken and _usable(given, address):
                return str(address)
        raise NoCapacity("address", "", f"all addresses of {given} are given out")


def _start(base: Base) -> int:
    """Two clouds on one host begin at different places, so that they seldom want the same address."""
    return int.from_bytes(hashlib.sha256(os.fsencode(base.state)).digest()[:2], "big")


def _listening() -> set[str]:
    """The addresses on which something of this host listens: another cloud's, perhaps."""
    found = set()
    for table in ("tcp", "udp"):
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/net/{table}").read_text("ascii").splitlines()[1:]
            found |= {line.split()[1].partition(":")[0] for line in lines}
    return {str(IPv4Address(bytes.fromhex(word)[::-1])) for word in found}


def _usable(given: IPv4Network, address: IPv4Address) -> bool:
    """Whether it is in the range, and neither the first nor the last address of a network that it may be cut into."""
    ends = (given.network_address, given.broadcast_address)
    return address in given and address not in ends and int(address) & 0xFF not in (0, 255)


def _wanted(given: IPv4Network, wanted: str, taken: set[str]) -> str:
    try:
        address = IPv4Address(wanted)
    except ValueError:
        raise Invalid(f"{wanted!r} is not an IPv4 address", "address") from None
    if not _usable(given, address):
        raise Invalid(f"public addresses of this cloud are in {given}; {wanted} is not", "address")
    if str(address) in taken:
        raise Conflict("address", wanted, f"the address {wanted} is given out", code="in-use")
    return str(address)


def free(base: Base, port: str, privates: Collection[str]) -> None:
    """Take off the public addresses of some of a port's private ones. Called with the lock held."""
    for record in base.addresses.everything():
        if record.noun.port == port and record.noun.private in privates:
            base.addresses.put(replace(record, noun=replace(record.noun, server="", port="", private="")))
