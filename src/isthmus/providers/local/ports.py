"""Network interfaces: each server has one, made with it and gone with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from isthmus.errors import Conflict, Invalid, Unsupported
from isthmus.model import Port
from isthmus.providers import PortSpec
from isthmus.providers.local import firewalls as guards
from isthmus.providers.local import forwards
from isthmus.providers.local.addresses import REACHABLE, owner
from isthmus.providers.local.base import Base
from isthmus.providers.local.records import ServerRecord

ONE_PORT = (
    "guests of the local cloud are connected by user-mode networking, which gives each one interface with one address; "
    "more need a cloud with networks, such as OpenStack or CloudStack"
)


class LocalPorts:
    def __init__(self, base: Base, tenant: str) -> None:
        self._base = base
        self._tenant = tenant

    def list_ports(self) -> Sequence[Port]:
        return [port for record in self._base.servers.owned(self._tenant) for port in record.noun.ports]

    def create_port(self, spec: PortSpec) -> Port:  # noqa: ARG002
        raise Unsupported(ONE_PORT)

    def delete_port(self, native: str) -> None:
        if any(port.native == native for port in self.list_ports()):
            raise Conflict("port", native, f"the port {native} is on a server", code="in-use")

    def attach_port(self, native: str, server: str, index: int) -> None:  # noqa: ARG002
        raise Unsupported(ONE_PORT)

    def detach_port(self, native: str) -> None:
        owner(self._base, self._tenant, native)
        raise Conflict("port", native, "a server keeps its first port")

    def add_addresses(self, native: str, addresses: Sequence[str], count: int = 0) -> None:  # noqa: ARG002
        raise Unsupported(ONE_PORT)

    def remove_addresses(self, native: str, addresses: Sequence[str]) -> None:
        owner(self._base, self._tenant, native)
        if addresses:
            raise Invalid(f"{addresses[0]} is not a further address of the port {native}", "addresses")

    def set_firewalls(self, native: str, firewalls: Sequence[str]) -> None:
        with self._base.lock:
            record, port = owner(self._base, self._tenant, native)
            if not firewalls:
                raise Invalid("a port has at least one firewall", "firewalls")
            after = [guards.get(self._base, self._tenant, one).noun for one in dict.fromkeys(firewalls)]
            before = [guards.get(self._base, self._tenant, one).noun for one in port.firewalls]
            state = self._base.state_of(record)
            if state not in REACHABLE:
                raise Conflict("server", record.noun.native, f"the server {record.noun.native} is {state}")
            if state in guards.ACTIVE and guards.restricted(before) != guards.restricted(after):
                raise Unsupported(guards.FIXED_EGRESS)
            self._put(record, replace(port, firewalls=tuple(one.native for one in after)))
        forwards.sync(self._base, record.noun.native)

    def set_source_check(self, native: str, value: bool) -> None:
        """Kept, and without effect: no traffic of others ever reaches a guest here."""
        with self._base.lock:
            record, port = owner(self._base, self._tenant, native)
            self._put(record, replace(port, source_check=value))

    def set_delete_with_server(self, native: str, value: bool) -> None:
        owner(self._base, self._tenant, native)
        if not value:
            raise Unsupported(ONE_PORT)

    def _put(self, record: ServerRecord, port: Port) -> None:
        self._base.servers.put(replace(record, noun=replace(record.noun, ports=(port,))))
