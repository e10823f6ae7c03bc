"""Who asks: from a cloud's tenant and native id to all that the metadata of one instance needs."""

from __future__ import annotations

import base64
from collections.abc import Callable

from isthmus.context import Context, World
from isthmus.core import instances, keys, networks
from isthmus.core.ids import Kind
from isthmus.core.instance import Instance, launched
from isthmus.core.names import Names
from isthmus.core.ports import port_id
from isthmus.core.registry import Index, all_of
from isthmus.errors import NotFound
from isthmus.imds.agent import Known
from isthmus.imds.tree import Guest, Interface, SecurityGroup
from isthmus.model import Firewall, Network, Port, Subnet


def lookup(world: World, cloud: str) -> Callable[[str, str], Guest | None]:
    """A function from (tenant, native id) to the guest, or None if there is no such server."""

    def guest(tenant: str, native: str) -> Guest | None:
        account = world.store.account_of(cloud, tenant)
        if not account:
            return None
        cx = Context(account, world.of(account))
        record = cx.view().by_native(cloud, Kind.SERVER, native)
        found = instances.some(cx, [record.id]) if record else instances.index(cx)
        one = found.by_native.get((cloud, native))
        return _guest(cx, one, found.firewalls) if one and one.server.ports else None

    return guest


def known(world: World, cloud: str) -> Callable[[str, str], Known]:
    """A function from (tenant, native id) to what is on record; the cloud is not asked."""

    def on_record(tenant: str, native: str) -> Known:
        account = world.store.account_of(cloud, tenant)
        record = world.store.view(account).by_native(cloud, Kind.SERVER, native) if account else None
        if record is None:
            return Known()
        launch = launched(record, record.id)
        return Known(record.id, launch.http_endpoint == "enabled" and launch.http_tokens != "required")

    return on_record


def _guest(cx: Context, one: Instance, walls: Index[Firewall]) -> Guest:
    names = Names(cx)
    server, launch = one.server, one.launch
    place = cx.world.place_of(one.cloud, server.zone)
    name = launch.key or server.key
    return Guest(
        instance_id=one.id,
        reservation_id=launch.reservation,
        account=cx.account,
        image_id=launch.image or names.image(one.cloud, server.image),
        instance_type=names.flavor(one.cloud, server.flavor),
        interfaces=_interfaces(cx, one, walls),
        zone=place.zone,
        zone_id=cx.world.zone_id(place.zone),
        region=cx.world.region,
        pending_time=server.started,
        architecture=server.architecture,
        kernel_id=names.kernel(one.cloud, server.kernel),
        ramdisk_id=names.ramdisk(one.cloud, server.ramdisk),
        launch_index=launch.index,
        key_name=name,
        public_key=_public(cx, name),
        user_data=base64.b64decode(launch.user_data) if launch.user_data else None,
        tags=one.tags,
        block_devices=_devices(one),
        http_tokens="required" if launch.http_tokens == "required" else "optional",
        http_endpoint=launch.http_endpoint == "enabled",
        hop_limit=launch.hop_limit,
        instance_metadata_tags=launch.metadata_tags == "enabled",
    )


def _interfaces(cx: Context, one: Instance, walls: Index[Firewall]) -> tuple[Interface, ...]:
    """All of them, with what they name; subnets and VPCs are read once for all, where clouds have them."""
    subnets, vpcs = all_of(cx, networks.subnets, networks.networks)
    return tuple(_interface(one, port, subnets, vpcs, walls) for port in one.server.ports)


def _interface(
    one: Instance, port: Port, subnets: Index[Subnet], vpcs: Index[Network], walls: Index[Firewall]
) -> Interface:
    subnet = subnets.by_native.get((one.cloud, port.subnet))
    vpc = vpcs.by_native.get((one.cloud, port.network))
    groups = [wall for native in port.firewalls if (wall := walls.by_native.get((one.cloud, native)))]
    publics = [(found.noun.address, private) for private in port.addresses if (found := one.address_of(port, private))]
    return Interface(
        id=port_id(one.cloud, port),
        mac=port.mac,
        addresses=port.addresses,
        device=port.index,
        publics=dict(publics),
        subnet_id=subnet.id if subnet else "",
        subnet_cidr=subnet.noun.cidr if subnet else "",
        vpc_id=vpc.id if vpc else "",
        vpc_cidrs=vpc.noun.ranges if vpc else (),
        security_groups=tuple(SecurityGroup(group.id, group.noun.name) for group in groups),
    )


def _public(cx: Context, name: str) -> str:
    try:
        return f"{keys.named(cx, name).public} {name}" if name else ""
    except NotFound:
        return ""


def _devices(one: Instance) -> dict[str, str]:
    """What the metadata calls a device: `ami` and `root` the root, `ebs1` ... the others."""
    held = sorted(
        attachment.device
        for disk in one.disks_seen
        for attachment in disk.noun.attachments
        if attachment.server == one.server.native
    )
    root = one.server.root_device
    others = [device for device in held if device != root]
    return {"ami": root, "root": root, **{f"ebs{at}": device for at, device in enumerate(others, 1)}}
