"""How running machines are, and their guests.

A machine says so itself. A guest's kernel is asked for its memory statistics now and then, by the device that Linux
drives as `virtio_balloon`: one that hangs does not answer any more. Guests without that driver are judged by whether
they have panicked alone.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from isthmus.model import Condition, Verdict
from isthmus.providers.local import journal
from isthmus.providers.local.base import Base
from isthmus.providers.local.machine import BALLOON
from isthmus.providers.local.qmp import Qmp, QmpError
from isthmus.providers.local.records import ServerRecord
from isthmus.providers.local.tables import FileLock

ASKED_SECONDS = 10
"""How often a guest is asked for a sign of life."""
SILENT_SECONDS = 60
"""After so long without one, a guest hangs."""
BOOT_SECONDS = 180
"""How long a guest that has not given any yet is thought to be booting."""
MONITOR_SECONDS = 3.0
AT_REST = ("shutdown", "paused", "prelaunch", "suspended", "save-vm", "restore-vm")
"""States in which a guest waits for what is being done to its machine."""


def condition(base: Base, record: ServerRecord) -> Condition:
    """Of a server that runs."""
    directory = base.run(record.noun.native)
    try:
        with look(base, record.noun.native), Qmp(directory / "rescue.sock", MONITOR_SECONDS) as monitor:
            status, sign = monitor("query-status")["status"], _sign(monitor)
    except QmpError:
        return Condition(Verdict.IMPAIRED, Verdict.UNKNOWN, datetime.now(UTC))
    if status in AT_REST or record.rebooting:
        return Condition(Verdict.OK, Verdict.INITIALIZING)
    if status != "running":
        return Condition(Verdict.IMPAIRED, Verdict.IMPAIRED, datetime.now(UTC))
    began, panicked = record.noun.started.timestamp(), 0.0
    for event in journal.events(directory):
        moment = float(event["timestamp"]["seconds"])
        if event["event"] == "RESET":
            began, panicked = moment, 0.0
        elif event["event"] == "GUEST_PANICKED":
            panicked = moment
    return Condition(Verdict.OK, *_guest(began, panicked, sign, time.time()))


def look(base: Base, native: str) -> FileLock:
    """Held while a machine is only looked at, which goes on beside whatever is being done to it."""
    return FileLock(base.state / "locks" / look_name(native))


def look_name(native: str) -> str:
    return f"{native}.look"


def _guest(began: float, panicked: float, sign: float, now: float) -> tuple[Verdict, datetime | None]:
    """What is to be said of a guest that began, panicked and last gave a sign of life at these times; 0 for never."""
    if panicked:
        return Verdict.IMPAIRED, _at(panicked)
    if sign >= began:
        return (Verdict.OK, None) if now < sign + SILENT_SECONDS else (Verdict.IMPAIRED, _at(sign))
    if now < began + BOOT_SECONDS:
        return Verdict.INITIALIZING, None
    return (Verdict.IMPAIRED, _at(sign)) if sign else (Verdict.OK, None)


def _at(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC)


def _sign(monitor: Qmp) -> float:
    """When the guest last gave a sign of life, or 0."""
    try:
        known = monitor("qom-get", path=f"/machine/peripheral/{BALLOON}", property="guest-stats")
    except QmpError as error:
        if error.name != "DeviceNotFound":  # a machine that an earlier version started has no such device
            raise
        return 0.0
    return float(known["last-update"])
