"""Volumes and their snapshots, which hold no bytes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from isthmus.errors import Conflict, Invalid
from isthmus.model import (
    Attachment,
    AttachmentState,
    ServerState,
    Snapshot,
    Volume,
    VolumeState,
    need_ref,
)
from isthmus.providers import SnapshotSpec, VolumeSpec
from isthmus.providers.memory import disks, snapshots
from isthmus.providers.memory.world import Tenant, World

HOLDS_DATA = (VolumeState.AVAILABLE, VolumeState.IN_USE)


class MemoryVolumes:
    def __init__(self, world: World, tenant: Tenant) -> None:
        self._world = world
        self._tenant = tenant

    def list_volumes(self, natives: Collection[str] | None = None) -> Sequence[Volume]:
        with self._world:
            return self._tenant.volumes.listing(natives)

    def create_volume(self, spec: VolumeSpec) -> Volume:
        with self._world as now:
            if found := self._tenant.volumes.by_ref(spec.ref):
                return found
            volume = self._tenant.volumes.put(self._new(spec, now))
            self._world.later(now, lambda _: self._ready(volume.native))
            return volume

    def delete_volume(self, native: str) -> None:
        with self._world as now:
            volume = self._tenant.volumes.find(native)
            if volume is None or (volume.state is VolumeState.DELETING and not volume.attachments):
                return
            if volume.attachments:
                raise Conflict("volume", native, f"the volume {native} is attached", code="in-use")
            self._tenant.volumes.put(replace(volume, state=VolumeState.DELETING))
            self._world.later(now, lambda _: self._tenant.volumes.drop(native))

    def attach_volume(self, native: str, server: str, device: str) -> None:
        with self._world as now:
            volume = self._tenant.volumes.get(native)
            self._check_attach(volume, server, device)
            disks.attach(self._world, self._tenant, volume, Attachment(server, device, AttachmentState.ATTACHING, now))

    def detach_volume(self, native: str, server: str, *, force: bool = False) -> None:
        with self._world as now:
            volume = self._tenant.volumes.get(native)
            self._tenant.servers.get(server)
            link = disks.link_of(self._tenant, native, server)
            if link is None:
                raise Conflict("volume", native, f"the volume {native} is not attached to the server {server}")
            if link.state is AttachmentState.DETACHING:
                return
            if link.state is AttachmentState.ATTACHING and not force:
                raise Conflict("volume", native, f"the volume {native} is being attached")
            self._check_root(volume, link)
            disks.detach(self._world, self._tenant, volume, now)

    def resize_volume(self, native: str, size: int) -> None:
        with self._world:
            volume = self._tenant.volumes.get(native)
            if size < volume.size:
                raise Invalid(f"the volume {native} has {volume.size} GiB and cannot shrink", "size")
            if volume.state not in HOLDS_DATA:
                raise Conflict("volume", native, f"the volume {native} is {volume.state}")
            self._tenant.volumes.put(replace(volume, size=size))

    def retype_volume(self, native: str, type: str, iops: int) -> None:
        with self._world:
            volume = self._tenant.volumes.get(native)
            if volume.state not in HOLDS_DATA:
                raise Conflict("volume", native, f"the volume {native} is {volume.state}")
            self._tenant.volumes.put(replace(volume, type=type or volume.type, iops=iops))

    def set_delete_with_server(self, native: str, server: str, value: bool) -> None:
        with self._world:
            disks.change_link(self._tenant, native, server, delete_with_server=value)

    def list_snapshots(self, natives: Collection[str] | None = None) -> Sequence[Snapshot]:
        with self._world:
            return self._world.snapshots.listing(self._tenant.name, natives)

    def create_snapshot(self, spec: SnapshotSpec) -> Snapshot:
        with self._world as now:
            if found := self._world.snapshots.by_ref(self._tenant.name, spec.ref):
                return found
            need_ref(spec.ref, "snapshot")
            if spec.source:
                source = disks.usable_snapshot(self._world, self._tenant, spec.source)
                self._world.room("snapshot", self._world.snapshots.owned(self._tenant.name))
                return snapshots.copy(self._world, self._tenant, source, spec.ref, spec.description, now)
            volume = self._tenant.volumes.get(spec.volume)
            if volume.state not in HOLDS_DATA:
                raise Conflict("volume", spec.volume, f"the volume {spec.volume} is {volume.state}")
            self._world.room("snapshot", self._world.snapshots.owned(self._tenant.name))
            return snapshots.take(self._world, self._tenant, volume, spec.ref, spec.description, now)

    def delete_snapshot(self, native: str) -> None:
        with self._world:
            if self._world.snapshots.find(self._tenant.name, native) is None:
                return
            self._world.snapshots.own(self._tenant.name, native)
            if any(disk.snapshot == native for image in self._world.images for disk in image.disks):
                raise Conflict("snapshot", native, f"an image needs the snapshot {native}", code="in-use")
            self._world.snapshots.drop(native)

    def share_snapshot(self, native: str, *, public: bool, tenants: Sequence[str]) -> None:
        with self._world:
            snapshot = self._world.snapshots.own(self._tenant.name, native)
            shared_with = tuple(dict.fromkeys(tenants))
            self._world.snapshots.put(replace(snapshot, public=public, shared_with=shared_with))

    def _new(self, spec: VolumeSpec, now: datetime) -> Volume:
        need_ref(spec.ref, "volume")
        self._world.zone(spec.zone)
        origin: Snapshot | Volume | None = None
        if spec.source:
            origin = self._source(spec)
        elif spec.snapshot:
            origin = disks.usable_snapshot(self._world, self._tenant, spec.snapshot)
        size = disks.fitting_size(spec.size, origin.size if origin else 0)
        self._world.room("volume", len(self._tenant.volumes))
        return Volume(
            native=self._world.native("volume"),
            ref=spec.ref,
            name=spec.name,
            state=VolumeState.CREATING,
            zone=spec.zone,
            size=size,
            type=spec.type or disks.DEFAULT_TYPE,
            created=now,
            snapshot=spec.snapshot,
            iops=spec.iops,
            encrypted=spec.encrypted or (origin is not None and origin.encrypted),
        )

    def _source(self, spec: VolumeSpec) -> Volume:
        source = self._tenant.volumes.get(spec.source)
        if source.state not in HOLDS_DATA:
            raise Conflict("volume", source.native, f"the volume {source.native} is {source.state}")
        if source.zone != spec.zone:
            raise Invalid(f"the volume {source.native} is not in the zone {spec.zone}", "zone")
        return source

    def _ready(self, native: str) -> None:
        volume = self._tenant.volumes.find(native)
        if volume is not None and volume.state is VolumeState.CREATING:
            self._tenant.volumes.put(replace(volume, state=VolumeState.AVAILABLE))

    def _check_attach(self, volume: Volume, native: str, device: str) -> None:
        server = self._tenant.servers.get(native)
        if not device:
            raise Invalid("a volume is attached under the name of a device", "device")
        if volume.attachments:
            raise Conflict("volume", volume.native, f"the volume {volume.native} is attached", code="in-use")
        if volume.state is not VolumeState.AVAILABLE:
            raise Conflict("volume", volume.native, f"the volume {volume.native} is {volume.state}")
        if server.state not in (ServerState.RUNNING, ServerState.STOPPED):
            raise Conflict("server", native, f"the server {native} is {server.state}")
        if server.zone != volume.zone:
            raise Invalid(f"the volume {volume.native} is not in the zone {server.zone}", "zone")
        own = server.local_root and device == server.root_device
        if own or device in self._tenant.devices.get(native, {}):
            raise Conflict("device", device, f"the server {native} has a disk on {device}", code="in-use")

    def _check_root(self, volume: Volume, link: Attachment) -> None:
        server = self._tenant.servers.get(link.server)
        if link.device == server.root_device and server.state is not ServerState.STOPPED:
            reason = f"the root volume can leave a stopped server only, and {server.native} is {server.state}"
            raise Conflict("volume", volume.native, reason)
