"""Network interfaces in and out of running machines: a machine gets those that the records give its server."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import time
from collections.abc import Callable

from isthmus.errors import Fault
from isthmus.model import Port, ServerState
from isthmus.providers.local import layout, wires
from isthmus.providers.local.base import Base
from isthmus.providers.local.machine import NICS, Tap, tap_device
from isthmus.providers.local.qmp import PERIPHERALS, Qmp, QmpError
from isthmus.providers.local.records import ServerRecord

_log = logging.getLogger(__name__)
UNPLUG_SECONDS = 5.0
"""How long a guest may take to let go of an interface; after that it is dead for the guest."""
PREFIX = "nic-"


def name_of(port: Port) -> str:
    """The interface's name in the monitor: one for each time that the port is attached."""
    return f"{PREFIX}{hashlib.sha256(f'{port.native} {port.since}'.encode()).hexdigest()[:16]}"


def taps(base: Base, record: ServerRecord) -> tuple[Tap, ...]:
    """A tap for each port of a server that is to start, whose descriptors are the caller's to close. Unavailable."""
    made: list[Tap] = []
    try:
        for port in layout.ports_on(base, record.noun.native):
            made.append(_tap(base, record, port))
    except BaseException:
        close(made)
        raise
    return tuple(made)


def _tap(base: Base, record: ServerRecord, port: Port) -> Tap:
    descriptor = wires.plug(base, port.native)
    return Tap(name_of(port), port.mac, descriptor, NICS.get(record.noun.platform, NICS[""]))


def close(made: list[Tap] | tuple[Tap, ...]) -> None:
    for tap in made:
        os.close(tap.descriptor)


def sync(base: Base, server: str) -> None:
    """Make a running machine have the interfaces of its server's ports; waits for its lock. QmpError, Fault."""
    record = base.servers.raw(server)
    if record is not None and base.state_of(record) is ServerState.RUNNING and record.tapped:
        with base.lock_of(server):
            sync_locked(base, server)


def try_sync(base: Base, server: str) -> None:
    """The same where the rest is done when the cloud is mended: a failure is logged."""
    _logged(lambda: sync(base, server), server)


def try_sync_locked(base: Base, server: str) -> None:
    _logged(lambda: sync_locked(base, server), server)


def _logged(act: Callable[[], None], server: str) -> None:
    try:
        act()
    except (QmpError, Fault) as error:
        _log.warning("the interfaces of %s could not be changed: %s", server, error)


def sync_locked(base: Base, server: str) -> None:
    record = base.servers.raw(server)
    if record is None or base.state_of(record) is not ServerState.RUNNING or not record.tapped:
        return
    wanted = {name_of(port): port for port in layout.ports_on(base, server)}
    with base.monitor(server) as monitor:
        there = _present(monitor)
        for name in there - wanted.keys():
            _unplug(monitor, name)
        for name in wanted.keys() - there:
            _plug(monitor, _tap(base, record, wanted[name]))


def _present(monitor: Qmp) -> set[str]:
    found = (str(item["name"]) for item in monitor("qom-list", path=PERIPHERALS))
    return {name for name in found if name.startswith(PREFIX)}


def _plug(monitor: Qmp, tap: Tap) -> None:
    try:
        monitor.give(tap.name, tap.descriptor)
    finally:
        os.close(tap.descriptor)
    monitor("netdev_add", type="tap", id=tap.netdev, fd=tap.name)
    try:
        monitor("device_add", **tap_device(tap))
    except QmpError:
        monitor("netdev_del", id=tap.netdev)
        raise


def _unplug(monitor: Qmp, name: str) -> None:
    """Take an interface away. A guest that does not let go of it keeps a dead one, until it does or is stopped."""
    deadline = time.monotonic() + UNPLUG_SECONDS
    try:
        monitor("device_del", id=name)
    except QmpError as error:
        if "process of unplug" not in str(error) and error.name != "DeviceNotFound":
            raise
    while name in _present(monitor) and time.monotonic() < deadline:
        time.sleep(0.05)
    with contextlib.suppress(QmpError):  # it has gone already with an earlier attempt
        monitor("netdev_del", id=Tap.netdev_of(name))
