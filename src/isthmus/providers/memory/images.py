"""Images: of servers, of snapshots, and from files (of which only the size is kept)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from isthmus.errors import Conflict, Invalid, Unsupported
from isthmus.model import Image, ImageDisk, ImageKind, ImageState, Server, ServerState, Snapshot, SnapshotState, Volume
from isthmus.providers import ImageSpec, ImportSpec
from isthmus.providers.memory import diskfile, disks, launch, snapshots
from isthmus.providers.memory.world import Tenant, World

ROOT_DEVICE = "/dev/sda1"
NO_URL = "the simulated cloud fetches nothing: register a snapshot"


class MemoryImages:
    def __init__(self, world: World, tenant: Tenant) -> None:
        self._world = world
        self._tenant = tenant

    def list_images(self, natives: Collection[str] | None = None) -> Sequence[Image]:
        with self._world:
            return self._world.images.listing(self._tenant.name, natives)

    def create_image(self, spec: ImageSpec) -> Image:
        if spec.url:
            raise Unsupported(NO_URL)
        with self._world as now:
            if found := self._world.images.by_ref(self._tenant.name, spec.ref):
                return found
            self._room_for(spec.ref)
            return self._pending(self._new(spec, now), now)

    def import_image(self, spec: ImportSpec) -> Image:
        size = diskfile.gibibytes(spec.path, spec.format) if spec.kind is ImageKind.MACHINE else 0
        with self._world as now:
            if found := self._world.images.by_ref(self._tenant.name, spec.ref):
                return found
            self._room_for(spec.ref)
            image = Image(
                native=self._world.native("image"),
                ref=spec.ref,
                name=spec.name,
                state=ImageState.PENDING,
                owner=self._tenant.name,
                created=now,
                kind=spec.kind,
                description=spec.description,
                architecture=spec.architecture,
                platform=spec.platform,
                public=spec.public,
                root_device=ROOT_DEVICE if size else "",
                disks=(self._imported_disk(spec, size, now),) if size else (),
                kernel=self._loadable(spec.kernel, ImageKind.KERNEL),
                ramdisk=self._loadable(spec.ramdisk, ImageKind.RAMDISK),
            )
            return self._pending(image, now)

    def describe_image(self, native: str, description: str) -> None:
        with self._world:
            image = self._world.images.own(self._tenant.name, native)
            self._world.images.put(replace(image, description=description))

    def share_image(self, native: str, *, public: bool, tenants: Sequence[str]) -> None:
        with self._world:
            image = self._world.images.own(self._tenant.name, native)
            self._world.images.put(replace(image, public=public, shared_with=tuple(dict.fromkeys(tenants))))

    def delete_image(self, native: str) -> None:
        with self._world:
            if self._world.images.find(self._tenant.name, native) is not None:
                self._world.images.own(self._tenant.name, native)
                self._world.images.drop(native)

    def _room_for(self, ref: str) -> None:
        if not ref:
            raise Invalid("an image needs a ref", "ref")
        self._world.room("image", self._world.images.owned(self._tenant.name))

    def _pending(self, image: Image, now: datetime) -> Image:
        def available(_: datetime) -> None:
            if current := self._world.images.raw(image.native):
                self._world.images.put(replace(current, state=ImageState.AVAILABLE))

        self._world.later(now, available)
        return self._world.images.put(image)

    def _loadable(self, native: str, kind: ImageKind) -> str:
        return launch.loadable(self._world, self._tenant, native, kind)

    def _new(self, spec: ImageSpec, now: datetime) -> Image:
        if spec.server:
            return self._of_server(spec, now)
        return self._of_image(spec, now) if spec.source else self._of_disks(spec, now)

    def _of_image(self, spec: ImageSpec, now: datetime) -> Image:
        source = self._world.images.get(self._tenant.name, spec.source)
        if source.state is not ImageState.AVAILABLE:
            raise Conflict("image", source.native, f"the image {source.native} is {source.state}")
        held = sorted((disk for disk in source.disks if disk.snapshot), key=lambda disk: disk.device)
        self._check_refs(spec, len(held))
        refs = dict(zip((disk.device for disk in held), spec.snapshot_refs, strict=False))
        return replace(
            source,
            native=self._world.native("image"),
            ref=spec.ref,
            name=spec.name,
            state=ImageState.PENDING,
            owner=self._tenant.name,
            created=now,
            description=spec.description,
            public=False,
            shared_with=(),
            disks=tuple(self._copied(disk, refs.get(disk.device, ""), spec, now) for disk in source.disks),
        )

    def _copied(self, disk: ImageDisk, ref: str, spec: ImageSpec, now: datetime) -> ImageDisk:
        source = self._world.snapshots.raw(disk.snapshot)
        if not disk.snapshot or source is None:
            return disk
        made = self._world.snapshots.by_ref(self._tenant.name, ref)
        text = f"Made for the image {spec.name}"
        made = made or snapshots.copy(self._world, self._tenant, source, ref, text, now)
        return replace(disk, snapshot=made.native)

    def _of_disks(self, spec: ImageSpec, now: datetime) -> Image:
        if not spec.disks or not spec.disks[0].snapshot:
            raise Invalid("an image is made of a server, or of disks of which the first has a snapshot", "disks")
        chosen = tuple(self._sized(disk) for disk in spec.disks)
        _check_devices(chosen)
        return Image(
            native=self._world.native("image"),
            ref=spec.ref,
            name=spec.name,
            state=ImageState.PENDING,
            owner=self._tenant.name,
            created=now,
            description=spec.description,
            architecture=spec.architecture,
            platform=spec.platform,
            root_device=spec.root_device or chosen[0].device,
            disks=chosen,
            kernel=self._loadable(spec.kernel, ImageKind.KERNEL),
            ramdisk=self._loadable(spec.ramdisk, ImageKind.RAMDISK),
        )

    def _of_server(self, spec: ImageSpec, now: datetime) -> Image:
        server = self._tenant.servers.get(spec.server)
        if server.state not in (ServerState.RUNNING, ServerState.STOPPED):
            raise Conflict("server", server.native, f"the server {server.native} is {server.state}")
        if server.local_root:
            raise Invalid("an image is made of volumes, and the server's root disk is none", "server")
        kernel = self._loadable(spec.kernel, ImageKind.KERNEL) or server.kernel
        ramdisk = self._loadable(spec.ramdisk, ImageKind.RAMDISK) or server.ramdisk
        return Image(
            native=self._world.native("image"),
            ref=spec.ref,
            name=spec.name,
            state=ImageState.PENDING,
            owner=self._tenant.name,
            created=now,
            description=spec.description,
            architecture=server.architecture,
            platform=spec.platform or server.platform,
            root_device=spec.root_device or server.root_device,
            disks=self._server_disks(spec, server, now),
            kernel=kernel,
            ramdisk=ramdisk,
        )

    def _server_disks(self, spec: ImageSpec, server: Server, now: datetime) -> tuple[ImageDisk, ...]:
        """The server's volumes by device, each snapshotted unless left out or replaced, then what is added."""
        _check_devices(spec.disks)
        wanted = {disk.device: disk for disk in spec.disks}
        on_server = self._tenant.devices.get(server.native, {})
        kept = {
            device: self._tenant.volumes.get(native)
            for device, native in sorted(on_server.items())
            if device not in spec.without and not (device in wanted and wanted[device].snapshot)
        }
        sized = {
            device: disks.fitting_size(wanted[device].size, volume.size) if device in wanted else volume.size
            for device, volume in kept.items()
        }
        added = [self._sized(disk) for disk in spec.disks if disk.device not in kept]
        self._check_refs(spec, len(kept))
        made = []
        for ref, (device, volume) in zip(spec.snapshot_refs, kept.items(), strict=False):
            snapshot = self._snapshot(volume, ref, spec, now)
            made.append(_of_volume(volume, snapshot, device, sized[device], wanted.get(device)))
        return tuple(sorted((*made, *added), key=lambda disk: (disk.device != server.root_device, disk.device)))

    def _check_refs(self, spec: ImageSpec, needed: int) -> None:
        refs = spec.snapshot_refs[:needed]
        if len(set(refs)) < needed or "" in refs:
            raise Invalid(f"{needed} snapshots are to be made, each needs a ref of its own", "snapshot_refs")
        new = [ref for ref in refs if self._world.snapshots.by_ref(self._tenant.name, ref) is None]
        self._world.room("snapshot", self._world.snapshots.owned(self._tenant.name), len(new))

    def _snapshot(self, volume: Volume, ref: str, spec: ImageSpec, now: datetime) -> Snapshot:
        if found := self._world.snapshots.by_ref(self._tenant.name, ref):
            return found
        return snapshots.take(self._world, self._tenant, volume, ref, f"Made for the image {spec.name}", now)

    def _sized(self, disk: ImageDisk) -> ImageDisk:
        least = 0
        if disk.snapshot:
            least = disks.usable_snapshot(self._world, self._tenant, disk.snapshot).size
        return replace(disk, size=disks.fitting_size(disk.size, least))

    def _imported_disk(self, spec: ImportSpec, size: int, now: datetime) -> ImageDisk:
        snapshot = self._world.snapshots.put(
            Snapshot(
                native=self._world.native("snapshot"),
                ref="",
                state=SnapshotState.COMPLETED,
                volume="",
                size=size,
                created=now,
                owner=self._tenant.name,
                description=f"Imported for the image {spec.name}",
                public=spec.public,
            )
        )
        return ImageDisk(ROOT_DEVICE, size, snapshot.native)


def _of_volume(volume: Volume, snapshot: Snapshot, device: str, size: int, change: ImageDisk | None) -> ImageDisk:
    kept = all(link.delete_with_server for link in volume.attachments)
    if change is None:
        return ImageDisk(device, size, snapshot.native, volume.type, kept)
    return ImageDisk(device, size, snapshot.native, change.type or volume.type, change.delete_with_server)


def _check_devices(disks_: Sequence[ImageDisk]) -> None:
    devices = {disk.device for disk in disks_}
    if len(devices) < len(disks_) or "" in devices:
        raise Invalid("each disk needs a device of its own", "disks")
