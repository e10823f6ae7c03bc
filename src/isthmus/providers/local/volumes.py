"""Volumes: qcow2 files, plugged into running machines, and their snapshots."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from isthmus.errors import Conflict, Denied, Invalid, NotFound, Unavailable, Unsupported
from isthmus.model import (
    Attachment,
    AttachmentState,
    ServerState,
    Snapshot,
    SnapshotState,
    Volume,
    VolumeState,
    need_ref,
)
from isthmus.providers import SnapshotSpec, VolumeSpec
from isthmus.providers.local import copies, disks, halts, plug, process
from isthmus.providers.local.base import Base, fitting_size, made, now, seen
from isthmus.providers.local.base import native as new_native
from isthmus.providers.local.copies import Copies
from isthmus.providers.local.launch import DEFAULT_TYPE, NO_ENCRYPTION
from isthmus.providers.local.qmp import QmpError
from isthmus.providers.local.records import SnapshotRecord, VolumeRecord
from isthmus.providers.local.work import Work

HOLDS_DATA = (VolumeState.AVAILABLE, VolumeState.IN_USE)


class LocalVolumes:
    def __init__(self, base: Base, tenant: str, work: Work, copying: Copies) -> None:
        self._base = base
        self._tenant = tenant
        self._work = work
        self._copies = copying

    def list_volumes(self, natives: Collection[str] | None = None) -> Sequence[Volume]:
        return [record.noun for record in self._base.volumes.listed(self._tenant, natives)]

    def create_volume(self, spec: VolumeSpec) -> Volume:
        need_ref(spec.ref, "volume")
        if spec.source:
            return self._copy_volume(spec)
        native = new_native("disk")
        with self._base.lock_of(native):
            with self._base.lock:
                if found := self._base.volumes.by_ref(self._tenant, spec.ref):
                    return found.noun
                record = self._base.volumes.put(self._new(spec, native))
            return self.finish(record).noun

    def finish(self, record: VolumeRecord) -> VolumeRecord:
        """Make a new volume's file, unless its contents are still being copied. The caller holds the volume's lock."""
        native = record.noun.native
        if any(snapshot.into == native for snapshot in self._base.snapshots.everything()):
            return record
        path = self._base.disk(native)
        try:
            if not path.exists():
                backing = self._base.blob(record.backing) if record.backing else None
                disks.create(path, record.noun.size, backing)
        except BaseException:
            with self._base.lock:
                halts.remove_volume(self._base, native)
            raise
        with self._base.lock:
            current = self._base.volumes.raw(native) or record
            if current.noun.state is VolumeState.CREATING:
                current = replace(current, noun=replace(current.noun, state=VolumeState.AVAILABLE))
                self._base.volumes.put(current)
        return current

    def delete_volume(self, native: str) -> None:
        with self._base.lock:
            record = self._base.volumes.find(self._tenant, native)
            if record is None:
                return
            if record.noun.attachments and record.noun.state is not VolumeState.DELETING:
                raise Conflict("volume", native, f"the volume {native} is attached", code="in-use")
            if record.noun.attachments:
                return  # it goes with its server
            self._base.volumes.put(replace(record, noun=replace(record.noun, state=VolumeState.DELETING)))
        if not self.remove(native, wait=False):
            self._work.start(f"remove {native}", lambda: self._remove_later(native))

    def remove(self, native: str, *, wait: bool) -> bool:
        """Remove a volume that is being deleted, unless it is being copied just now."""
        lock = self._base.lock_of(native)
        if not lock.acquire(wait=wait):
            return False
        try:
            with self._base.lock:
                halts.remove_volume(self._base, native)
        finally:
            lock.release()
        return True

    def _remove_later(self, native: str) -> None:
        self.remove(native, wait=True)

    def attach_volume(self, native: str, server: str, device: str) -> None:
        with self._base.lock:
            record = self._base.volumes.get(self._tenant, native)
            self._check_attach(record, server, device)
            link = Attachment(server, device, AttachmentState.ATTACHING, now())
            noun = replace(record.noun, state=VolumeState.IN_USE, attachments=(link,))
            self._base.volumes.put(replace(record, noun=noun))
        try:
            refused = plug.settle(self._base, server).get(native)
        except QmpError as error:
            refused = str(error)
        if refused:
            plug.failed(self._base, native)
            raise Conflict("server", server, f"the server {server} does not take the volume: {refused}")
        plug.watch(self._base, self._work, server)

    def detach_volume(self, native: str, server: str, *, force: bool = False) -> None:
        with self._base.lock:
            record = self._base.volumes.get(self._tenant, native)
            self._base.servers.get(self._tenant, server)
            link = _link(record, server)
            if link.state is AttachmentState.DETACHING and not force:
                return
            if link.state is AttachmentState.ATTACHING and not force:
                raise Conflict("volume", native, f"the volume {native} is being attached")
            self._check_root(record, link)
            self._check_copies(native)
            leaving = link
            if link.state is not AttachmentState.DETACHING:
                leaving = replace(link, state=AttachmentState.DETACHING)
            self._base.volumes.put(replace(record, noun=replace(record.noun, attachments=(leaving,)), forced=force))
        plug.watch(self._base, self._work, server)

    def resize_volume(self, native: str, size: int) -> None:
        record = self._base.volumes.get(self._tenant, native)
        server = record.noun.attachments[0].server if record.noun.attachments else native
        with self._base.lock_of(server):
            record = self._base.volumes.get(self._tenant, native)
            if size < record.noun.size:
                raise Invalid(f"the volume {native} has {record.noun.size} GiB and cannot shrink", "size")
            fitting_size(size, record.noun.size)
            if record.noun.state not in HOLDS_DATA:
                raise Conflict("volume", native, f"the volume {native} is {record.noun.state}")
            if size > record.noun.size:
                self._check_copies(native)
                self._grow(record, size)
            with self._base.lock:
                record = self._base.volumes.get(self._tenant, native)
                self._base.volumes.put(replace(record, noun=replace(record.noun, size=size)))

    def retype_volume(self, native: str, type: str, iops: int) -> None:
        with self._base.lock:
            record = self._base.volumes.get(self._tenant, native)
            if record.noun.state not in HOLDS_DATA:
                raise Conflict("volume", native, f"the volume {native} is {record.noun.state}")
            noun = replace(record.noun, type=type or record.noun.type, iops=iops)
            self._base.volumes.put(replace(record, noun=noun))

    def set_delete_with_server(self, native: str, server: str, value: bool) -> None:
        with self._base.lock:
            record = self._base.volumes.get(self._tenant, native)
            link = replace(_link(record, server), delete_with_server=value)
            self._base.volumes.put(replace(record, noun=replace(record.noun, attachments=(link,))))

    def list_snapshots(self, natives: Collection[str] | None = None) -> Sequence[Snapshot]:
        wanted = None if natives is None else frozenset(natives)
        found = (record.noun for record in self._base.snapshots.everything() if seen(record, self._tenant))
        return [noun for noun in found if wanted is None or noun.native in wanted]

    def create_snapshot(self, spec: SnapshotSpec) -> Snapshot:
        need_ref(spec.ref, "snapshot")
        if found := self._base.snapshots.by_ref(self._tenant, spec.ref):
            return found.noun
        if spec.source:
            return self._copy(spec)
        volume = self._base.volumes.get(self._tenant, spec.volume)
        record = self._take(volume, lambda job: self._pending(spec, job))
        return (self._base.snapshots.raw(record.noun.native) or record).noun

    def delete_snapshot(self, native: str) -> None:
        with self._base.lock:
            record = self._base.snapshots.raw(native)
            if record is None or not seen(record, self._tenant):
                return
            self._own(native)
            if any(disk.snapshot == native for image in self._base.images.everything() for disk in image.noun.disks):
                raise Conflict("snapshot", native, f"an image needs the snapshot {native}", code="in-use")
            self._base.snapshots.drop(native)
            self._base.release_blob(record.blob)

    def share_snapshot(self, native: str, *, public: bool, tenants: Sequence[str]) -> None:
        with self._base.lock:
            record = self._own(native)
            noun = replace(record.noun, public=public, shared_with=tuple(dict.fromkeys(tenants)))
            self._base.snapshots.put(replace(record, noun=noun))

    def _new(self, spec: VolumeSpec, native: str) -> VolumeRecord:
        origin = self._base.snapshot_for(self._tenant, spec.snapshot) if spec.snapshot else None
        return self._filled(spec, native, origin.noun.size if origin else 0, origin.blob if origin else "")

    def _filled(self, spec: VolumeSpec, native: str, least: int, backing: str) -> VolumeRecord:
        """A new volume over a blob, of at least that one's size."""
        self._base.zone(spec.zone)
        if spec.encrypted:
            raise Unsupported(NO_ENCRYPTION)
        noun = Volume(
            native=native,
            ref=spec.ref,
            name=spec.name,
            state=VolumeState.CREATING,
            zone=spec.zone,
            size=fitting_size(spec.size, least),
            type=spec.type or DEFAULT_TYPE,
            created=now(),
            snapshot=spec.snapshot,
            iops=spec.iops,
        )
        return VolumeRecord(self._tenant, noun, made(), backing)

    def _copy_volume(self, spec: VolumeSpec) -> Volume:
        """A volume over a snapshot of its source that is taken for it alone."""
        with self._base.lock:
            if found := self._base.volumes.by_ref(self._tenant, spec.ref):
                return found.noun
            source = self._base.volumes.get(self._tenant, spec.source)
            if source.noun.state not in HOLDS_DATA:
                raise Conflict("volume", spec.source, f"the volume {spec.source} is {source.noun.state}")
            if source.noun.zone != spec.zone:
                raise Invalid(f"the volume {spec.source} is not in the zone {spec.zone}", "zone")
            native = new_native("disk")
            contents = replace(copies.record_of(self._tenant, source, "", ""), into=native)
            volume = self._filled(spec, native, source.noun.size, contents.blob)
            self._base.snapshots.put(contents)
            self._base.volumes.put(volume)
        self._take(source, lambda job: self._base.snapshots.put(replace(contents, job=job)))
        return (self._base.volumes.raw(native) or volume).noun

    def _check_attach(self, record: VolumeRecord, native: str, device: str) -> None:
        server = self._base.servers.get(self._tenant, native)
        volume, state = record.noun, self._base.state_of(server)
        if not device:
            raise Invalid("a volume is attached under the name of a device", "device")
        if volume.attachments:
            raise Conflict("volume", volume.native, f"the volume {volume.native} is attached", code="in-use")
        if volume.state is not VolumeState.AVAILABLE:
            raise Conflict("volume", volume.native, f"the volume {volume.native} is {volume.state}")
        if state not in (ServerState.RUNNING, ServerState.STOPPED):
            raise Conflict("server", native, f"the server {native} is {state}")
        if server.noun.zone != volume.zone:
            raise Invalid(f"the volume {volume.native} is not in the zone {server.noun.zone}", "zone")
        if any(other.noun.attachments[0].device == device for other in self._base.on_server(native)):
            raise Conflict("device", device, f"the server {native} has a volume on {device}", code="in-use")

    def _check_root(self, record: VolumeRecord, link: Attachment) -> None:
        server = self._base.servers.get(self._tenant, link.server)
        state = self._base.state_of(server)
        if link.device == server.noun.root_device and state is not ServerState.STOPPED:
            reason = f"the root volume can leave a stopped server only, and {link.server} is {state}"
            raise Conflict("volume", record.noun.native, reason)

    def _check_copies(self, volume: str) -> None:
        for record in self._base.snapshots.everything():
            if record.noun.volume == volume and record.noun.state is SnapshotState.PENDING and record.job:
                raise Conflict("volume", volume, f"a copy of the volume {volume} is still being made")

    def _grow(self, record: VolumeRecord, size: int) -> None:
        native = record.noun.native
        if holder := copies.server_of(self._base, record):
            try:
                with self._base.monitor(holder.noun.native) as monitor:
                    monitor("block_resize", node_name=native, size=size * disks.GIB)
            except QmpError as error:
                if "Permission conflict" in str(error):
                    reason = (
                        f"this server's disk controller does not grow disks while it runs: stop {holder.noun.native}"
                    )
                    raise Conflict("volume", native, reason) from error
                raise Unavailable(f"the machine did not take the new size: {error}") from error
        elif self._base.disk(native).exists():
            disks.grow(self._base.disk(native), size)

    def _copy(self, spec: SnapshotSpec) -> Snapshot:
        with self._base.lock:
            if found := self._base.snapshots.by_ref(self._tenant, spec.ref):
                return found.noun
            source = self._base.snapshot_for(self._tenant, spec.source)
            return self._base.snapshots.put(copies.same(self._tenant, source, spec.ref, spec.description)).noun

    def _pending(self, spec: SnapshotSpec, job: str) -> SnapshotRecord:
        with self._base.lock:
            if found := self._base.snapshots.by_ref(self._tenant, spec.ref):
                return found
            volume = self._base.volumes.get(self._tenant, spec.volume)
            if volume.noun.state not in HOLDS_DATA:
                raise Conflict("volume", spec.volume, f"the volume {spec.volume} is {volume.noun.state}")
            record = copies.record_of(self._tenant, volume, spec.ref, spec.description)
            return self._base.snapshots.put(replace(record, job=job))

    def _take(self, volume: VolumeRecord, pending: Callable[[str], SnapshotRecord]) -> SnapshotRecord:
        """Begin to copy a volume; `pending` writes the record, given the server whose machine is to do it, if any."""
        holder = copies.server_of(self._base, volume)
        if holder is None:
            record = pending("")
            self._copies.convert(record.noun.native)
            return record
        with self._base.lock_of(holder.noun.native):
            running = self._base.servers.raw(holder.noun.native)
            job = holder.noun.native if running and process.alive(running.pid, running.birth) else ""
            record = pending(job)
            if job and not self._base.blob(record.blob).exists():
                self._begin(record, job)
        follow = self._copies.follow if job else self._copies.convert
        follow(record.noun.native)
        return record

    def _begin(self, record: SnapshotRecord, server: str) -> None:
        try:
            self._copies.begin([record], server)
        except BaseException as error:
            with self._base.lock:
                self._base.snapshots.drop(record.noun.native)
                if record.into:
                    halts.remove_volume(self._base, record.into)
                self._base.release_blob(record.blob)
            if isinstance(error, QmpError):
                raise Unavailable(f"the machine cannot copy the volume now: {error}") from error
            raise

    def _own(self, native: str) -> SnapshotRecord:
        record = self._base.snapshots.raw(native)
        if record is None or not seen(record, self._tenant):
            raise NotFound("snapshot", native)
        if record.tenant != self._tenant:
            raise Denied(f"the snapshot {native} is not yours to change")
        return record


def _link(record: VolumeRecord, server: str) -> Attachment:
    for link in record.noun.attachments:
        if link.server == server:
            return link
    native = record.noun.native
    raise Conflict("volume", native, f"the volume {native} is not attached to the server {server}")
