"""Who asks: from a cloud's tenant and native id to all that the metadata of one instance needs."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace

from isthmus.context import Context, World
from isthmus.core import instances, keys, networks
from isthmus.core.ids import Kind
from isthmus.core.instance import Instance, launched
from isthmus.core.names import Names
from isthmus.core.ports import port_id
from isthmus.errors import NotFound
from isthmus.imds.agent import Known
from isthmus.imds.tree import Guest, SecurityGroup


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
        return _guest(cx, one) if one and one.server.ports else None

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


def _guest(cx: Context, one: Instance) -> Guest:
    names = Names(cx)
    server, launch, port = one.server, one.launch, one.server.ports[0]
    place = cx.world.place_of(one.cloud, server.zone)
    name = launch.key or server.key
    guest = Guest(
        instance_id=one.id,
        reservation_id=launch.reservation,
        account=cx.account,
        image_id=launch.image or names.image(one.cloud, server.image),
        instance_type=names.flavor(one.cloud, server.flavor),
        local_ipv4=port.address,
        mac=port.mac,
        zone=place.zone,
        zone_id=cx.world.zone_id(place.zone),
        region=cx.world.region,
        pending_time=server.started,
        interface_id=port_id(one.cloud, port),
        security_groups=tuple(SecurityGroup(group.id, group.noun.name) for group in one.groups),
        public_ipv4=one.address.noun.address if one.address else "",
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
    return _placed(cx, guest, one)


def _placed(cx: Context, guest: Guest, one: Instance) -> Guest:
    """With its subnet and VPC, where its cloud has them."""
    port = one.server.ports[0]
    subnet = networks.subnets(cx).by_native.get((one.cloud, port.subnet))
    network = networks.networks(cx).by_native.get((one.cloud, port.network))
    if subnet:
        guest = replace(guest, subnet_id=subnet.id, subnet_cidr=subnet.noun.cidr)
    return replace(guest, vpc_id=network.id, vpc_cidr=network.noun.cidr) if network else guest


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
