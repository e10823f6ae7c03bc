"""Taking snapshots, for the families volumes and images."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from isthmus.model import Snapshot, SnapshotState, Volume
from isthmus.providers.memory.world import Tenant, World


def copy(world: World, tenant: Tenant, source: Snapshot, ref: str, description: str, now: datetime) -> Snapshot:
    """A copy of a snapshot, which is pending now and completed when settled."""
    fresh = replace(
        source,
        native=world.native("snapshot"),
        ref=ref,
        owner=tenant.name,
        description=description,
        volume="",
        created=now,
        public=False,
        shared_with=(),
    )
    return _pending(world, fresh, now)


def take(world: World, tenant: Tenant, volume: Volume, ref: str, description: str, now: datetime) -> Snapshot:
    """A snapshot that is pending now and completed when settled."""
    return _pending(
        world,
        Snapshot(
            native=world.native("snapshot"),
            ref=ref,
            state=SnapshotState.PENDING,
            volume=volume.native,
            size=volume.size,
            created=now,
            owner=tenant.name,
            description=description,
            progress=0,
            encrypted=volume.encrypted,
        ),
        now,
    )


def _pending(world: World, fresh: Snapshot, now: datetime) -> Snapshot:
    snapshot = world.snapshots.put(replace(fresh, state=SnapshotState.PENDING, progress=0))

    def completed(_: datetime) -> None:
        current = world.snapshots.raw(snapshot.native)
        if current is not None:
            world.snapshots.put(replace(current, state=SnapshotState.COMPLETED, progress=100))

    world.later(now, completed)
    return snapshot
