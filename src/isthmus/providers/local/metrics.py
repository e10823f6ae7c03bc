"""What running servers have used."""

from __future__ import annotations

from isthmus.errors import Conflict, Unavailable
from isthmus.model import Counters, ServerState
from isthmus.providers.local import process
from isthmus.providers.local.base import Base, now
from isthmus.providers.local.qmp import QmpError


class LocalMetrics:
    def __init__(self, base: Base, tenant: str) -> None:
        self._base = base
        self._tenant = tenant

    def counters(self, native: str) -> Counters:
        record = self._base.servers.get(self._tenant, native)
        if (state := self._base.state_of(record)) is not ServerState.RUNNING:
            raise Conflict("server", native, f"the server {native} is {state}")
        try:
            with self._base.lock_of(native), self._base.monitor(native) as monitor:
                found = [item["stats"] for item in monitor("query-blockstats")]
            seconds = process.cpu_seconds(record.pid)
        except (QmpError, OSError) as error:
            if self._base.state_of(record) is not ServerState.RUNNING:
                raise Conflict("server", native, f"the server {native} is stopped") from error
            raise Unavailable("the machine's monitor does not answer") from error
        return Counters(
            at=now(),
            cpu_seconds=seconds,
            disk_read_bytes=sum(item["rd_bytes"] for item in found),
            disk_written_bytes=sum(item["wr_bytes"] for item in found),
            disk_reads=sum(item["rd_operations"] for item in found),
            disk_writes=sum(item["wr_operations"] for item in found),
        )
