"""Copies of volumes and of snapshots, of which CloudStack has none within a zone: each is made by way of the other.

A copy of a volume is made of a snapshot of it, a copy of a snapshot is a snapshot of a volume of it. What is on the
way is named so and shown to nobody; whoever lists such things finds it, and it is deleted once the copy is there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from isthmus.errors import Conflict, Fault, Invalid, NotFound, Unavailable
from isthmus.model import SnapshotState, VolumeState
from isthmus.providers import SnapshotSpec, VolumeSpec
from isthmus.providers.cloudstack import disks, notes, offerings, snapshots
from isthmus.providers.cloudstack.client import JOB_SECONDS, Item, Unsure
from isthmus.providers.cloudstack.tenant import Tenant, busy
from isthmus.together import together

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack

LEFT = timedelta(hours=1)
"""How old that is which nobody goes on with any more."""
AT_ONCE = 2
AGAIN_SECONDS = 2.0
"""How long a tenant's are left alone after they were looked at."""
LOOK_SECONDS = 0.5
"""Between two looks at what another call has begun."""
_ON_THE_WAY = (VolumeState.CREATING, SnapshotState.PENDING)
_THERE = (VolumeState.AVAILABLE, SnapshotState.COMPLETED)
_FAILED = (VolumeState.ERROR, SnapshotState.ERROR)
_log = logging.getLogger(__name__)


def volume(cloud: CloudStack, tenant: Tenant, spec: VolumeSpec) -> str:
    """The native id of a volume that is being made, of another as it is now.

    One that was never on a server has no data, so that its copy is a new one. Raises NotFound, Invalid, Conflict, and
    Unavailable for a snapshot that takes too long: who asks again goes on with it.
    """
    source = next(iter(disks.every(tenant, [spec.source])), None)
    if source is None:
        raise NotFound("volume", spec.source[:64])
    if source["zonename"] != offerings.zone(tenant, cloud, spec.zone)["name"]:
        raise Invalid(f"the volume {spec.source} is not in the zone {spec.zone}", "zone")
    least = notes.gibibytes(source["size"])
    if 0 < spec.size < least:
        raise Invalid(f"a copy of the volume {spec.source} has at least {least} GiB", "size")
    if disks.state(source) is not VolumeState.AVAILABLE or (source["state"] == "Allocated" and busy(source)):
        raise Conflict("volume", spec.source, f"the volume {spec.source} is {source['state']}")
    between = "" if source["state"] == "Allocated" else _snapshot_of(tenant, spec)
    return str(disks.begin(cloud, tenant, replace(spec, size=spec.size or least, snapshot=between))["id"])


def _snapshot_of(tenant: Tenant, spec: VolumeSpec) -> str:
    """The snapshot of a copy's source, once it is taken: one that was begun before, or a new one."""
    name = f"{notes.COPY}{spec.ref}"
    if native := _begun(tenant, name, snapshots.with_between, snapshots.state):
        return native
    begun = snapshots.begin(tenant, SnapshotSpec(name, spec.source))
    tenant.client.done(begun["jobid"], "snapshot", begun["id"])
    return str(begun["id"])


def snapshot(cloud: CloudStack, tenant: Tenant, spec: SnapshotSpec) -> str:
    """The native id of a snapshot that is being taken, with the contents of another.

    Raises NotFound, Conflict, and Unavailable for a volume that takes too long: who asks again goes on with it.
    """
    size = snapshots.usable(tenant, spec.source)
    between = _volume_of(cloud, tenant, spec, size)
    return str(snapshots.begin(tenant, replace(spec, volume=between))["id"])


def _volume_of(cloud: CloudStack, tenant: Tenant, spec: SnapshotSpec, size: int) -> str:
    """The volume of a copy's source, once it is there: one that was begun before, or a new one."""
    name = f"{notes.COPY}{spec.ref}"
    if native := _begun(tenant, name, disks.with_between, disks.state):
        return native
    there = snapshots.zones(tenant, spec.source)
    zones = [known for known, one in offerings.zones(tenant, cloud).items() if not there or one["id"] in there]
    if not zones:
        raise Conflict("snapshot", spec.source, "the snapshot is in none of the zones that are configured")
    begun = disks.begin(cloud, tenant, VolumeSpec("", size, zones[0], snapshot=spec.source), name=name)
    tenant.client.done(begun["jobid"], "volume", begun["id"])
    return str(begun["id"])


def _begun(
    tenant: Tenant,
    name: str,
    read: Callable[[Tenant, Sequence[str] | None], list[Item]],
    state: Callable[[Item], VolumeState | SnapshotState],
) -> str:
    """What an earlier call has begun under a name, once it is there; empty if there is none. Raises Unavailable."""
    named = [one["id"] for one in read(tenant, None) if one["name"] == name and state(one) not in _FAILED]
    if not named:
        return ""
    until = time.monotonic() + JOB_SECONDS
    while True:
        tenant.client.again()
        seen = {state(one) for one in read(tenant, named[:1])}
        if seen.isdisjoint(_ON_THE_WAY):
            break
        if time.monotonic() > until:
            raise Unsure("The cloud is still busy with this: ask again later.")
        time.sleep(LOOK_SECONDS)
    if seen.isdisjoint(_THERE):
        raise Unavailable("What the copy is made by has failed: ask again.")
    return str(named[0])


class Copies:
    """What copies were made by, and is to go."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="copies")
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}
        """By tenant: when, by the monotonic clock, they may be looked at again."""

    def shown(self, tenant: Tenant, listed: Sequence[Item]) -> list[Item]:
        """Volumes or snapshots, without those that are on the way to a copy: that these go is seen to in passing."""
        shown = [one for one in listed if not notes.is_between(one)]
        if len(shown) < len(listed):
            self._tidy(tenant)
        return shown

    def _tidy(self, tenant: Tenant) -> None:
        now = time.monotonic()
        with self._lock:
            self._until = {one: until for one, until in self._until.items() if until > now}
            if tenant.native in self._until:
                return
            self._until[tenant.native] = now + AGAIN_SECONDS
        self._pool.submit(_tidy, tenant.once())

    def close(self) -> None:
        """What was not begun is for those who list such things later."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _tidy(tenant: Tenant) -> None:
    try:
        for command, kind, native in _over(tenant):
            tenant.client.do(command, kind, native, id=native)
    except Fault as fault:
        _log.warning("what copies were made by is deleted later: %s", fault)


def _over(tenant: Tenant) -> Iterator[tuple[str, str, str]]:
    """What nobody needs any more, with the command that deletes it."""
    volumes, taken = together(partial(disks.with_between, tenant), partial(snapshots.with_between, tenant))
    made = {
        **{ref: disks.state(one) for one in volumes if (ref := notes.load(one["name"]).ref)},
        **{ref: snapshots.state(one) for one in taken if (ref := snapshots.ref_of(one))},
    }
    for command, kind, listed, state in (
        ("deleteVolume", "volume", volumes, disks.state),
        ("deleteSnapshot", "snapshot", taken, snapshots.state),
    ):
        for one in listed:
            if not notes.is_between(one) or state(one) in _ON_THE_WAY:
                continue
            copy = made.get(one["name"].removeprefix(notes.COPY))
            old = datetime.now(UTC) - notes.moment(one["created"]) > LEFT
            if copy not in _ON_THE_WAY if copy else old:
                yield command, kind, one["id"]
