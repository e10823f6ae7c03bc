"""Making a server: everything is checked before anything is made, so a refusal leaves nothing behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from isthmus.errors import Conflict, Invalid
from isthmus.model import (
    Attachment,
    AttachmentState,
    Image,
    ImageDisk,
    ImageKind,
    ImageState,
    Port,
    Server,
    ServerState,
    Subnet,
    Volume,
    VolumeState,
)
from isthmus.providers import DiskSpec, ServerSpec
from isthmus.providers.memory import disks
from isthmus.providers.memory.world import Tenant, World


@dataclass(frozen=True, slots=True)
class Plan:
    """A server spec after all checks; `volumes` has each disk's size and snapshot."""

    image: Image
    kernel: str
    ramdisk: str
    subnet: Subnet
    firewalls: tuple[str, ...]
    volumes: tuple[tuple[DiskSpec, int, str], ...]


def launch(world: World, tenant: Tenant, spec: ServerSpec, now: datetime) -> Server:
    """Make the server and its volumes."""
    plan = _plan(world, tenant, spec)
    world.room("server", len(tenant.servers))
    world.room("volume", len(tenant.volumes), len(plan.volumes))
    address = tenant.take(plan.subnet.native, spec.address)
    server = Server(
        native=world.native("server"),
        ref=spec.ref,
        name=spec.name,
        state=ServerState.PENDING,
        zone=spec.zone,
        flavor=spec.flavor,
        image=spec.image,
        created=now,
        started=now,
        key=spec.key,
        ports=(
            Port(
                native=world.native("port"),
                mac=world.mac(),
                address=address,
                subnet=plan.subnet.native,
                network=plan.subnet.network,
                firewalls=plan.firewalls,
            ),
        ),
        root_device=next((disk.device for disk in spec.disks if disk.root), plan.image.root_device),
        kernel=plan.kernel,
        ramdisk=plan.ramdisk,
        architecture=plan.image.architecture,
        platform=plan.image.platform,
    )
    guard(tenant, server)
    for disk, size, snapshot in plan.volumes:
        _make_disk(world, tenant, server, disk, size, snapshot)
    return server


def guard(tenant: Tenant, server: Server) -> None:
    """Put the server, and note which firewalls it uses."""
    for port in server.ports:
        for firewall in port.firewalls:
            tenant.guarded[firewall].add(server.native)
    tenant.servers.put(server)


def unguard(tenant: Tenant, server: Server) -> None:
    for port in server.ports:
        for firewall in port.firewalls:
            tenant.guarded[firewall].discard(server.native)


def loadable(world: World, tenant: Tenant, native: str, kind: ImageKind) -> str:
    """A kernel or ramdisk the tenant may use, or empty; NotFound or Invalid."""
    if native and world.images.get(tenant.name, native).kind is not kind:
        raise Invalid(f"the image {native} is not a {kind}", str(kind))
    return native


def _plan(world: World, tenant: Tenant, spec: ServerSpec) -> Plan:
    if not spec.ref:
        raise Invalid("a server needs a ref", "ref")
    world.zone(spec.zone)
    world.flavor(spec.flavor)
    image = _bootable(world, tenant, spec.image)
    if spec.key:
        tenant.keys.get(spec.key)
    chosen = dict.fromkeys(spec.firewalls or (tenant.default_firewall,))
    return Plan(
        image=image,
        kernel=_of_image(image.kernel, spec.kernel) or loadable(world, tenant, spec.kernel, ImageKind.KERNEL),
        ramdisk=_of_image(image.ramdisk, spec.ramdisk) or loadable(world, tenant, spec.ramdisk, ImageKind.RAMDISK),
        subnet=_subnet(tenant, spec),
        firewalls=tuple(tenant.firewalls.get(firewall).native for firewall in chosen),
        volumes=_volumes(world, tenant, spec, image),
    )


def _of_image(own: str, wanted: str) -> str:
    """The image's own kernel or ramdisk, if no other is wanted: who may use an image may use these."""
    return own if wanted in ("", own) else ""


def _bootable(world: World, tenant: Tenant, native: str) -> Image:
    image = world.images.get(tenant.name, native)
    if image.kind is not ImageKind.MACHINE:
        raise Invalid(f"no server can be made of the {image.kind} {native}", "image")
    if image.state is not ImageState.AVAILABLE:
        raise Conflict("image", native, f"the image {native} is {image.state}")
    return image


def _subnet(tenant: Tenant, spec: ServerSpec) -> Subnet:
    subnet = tenant.subnets.get(spec.subnet or tenant.default_subnets[spec.zone])
    if subnet.zone != spec.zone:
        raise Invalid(f"the subnet {subnet.native} is not in the zone {spec.zone}", "subnet")
    return subnet


def _volumes(world: World, tenant: Tenant, spec: ServerSpec, image: Image) -> tuple[tuple[DiskSpec, int, str], ...]:
    devices = {disk.device for disk in spec.disks}
    refs = {disk.ref for disk in spec.disks}
    if len(devices) < len(spec.disks) or "" in devices:
        raise Invalid("each disk needs a device of its own", "disks")
    if len(refs) < len(spec.disks) or "" in refs:
        raise Invalid("each disk needs a ref of its own", "disks")
    if sum(disk.root for disk in spec.disks) > 1:
        raise Invalid("a server has one root disk", "disks")
    for ref in refs:
        if taken := tenant.volumes.by_ref(ref):
            raise Conflict("volume", taken.native, "there is a volume of this ref", code="duplicate")
    return tuple((disk, *_contents(world, tenant, disk, image)) for disk in spec.disks)


def _contents(world: World, tenant: Tenant, disk: DiskSpec, image: Image) -> tuple[int, str]:
    """The size and the snapshot of a new disk."""
    if disk.root:
        root = _root(image)
        return disks.fitting_size(disk.size, root.size if root else 0), root.snapshot if root else ""
    if disk.snapshot:
        # Who may use an image may use its snapshots for this.
        of_image = next((own for own in image.disks if own.snapshot == disk.snapshot), None)
        least = of_image.size if of_image else disks.usable_snapshot(world, tenant, disk.snapshot).size
        return disks.fitting_size(disk.size, least), disk.snapshot
    return disks.fitting_size(disk.size, 0), ""


def _root(image: Image) -> ImageDisk | None:
    return next((disk for disk in image.disks if disk.device == image.root_device), None)


def _make_disk(world: World, tenant: Tenant, server: Server, disk: DiskSpec, size: int, snapshot: str) -> None:
    volume = Volume(
        native=world.native("volume"),
        ref=disk.ref,
        name="",
        state=VolumeState.IN_USE,
        zone=server.zone,
        size=size,
        type=disk.type or disks.DEFAULT_TYPE,
        created=server.created,
        snapshot=snapshot,
        iops=disk.iops,
        encrypted=disk.encrypted,
    )
    link = Attachment(server.native, disk.device, AttachmentState.ATTACHING, server.created, disk.delete_with_server)
    disks.attach(world, tenant, volume, link)
