"""A server's launch. With a root disk alone CloudStack is asked once, and starts it by itself.

With further disks these are made first, the machine is deployed without a start, they are attached, and only then is
it started: CloudStack attaches nothing to what is just starting. What breaks off in between is found again: the machine
by its name, the volumes by theirs.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from isthmus.errors import Fault, Invalid, NotFound, Unsupported
from isthmus.providers import Capability, DiskSpec, ServerSpec, VolumeSpec
from isthmus.providers.cloudstack import (
    affinity,
    connecting,
    disks,
    groups,
    images,
    isos,
    keys,
    notes,
    offerings,
    places,
)
from isthmus.providers.cloudstack.client import Item, Unsure
from isthmus.providers.cloudstack.grounds import default_network
from isthmus.providers.cloudstack.tenant import Tenant
from isthmus.together import for_each, together

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack

LAUNCHING = timedelta(minutes=10)
"""How long a new machine that is stopped is taken for one that is being launched."""


def launch(cloud: CloudStack, tenant: Tenant, spec: ServerSpec) -> str:
    """The native id of a server that is being started. A refusal leaves nothing behind."""
    _check(cloud, spec)
    asked = _asked(cloud, tenant, spec)
    data = spec.disks[1:]
    if not data:
        return str(tenant.client.begin("deployVirtualMachine", "server", spec.ref, **asked)["id"])
    made = _volumes(cloud, tenant, spec, data)
    native = ""
    try:
        begun = tenant.client.begin("deployVirtualMachine", "server", spec.ref, **asked, startvm=False)
        native = str(begun["id"])
        tenant.client.done(begun["jobid"], "server", spec.ref)
        _complete(tenant, native, made)
    except Unsure:  # who asks again goes on from there
        raise
    except Fault:
        with suppress(Fault):
            _undo(tenant, native, made)
        raise
    return native


def resume(cloud: CloudStack, tenant: Tenant, spec: ServerSpec, machine: Item) -> None:
    """Go on with a launch that broke off before its machine was started."""
    if len(spec.disks) == 1 or machine["state"] != "Stopped" or not is_new(machine):
        return
    made = _volumes(cloud, tenant, spec, spec.disks[1:])
    on = {one["id"] for one in tenant.all("listVolumes", "volume", virtualmachineid=machine["id"])}
    _complete(tenant, machine["id"], [one for one in made if one not in on])


def is_new(machine: Item) -> bool:
    """Whether a machine's launch may still be under way."""
    return datetime.now(UTC) - notes.moment(machine["created"]) < LAUNCHING


def _complete(tenant: Tenant, native: str, volumes: Sequence[str]) -> None:
    for volume in volumes:
        tenant.client.do("attachVolume", "volume", volume, id=volume, virtualmachineid=native)
    tenant.client.begin("startVirtualMachine", "server", native, id=native)


def keeps(machine: Item, volume: Item) -> bool:
    """Whether a volume on a machine stays when that is deleted."""
    at = places.place(volume)
    if at and at.server == machine["id"]:
        return at.keep
    ref = notes.load(volume["name"]).ref
    return next((disk.keep for disk in places.launched(machine).disks if ref and disk.ref == ref), True)


def _check(cloud: CloudStack, spec: ServerSpec) -> None:
    """What can be told without asking. Raises Invalid, Unsupported."""
    if spec.kernel or spec.ramdisk:
        raise Unsupported(cloud.lacks[Capability.KERNEL])
    if spec.ports:
        raise Unsupported(cloud.lacks[Capability.PORTS])
    if spec.further and cloud.options.security_groups:
        raise Unsupported(cloud.lacks[Capability.SERVER_PORTS])
    if not all(one.delete_with_server for one in spec.further):
        raise Unsupported("CloudStack's interfaces go with their server.")
    if not spec.disks or not spec.disks[0].root or any(one.root for one in spec.disks[1:]):
        raise Invalid("a server has one root disk, which is the first", "disks")
    if len({one.device for one in spec.disks}) < len(spec.disks):
        raise Invalid("two disks cannot have one device", "disks")
    if any(one.encrypted for one in spec.disks):
        raise Unsupported(cloud.lacks[Capability.ENCRYPTION])
    if not spec.disks[0].delete_with_server:
        raise Unsupported(cloud.lacks[Capability.ROOT_KEPT])


def _asked(cloud: CloudStack, tenant: Tenant, spec: ServerSpec) -> dict[str, Any]:
    """The parameters of a deployment. What they name is looked up, all at the same time."""
    offered = tenant.offered
    zone, size, _, stands, *listed = together(
        partial(offerings.zone, tenant, cloud, spec.zone),
        partial(offerings.size, tenant, cloud.options, spec.flavor),
        partial(keys.demand, offered, spec.key) if spec.key else _nothing,
        partial(connecting.stands, cloud, tenant, spec),
        *images.asks(tenant, offered),
    )
    template = images.template(tenant, listed, spec.image)
    for stand in stands:
        demand_groups(cloud, tenant, stand.groups, stand.network)
    theirs = cloud.options.security_groups
    said = {
        "name": spec.ref,
        "displayname": spec.name or None,
        "zoneid": zone["id"],
        "serviceofferingid": size.offering,
        "templateid": template["id"],
        "keypairs": [spec.key] if spec.key else None,
        "userdata": base64.b64encode(spec.user_data).decode() or None,
        "securitygroupids": (list(spec.firewalls) or None) if theirs else None,
        "affinitygroupids": [affinity.demand(cloud, tenant, spec.group)] if spec.group else None,
        **_root(cloud, tenant, spec.disks[0], template, zone),
    }
    networks = connecting.settled(cloud, tenant, stands)  # last: it may make one
    further = connecting.further_groups(stands, networks)
    note = places.note(spec.ref, spec.disks, () if theirs else spec.firewalls, further)
    return {**said, **connecting.asked(stands, networks, zone), "details": {**size.details, **note}}


def _nothing() -> None:
    return None


def _root(cloud: CloudStack, tenant: Tenant, root: DiskSpec, template: Item, zone: Item) -> Mapping[str, Any]:
    """What is asked for the root disk. Raises Invalid, Unsupported."""
    size = _root_size(root, template)
    if isos.is_iso(template):
        return isos.asked(cloud, tenant, root, zone)
    return {"rootdisksize": size, "overridediskofferingid": _root_offering(cloud, tenant, root)}


def _root_size(root: DiskSpec, template: Item) -> int | None:
    """What is to be asked for: nothing if it is the template's own. Raises Invalid."""
    least = images.size_of(template)
    if root.size and root.size < least:
        raise Invalid(f"a root disk of this image has at least {least} GiB", "size")
    return root.size if root.size > least else None


def _root_offering(cloud: CloudStack, tenant: Tenant, root: DiskSpec) -> str | None:
    """A type that the settings name; a root disk of any other is as the service offering says."""
    if root.type not in cloud.options.volume_types:
        return None
    return str(offerings.disk(tenant, cloud.options.volume_types, root.type)["id"])


def demand_groups(cloud: CloudStack, tenant: Tenant, natives: Sequence[str], network: str = "") -> None:
    """Raises NotFound for a group that the account has not, and Invalid for one of another network."""
    if not cloud.options.security_groups:
        groups.demand(tenant, natives, network or default_network(tenant))
    elif natives:
        there = {
            one["id"] for one in tenant.offered.every("listSecurityGroups", "securitygroup") if tenant.owner.has(one)
        }
        for native in natives:
            if native not in there:
                raise NotFound("firewall", native[:64])


def _volumes(cloud: CloudStack, tenant: Tenant, spec: ServerSpec, data: Sequence[DiskSpec]) -> list[str]:
    """The volumes of further disks, all or none."""

    def make(disk: DiskSpec) -> str | Fault:
        wanted = VolumeSpec(disk.ref, disk.size, spec.zone, disk.type, disk.iops, disk.snapshot, disk.encrypted)
        try:
            return disks.make(cloud, tenant, wanted)
        except Fault as fault:
            return fault

    made = for_each(make, data)
    if broken := next((one for one in made if isinstance(one, Fault)), None):
        with suppress(Fault):
            _undo(tenant, "", [one for one in made if isinstance(one, str)])
        raise broken
    return made


def _undo(tenant: Tenant, native: str, volumes: Sequence[str]) -> None:
    if native:
        tenant.client.do("destroyVirtualMachine", "server", native, id=native)
    for volume in volumes:
        tenant.client.do("deleteVolume", "volume", volume, id=volume)
