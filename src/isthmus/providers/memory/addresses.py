"""Public addresses, out of the ranges that are reserved for examples: nothing can ever answer at one."""

from __future__ import annotations

from collections.abc import Sequence

from isthmus import networking
from isthmus.errors import Conflict, Invalid
from isthmus.model import Address, need_ref
from isthmus.providers import AddressSpec
from isthmus.providers.memory.world import Tenant, World


class MemoryAddresses:
    def __init__(self, world: World, tenant: Tenant) -> None:
        self._world = world
        self._tenant = tenant

    def list_addresses(self) -> Sequence[Address]:
        with self._world:
            return self._tenant.addresses.listing()

    def allocate_address(self, spec: AddressSpec) -> Address:
        with self._world:
            if found := self._tenant.addresses.by_ref(spec.ref):
                return found
            need_ref(spec.ref, "address")
            self._world.room("address", len(self._tenant.addresses))
            address = self._world.public.take(spec.address)
            return self._tenant.addresses.put(Address(self._world.native("address"), spec.ref, address))

    def release_address(self, native: str) -> None:
        with self._world:
            address = self._tenant.addresses.find(native)
            if address is None:
                return
            if address.port:
                raise Conflict("address", native, f"the address {address.address} is in use", code="in-use")
            self._tenant.addresses.drop(native)
            self._world.public.give_back(address.address)

    def associate_address(self, native: str, port: str, private: str = "") -> None:
        with self._world:
            tenant = self._tenant
            address, found = tenant.addresses.get(native), tenant.ports.get(port)
            private = private or found.address
            if private not in found.addresses:
                raise Invalid(f"{private} is not an address of the port {port}", "private")
            if (address.port, address.private) == (port, private):
                return
            if address.port:
                raise Conflict("address", native, f"another port has {address.address}", code="in-use")
            if server := tenant.servers.find(found.server):
                networking.demand_there(server)
            tenant.answer(native, found, private)

    def disassociate_address(self, native: str) -> None:
        with self._world:
            address = self._tenant.addresses.get(native)
            if address.port:
                self._tenant.unanswer(address.port, address.private)
