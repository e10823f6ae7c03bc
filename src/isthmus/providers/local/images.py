"""Images: of servers, of snapshots, and from files."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from isthmus.errors import Conflict, Denied, Fault, Invalid, NotFound, Unavailable, Unsupported
from isthmus.model import Image, ImageDisk, ImageKind, ImageState, ServerState, Snapshot, SnapshotState, need_ref
from isthmus.providers import ImageSpec, ImportSpec
from isthmus.providers.local import copies, disks, quiesce
from isthmus.providers.local.base import Base, fitting_size, made, now, seen
from isthmus.providers.local.base import native as new_native
from isthmus.providers.local.builtin import ROOT_DEVICE
from isthmus.providers.local.copies import Copies
from isthmus.providers.local.launch import loadable
from isthmus.providers.local.qmp import QmpError
from isthmus.providers.local.records import ImageRecord, ServerRecord, SnapshotRecord, VolumeRecord
from isthmus.providers.local.work import Work

NO_URL = "the local cloud fetches nothing that a request names: use isthmus image import"
LARGEST_KERNEL = 1 << 32
"""Bytes of a kernel or a ramdisk."""


class LocalImages:
    def __init__(self, base: Base, tenant: str, work: Work, copying: Copies) -> None:
        self._base = base
        self._tenant = tenant
        self._work = work
        self._copies = copying

    def list_images(self, natives: Collection[str] | None = None) -> Sequence[Image]:
        wanted = None if natives is None else frozenset(natives)
        found = (record.noun for record in self._base.images.everything() if seen(record, self._tenant))
        return [noun for noun in found if wanted is None or noun.native in wanted]

    def create_image(self, spec: ImageSpec) -> Image:
        need_ref(spec.ref, "image")
        if spec.url:
            raise Unsupported(NO_URL)
        if found := self._base.images.by_ref(self._tenant, spec.ref):
            return found.noun
        if spec.source and not spec.server:
            return self._of_image(spec).noun
        return self._latest(self._of_server(spec) if spec.server else self._of_disks(spec))

    def import_image(self, spec: ImportSpec) -> Image:
        need_ref(spec.ref, "image")
        if found := self._base.images.by_ref(self._tenant, spec.ref):
            return found.noun
        with ExitStack() as undo:
            source = _open(spec.path)
            undo.callback(os.close, source)
            size = _import_size(spec, source)
            native = new_native("image")
            lock = self._base.lock_of(native)
            lock.acquire()
            undo.callback(lock.release)
            with self._base.lock:
                if found := self._base.images.by_ref(self._tenant, spec.ref):
                    return found.noun
                record = self._imported(spec, native, size)
            held = undo.pop_all()
            self._work.start(f"import {native}", lambda: self._import(record, spec.format, source, held))
            return record.noun

    def describe_image(self, native: str, description: str) -> None:
        with self._base.lock:
            record = self._own(native)
            self._base.images.put(replace(record, noun=replace(record.noun, description=description)))

    def share_image(self, native: str, *, public: bool, tenants: Sequence[str]) -> None:
        with self._base.lock:
            record = self._own(native)
            noun = replace(record.noun, public=public, shared_with=tuple(dict.fromkeys(tenants)))
            self._base.images.put(replace(record, noun=noun))

    def delete_image(self, native: str) -> None:
        with self._base.lock:
            record = self._base.images.raw(native)
            if record is None or not seen(record, self._tenant):
                return
            self._own(native)
            self._base.images.drop(native)
            self._base.release_blob(record.blob)

    def _latest(self, record: ImageRecord) -> Image:
        return (self._base.images.raw(record.noun.native) or record).noun

    def _own(self, native: str) -> ImageRecord:
        record = self._base.images.raw(native)
        if record is None or not seen(record, self._tenant):
            raise NotFound("image", native)
        if record.tenant != self._tenant:
            raise Denied(f"the image {native} is not yours to change")
        return record

    # from an image

    def _of_image(self, spec: ImageSpec) -> ImageRecord:
        with self._base.lock:
            if found := self._base.images.by_ref(self._tenant, spec.ref):
                return found
            source = self._base.image_for(self._tenant, spec.source)
            if source.noun.state is not ImageState.AVAILABLE:
                raise Conflict("image", spec.source, f"the image {spec.source} is {source.noun.state}")
            held = sorted(disk.device for disk in source.noun.disks if disk.snapshot)
            if len(set(spec.snapshot_refs[: len(held)]) - {""}) < len(held):
                raise Invalid(f"{len(held)} snapshots are to be made, each needs a ref of its own", "snapshot_refs")
            refs = dict(zip(held, spec.snapshot_refs, strict=False))
            chosen = tuple(self._copied(disk, refs.get(disk.device, ""), spec) for disk in source.noun.disks)
            noun = replace(
                source.noun,
                native=new_native("image"),
                ref=spec.ref,
                name=spec.name,
                description=spec.description,
                owner=self._tenant,
                created=now(),
                public=False,
                shared_with=(),
                disks=chosen,
            )
            return self._base.images.put(replace(source, tenant=self._tenant, noun=noun, made=made()))

    def _copied(self, disk: ImageDisk, ref: str, spec: ImageSpec) -> ImageDisk:
        source = self._base.snapshots.raw(disk.snapshot) if disk.snapshot else None
        if source is None:
            return disk
        record = self._base.snapshots.by_ref(self._tenant, ref)
        if record is None:
            record = copies.same(self._tenant, source, ref, f"Made for the image {spec.name}")
            self._base.snapshots.put(record)
        return replace(disk, snapshot=record.noun.native)

    # from disks

    def _of_disks(self, spec: ImageSpec) -> ImageRecord:
        if not spec.disks or not spec.disks[0].snapshot:
            raise Invalid("an image is made of a server, or of disks of which the first has a snapshot", "disks")
        with self._base.lock:
            if found := self._base.images.by_ref(self._tenant, spec.ref):
                return found
            chosen = tuple(self._sized(disk) for disk in spec.disks)
            _check_devices(chosen)
            root = spec.root_device or chosen[0].device
            if all(disk.device != root or not disk.snapshot for disk in chosen):
                raise Invalid(f"no disk with a snapshot is the root device {root}", "root_device")
            image = Image(
                native=new_native("image"),
                ref=spec.ref,
                name=spec.name,
                state=ImageState.AVAILABLE,
                owner=self._tenant,
                created=now(),
                description=spec.description,
                architecture=spec.architecture,
                platform=spec.platform,
                root_device=root,
                disks=chosen,
                kernel=self._loadable(spec.kernel, ImageKind.KERNEL),
                ramdisk=self._loadable(spec.ramdisk, ImageKind.RAMDISK),
            )
            origin = next(disk.snapshot for disk in chosen if disk.device == root)
            parted = bool(image.kernel) and self._partitioned(origin)
            return self._base.images.put(ImageRecord(self._tenant, image, made(), partitioned=parted))

    def _loadable(self, native: str, kind: ImageKind) -> str:
        record = loadable(self._base, self._tenant, native, kind)
        return record.noun.native if record else ""

    def _partitioned(self, snapshot: str) -> bool:
        record = self._base.snapshots.raw(snapshot)
        return record is not None and disks.partitioned(self._base.blob(record.blob))

    def _sized(self, disk: ImageDisk) -> ImageDisk:
        least = self._base.snapshot_for(self._tenant, disk.snapshot).noun.size if disk.snapshot else 0
        return replace(disk, size=fitting_size(disk.size, least))

    # from a server

    def _of_server(self, spec: ImageSpec) -> ImageRecord:
        with ExitStack() as locks:
            lock = self._base.lock_of(self._base.servers.get(self._tenant, spec.server).noun.native)
            lock.acquire()
            locks.callback(lock.release)
            with self._base.lock:
                if found := self._base.images.by_ref(self._tenant, spec.ref):
                    return found
                server = self._base.servers.get(self._tenant, spec.server)
                state = self._base.state_of(server)
                if state not in (ServerState.RUNNING, ServerState.STOPPED):
                    raise Conflict("server", spec.server, f"the server {spec.server} is {state}")
                job = spec.server if state is ServerState.RUNNING else ""
                image, snapshots = self._planned(spec, server, job)
            if job and spec.reboot and snapshots:
                held = locks.pop_all()
                self._work.start(f"image {image.noun.native}", lambda: self._at_rest(snapshots, job, held))
                return image
            if job:
                self._begin(snapshots, job)
        for snapshot in snapshots:
            follow = self._copies.follow if job else self._copies.convert
            follow(snapshot.noun.native)
        return image

    def _at_rest(self, snapshots: Sequence[SnapshotRecord], server: str, held: ExitStack) -> None:
        """Begin to copy with the guest shut down, and start it again."""
        with held:
            try:
                with quiesce.shut_down(self._base, server, self._work.pause):
                    self._copies.begin(snapshots, server)
            except (QmpError, Fault):
                for snapshot in snapshots:
                    self._copies.end(snapshot.noun.native, SnapshotState.ERROR)
        for snapshot in snapshots:
            self._copies.follow(snapshot.noun.native)

    def _begin(self, snapshots: Sequence[SnapshotRecord], server: str) -> None:
        try:
            self._copies.begin(snapshots, server)
        except (QmpError, Fault) as error:
            for snapshot in snapshots:
                self._copies.end(snapshot.noun.native, SnapshotState.ERROR)
            raise Unavailable("the machine cannot copy its volumes now") from error

    def _planned(self, spec: ImageSpec, server: ServerRecord, job: str) -> tuple[ImageRecord, Sequence[SnapshotRecord]]:
        """The records of the image and of the snapshots to be made for it, all written. The lock is held."""
        _check_devices(spec.disks)
        wanted = {disk.device: disk for disk in spec.disks}
        kept = [volume for volume in self._base.on_server(server.noun.native) if _kept(volume, spec, wanted)]
        sizes = [_new_size(volume, wanted) for volume in kept]
        added = [self._sized(disk) for disk in spec.disks if all(_device(volume) != disk.device for volume in kept)]
        refs = spec.snapshot_refs[: len(kept)]
        if len(set(refs)) < len(kept) or "" in refs:
            raise Invalid(f"{len(kept)} snapshots are to be made, each needs a ref of its own", "snapshot_refs")
        kernel = self._loadable(spec.kernel, ImageKind.KERNEL) or server.noun.kernel
        ramdisk = self._loadable(spec.ramdisk, ImageKind.RAMDISK) or server.noun.ramdisk
        root = spec.root_device or server.noun.root_device
        rooted = {_device(volume) for volume in kept} | {disk.device for disk in added if disk.snapshot}
        if root not in rooted:
            raise Invalid(f"no disk with contents is the root device {root}", "disks")
        made_of = [self._snapshot(volume, ref, spec, job) for ref, volume in zip(refs, kept, strict=True)]
        chosen = [
            _of_volume(volume, snapshot.noun, size, wanted.get(_device(volume)))
            for volume, snapshot, size in zip(kept, made_of, sizes, strict=True)
        ]
        image = Image(
            native=new_native("image"),
            ref=spec.ref,
            name=spec.name,
            state=ImageState.PENDING,
            owner=self._tenant,
            created=now(),
            description=spec.description,
            architecture=server.noun.architecture,
            platform=spec.platform or server.noun.platform,
            root_device=root,
            disks=tuple(sorted((*chosen, *added), key=lambda disk: (disk.device != root, disk.device))),
            kernel=kernel,
            ramdisk=ramdisk,
        )
        record = self._base.images.put(ImageRecord(self._tenant, image, made(), partitioned=server.partitioned))
        copies.settle_images(self._base)
        return record, [one for one in made_of if one.noun.state is SnapshotState.PENDING]

    def _snapshot(self, volume: VolumeRecord, ref: str, spec: ImageSpec, job: str) -> SnapshotRecord:
        found = self._base.snapshots.by_ref(self._tenant, ref)
        if found and found.noun.state is not SnapshotState.ERROR:
            return found
        if found:  # left by a process that died before it wrote the image
            self._base.snapshots.drop(found.noun.native)
        record = copies.record_of(self._tenant, volume, ref, f"Made for the image {spec.name}")
        return self._base.snapshots.put(replace(record, job=job))

    # from a file

    def _imported(self, spec: ImportSpec, native: str, size: int) -> ImageRecord:
        """The records of an imported image, written. The lock is held."""
        machine = spec.kind is ImageKind.MACHINE
        image = Image(
            native=native,
            ref=spec.ref,
            name=spec.name,
            state=ImageState.PENDING,
            owner=self._tenant,
            created=now(),
            kind=spec.kind,
            description=spec.description,
            architecture=spec.architecture,
            platform=spec.platform,
            public=spec.public,
            root_device=ROOT_DEVICE if machine else "",
            disks=(self._imported_disk(spec, size),) if machine else (),
            kernel=self._loadable(spec.kernel, ImageKind.KERNEL),
            ramdisk=self._loadable(spec.ramdisk, ImageKind.RAMDISK),
        )
        return self._base.images.put(ImageRecord(self._tenant, image, made(), "" if machine else native))

    def _imported_disk(self, spec: ImportSpec, size: int) -> ImageDisk:
        own = new_native("snapshot")
        noun = Snapshot(
            native=own,
            ref="",
            state=SnapshotState.PENDING,
            volume="",
            size=size,
            created=now(),
            owner=self._tenant,
            description=f"Imported for the image {spec.name}",
            progress=0,
            public=spec.public,
        )
        self._base.snapshots.put(SnapshotRecord(self._tenant, noun, made(), f"{own}.qcow2"))
        return ImageDisk(ROOT_DEVICE, size, own)

    def _import(self, record: ImageRecord, source_format: str, source: int, held: ExitStack) -> None:
        with held:
            if record.noun.kind is ImageKind.MACHINE:
                self._import_disk(record, source_format, source)
            else:
                self._import_file(record, source)

    def _import_disk(self, record: ImageRecord, source_format: str, source: int) -> None:
        snapshot = record.noun.disks[0].snapshot
        blob = self._base.blob(f"{snapshot}.qcow2")
        try:
            disks.copy(source, blob, source_format)
            parted = disks.partitioned(blob)
        except (disks.DiskError, Fault, OSError):
            self._copies.end(snapshot, SnapshotState.ERROR)
            return
        with self._base.lock:
            if current := self._base.images.raw(record.noun.native):
                self._base.images.put(replace(current, partitioned=parted))
            self._copies.end(snapshot, SnapshotState.COMPLETED)

    def _import_file(self, record: ImageRecord, source: int) -> None:
        state = ImageState.AVAILABLE
        draft = self._base.blob(f".{record.blob}.part")
        try:
            path, held = disks.named(source)
            copy = ["cp", "--sparse=always", "--reflink=auto", str(path), str(draft)]
            subprocess.run(copy, check=True, capture_output=True, timeout=disks.CPU_SECONDS, umask=0o077, pass_fds=held)
            draft.replace(self._base.blob(record.blob))
        except (OSError, subprocess.SubprocessError):
            draft.unlink(missing_ok=True)
            state = ImageState.ERROR
        with self._base.lock:
            if current := self._base.images.raw(record.noun.native):
                self._base.images.put(replace(current, noun=replace(current.noun, state=state)))
            else:
                self._base.release_blob(record.blob)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError):
        raise Invalid("the file cannot be read", "path") from None


def _import_size(spec: ImportSpec, source: int) -> int:
    """GiB of a machine's disk, 0 for other kinds; Invalid if the file cannot be taken."""
    if spec.kind is ImageKind.MACHINE:
        return -(-disks.virtual_size(source, spec.format) // disks.GIB)
    if os.fstat(source).st_size > LARGEST_KERNEL:
        raise Invalid(f"a {spec.kind} has at most {LARGEST_KERNEL >> 20} MiB", "path")
    return 0


def _device(volume: VolumeRecord) -> str:
    return volume.noun.attachments[0].device


def _kept(volume: VolumeRecord, spec: ImageSpec, wanted: dict[str, ImageDisk]) -> bool:
    device = _device(volume)
    return device not in spec.without and not (device in wanted and wanted[device].snapshot)


def _new_size(volume: VolumeRecord, wanted: dict[str, ImageDisk]) -> int:
    change = wanted.get(_device(volume))
    return fitting_size(change.size, volume.noun.size) if change else volume.noun.size


def _of_volume(volume: VolumeRecord, snapshot: Snapshot, size: int, change: ImageDisk | None) -> ImageDisk:
    kept = volume.noun.attachments[0].delete_with_server
    if change is None:
        return ImageDisk(_device(volume), size, snapshot.native, volume.noun.type, kept)
    return ImageDisk(change.device, size, snapshot.native, change.type or volume.noun.type, change.delete_with_server)


def _check_devices(chosen: Sequence[ImageDisk]) -> None:
    devices = {disk.device for disk in chosen}
    if len(devices) < len(chosen) or "" in devices:
        raise Invalid("each disk needs a device of its own", "disks")
