"""Public addresses: loopback addresses of this host, in 127.13.0.0/16."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from isthmus.errors import Conflict, Invalid, NoCapacity, NotFound
from isthmus.model import Address, Port, ServerState
from isthmus.providers import AddressSpec
from isthmus.providers.local import forwards
from isthmus.providers.local.base import Base, made, native, need_ref
from isthmus.providers.local.records import AddressRecord, ServerRecord

RANGE = IPv4Network("127.13.0.0/16")
REACHABLE = (ServerState.PENDING, ServerState.RUNNING, ServerState.STOPPING, ServerState.STOPPED)


class LocalAddresses:
    def __init__(self, base: Base, tenant: str) -> None:
        self._base = base
        self._tenant = tenant

    def list_addresses(self) -> Sequence[Address]:
        return [record.noun for record in self._base.addresses.owned(self._tenant)]

    def allocate_address(self, spec: AddressSpec) -> Address:
        need_ref(spec.ref, "address")
        with self._base.lock:
            if found := self._base.addresses.by_ref(self._tenant, spec.ref):
                return found.noun
            address = Address(native("addr"), spec.ref, self._choose(spec.address))
            return self._base.addresses.put(AddressRecord(self._tenant, address, made())).noun

    def release_address(self, native: str) -> None:
        with self._base.lock:
            record = self._base.addresses.find(self._tenant, native)
            if record is None:
                return
            if record.noun.server:
                raise Conflict("address", native, f"the address {record.noun.address} is in use", code="in-use")
            self._base.addresses.drop(native)

    def associate_address(self, native: str, port: str, private: str = "") -> None:
        with self._base.lock:
            record = self._base.addresses.get(self._tenant, native)
            found, own = owner(self._base, self._tenant, port)
            if private not in ("", own.address):
                raise Invalid(f"{private} is not an address of the port {port}", "private")
            if record.noun.port == port:
                return
            if record.noun.port:
                raise Conflict("address", native, f"another port has {record.noun.address}", code="in-use")
            if (state := self._base.state_of(found)) not in REACHABLE:
                raise Conflict("server", found.noun.native, f"the server {found.noun.native} is {state}")
            if any(other.port == port for other in self.list_addresses()):
                raise Conflict("port", port, f"{own.address} has a public address", code="in-use")
            noun = replace(record.noun, server=found.noun.native, port=port, private=own.address)
            self._base.addresses.put(replace(record, noun=noun))
        forwards.sync(self._base, found.noun.native)

    def disassociate_address(self, native: str) -> None:
        with self._base.lock:
            record = self._base.addresses.get(self._tenant, native)
            server = record.noun.server
            if server:
                free(self._base, record)
        if server:
            forwards.sync(self._base, server)

    def _choose(self, wanted: str) -> str:
        taken = {record.noun.address for record in self._base.addresses.everything()}
        if wanted:
            return _wanted(wanted, taken)
        taken |= _listening()
        for offset in range(RANGE.num_addresses):
            address = RANGE.network_address + (_start(self._base) + offset) % RANGE.num_addresses
            if str(address) not in taken and int(address) & 0xFF not in (0, 255):
                return str(address)
        raise NoCapacity("address", "", f"all addresses of {RANGE} are given out")


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


def _wanted(wanted: str, taken: set[str]) -> str:
    try:
        address = IPv4Address(wanted)
    except ValueError:
        raise Invalid(f"{wanted!r} is not an IPv4 address", "address") from None
    if address not in RANGE or int(address) & 0xFF in (0, 255):
        raise Invalid(f"public addresses of this cloud are in {RANGE}; {wanted} is not", "address")
    if str(address) in taken:
        raise Conflict("address", wanted, f"the address {wanted} is given out", code="in-use")
    return str(address)


def owner(base: Base, tenant: str, native: str) -> tuple[ServerRecord, Port]:
    """The server that has a port, and the port; NotFound."""
    for record in base.servers.owned(tenant):
        for port in record.noun.ports:
            if port.native == native:
                return record, port
    raise NotFound("port", native)


def free(base: Base, record: AddressRecord) -> None:
    """Take an address off its server. Called with the lock held."""
    base.addresses.put(replace(record, noun=replace(record.noun, server="", port="", private="")))


def free_of(base: Base, server: str) -> None:
    """Take off whatever address a server has. Called with the lock held."""
    for record in base.addresses.everything():
        if record.noun.server == server:
            free(base, record)
