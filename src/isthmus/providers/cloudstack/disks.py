"""How volumes are made and found, for themselves and for launches."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from isthmus.errors import Invalid, Unsupported
from isthmus.providers import Capability, VolumeSpec
from isthmus.providers.cloudstack import notes, offerings, snapshots
from isthmus.providers.cloudstack.client import Item
from isthmus.providers.cloudstack.tenant import Tenant

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack

GONE = frozenset({"Destroy", "Expunging", "Expunged"})


def every(tenant: Tenant, natives: Collection[str] | None = None) -> list[Item]:
    """The tenant's volumes in the order of their creation."""
    listed = tenant.some("listVolumes", "volume", natives)
    there = [one for one in listed if one["state"] not in GONE]
    return sorted(there, key=lambda one: (one["created"], one["id"]))


def by_ref(tenant: Tenant, ref: str) -> str:
    """The native id of the volume that was made with a ref, or empty."""
    for one in tenant.all("listVolumes", "volume", keyword=f"{notes.MARK}{ref}"):
        if one["state"] not in GONE and notes.load(one["name"]).ref == ref:
            return str(one["id"])
    return ""


def begin(cloud: CloudStack, tenant: Tenant, spec: VolumeSpec) -> Item:
    """The job that makes a volume, and its `id`. Raises Invalid, NotFound, Unsupported."""
    zone = offerings.zone(tenant, cloud, spec.zone)
    size = _size(tenant, spec, zone)
    offering = offerings.disk(tenant, cloud.options.volume_types, spec.type)
    return tenant.client.begin(
        "createVolume",
        "volume",
        spec.ref,
        name=notes.dump(spec.name, spec.ref, spec.type, field="name"),
        zoneid=zone["id"],
        diskofferingid=offering["id"],
        snapshotid=spec.snapshot or None,
        **_sized(offering, size, spec),
        **_iops(offering, spec.iops),
    )


def make(cloud: CloudStack, tenant: Tenant, spec: VolumeSpec) -> str:
    """The native id of a volume once it is there. Raises Unavailable for one that takes too long."""
    if spec.encrypted:
        raise Unsupported(cloud.lacks[Capability.ENCRYPTION])
    with cloud.turn(spec.ref):
        if before := by_ref(tenant, spec.ref):
            return before
        begun = begin(cloud, tenant, spec)
        tenant.client.done(begun["jobid"], "volume", spec.ref)
        return str(begun["id"])


def _size(tenant: Tenant, spec: VolumeSpec, zone: Item) -> int:
    """In GiB: that of the snapshot, if none is given. Raises Unsupported for a snapshot of other zones."""
    size = spec.size
    if spec.snapshot:
        least = snapshots.usable(tenant, spec.snapshot)
        there = snapshots.zones(tenant, spec.snapshot)
        if there and zone["id"] not in there:
            raise Unsupported(f"CloudStack makes volumes in the zone of their snapshot, which is not {zone['name']}.")
        size = size or least
        if size < least:
            raise Invalid(f"a volume of this snapshot has at least {least} GiB", "size")
    if size < 1:
        raise Invalid("a volume has at least 1 GiB", "size")
    return size


def _sized(offering: Item, size: int, spec: VolumeSpec) -> Mapping[str, Any]:
    """The size, where an offering leaves it open. Raises Invalid for another than the offering's own."""
    if offering.get("iscustomized"):
        return {"size": size}
    if size != offering["disksize"]:
        raise Invalid(f"volumes of the type {spec.type} have {offering['disksize']} GiB", "size")
    return {}


def _iops(offering: Item, iops: int) -> Mapping[str, Any]:
    if not iops:
        return {}
    if not offering.get("iscustomizediops"):
        raise Unsupported(f"The disk offering {offering['name']} has IOPS of its own: none can be asked for.")
    return {"miniops": iops, "maxiops": iops}
