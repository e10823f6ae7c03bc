"""Public addresses, out of the ranges that are reserved for examples: nothing can ever answer at one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from isthmus.errors import Conflict, Invalid
from isthmus.model import Address, ServerState
from isthmus.providers import AddressSpec
from isthmus.providers.memory.world import Tenant, World

REACHABLE = (ServerState.PENDING, ServerState.RUNNING, ServerState.STOPPING, ServerState.STOPPED)


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
            if not spec.ref:
                raise Invalid("an address needs a ref", "ref")
            self._world.room("address", len(self._tenant.addresses))
            address = self._world.public.take(spec.address)
            return self._tenant.addresses.put(Address(self._world.native("address"), spec.ref, address))

    def release_address(self, native: str) -> None:
        with self._world:
            address = self._tenant.addresses.find(native)
            if address is None:
                return
            if address.server:
                raise Conflict("address", native, f"the address {address.address} is in use", code="in-use")
            self._tenant.addresses.drop(native)
            self._world.public.give_back(address.address)

    def associate_address(self, native: str, server: str) -> None:
        with self._world:
            tenant = self._tenant
            address = tenant.addresses.get(native)
            found = tenant.servers.get(server)
            if address.server == server:
                return
            if address.server:
                raise Conflict("address", native, f"another server has {address.address}", code="in-use")
            if found.state not in REACHABLE:
                raise Conflict("server", server, f"the server {server} is {found.state}")
            if server in tenant.answered:
                raise Conflict("server", server, f"the server {server} has a public address", code="in-use")
            port = found.ports[0]
            tenant.addresses.put(replace(address, server=server, port=port.native, private=port.address))
            tenant.answered[server] = native

    def disassociate_address(self, native: str) -> None:
        with self._world:
            address = self._tenant.addresses.get(native)
            if address.server:
                del self._tenant.answered[address.server]
                self._tenant.addresses.put(replace(address, server="", port="", private=""))
