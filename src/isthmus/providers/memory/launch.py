"""Making a server: everything is checked before anything is made, so a refusal leaves nothing behind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from isthmus import networking
from isthmus.errors import Conflict, Invalid
from isthmus.model import (
    Attachment,
    AttachmentState,
    Image,
    ImageKind,
    ImageState,
    Port,
    Server,
    ServerState,
    Volume,
    VolumeState,
    need_ref,
)
from isthmus.providers import DiskSpec, PortSpec, ServerSpec
from isthmus.providers.memory import disks, ports
from isthmus.providers.memory.world import Tenant, World


@dataclass(frozen=True, slots=True)
class Plan:
    """A server spec after all checks; `volumes` has each disk's size and snapshot."""

    image: Image
    kernel: str
    ramdisk: str
    ports: tuple[Port, ...]
    """Those that are there already."""
    volumes: tuple[tuple[DiskSpec, int, str], ...]


def launch(world: World, tenant: Tenant, spec: ServerSpec, now: datetime) -> Server:
    """Make the server, its port and its volumes."""
    plan = _plan(world, tenant, spec)
    world.room("server", len(tenant.servers))
    world.room("volume", len(tenant.volumes), len(plan.volumes))
    native = world.native("server")
    made = () if plan.ports else (_make_port(world, tenant, spec, native, now),)
    server = Server(
        native=native,
        ref=spec.ref,
        name=spec.name,
        state=ServerState.PENDING,
        zone=spec.zone,
        flavor=spec.flavor,
        image=spec.image,
        created=now,
        started=now,
        key=spec.key,
        ports=made,
        root_device=next((disk.device for disk in spec.disks if disk.root), plan.image.root_device),
        local_root=any(disk.local for disk in spec.disks),
        kernel=plan.kernel,
        ramdisk=plan.ramdisk,
        architecture=plan.image.architecture,
        platform=plan.image.platform,
    )
    tenant.servers.put(server)
    for index, port in zip(spec.indexes or range(len(plan.ports)), plan.ports, strict=True):
        tenant.put_port(replace(port, server=native, index=index, since=now))
    for disk, size, snapshot in plan.volumes:
        _make_disk(world, tenant, server, disk, size, snapshot)
    return tenant.servers.get(native)


def _make_port(world: World, tenant: Tenant, spec: ServerSpec, server: str, now: datetime) -> Port:
    """The port of a server that has one of its own."""
    wanted = PortSpec("", _subnet(tenant, spec), spec.address, firewalls=spec.firewalls, delete_with_server=True)
    return ports.make(world, tenant, wanted, server=server, since=now)


def loadable(world: World, tenant: Tenant, native: str, kind: ImageKind) -> str:
    """A kernel or ramdisk the tenant may use, or empty; NotFound or Invalid."""
    if native and world.images.get(tenant.name, native).kind is not kind:
        raise Invalid(f"the image {native} is not a {kind}", str(kind))
    return native


def _plan(world: World, tenant: Tenant, spec: ServerSpec) -> Plan:
    need_ref(spec.ref, "server")
    world.zone(spec.zone)
    world.flavor(spec.flavor)
    image = _bootable(world, tenant, spec.image)
    if spec.key:
        tenant.keys.get(spec.key)
    return Plan(
        image=image,
        kernel=_of_image(image.kernel, spec.kernel) or loadable(world, tenant, spec.kernel, ImageKind.KERNEL),
        ramdisk=_of_image(image.ramdisk, spec.ramdisk) or loadable(world, tenant, spec.ramdisk, ImageKind.RAMDISK),
        ports=_ports(tenant, spec),
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


def _ports(tenant: Tenant, spec: ServerSpec) -> tuple[Port, ...]:
    """The ports that are named; without any, what the server's own one needs must be there."""
    if not spec.ports:
        ports.guards(tenant, tenant.subnets.get(_subnet(tenant, spec)).network, spec.firewalls)
        return ()
    named = tuple(tenant.ports.get(one) for one in spec.ports)
    if len(set(spec.ports)) < len(named):
        raise Invalid("a server has each port once", "ports")
    for port in named:
        networking.demand_free(port)
        networking.demand_zone(tenant.subnets.get(port.subnet), spec.zone)
    return named


def _subnet(tenant: Tenant, spec: ServerSpec) -> str:
    native = spec.subnet or tenant.default_subnet(spec.zone)
    networking.demand_zone(tenant.subnets.get(native), spec.zone)
    return native


def _volumes(world: World, tenant: Tenant, spec: ServerSpec, image: Image) -> tuple[tuple[DiskSpec, int, str], ...]:
    devices = {disk.device for disk in spec.disks}
    volumes = [disk for disk in spec.disks if not disk.local]
    refs = {disk.ref for disk in volumes}
    if len(devices) < len(spec.disks) or "" in devices:
        raise Invalid("each disk needs a device of its own", "disks")
    if len(refs) < len(volumes) or "" in refs:
        raise Invalid("each disk needs a ref of its own", "disks")
    if sum(disk.root for disk in spec.disks) > 1:
        raise Invalid("a server has one root disk", "disks")
    if any(disk.local != (disk.root and image.local_root) for disk in spec.disks):
        raise Invalid("the root disk is a volume or not as the image has it, all others are volumes", "disks")
    for ref in refs:
        if taken := tenant.volumes.by_ref(ref):
            raise Conflict("volume", taken.native, "there is a volume of this ref", code="duplicate")
    return tuple((disk, *_contents(world, tenant, disk, image)) for disk in volumes)


def _contents(world: World, tenant: Tenant, disk: DiskSpec, image: Image) -> tuple[int, str]:
    """The size and the snapshot of a new disk."""
    if disk.root:
        root = image.root
        return disks.fitting_size(disk.size, root.size if root else 0), root.snapshot if root else ""
    if disk.snapshot:
        # Who may use an image may use its snapshots for this.
        of_image = next((own for own in image.disks if own.snapshot == disk.snapshot), None)
        least = of_image.size if of_image else disks.usable_snapshot(world, tenant, disk.snapshot).size
        return disks.fitting_size(disk.size, least), disk.snapshot
    return disks.fitting_size(disk.size, 0), ""


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
