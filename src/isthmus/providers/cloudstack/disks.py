"""How volumes are made and found, for themselves and for launches."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from isthmus.errors import Invalid, Unsupported
from isthmus.model import VolumeState
from isthmus.providers import Capability, VolumeSpec
from isthmus.providers.cloudstack import notes, offerings, snapshots
from isthmus.providers.cloudstack.client import Item
from isthmus.providers.cloudstack.tenant import Tenant, busy

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack

STATES = {
    "Creating": VolumeState.CREATING,
    "UploadOp": VolumeState.CREATING,
    "UploadInProgress": VolumeState.CREATING,
    "NotUploaded": VolumeState.CREATING,
    "Copying": VolumeState.CREATING,
    "Allocated": VolumeState.AVAILABLE,
    "Ready": VolumeState.AVAILABLE,
    "Uploaded": VolumeState.AVAILABLE,
    "Snapshotting": VolumeState.AVAILABLE,
    "RevertSnapshotting": VolumeState.AVAILABLE,
    "Resizing": VolumeState.AVAILABLE,
    "Migrating": VolumeState.AVAILABLE,
    "Attaching": VolumeState.IN_USE,
    "Destroying": VolumeState.DELETING,
}
"""CloudStack's states of a volume that is on no server; what is not known here are errors."""
GONE = frozenset({"Destroy", "Expunging", "Expunged"})
COPIED = "~"
"""Before the type that a volume's name notes: it was made of another, by a snapshot that nobody has seen."""


def every(tenant: Tenant, natives: Collection[str] | None = None) -> list[Item]:
    """The tenant's volumes in the order of their creation."""
    return [one for one in with_between(tenant, natives) if not notes.is_between(one)]


def with_between(tenant: Tenant, natives: Collection[str] | None = None) -> list[Item]:
    """The same, with those that are on the way to a copy."""
    listed = tenant.some("listVolumes", "volume", natives)
    there = [one for one in listed if one["state"] not in GONE]
    return sorted(there, key=lambda one: (one["created"], one["id"]))


def by_ref(tenant: Tenant, ref: str) -> str:
    """The native id of the volume that was made with a ref, or empty."""
    for one in tenant.all("listVolumes", "volume", keyword=f"{notes.MARK}{ref}"):
        if one["state"] not in GONE and notes.load(one["name"]).ref == ref:
            return str(one["id"])
    return ""


def state(item: Item) -> VolumeState:
    """Of a volume on no server: one of a snapshot is allocated first, and creating once its job has begun."""
    if item["state"] == "Allocated" and item.get("snapshotid") and busy(item):
        return VolumeState.CREATING
    return STATES.get(item["state"], VolumeState.ERROR)


def begin(cloud: CloudStack, tenant: Tenant, spec: VolumeSpec, *, name: str = "") -> Item:
    """The job that makes a volume, and its `id`; a `name` of its own says nothing else of it.

    Raises Invalid, NotFound, Unsupported.
    """
    zone = offerings.zone(tenant, cloud, spec.zone)
    size = _size(tenant, spec, zone)
    offering = offerings.disk(tenant, cloud.options.volume_types, spec.type)
    return tenant.client.begin(
        "createVolume",
        "volume",
        spec.ref,
        name=name or notes.dump(spec.name, spec.ref, f"{COPIED if spec.source else ''}{spec.type}", field="name"),
        zoneid=zone["id"],
        diskofferingid=offering["id"],
        snapshotid=spec.snapshot or None,
        **sized(offering, size, spec.type),
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


def sized(offering: Item, size: int, type: str) -> Mapping[str, Any]:
    """The size, where an offering leaves it open. Raises Invalid for another than the offering's own."""
    if offering.get("iscustomized"):
        return {"size": size}
    if size != offering["disksize"]:
        raise Invalid(f"volumes of the type {type} have {offering['disksize']} GiB", "size")
    return {}


def _iops(offering: Item, iops: int) -> Mapping[str, Any]:
    if not iops:
        return {}
    if not offering.get("iscustomizediops"):
        raise Unsupported(f"The disk offering {offering['name']} has IOPS of its own: none can be asked for.")
    return {"miniops": iops, "maxiops": iops}
