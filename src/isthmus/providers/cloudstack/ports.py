"""Network interfaces: CloudStack's are those of servers, made with them and gone with them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from isthmus.errors import Conflict, Fault, Invalid, NotFound, Unsupported
from isthmus.model import Port
from isthmus.providers import Capability, PortSpec
from isthmus.providers.cloudstack import filters, machines, membership, secondary, servers
from isthmus.providers.cloudstack.launches import demand_groups
from isthmus.providers.cloudstack.tenant import Tenant

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack


class CloudStackPorts:
    def __init__(self, cloud: CloudStack, tenant: Tenant) -> None:
        self._cloud = cloud
        self._tenant = tenant

    def list_ports(self) -> Sequence[Port]:
        there = machines.every(self._tenant)
        where = self._cloud.placed.of(self._cloud, self._tenant, there)
        return [port for one in there for port in servers.ports_of(self._tenant, one, where)]

    def create_port(self, spec: PortSpec) -> NoReturn:  # noqa: ARG002
        raise Unsupported(self._cloud.lacks[Capability.PORTS])

    def delete_port(self, native: str) -> None:
        if any(port.native == native for port in self.list_ports()):
            raise Conflict("port", native, f"the port {native} is on a server", "in-use")

    def attach_port(self, native: str, server: str, index: int) -> NoReturn:  # noqa: ARG002
        raise Unsupported(self._cloud.lacks[Capability.PORTS])

    def detach_port(self, native: str) -> NoReturn:
        self._demand(native)
        raise Conflict("port", native, "a server keeps its first port")

    def add_addresses(self, native: str, addresses: Sequence[str], count: int = 0) -> None:
        with self._cloud.turn(native):
            secondary.add(self._tenant, native, addresses, count)
            self._tend(native)

    def remove_addresses(self, native: str, addresses: Sequence[str]) -> None:
        """The filters let them pass no longer before they go: another server may have them next."""
        with self._cloud.turn(native):
            going = secondary.chosen(self._tenant, native, addresses)
            for one in going:
                self._cloud.going.add(one["id"])
            try:
                self._tend(native)
                secondary.remove(self._tenant, native, going, public=not self._cloud.options.security_groups)
            except BaseException:
                for one in going:
                    self._cloud.going.discard(one["id"])
                with suppress(Fault):
                    self._tend(native)
                raise

    def _tend(self, native: str) -> None:
        filters.tend(self._cloud, self._tenant, [self._demand(native).network])

    def set_firewalls(self, native: str, firewalls: Sequence[str]) -> None:
        """CloudStack's own groups are changed of a server that is stopped, and hold for all of its interfaces."""
        port = self._demand(native)
        if not firewalls:
            raise Invalid("a port has at least one firewall", "firewalls")
        demand_groups(self._cloud, self._tenant, firewalls, port.network)
        if self._cloud.options.security_groups:
            self._set_theirs(port, firewalls)
        else:
            self._set_ours(port, firewalls)

    def _set_theirs(self, port: Port, firewalls: Sequence[str]) -> None:
        if set(firewalls) == set(port.firewalls):
            return
        if machines.one(self._tenant, port.server)["state"] != "Stopped":
            raise Conflict("server", port.server, self._cloud.lacks[Capability.RUNNING_FIREWALLS])
        wanted = list(dict.fromkeys(firewalls))
        self._tenant.client.do("updateVirtualMachine", "server", port.server, id=port.server, securitygroupids=wanted)

    def _set_ours(self, port: Port, firewalls: Sequence[str]) -> None:
        """The filters are looked at even if nothing is new: they may not have been done the last time."""
        with self._cloud.turn(port.server):
            if tuple(dict.fromkeys(firewalls)) != port.firewalls:
                membership.change(self._tenant, machines.one(self._tenant, port.server), port.native, firewalls)
            filters.tend(self._cloud, self._tenant, [port.network])

    def set_source_check(self, native: str, value: bool) -> None:
        self._demand(native)
        if not value:
            raise Unsupported("CloudStack always drops traffic that is neither from nor for a server's own addresses.")

    def set_delete_with_server(self, native: str, value: bool) -> None:
        self._demand(native)
        if not value:
            raise Unsupported(self._cloud.lacks[Capability.PORTS])

    def _demand(self, native: str) -> Port:
        for port in self.list_ports():
            if port.native == native:
                return port
        raise NotFound("port", native[:64])
