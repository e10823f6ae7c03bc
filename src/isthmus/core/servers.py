"""What can be done to servers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from isthmus.context import Context, Place
from isthmus.core import firewalls, images, keys, networks
from isthmus.core.ids import Kind, mint
from isthmus.core.instances import Instance, Launch, index, pick, young
from isthmus.core.nouns import dump_server
from isthmus.core.records import forget
from isthmus.core.registry import Found, family, gather
from isthmus.errors import Conflict, Denied, Fault, Invalid, NotFound, QuotaExceeded, Unavailable
from isthmus.model import Console, Flavor, Image, ImageState, Server, ServerState, Subnet
from isthmus.providers import Compute, DiskSpec, ServerSpec, Session
from isthmus.store import Record

_LIVE = frozenset({ServerState.PENDING, ServerState.RUNNING, ServerState.STOPPING, ServerState.STOPPED})


@dataclass(frozen=True)
class DiskOrder:
    """A disk as asked for; None leaves the image's choice. `without` drops the image's disk of that device."""

    device: str
    size: int | None = None
    type: str = ""
    iops: int = 0
    snapshot: str = ""
    delete_with_server: bool | None = None
    encrypted: bool = False
    without: bool = False


@dataclass(frozen=True)
class Order:
    """A launch as a front asks for it, in ids. `launch` holds what only the API knows."""

    image: str
    flavor: str
    least: int
    most: int
    launch: Launch
    zone: str = ""
    subnet: str = ""
    address: str = ""
    groups: tuple[str, ...] = ()
    disks: tuple[DiskOrder, ...] = ()
    user_data: bytes = b""
    kernel: str = ""
    ramdisk: str = ""


def compute(session: Session) -> Compute:
    return family(session.compute, "servers")


def flavors(cx: Context, cloud: str) -> Mapping[str, Flavor]:
    """The flavors of a cloud by name."""
    return {one.name: one for one in compute(cx.session(cloud)).list_flavors()}


def launch(cx: Context, order: Order) -> tuple[str, list[Instance]]:
    """Launch between `least` and `most` servers; the reservation and the instances.

    Records come first, in one transaction; each server is made under its own ref. If fewer than `least` can be
    made, those that were are deleted again and the first refusal is raised.
    """
    plan = _plan(cx, order)
    reservation = mint(Kind.RESERVATION, cx.seed)
    specs = [plan.spec(cx) for _ in range(order.most)]
    known = cx.view().records
    _demand_room(cx, sum(spec.ref not in known for spec in specs))
    fresh = [spec for spec in specs if spec.ref not in known or not known[spec.ref].native]
    _record(cx, plan, order, reservation, specs, fresh)
    made, refusal = _create(cx, plan, fresh)
    if len(made) + len(specs) - len(fresh) < order.least and refusal:
        _undo(cx, plan, made, fresh)
        raise refusal
    _settle(cx, plan, made, fresh)
    before = pick(cx, [spec.ref for spec in specs if spec not in fresh]) if len(fresh) < len(specs) else []
    return reservation, [*before, *young(cx, plan.place.cloud, list(made.values()))]


def _demand_room(cx: Context, more: int) -> None:
    """Raises QuotaExceeded if the account would have more live servers than it may."""
    most = cx.world.limits.instances
    live = sum(record.gone is None for record in cx.view().of_kind(Kind.SERVER).values())
    if live + more > most:
        reason = f"You have requested more instances ({live + more}) than your current instance limit of {most} allows."
        raise QuotaExceeded(Kind.SERVER, "", reason)


@dataclass(frozen=True)
class _Plan:
    """A launch with every id resolved to its cloud's own."""

    place: Place
    image: Found[Image]
    subnet: Found[Subnet] | None
    template: ServerSpec

    def spec(self, cx: Context) -> ServerSpec:
        """One server's spec, under a ref of its own."""
        ref = mint(Kind.SERVER, cx.seed)
        disks = tuple(replace(disk, ref=mint(Kind.VOLUME, cx.seed)) for disk in self.template.disks)
        return replace(self.template, ref=ref, name=cx.tags.get("instance", {}).get("Name", ref), disks=disks)


def _plan(cx: Context, order: Order) -> _Plan:
    subnet = networks.one_subnet(cx, order.subnet) if order.subnet else None
    place = networks.place_of(cx, subnet) if subnet else cx.place(order.zone)
    if subnet and order.zone and order.zone != place.zone:
        raise Invalid(f"The subnet {order.subnet} is not in the zone {order.zone}.", "zone")
    image = images.one_image(cx, order.image)
    if image.cloud != place.cloud:
        raise NotFound(Kind.IMAGE, order.image)
    if image.noun.state is not ImageState.AVAILABLE:
        raise Conflict(Kind.IMAGE, order.image, f"The image {order.image} is not available.")
    flavor = flavors(cx, place.cloud).get(order.flavor)
    if flavor is None:
        raise Invalid(f"Invalid value '{order.flavor}' for InstanceType.", "flavor")
    if subnet is None:
        subnet = networks.default_subnet(cx, place.cloud, place.native)
    key = keys.for_launch(cx, place.cloud, order.launch.key)
    groups = firewalls.for_launch(cx, place.cloud, subnet, order.groups)
    return _Plan(
        place,
        image,
        subnet,
        ServerSpec(
            ref="",
            name="",
            image=image.noun.native,
            flavor=flavor.native,
            zone=place.native,
            disks=_disks(cx, image, order.disks),
            subnet=subnet.noun.native if subnet else "",
            address=order.address,
            firewalls=tuple(group.noun.native for group in groups),
            key=key.native,
            public_key=key.public,
            user_data=order.user_data,
            kernel=images.boot_part(cx, place.cloud, Kind.KERNEL, order.kernel) or image.noun.kernel,
            ramdisk=images.boot_part(cx, place.cloud, Kind.RAMDISK, order.ramdisk) or image.noun.ramdisk,
        ),
    )


def _disks(cx: Context, image: Found[Image], orders: Sequence[DiskOrder]) -> tuple[DiskSpec, ...]:
    """The image's disks with what was asked for laid over them, the root first."""
    asked = {order.device: order for order in orders}
    root = image.noun.root_device
    disks = []
    for disk in image.noun.disks:
        over = asked.pop(disk.device, DiskOrder(disk.device))
        if over.without and disk.device != root:
            continue
        disks.append(
            DiskSpec(
                ref="",
                device=disk.device,
                size=_size(over, disk.size),
                type=over.type or disk.type,
                iops=over.iops,
                snapshot=disk.snapshot,
                root=disk.device == root,
                delete_with_server=_or(over.delete_with_server, disk.delete_with_server),
                encrypted=over.encrypted,
            )
        )
    disks += [_blank(cx, image.cloud, order) for order in asked.values() if not order.without]
    return tuple(sorted(disks, key=lambda disk: not disk.root))


def _blank(cx: Context, cloud: str, order: DiskOrder) -> DiskSpec:
    """A disk that the image does not have: from a snapshot, or empty."""
    from isthmus.core.volumes import one_snapshot

    source = one_snapshot(cx, order.snapshot) if order.snapshot else None
    if source and source.cloud != cloud:
        raise NotFound(Kind.SNAPSHOT, order.snapshot)
    if source is None and order.size is None:
        raise Invalid(f"The request must contain a size or a snapshot for the device {order.device}.", "size")
    return DiskSpec(
        ref="",
        device=order.device,
        size=_size(order, source.noun.size if source else 1),
        type=order.type,
        iops=order.iops,
        snapshot=source.noun.native if source else "",
        delete_with_server=_or(order.delete_with_server, False),
        encrypted=order.encrypted,
    )


def _size(order: DiskOrder, least: int) -> int:
    if order.size is not None and order.size < least:
        raise Invalid(f"Volume of size {order.size}GB is smaller than snapshot, expect size >= {least}GB", "size")
    return order.size or least


def _or(wanted: bool | None, otherwise: bool) -> bool:
    return otherwise if wanted is None else wanted


def _record(
    cx: Context,
    plan: _Plan,
    order: Order,
    reservation: str,
    specs: Sequence[ServerSpec],
    fresh: Sequence[ServerSpec],
) -> None:
    now, cloud = cx.now(), plan.place.cloud
    with cx.store.change(cx.account) as change:
        for number, spec in enumerate(specs):
            if spec not in fresh:
                continue
            launch = replace(order.launch, reservation=reservation, index=number, image=plan.image.id, token=cx.token)
            change.put(Record(spec.ref, cx.account, Kind.SERVER, cloud, "", {"launch": launch.dump()}, now, None))
            for disk in spec.disks:
                change.put(Record(disk.ref, cx.account, Kind.VOLUME, cloud, "", {"server": spec.ref}, now, None))
            if tags := cx.tags.get("instance"):
                change.tag([spec.ref], tags)
            if tags := cx.tags.get("volume"):
                change.tag([disk.ref for disk in spec.disks], tags)


def _create(cx: Context, plan: _Plan, specs: Sequence[ServerSpec]) -> tuple[dict[str, Server], Fault | None]:
    """What could be made, by ref, and the first refusal."""
    servers = compute(cx.session(plan.place.cloud))

    def create(spec: ServerSpec) -> Server | Fault:
        try:
            return servers.create_server(spec)
        except Fault as fault:
            return fault

    answers = gather(create, specs)
    made = {spec.ref: one for spec, one in zip(specs, answers, strict=True) if isinstance(one, Server)}
    return made, next((one for one in answers if isinstance(one, Fault)), None)


def _undo(cx: Context, plan: _Plan, made: Mapping[str, Server], specs: Sequence[ServerSpec]) -> None:
    """Take back a launch that cannot be had whole. What cannot be reached now is left to core/reconcile.py."""
    servers = compute(cx.session(plan.place.cloud))
    try:
        for server in made.values():
            servers.delete_server(server.native)
    except Unavailable:
        return
    forget(cx, *_refs(specs))


def _settle(cx: Context, plan: _Plan, made: Mapping[str, Server], specs: Sequence[ServerSpec]) -> None:
    """Write down what became of each spec."""
    records = cx.view().records
    with cx.store.change(cx.account) as change:
        for spec in specs:
            if server := made.get(spec.ref):
                data = {**records[spec.ref].data, "last": dump_server(server)}
                change.update(spec.ref, native=server.native, data=data)
                continue
            for ref in _refs([spec]):
                change.untag([ref], None)
                change.drop(ref)


def _refs(specs: Sequence[ServerSpec]) -> list[str]:
    return [ref for spec in specs for ref in (spec.ref, *(disk.ref for disk in spec.disks))]


Change = tuple[Instance, Instance]


def start(cx: Context, ids: Collection[str]) -> list[Change]:
    """Start stopped servers; those that run are left alone. Raises Conflict for any other state."""
    return _each(cx, ids, {ServerState.STOPPED}, lambda api, one: api.start_server(one.server.native))


def stop(cx: Context, ids: Collection[str], *, force: bool = False) -> list[Change]:
    """Stop servers; those that are stopped are left alone. Raises Denied for a protected one."""
    for one in pick(cx, ids):
        if one.launch.stop_protected:
            raise Denied(f"The instance '{one.id}' may not be stopped. Modify its 'disableApiStop' instance attribute.")
    can = {ServerState.RUNNING, ServerState.PENDING, *({ServerState.STOPPING} if force else ())}
    return _each(cx, ids, can, lambda api, one: api.stop_server(one.server.native, force=force), say="stop")


def reboot(cx: Context, ids: Collection[str]) -> None:
    for one in pick(cx, ids):
        if one.server.state is not ServerState.RUNNING:
            raise Conflict(Kind.SERVER, one.id, f"The instance {one.id} is not in the state 'running'.")
    for one in pick(cx, ids):
        compute(cx.session(one.cloud)).reboot_server(one.server.native)


def delete(cx: Context, ids: Collection[str]) -> list[Change]:
    """Terminate servers; what is terminated already stays so. Raises Denied if any of them is protected."""
    wanted = pick(cx, ids)
    for one in wanted:
        if one.launch.termination_protected and one.server.state in _LIVE:
            reason = "Modify its 'disableApiTermination' instance attribute and try again."
            raise Denied(f"The instance '{one.id}' may not be terminated. {reason}")
    for one in wanted:
        if one.server.state is not ServerState.DELETED:
            _mark(cx, one)
            compute(cx.session(one.cloud)).delete_server(one.server.native)
    after = index(cx).by_id
    return [(one, after.get(one.id, one)) for one in wanted]


def _mark(cx: Context, one: Instance) -> None:
    """Remember a server as it was, and that its end was asked for."""
    now = cx.now()
    last = dump_server(replace(one.server, reason=f"User initiated ({now:%Y-%m-%d %H:%M:%S} GMT)"))
    data = {"launch": one.launch.dump(), **(one.record.data if one.record else {}), "last": last}
    with cx.store.change(cx.account) as change:
        if one.record:
            change.update(one.id, native=one.server.native, data=data, gone=one.record.gone or now)
        else:
            change.put(Record(one.id, cx.account, Kind.SERVER, one.cloud, one.server.native, data, now, now))


def resize(cx: Context, instance: Instance, flavor: str) -> None:
    """Change a stopped server's flavor, by name."""
    found = flavors(cx, instance.cloud).get(flavor)
    if found is None:
        raise Invalid(f"Invalid value '{flavor}' for InstanceType.", "flavor")
    if instance.server.state is not ServerState.STOPPED:
        raise Conflict(Kind.SERVER, instance.id, f"The instance '{instance.id}' is not in the 'stopped' state.")
    compute(cx.session(instance.cloud)).resize_server(instance.server.native, found.native)


def change_launch(cx: Context, instance: Instance, **changes: object) -> None:
    """Change what the API knows of a server: fields of Launch."""
    launch = replace(instance.launch, **changes)  # type: ignore[arg-type]
    data = {**(instance.record.data if instance.record else {}), "launch": launch.dump()}
    with cx.store.change(cx.account) as change:
        if instance.record:
            change.update(instance.id, data=data)
        else:
            native, now = instance.server.native, cx.now()
            change.put(Record(instance.id, cx.account, Kind.SERVER, instance.cloud, native, data, now, None))


def set_groups(cx: Context, instance: Instance, groups: Sequence[str]) -> None:
    """Change the firewalls of a server."""
    found = [firewalls.one(cx, group) for group in groups]
    natives = [group.noun.native for group in found]
    compute(cx.session(instance.cloud)).set_firewalls(instance.server.native, natives)


def console(cx: Context, instance: str) -> Console:
    [one] = pick(cx, [instance])
    if one.server.state is ServerState.DELETED:
        return Console(b"", cx.now())
    return compute(cx.session(one.cloud)).console_output(one.server.native)


def password(cx: Context, instance: str) -> str:
    """The administrator's password, encrypted with the key pair; empty until the guest has set one."""
    [one] = pick(cx, [instance])
    return compute(cx.session(one.cloud)).password_data(one.server.native)


def _each(
    cx: Context,
    ids: Collection[str],
    can: Collection[ServerState],
    act: Callable[[Compute, Instance], None],
    say: str = "start",
) -> list[Change]:
    """Act on each server in a state that allows it; Conflict, before anything is done, for one that cannot."""
    before = pick(cx, ids)
    for one in before:
        if one.server.state not in _LIVE or (say == "start" and one.server.state is ServerState.STOPPING):
            raise Conflict(
                Kind.SERVER,
                one.id,
                f"The instance '{one.id}' is not in a state from which it can be {_PAST[say]}.",
            )
    for one in before:
        if one.server.state in can:
            act(compute(cx.session(one.cloud)), one)
    after = index(cx).by_id
    return [(one, after[one.id]) for one in before]


_PAST = {"start": "started", "stop": "stopped"}
