"""Making a server: everything is checked before anything is made, so a refusal leaves nothing behind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from isthmus import networking
from isthmus.errors import Conflict, Invalid, Unsupported
from isthmus.model import (
    Attachment,
    AttachmentState,
    ImageKind,
    ImageState,
    Server,
    ServerState,
    Volume,
    VolumeState,
)
from isthmus.providers import DiskSpec, PortSpec, ServerSpec
from isthmus.providers.local import layout, ports, room
from isthmus.providers.local.base import Base, fitting_size, made, native, now
from isthmus.providers.local.records import ImageRecord, PortRecord, ServerRecord, SnapshotRecord, VolumeRecord

DEFAULT_TYPE = "standard"
NO_ENCRYPTION = "volumes of the local cloud are plain files of this host; encrypt the host's own disk instead"


@dataclass(frozen=True, slots=True)
class Contents:
    """A new disk after all checks."""

    spec: DiskSpec
    size: int
    snapshot: str
    blob: str


def launch(base: Base, tenant: str, spec: ServerSpec) -> ServerRecord:
    """Write the records of the server and its volumes. Called with the lock held."""
    base.zone(spec.zone)
    if spec.further:
        raise Unsupported(ports.ONE_PORT)
    room.demand(base, base.flavor(spec.flavor))
    image = _bootable(base, tenant, spec.image)
    if spec.key:
        base.keys.get(tenant, spec.key)
    kernel = loadable(base, tenant, spec.kernel, ImageKind.KERNEL) or _own(base, image.noun.kernel)
    ramdisk = loadable(base, tenant, spec.ramdisk, ImageKind.RAMDISK) or _own(base, image.noun.ramdisk)
    own, moment = native("server"), now()
    connected = _ports(base, tenant, spec, own, moment)
    contents = _contents(base, tenant, spec, image)
    server = Server(
        native=own,
        ref=spec.ref,
        name=spec.name,
        state=ServerState.PENDING,
        zone=spec.zone,
        flavor=spec.flavor,
        image=spec.image,
        created=moment,
        started=moment,
        key=spec.key,
        root_device=contents[0].spec.device,
        kernel=kernel.noun.native if kernel else "",
        ramdisk=ramdisk.noun.native if ramdisk else "",
        architecture=image.noun.architecture,
        platform=image.noun.platform,
    )
    blobs = (kernel.blob if kernel else "", ramdisk.blob if ramdisk else "")
    order = made()
    record = ServerRecord(tenant, server, order, *blobs, partitioned=image.partitioned)
    # The server last: a crash in between leaves volumes and ports of no server, which mending removes or frees, and
    # no server without.
    for port in connected:
        base.ports.put(port)
    for offset, disk in enumerate(contents):
        _volume(base, record, disk, order + offset)
    return base.servers.put(record)


def loadable(base: Base, tenant: str, wanted: str, kind: ImageKind) -> ImageRecord | None:
    """A kernel or ramdisk the tenant may use, or None for none; NotFound, Invalid or Conflict."""
    if not wanted:
        return None
    record = base.image_for(tenant, wanted)
    if record.noun.kind is not kind:
        raise Invalid(f"the image {wanted} is not a {kind}", str(kind))
    if record.noun.state is not ImageState.AVAILABLE:
        raise Conflict("image", wanted, f"the image {wanted} is {record.noun.state}")
    return record


def _own(base: Base, wanted: str) -> ImageRecord | None:
    """The image's own kernel or ramdisk, which need not be the tenant's."""
    if not wanted:
        return None
    if record := base.images.raw(wanted):
        return record
    raise Conflict("image", wanted, f"the image needs {wanted}, which was deleted")


def _bootable(base: Base, tenant: str, wanted: str) -> ImageRecord:
    record = base.image_for(tenant, wanted)
    if record.noun.kind is not ImageKind.MACHINE:
        raise Invalid(f"no server can be made of the {record.noun.kind} {wanted}", "image")
    if record.noun.state is not ImageState.AVAILABLE:
        raise Conflict("image", wanted, f"the image {wanted} is {record.noun.state}")
    return record


def _ports(base: Base, tenant: str, spec: ServerSpec, server: str, since: datetime) -> tuple[PortRecord, ...]:
    """The ports that are named, on the server; without any, one of its own."""
    if not spec.ports:
        subnet = layout.subnet(base, tenant, spec.subnet).noun if spec.subnet else None
        subnet = subnet or layout.default_subnet(base, tenant, spec.zone)
        networking.demand_zone(subnet, spec.zone)
        wanted = PortSpec("", subnet.native, spec.address, firewalls=spec.firewalls, delete_with_server=True)
        return (PortRecord(tenant, ports.draft(base, tenant, wanted, server=server, since=since), made()),)
    named = [base.ports.get(tenant, one) for one in spec.ports]
    if len(set(spec.ports)) < len(named):
        raise Invalid("a server has each port once", "ports")
    for record in named:
        networking.demand_free(record.noun)
        networking.demand_zone(layout.subnet(base, tenant, record.noun.subnet).noun, spec.zone)
    indexes = spec.indexes or range(len(named))
    return tuple(
        replace(record, noun=replace(record.noun, server=server, index=index, since=since))
        for index, record in zip(indexes, named, strict=True)
    )


def _contents(base: Base, tenant: str, spec: ServerSpec, image: ImageRecord) -> list[Contents]:
    devices = {disk.device for disk in spec.disks}
    refs = {disk.ref for disk in spec.disks}
    if len(devices) < len(spec.disks) or "" in devices:
        raise Invalid("each disk needs a device of its own", "disks")
    if len(refs) < len(spec.disks) or "" in refs:
        raise Invalid("each disk needs a ref of its own", "disks")
    if sum(disk.root for disk in spec.disks) != 1:
        raise Invalid("a server has one root disk", "disks")
    for ref in refs:
        if taken := base.volumes.by_ref(tenant, ref):
            raise Conflict("volume", taken.noun.native, "there is a volume of this ref", code="duplicate")
    found = [_content(base, tenant, disk, image) for disk in spec.disks]
    return sorted(found, key=lambda disk: not disk.spec.root)


def _content(base: Base, tenant: str, disk: DiskSpec, image: ImageRecord) -> Contents:
    if disk.encrypted:
        raise Unsupported(NO_ENCRYPTION)
    if disk.local:
        raise Invalid("all disks are volumes here", "disks")
    if disk.root:
        root = image.noun.root
        origin = base.snapshots.raw(root.snapshot) if root else None
        if root is None or origin is None:
            raise Conflict("image", image.noun.native, "the image's root disk was deleted")
        return Contents(disk, fitting_size(disk.size, root.size), root.snapshot, origin.blob)
    if disk.snapshot:
        usable = _usable(base, tenant, disk.snapshot, image)
        return Contents(disk, fitting_size(disk.size, usable.noun.size), disk.snapshot, usable.blob)
    return Contents(disk, fitting_size(disk.size, 0), "", "")


def _usable(base: Base, tenant: str, wanted: str, image: ImageRecord) -> SnapshotRecord:
    """A snapshot that the tenant may use, or that comes with an image the tenant may use."""
    record = base.snapshots.raw(wanted)
    if record and any(disk.snapshot == wanted for disk in image.noun.disks):
        return record
    return base.snapshot_for(tenant, wanted)


def _volume(base: Base, server: ServerRecord, disk: Contents, order: int) -> None:
    noun = server.noun
    link = Attachment(
        noun.native, disk.spec.device, AttachmentState.ATTACHING, noun.created, disk.spec.delete_with_server
    )
    volume = Volume(
        native=native("disk"),
        ref=disk.spec.ref,
        name="",
        state=VolumeState.IN_USE,
        zone=noun.zone,
        size=disk.size,
        type=disk.spec.type or DEFAULT_TYPE,
        created=noun.created,
        snapshot=disk.snapshot,
        iops=disk.spec.iops,
        attachments=(link,),
    )
    base.volumes.put(VolumeRecord(server.tenant, volume, order, disk.blob))
