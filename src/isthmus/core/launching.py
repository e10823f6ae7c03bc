"""Launching servers: records first, then ports and public addresses, then the servers, each under a ref of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

from isthmus.context import Context, Place
from isthmus.core import addresses, firewalls, images, keys, networks, placements, ports, publics
from isthmus.core.disks import DiskOrder, disks
from isthmus.core.ids import Kind, mint
from isthmus.core.instance import Instance, Launch
from isthmus.core.instances import pick, young
from isthmus.core.nouns import dump_server
from isthmus.core.placements import Placing
from isthmus.core.quotas import demand, exceeded
from isthmus.core.records import forget
from isthmus.core.registry import Found, gather, warm
from isthmus.core.servers import compute, demand_flavor
from isthmus.errors import Conflict, Fault, Invalid, NoCapacity, NotFound, Unavailable, Unsupported
from isthmus.model import Image, ImageState, Server, ServerState, Subnet
from isthmus.providers import Capability, PortSpec, ServerSpec
from isthmus.store import Record, View

_GOING = frozenset({ServerState.DELETING, ServerState.DELETED})
_OPEN = "open"
"""In the record of a server whose launch has not come to its end: who asks again goes on with it, though it is seen."""


@dataclass(frozen=True)
class PortOrder:
    """A port as asked for: one that is there already, by its id, or a new one."""

    index: int = 0
    port: str = ""
    subnet: str = ""
    address: str = ""
    secondary: tuple[str, ...] = ()
    count: int = 0
    """Further addresses of the cloud's choice."""
    groups: tuple[str, ...] = ()
    description: str = ""
    delete_with_server: bool = True

    @property
    def plain(self) -> bool:
        """Whether it is as a cloud makes one by itself with a server."""
        more = self.port or self.secondary or self.count or self.description
        return self.index == 0 and self.delete_with_server and not more


@dataclass(frozen=True)
class Order:
    """A launch as a front asks for it, in ids. `launch` holds what only the API knows."""

    image: str
    flavor: str
    least: int
    most: int
    launch: Launch
    zone: str = ""
    ports: tuple[PortOrder, ...] = (PortOrder(),)
    """In the order of their index; the first has 0."""
    group_names: tuple[str, ...] = ()
    public: bool | None = None
    """Whether each server gets a public address while it runs; None leaves it to the subnet."""
    disks: tuple[DiskOrder, ...] = ()
    user_data: bytes = b""
    kernel: str = ""
    ramdisk: str = ""
    placement: str = ""
    """The id of a placement group."""
    partition: int = 0


class Launched(NamedTuple):
    reservation: str
    instances: list[Instance]
    short: Fault | None
    """Why these are fewer than the most that was asked for."""


def launch(cx: Context, order: Order) -> Launched:
    """Launch between `least` and `most` servers.

    Records come first, in one transaction; each server is made under its own ref. If fewer than `least` can be
    made, those that were are deleted again and the first refusal is raised.
    """
    plan = _plan(cx, order)
    order = _placed(order, plan)
    reservation = mint(Kind.RESERVATION, cx.seed)
    specs, fresh, short = _record(cx, plan, order, reservation, [plan.spec(cx) for _ in range(order.most)])
    answers = _create(cx, plan, fresh)
    made = {ref: one for ref, one in answers.items() if isinstance(one, Server)}
    short = next((one for one in answers.values() if isinstance(one, Fault)), short)
    if short and len(made) + len(specs) - len(fresh) < order.least:
        _undo(cx, plan, answers, fresh)
        raise short
    _settle(cx, plan, answers, fresh)
    before = pick(cx, [spec.ref for spec in specs if spec not in fresh]) if len(fresh) < len(specs) else []
    public = addresses.index(cx) if plan.public else None
    return Launched(reservation, [*before, *young(cx, plan.place.cloud, list(made.values()), public)], short)


def take_back(cx: Context, made: Sequence[Instance]) -> None:
    """Undo launches that nobody was told of. A server that its cloud keeps is shown as it is."""
    for one in made:
        with suppress(Fault):
            compute(cx.session(one.cloud)).delete_server(one.server.native, force=True)
            publics.release(cx, one.id)
            disks = cx.view().of_kind(Kind.VOLUME).values()
            forget(cx, one.id, *(disk.id for disk in disks if disk.data.get("server") == one.id))


def _fitting(cx: Context, view: View, order: Order, specs: list[ServerSpec]) -> tuple[list[ServerSpec], Fault | None]:
    """As many as the account may have besides what it has, and why not all. Raises it if these are too few."""
    own = {spec.ref for spec in specs}
    short: Fault | None = None
    live = [one for one in view.of_kind(Kind.SERVER).values() if one.gone is None and one.id not in own]
    held = [("instances", len(live), 1)]
    if order.launch.spot:
        held.append(("spot_instances", sum(bool(one.data.get("launch", {}).get("spot")) for one in live), 1))
    disks, volumes = len(_volumes(specs[0])), view.of_kind(Kind.VOLUME)
    if disks and len(volumes) + disks * len(specs) > cx.world.limits.quota("volumes"):
        others = sum(one.gone is None and one.data.get("server") not in own for one in volumes.values())
        held.append(("volumes", others, disks))
    for name, have, each in held:
        room = max(cx.world.limits.quota(name) - have, 0) // each
        if room < len(specs):
            specs, short = specs[:room], exceeded(cx, name)
    if short and len(specs) < order.least:
        raise short
    return specs, short


@dataclass(frozen=True)
class _Plan:
    """A launch with every id resolved to its cloud's own."""

    place: Place
    image: Found[Image]
    ports: tuple[PortOrder, ...]
    """Those that must be there before the server; none if it comes with one of its own."""
    along: tuple[PortOrder, ...]
    """Those that come with the server, if others need not be there before: some have addresses besides their own."""
    public: bool
    placing: Placing
    template: ServerSpec

    def spec(self, cx: Context) -> ServerSpec:
        """One server's spec, under a ref of its own; `ports` are the refs of those to be made."""
        ref = mint(Kind.SERVER, cx.seed)
        each = tuple(
            disk if disk.local else replace(disk, ref=mint(Kind.VOLUME, cx.seed)) for disk in self.template.disks
        )
        own = tuple(mint(Kind.PORT, cx.seed) for _ in self.ports)
        name = cx.tags.get("instance", {}).get("Name", ref)
        return replace(self.template, ref=ref, name=name, disks=each, ports=own)


def _placed(order: Order, plan: _Plan) -> Order:
    placing = plan.placing
    stands = replace(
        order.launch,
        group=placing.group,
        group_name=placing.name,
        partition=placing.partition,
        public=plan.public,
    )
    return replace(order, launch=stands)


def _plan(cx: Context, order: Order) -> _Plan:
    warm(cx, images.index, networks.subnets, firewalls.index)
    subnet = subnet_of(cx, order)
    place = networks.place_of(cx, subnet) if subnet else cx.place(order.zone)
    if subnet and order.zone and order.zone != place.zone:
        raise Invalid(f"The subnet {subnet.id} is not in the zone {order.zone}.", "zone")
    image = _image(cx, order.image, place)
    flavor = demand_flavor(cx, place.cloud, order.flavor)
    if subnet is None:
        subnet = networks.default_subnet(cx, place.cloud, place.native)
    demand(cx, "interfaces_per_server", 0, more=len(order.ports))
    first = order.ports[0]
    plain = _come_along(cx, place.cloud, order.ports)
    for one in order.ports if plain else ():
        demand(cx, "addresses_per_interface", 1, more=len(one.secondary) + one.count)
    key = keys.for_launch(cx, place.cloud, order.launch.key)
    groups = firewalls.for_launch(cx, place.cloud, subnet, first.groups, order.group_names)
    placing = placements.placing(cx, order.placement, order.partition, order.most, place)
    return _Plan(
        place,
        image,
        () if plain else tuple(replace(one, subnet=one.subnet or subnet.id) for one in order.ports),
        order.ports if plain else (),
        order.public if order.public is not None else subnet.data.get("public_on_launch", False),
        placing,
        ServerSpec(
            ref="",
            name="",
            image=image.noun.native,
            flavor=flavor.native,
            zone=place.native,
            disks=disks(cx, image, order.disks),
            subnet=subnet.noun.native if plain else "",
            address=first.address if plain else "",
            firewalls=tuple(group.noun.native for group in groups) if plain else (),
            further=tuple(_made_along(cx, subnet, one) for one in order.ports[1:]) if plain else (),
            indexes=() if plain else tuple(one.index for one in order.ports),
            key=key.native,
            public_key=key.public,
            user_data=order.user_data,
            kernel=images.boot_part(cx, place.cloud, Kind.KERNEL, order.kernel) or image.noun.kernel,
            ramdisk=images.boot_part(cx, place.cloud, Kind.RAMDISK, order.ramdisk) or image.noun.ramdisk,
            group=placing.group if placing.apart else "",
            partition=placing.partition if placing.apart else 0,
        ),
    )


def _come_along(cx: Context, cloud: str, orders: Sequence[PortOrder]) -> bool:
    """Whether a server's ports can be such as its cloud makes with it.

    Further addresses are given to them afterwards, where a cloud has no ports that could have them before. Raises
    Unsupported for several that it can neither have before nor make.
    """
    lacks = cx.world.clouds[cloud].lacks
    if Capability.PORTS not in lacks:
        return len(orders) == 1 and orders[0].plain
    if len(orders) > 1 and Capability.SERVER_PORTS in lacks:
        raise Unsupported(lacks[Capability.SERVER_PORTS])
    if [one.index for one in orders] != list(range(len(orders))):
        raise Unsupported("Interfaces that come with an instance here have the indexes 0, 1, 2 and so on.")
    later = Capability.PORT_ADDRESSES not in lacks
    return all(
        (replace(one, index=0, secondary=(), count=0) if later else replace(one, index=0)).plain for one in orders
    )


def _made_along(cx: Context, first: Found[Subnet], wanted: PortOrder) -> PortSpec:
    """What a cloud is told of a further port; without a subnet of its own it is in that of the first."""
    within = networks.one_subnet(cx, wanted.subnet) if wanted.subnet else first
    guards = firewalls.for_launch(cx, within.cloud, within, wanted.groups)
    natives = tuple(guard.noun.native for guard in guards)
    return PortSpec("", within.noun.native, wanted.address, firewalls=natives, delete_with_server=True)


def subnet_of(cx: Context, order: Order) -> Found[Subnet] | None:
    """The subnet that is named, or that a named port is in; the first one decides, and the others must agree."""
    found = []
    for one in order.ports:
        if one.port:
            held = ports.own(cx, one.port)
            if held.noun.server:
                raise Conflict(Kind.PORT, held.id, f"The interface {held.id} is in use.", "in-use")
            found.append(ports.subnet_of(cx, held))
        elif one.subnet:
            found.append(networks.one_subnet(cx, one.subnet))
    if len({networks.place_of(cx, subnet).zone for subnet in found}) > 1:
        raise Invalid("The interfaces of an instance are all in one zone.", "zone")
    return found[0] if found else None


def _image(cx: Context, wanted: str, place: Place) -> Found[Image]:
    image = images.one_image(cx, wanted)
    if image.cloud != place.cloud:
        zones = " and ".join(one.zone for one in cx.world.places.values() if one.cloud == image.cloud)
        raise NotFound(Kind.IMAGE, wanted, f"The image id '[{wanted}]' does not exist in {place.zone}, but in {zones}")
    if image.noun.state is not ImageState.AVAILABLE:
        raise Conflict(Kind.IMAGE, wanted, f"The image {wanted} is not available.")
    return image


def _record(
    cx: Context, plan: _Plan, order: Order, reservation: str, wanted: list[ServerSpec]
) -> tuple[list[ServerSpec], list[ServerSpec], Fault | None]:
    """Keep records of as many as the account may have: these, those of them that are to be made, and why not all."""
    now, cloud = cx.now(), plan.place.cloud
    with cx.store.change(cx.account) as change:
        known = change.view.records
        specs, short = _fitting(cx, change.view, order, wanted)
        fresh = [spec for spec in specs if spec.ref not in known or _is_open(known[spec.ref])]
        for number, spec in enumerate(specs):
            if spec not in fresh or (spec.ref in known and known[spec.ref].native):
                continue
            launch = replace(order.launch, reservation=reservation, index=number, image=plan.image.id, token=cx.token)
            data = {"launch": launch.dump(), _OPEN: True}
            change.put(Record(spec.ref, cx.account, Kind.SERVER, cloud, "", data, now, None))
            for ref in _volumes(spec):
                change.put(Record(ref, cx.account, Kind.VOLUME, cloud, "", {"server": spec.ref}, now, None))
            if tags := cx.tags.get("instance"):
                change.tag([spec.ref], tags)
            if tags := cx.tags.get("volume"):
                change.tag(_volumes(spec), tags)
    return specs, fresh, short


def _is_open(record: Record) -> bool:
    return not record.native or (bool(record.data.get(_OPEN)) and record.gone is None)


def _create(cx: Context, plan: _Plan, specs: Sequence[ServerSpec]) -> dict[str, Server | Fault]:
    """The server or the refusal, by ref."""

    def create(spec: ServerSpec) -> Server | Fault:
        try:
            return _one(cx, plan, spec)
        except NoCapacity as fault:
            return NoCapacity(Kind.SUBNET, "", str(fault)) if fault.kind == Kind.ADDRESS else fault
        except Fault as fault:
            return fault

    if not specs:
        return {}
    with suppress(Fault):  # each server that cannot be made says so itself
        compute(cx.session(plan.place.cloud)).prepare_servers(specs)
    return {spec.ref: one for spec, one in zip(specs, gather(create, specs), strict=True)}


def _one(cx: Context, plan: _Plan, spec: ServerSpec) -> Server:
    """One server with its ports and public address. A refusal leaves nothing of it; Unavailable may."""
    cloud, server = plan.place.cloud, None
    try:
        public = publics.allocate(cx, cloud, spec.ref, spec.zone, spec.subnet) if plan.public else None
        natives = tuple(_port(cx, one, ref, spec.ref) for one, ref in zip(plan.ports, spec.ports, strict=True))
        server = compute(cx.session(cloud)).create_server(replace(spec, ports=natives))
        if server.state in _GOING:
            raise Unavailable(Kind.SERVER, "", "An earlier try of this launch is still being taken back.")
        if any(one.secondary or one.count for one in plan.along):
            server = _extended(cx, cloud, plan.along, server)
        if public:
            publics.associate(cx, public, server)
    except Unavailable:
        raise
    except Fault:
        if server:
            with suppress(Fault):
                compute(cx.session(cloud)).delete_server(server.native, force=True)
        _clear(cx, plan, spec)
        raise
    return server


def _extended(cx: Context, cloud: str, along: Sequence[PortOrder], server: Server) -> Server:
    """A server whose ports have the further addresses that are wanted; an earlier try may have given them some."""
    for wanted, port in zip(along, server.ports, strict=True):
        named = [one for one in wanted.secondary if one not in port.secondary]
        count = wanted.count - sum(one not in wanted.secondary for one in port.secondary)
        if named or count > 0:
            ports.api(cx.session(cloud)).add_addresses(port.native, named, max(count, 0))
    [found] = compute(cx.session(cloud)).list_servers([server.native])
    return found


def _port(cx: Context, wanted: PortOrder, ref: str, server: str) -> str:
    """The native id of a port for a server that is to be made."""
    if wanted.port:
        return ports.one(cx, wanted.port).noun.native
    made = ports.create(
        cx,
        wanted.subnet,
        wanted.groups,
        wanted.address,
        wanted.secondary,
        wanted.count,
        {"description": wanted.description, publics.LAUNCH: server},
        delete_with_server=wanted.delete_with_server,
        ref=ref,
    )
    return made.noun.native


def _clear(cx: Context, plan: _Plan, spec: ServerSpec) -> None:
    """Take back what was made for a server that cannot be had."""
    publics.release(cx, spec.ref)
    known = ports.index(cx).by_id
    for ref in spec.ports:
        if (found := known.get(ref)) and not found.noun.server:
            ports.delete(cx, found)


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
                servers.delete_server(answer.native, force=True)
                publics.release(cx, spec.ref)
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
                kept = {name: value for name, value in records[spec.ref].data.items() if name != _OPEN}
                data = {**kept, "last": dump_server(answer)}
                change.update(spec.ref, native=answer.native, data=data)
                for port in (records[ref] for ref in spec.ports if ref in records):
                    held = {name: value for name, value in port.data.items() if name != publics.LAUNCH}
                    change.update(port.id, data=held)
                if tags:
                    change.tag([ports.port_id(plan.place.cloud, port) for port in answer.ports], tags)
            elif not isinstance(answer, Unavailable):
                for ref in _refs([spec]):
                    change.drop(ref)


def _refs(specs: Sequence[ServerSpec]) -> list[str]:
    return [ref for spec in specs for ref in (spec.ref, *_volumes(spec))]


def _volumes(spec: ServerSpec) -> list[str]:
    """The refs of the volumes that it comes with."""
    return [disk.ref for disk in spec.disks if not disk.local]
