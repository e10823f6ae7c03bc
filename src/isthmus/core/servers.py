"""What can be done to servers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from isthmus.context import Context, Place
from isthmus.core import firewalls, images, keys, networks, placements, ports
from isthmus.core.ids import Kind, mint
from isthmus.core.instances import Instance, Launch, index, pick, young
from isthmus.core.nouns import dump_server
from isthmus.core.placements import Placing
from isthmus.core.records import forget
from isthmus.core.registry import Found, family, gather
from isthmus.core.volumes import encrypts, one_snapshot
from isthmus.errors import Conflict, Denied, Fault, Invalid, NoCapacity, NotFound, QuotaExceeded, Unavailable
from isthmus.model import Console, Flavor, Image, ImageState, Server, ServerState, Subnet
from isthmus.providers import Compute, DiskSpec, ServerSpec, Session
from isthmus.store import Record

_LIVE = frozenset({ServerState.PENDING, ServerState.RUNNING, ServerState.STOPPING, ServerState.STOPPED})
_GOING = frozenset({ServerState.DELETING, ServerState.DELETED})


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
    group_names: tuple[str, ...] = ()
    disks: tuple[DiskOrder, ...] = ()
    user_data: bytes = b""
    kernel: str = ""
    ramdisk: str = ""
    placement: str = ""
    """The id of a placement group."""
    partition: int = 0


def compute(session: Session) -> Compute:
    return family(session.compute, "servers")


def flavors(cx: Context, cloud: str) -> Mapping[str, Flavor]:
    """The flavors of a cloud by name."""
    return {one.name: one for one in compute(cx.session(cloud)).list_flavors()}


def demand_flavor(cx: Context, cloud: str, name: str) -> Flavor:
    """Raises Invalid for a flavor that the cloud does not have."""
    found = flavors(cx, cloud).get(name)
    if found is None:
        raise Invalid(f"Invalid value '{name}' for InstanceType.", "flavor")
    return found


def launch(cx: Context, order: Order) -> tuple[str, list[Instance]]:
    """Launch between `least` and `most` servers; the reservation and the instances.

    Records come first, in one transaction; each server is made under its own ref. If fewer than `least` can be
    made, those that were are deleted again and the first refusal is raised.
    """
    plan = _plan(cx, order)
    order = _placed(order, plan)
    reservation = mint(Kind.RESERVATION, cx.seed)
    known = cx.view().records
    specs = _fitting(cx, order, [plan.spec(cx) for _ in range(order.most)])
    fresh = [spec for spec in specs if spec.ref not in known or not known[spec.ref].native]
    _record(cx, plan, order, reservation, specs, fresh)
    answers = _create(cx, plan, fresh)
    made = {ref: one for ref, one in answers.items() if isinstance(one, Server)}
    if len(made) + len(specs) - len(fresh) < order.least:
        _undo(cx, plan, answers, fresh)
        raise next(one for one in answers.values() if isinstance(one, Fault))
    _settle(cx, plan, answers, fresh)
    before = pick(cx, [spec.ref for spec in specs if spec not in fresh]) if len(fresh) < len(specs) else []
    return reservation, [*before, *young(cx, plan.place.cloud, list(made.values()))]


def _fitting(cx: Context, order: Order, specs: list[ServerSpec]) -> list[ServerSpec]:
    """As many as the account may have besides its live servers. Raises QuotaExceeded if these are too few."""
    most = cx.world.limits.instances
    live = {known for known, record in cx.view().of_kind(Kind.SERVER).items() if record.gone is None}
    others = len(live - {spec.ref for spec in specs})
    if others + order.least > most:
        wanted = others + order.least
        reason = f"You have requested more instances ({wanted}) than your current instance limit of {most} allows."
        raise QuotaExceeded(Kind.SERVER, "", reason)
    return specs[: most - others]


@dataclass(frozen=True)
class _Plan:
    """A launch with every id resolved to its cloud's own."""

    place: Place
    image: Found[Image]
    subnet: Found[Subnet] | None
    placing: Placing
    template: ServerSpec

    def spec(self, cx: Context) -> ServerSpec:
        """One server's spec, under a ref of its own."""
        ref = mint(Kind.SERVER, cx.seed)
        disks = tuple(replace(disk, ref=mint(Kind.VOLUME, cx.seed)) for disk in self.template.disks)
        return replace(self.template, ref=ref, name=cx.tags.get("instance", {}).get("Name", ref), disks=disks)


def _placed(order: Order, plan: _Plan) -> Order:
    placing = plan.placing
    stands = replace(order.launch, group=placing.group, group_name=placing.name, partition=placing.partition)
    return replace(order, launch=stands)


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
    flavor = demand_flavor(cx, place.cloud, order.flavor)
    if subnet is None:
        subnet = networks.default_subnet(cx, place.cloud, place.native)
    key = keys.for_launch(cx, place.cloud, order.launch.key)
    groups = firewalls.for_launch(cx, place.cloud, subnet, order.groups, order.group_names)
    placing = placements.placing(cx, order.placement, order.partition, order.most, place)
    return _Plan(
        place,
        image,
        subnet,
        placing,
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
            group=placing.group if placing.apart else "",
            partition=placing.partition if placing.apart else 0,
        ),
    )


def _disks(cx: Context, image: Found[Image], orders: Sequence[DiskOrder]) -> tuple[DiskSpec, ...]:
    """The image's disks with what was asked for laid over them, the root first."""
    asked = {order.device: order for order in orders}
    disks = []
    for disk in image.noun.disks:
        over = asked.get(disk.device, DiskOrder(disk.device))
        root = disk.device == image.noun.root_device
        replaced = bool(over.snapshot) and one_snapshot(cx, over.snapshot).noun.native != disk.snapshot
        if root and (over.without or replaced):
            raise Invalid(f"The root device {disk.device} has the contents of the image.", "disks")
        if over.without or replaced:
            continue
        asked.pop(disk.device, None)
        disks.append(
            DiskSpec(
                ref="",
                device=disk.device,
                size=_size(over, disk.size),
                type=over.type or disk.type,
                iops=over.iops,
                snapshot=disk.snapshot,
                root=root,
                delete_with_server=_or(over.delete_with_server, disk.delete_with_server),
                encrypted=over.encrypted or encrypts(cx),
            )
        )
    disks += [_blank(cx, image.cloud, order) for order in asked.values() if not order.without]
    return tuple(sorted(disks, key=lambda disk: not disk.root))


def _blank(cx: Context, cloud: str, order: DiskOrder) -> DiskSpec:
    """A disk that the image does not have: from a snapshot, or empty."""
    source = one_snapshot(cx, order.snapshot) if order.snapshot else None
    if source and source.cloud != cloud:
        raise NotFound(Kind.SNAPSHOT, order.snapshot)
    if source is None and order.size is None:
        raise Invalid(f"The request must contain a size or a snapshot for the device {order.device}.", "disks")
    return DiskSpec(
        ref="",
        device=order.device,
        size=_size(order, source.noun.size if source else 1),
        type=order.type,
        iops=order.iops,
        snapshot=source.noun.native if source else "",
        delete_with_server=_or(order.delete_with_server, False),
        encrypted=order.encrypted or encrypts(cx),
    )


def _size(order: DiskOrder, least: int) -> int:
    if order.size is not None and order.size < least:
        raise Invalid(f"Volume of size {order.size}GB is smaller than snapshot, expect size >= {least}GB", "disks")
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


def _create(cx: Context, plan: _Plan, specs: Sequence[ServerSpec]) -> dict[str, Server | Fault]:
    """The server or the refusal, by ref."""
    servers = compute(cx.session(plan.place.cloud))

    def create(spec: ServerSpec) -> Server | Fault:
        try:
            server = servers.create_server(spec)
        except NoCapacity as fault:
            return NoCapacity(Kind.SUBNET, "", str(fault)) if fault.kind == Kind.ADDRESS else fault
        except Fault as fault:
            return fault
        if server.state in _GOING:
            return Unavailable(Kind.SERVER, "", "An earlier try of this launch is still being taken back.")
        return server

    return {spec.ref: one for spec, one in zip(specs, gather(create, specs), strict=True)} if specs else {}


def _undo(cx: Context, plan: _Plan, answers: Mapping[str, Server | Fault], specs: Sequence[ServerSpec]) -> None:
    """Take back a launch that cannot be had whole.

    The records of what may still be there stay: core/reconcile.py finds out.
    """
    servers = compute(cx.session(plan.place.cloud))
    gone = []
    for spec in specs:
        answer = answers[spec.ref]
        try:
            if isinstance(answer, Server):
                servers.delete_server(answer.native)
        except Fault:
            continue
        if not isinstance(answer, Unavailable):
            gone.append(spec)
    forget(cx, *_refs(gone))


def _settle(cx: Context, plan: _Plan, answers: Mapping[str, Server | Fault], specs: Sequence[ServerSpec]) -> None:
    """Write down what became of each spec; of one that was answered with Unavailable nobody knows yet."""
    records = cx.view().records
    tags = cx.tags.get("network-interface")
    with cx.store.change(cx.account) as change:
        for spec in specs:
            answer = answers[spec.ref]
            if isinstance(answer, Server):
                data = {**records[spec.ref].data, "last": dump_server(answer)}
                change.update(spec.ref, native=answer.native, data=data)
                if tags:
                    change.tag([ports.port_id(plan.place.cloud, port) for port in answer.ports], tags)
            elif not isinstance(answer, Unavailable):
                for ref in _refs([spec]):
                    change.drop(ref)


def _refs(specs: Sequence[ServerSpec]) -> list[str]:
    return [ref for spec in specs for ref in (spec.ref, *(disk.ref for disk in spec.disks))]


Change = tuple[Instance, Instance]


def start(cx: Context, ids: Collection[str]) -> list[Change]:
    """Start stopped servers; those that run are left alone. Raises Conflict for any other state."""
    changes = _each(cx, ids, _START, lambda api, one: api.start_server(one.server.native))
    _explain(cx, [before for before, _ in changes if before.launch.reason], "")
    return changes


def stop(cx: Context, ids: Collection[str], *, force: bool = False) -> list[Change]:
    """Stop servers; those that are stopped are left alone. Raises Denied for a protected one."""
    for one in pick(cx, ids):
        if one.launch.stop_protected:
            raise Denied(f"The instance '{one.id}' may not be stopped. Modify its 'disableApiStop' instance attribute.")
    step = _FORCED if force else _STOP
    changes = _each(cx, ids, step, lambda api, one: api.stop_server(one.server.native, force=force))
    _explain(cx, [before for before, _ in changes if before.server.state is ServerState.RUNNING], _said_by_user(cx))
    return changes


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
            compute(cx.session(one.cloud)).delete_server(one.server.native)
            _mark(cx, one)
    after = index(cx).by_id
    return [(one, after.get(one.id, one)) for one in wanted]


def _mark(cx: Context, one: Instance) -> None:
    """Remember a server as it was, and that its end was asked for; forget the disks and ports that go with it."""
    if one.record and one.record.gone:
        return
    reason = _said_by_user(cx)
    launch = replace(one.launch, reason=reason).dump()
    last = dump_server(replace(one.server, reason=reason))
    data = {**(one.record.data if one.record else {}), "launch": launch, "last": last}
    with cx.store.change(cx.account) as change:
        change.put(_record_of(cx, one, data, cx.now()))
        for port in one.server.ports:
            if port.delete_with_server:
                change.drop(ports.port_id(one.cloud, port))
        for disk in one.disks:
            if any(held.delete_with_server and held.server == one.server.native for held in disk.noun.attachments):
                change.drop(disk.id)


def _record_of(cx: Context, one: Instance, data: Mapping[str, Any], gone: datetime | None = None) -> Record:
    """The record of a server; a new one for what was made by other means."""
    known = one.record
    if known:
        return replace(known, native=one.server.native, data=data, gone=gone or known.gone)
    return Record(one.id, cx.account, Kind.SERVER, one.cloud, one.server.native, data, cx.now(), gone)


def _said_by_user(cx: Context) -> str:
    return f"User initiated ({cx.now():%Y-%m-%d %H:%M:%S} GMT)"


def _explain(cx: Context, these: Sequence[Instance], reason: str) -> None:
    """Write down why servers are in the state they are in."""
    if not these:
        return
    with cx.store.change(cx.account) as change:
        for one in these:
            launch = replace(one.launch, reason=reason).dump()
            change.put(_record_of(cx, one, {**(one.record.data if one.record else {}), "launch": launch}))


def resize(cx: Context, instance: Instance, flavor: str) -> None:
    """Change a stopped server's flavor, by name."""
    found = demand_flavor(cx, instance.cloud, flavor)
    if instance.server.state is not ServerState.STOPPED:
        raise Conflict(Kind.SERVER, instance.id, f"The instance '{instance.id}' is not in the 'stopped' state.")
    compute(cx.session(instance.cloud)).resize_server(instance.server.native, found.native)


def change_launch(cx: Context, instance: Instance, **changes: object) -> None:
    """Change what the API knows of a server: fields of Launch."""
    launch = replace(instance.launch, **changes)  # type: ignore[arg-type]
    data = {**(instance.record.data if instance.record else {}), "launch": launch.dump()}
    with cx.store.change(cx.account) as change:
        change.put(_record_of(cx, instance, data))


def set_groups(cx: Context, instance: Instance, groups: Sequence[str]) -> None:
    """Change the firewalls of a server's first port."""
    for port in instance.server.ports[:1]:
        ports.set_firewalls(cx, ports.one(cx, ports.port_id(instance.cloud, port)), groups)


def console(cx: Context, instance: str) -> Console:
    [one] = pick(cx, [instance])
    if one.server.state is ServerState.DELETED:
        return Console(b"", cx.now())
    return compute(cx.session(one.cloud)).console_output(one.server.native)


def password(cx: Context, instance: str) -> str:
    """The administrator's password, encrypted with the key pair; empty until the guest has set one."""
    [one] = pick(cx, [instance])
    return compute(cx.session(one.cloud)).password_data(one.server.native)


@dataclass(frozen=True)
class _Step:
    """A change of state: what it acts on, and what it finds done already."""

    word: str
    on: frozenset[ServerState]
    done: frozenset[ServerState]


_START = _Step("started", frozenset({ServerState.STOPPED}), frozenset({ServerState.PENDING, ServerState.RUNNING}))
_STOP = _Step("stopped", frozenset({ServerState.RUNNING}), frozenset({ServerState.STOPPING, ServerState.STOPPED}))
_FORCED = _Step("stopped", _STOP.on | {ServerState.STOPPING}, _STOP.done)


def _each(cx: Context, ids: Collection[str], step: _Step, act: Callable[[Compute, Instance], None]) -> list[Change]:
    """Act on each server in a state that allows it; Conflict, before anything is done, for one that cannot."""
    before = pick(cx, ids)
    for one in before:
        if one.server.state not in step.on | step.done:
            reason = f"The instance '{one.id}' is not in a state from which it can be {step.word}."
            raise Conflict(Kind.SERVER, one.id, reason)
    for one in before:
        if one.server.state in step.on:
            act(compute(cx.session(one.cloud)), one)
    after = index(cx).by_id
    return [(one, after.get(one.id, one)) for one in before]
