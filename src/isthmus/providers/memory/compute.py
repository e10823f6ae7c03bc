"""Servers: made, run, stopped and deleted, without a machine behind them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from isthmus.errors import Conflict, Unsupported
from isthmus.model import Condition, Console, Flavor, Server, ServerState, Zone
from isthmus.providers import ServerSpec
from isthmus.providers.memory import disks, launch, ports
from isthmus.providers.memory.world import Tenant, World

NO_PASSWORD = "simulated servers run no Windows that could make a password; use the local cloud or a real one"  # noqa: S105

CONSOLE = """\
This is the simulated server {server.name} of an Isthmus memory cloud.
No machine runs and no program is executed: this text is all it will ever print.
image {server.image}, flavor {server.flavor}, zone {server.zone}, started {server.started:%Y-%m-%dT%H:%M:%SZ}
"""

GOING = (ServerState.PENDING, ServerState.RUNNING)
HALTED = (ServerState.STOPPING, ServerState.STOPPED)


class MemoryCompute:
    def __init__(self, world: World, tenant: Tenant) -> None:
        self._world = world
        self._tenant = tenant

    def list_zones(self) -> Sequence[Zone]:
        return self._world.zones

    def list_flavors(self) -> Sequence[Flavor]:
        return self._world.offered

    def list_servers(self, natives: Collection[str] | None = None) -> Sequence[Server]:
        with self._world:
            return self._tenant.servers.listing(natives)

    def prepare_servers(self, specs: Sequence[ServerSpec]) -> None:
        """Each is made by itself."""

    def create_server(self, spec: ServerSpec) -> Server:
        with self._world as now:
            if found := self._tenant.servers.by_ref(spec.ref):
                return found
            server = launch.launch(self._world, self._tenant, spec, now)
            self._settle(server.native, ServerState.PENDING, ServerState.RUNNING, now)
            return server

    def start_server(self, native: str) -> None:
        with self._world as now:
            server = self._tenant.servers.get(native)
            if server.state in GOING:
                return
            _demand(server, ServerState.STOPPED)
            self._tenant.servers.put(replace(server, state=ServerState.PENDING, started=now))
            self._settle(native, ServerState.PENDING, ServerState.RUNNING, now)

    def stop_server(self, native: str, *, force: bool = False) -> None:  # noqa: ARG002
        with self._world as now:
            server = self._tenant.servers.get(native)
            if server.state in HALTED:
                return
            _demand(server, ServerState.RUNNING)
            self._tenant.servers.put(replace(server, state=ServerState.STOPPING))
            self._settle(native, ServerState.STOPPING, ServerState.STOPPED, now)

    def reboot_server(self, native: str) -> None:
        with self._world:
            _demand(self._tenant.servers.get(native), ServerState.RUNNING)

    def prepare_deletion(self, natives: Collection[str]) -> None:
        """Each is deleted by itself."""

    def delete_server(self, native: str, *, force: bool = False) -> None:  # noqa: ARG002
        with self._world as now:
            tenant = self._tenant
            server = tenant.servers.find(native)
            if server is None or server.state is ServerState.DELETING:
                return
            tenant.servers.put(replace(server, state=ServerState.DELETING))
            disks.begin_release(tenant, native)
            for port in server.ports:
                if port.delete_with_server:
                    for private in port.addresses:
                        tenant.unanswer(port.native, private)
            self._world.later(now, lambda _: self._gone(native))

    def resize_server(self, native: str, flavor: str) -> None:
        with self._world:
            server = self._tenant.servers.get(native)
            self._world.flavor(flavor)
            _demand(server, ServerState.STOPPED)
            self._tenant.servers.put(replace(server, flavor=flavor))

    def set_user_data(self, native: str, data: bytes) -> None:  # noqa: ARG002
        """Nobody reads it on a simulated server: what the metadata service tells is kept by Isthmus."""
        with self._world:
            _demand(self._tenant.servers.get(native), ServerState.STOPPED)

    def console_output(self, native: str) -> Console:
        with self._world as now:
            server = self._tenant.servers.get(native)
            return Console(CONSOLE.format(server=server).encode(), now)

    def conditions(self, natives: Collection[str]) -> Mapping[str, Condition]:  # noqa: ARG002
        """Simulated servers have no guests to look into."""
        return {}

    def password_data(self, native: str) -> str:  # noqa: ARG002
        raise Unsupported(NO_PASSWORD)

    def _settle(self, native: str, before: ServerState, after: ServerState, now: datetime) -> None:
        def settled(_: datetime) -> None:
            server = self._tenant.servers.find(native)
            if server is not None and server.state is before:
                self._tenant.servers.put(replace(server, state=after))

        self._world.later(now, settled)

    def _gone(self, native: str) -> None:
        tenant = self._tenant
        server = tenant.servers.get(native)
        disks.end_release(tenant, native)
        tenant.servers.drop(native)
        for port in server.ports:
            (ports.drop if port.delete_with_server else ports.release)(tenant, port)


def _demand(server: Server, *states: ServerState) -> None:
    """Conflict unless the server is in one of `states`."""
    if server.state not in states:
        raise Conflict("server", server.native, f"the server {server.native} is {server.state}")
