"""Servers: QEMU machines that outlive this process."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from isthmus.errors import Conflict, Unsupported
from isthmus.model import Condition, Console, Flavor, Port, Server, ServerState, Zone, need_ref
from isthmus.providers import ServerSpec
from isthmus.providers.local import conditions, journal, layout, ports, room
from isthmus.providers.local.base import Base, now
from isthmus.providers.local.boots import Boots
from isthmus.providers.local.halts import Halts, begin_release
from isthmus.providers.local.launch import launch
from isthmus.providers.local.records import ServerRecord
from isthmus.together import for_each

CONSOLE_BYTES = 65536
PASSWORD_BYTES = 1 << 20
_PASSWORD = re.compile(rb"<Password>\s*(.*?)\s*</Password>", re.DOTALL)
GOING = (ServerState.PENDING, ServerState.RUNNING)
HALTED = (ServerState.STOPPING, ServerState.STOPPED)


class LocalCompute:
    def __init__(self, base: Base, tenant: str, boots: Boots, halts: Halts, missing: Callable[[], str]) -> None:
        self._base = base
        self._tenant = tenant
        self._boots = boots
        self._halts = halts
        self._missing = missing

    def list_zones(self) -> Sequence[Zone]:
        return self._base.zones

    def list_flavors(self) -> Sequence[Flavor]:
        return tuple(self._base.flavors.values())

    def list_servers(self, natives: Collection[str] | None = None) -> Sequence[Server]:
        connected: dict[str, list[Port]] = {}
        for port in self._base.ports.owned(self._tenant):
            connected.setdefault(port.noun.server, []).append(port.noun)
        return [
            self._view(record, connected.get(record.noun.native, ()))
            for record in self._base.servers.listed(self._tenant, natives)
        ]

    def prepare_servers(self, specs: Sequence[ServerSpec]) -> None:
        """Each is made by itself."""

    def create_server(self, spec: ServerSpec) -> Server:
        need_ref(spec.ref, "server")
        if reason := self._missing():
            raise Unsupported(reason)
        with self._base.lock:
            found = self._base.servers.by_ref(self._tenant, spec.ref)
            record = found or launch(self._base, self._tenant, spec)
        if record.noun.state is ServerState.PENDING:
            self._boots.work.boot(record.noun.native)
        return self._view(record, layout.ports_on(self._base, record.noun.native))

    def start_server(self, native: str) -> None:
        with self._base.lock:
            record, state = self._get(native)
            if state in GOING:
                return
            _demand(native, state, ServerState.STOPPED)
            devices = {volume.noun.attachments[0].device for volume in self._base.on_server(native)}
            if record.noun.root_device not in devices:
                raise Conflict("server", native, f"the server {native} has no root volume")
            room.demand(self._base, self._base.flavor(record.noun.flavor))
            self._put(record, ServerState.PENDING, started=True)
        self._boots.work.boot(native)

    def stop_server(self, native: str, *, force: bool = False) -> None:
        with self._base.lock:
            record, state = self._get(native)
            if state is ServerState.STOPPED or (state is ServerState.STOPPING and not force):
                return
            _demand(native, state, ServerState.RUNNING, ServerState.STOPPING)
            self._put(record, ServerState.STOPPING)
        self._halts.stop(native, force=force)

    def reboot_server(self, native: str) -> None:
        with self._base.lock:
            record, state = self._get(native)
            _demand(native, state, ServerState.RUNNING)
            self._base.servers.put(replace(record, rebooting=True))
        self._halts.reboot(native)

    def prepare_deletion(self, natives: Collection[str]) -> None:
        """Each is deleted by itself."""

    def delete_server(self, native: str, *, force: bool = False) -> None:
        with self._base.lock:
            record = self._base.servers.find(self._tenant, native)
            if record is None:
                return
            if record.noun.state is not ServerState.DELETING:
                self._put(record, ServerState.DELETING)
                begin_release(self._base, native)
                ports.free_publics(self._base, native)
        self._halts.delete(native, force=force)

    def resize_server(self, native: str, flavor: str) -> None:
        with self._base.lock:
            record, state = self._get(native)
            self._base.flavor(flavor)
            _demand(native, state, ServerState.STOPPED)
            self._put(replace(record, noun=replace(record.noun, flavor=flavor)), ServerState.STOPPED)

    def set_user_data(self, native: str, data: bytes) -> None:  # noqa: ARG002
        """Guests read it from the metadata service, which tells what Isthmus keeps."""
        with self._base.lock:
            _, state = self._get(native)
            _demand(native, state, ServerState.STOPPED)

    def console_output(self, native: str) -> Console:
        self._base.servers.get(self._tenant, native)
        return Console(self._console(native, CONSOLE_BYTES), now())

    def conditions(self, natives: Collection[str]) -> Mapping[str, Condition]:
        found = self._base.servers.listed(self._tenant, natives)
        running = [record for record in found if self._base.state_of(record) is ServerState.RUNNING]
        seen = for_each(partial(conditions.condition, self._base), running)
        return {record.noun.native: one for record, one in zip(running, seen, strict=True)}

    def password_data(self, native: str) -> str:
        self._base.servers.get(self._tenant, native)
        found = _PASSWORD.findall(self._console(native, PASSWORD_BYTES))
        return found[-1].decode("ascii", "replace") if found else ""

    def _get(self, native: str) -> tuple[ServerRecord, ServerState]:
        record = self._base.servers.get(self._tenant, native)
        return record, self._base.state_of(record)

    def _put(self, record: ServerRecord, state: ServerState, *, started: bool = False) -> None:
        moment = now() if started else record.noun.started
        noun = replace(record.noun, state=state, reason="", shut_down=False, started=moment)
        self._base.servers.put(replace(record, noun=noun, rebooting=False))

    def _view(self, record: ServerRecord, connected: Iterable[Port]) -> Server:
        return replace(self._base.view(record), ports=tuple(sorted(connected, key=lambda port: port.index)))

    def _console(self, native: str, most: int) -> bytes:
        return journal.tail(self._base.run(native) / journal.CONSOLE, most)


def _demand(native: str, state: ServerState, *states: ServerState) -> None:
    """Conflict unless the server is in one of `states`."""
    if state not in states:
        raise Conflict("server", native, f"the server {native} is {state}")
