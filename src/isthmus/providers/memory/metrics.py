"""What simulated servers use: nothing."""

from __future__ import annotations

from isthmus.errors import Conflict
from isthmus.model import Counters, ServerState
from isthmus.providers.memory.world import Tenant, World


class MemoryMetrics:
    def __init__(self, world: World, tenant: Tenant) -> None:
        self._world = world
        self._tenant = tenant

    def counters(self, native: str) -> Counters:
        with self._world as now:
            server = self._tenant.servers.get(native)
            if server.state is not ServerState.RUNNING:
                raise Conflict("server", native, f"the server {native} is {server.state}")
            return Counters(
                at=now, cpu_seconds=0.0, disk_read_bytes=0, disk_written_bytes=0, disk_reads=0, disk_writes=0
            )
