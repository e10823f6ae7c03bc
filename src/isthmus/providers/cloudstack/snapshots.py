"""CloudStack's snapshots of volumes. Source: CloudStack's API, and its Snapshot.State."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from isthmus.errors import Conflict, NotFound, QuotaExceeded
from isthmus.model import Snapshot, SnapshotState
from isthmus.providers import SnapshotSpec
from isthmus.providers.cloudstack import images
from isthmus.providers.cloudstack.client import JOB_SECONDS, LAST_LOOK, Item, Unsure
from isthmus.providers.cloudstack.notes import gibibytes, is_between, moment
from isthmus.providers.cloudstack.tenant import Tenant

STATES = {
    "Allocated": SnapshotState.PENDING,
    "Creating": SnapshotState.PENDING,
    "CreatedOnPrimary": SnapshotState.PENDING,
    "BackingUp": SnapshotState.PENDING,
    "Copying": SnapshotState.COMPLETED,
    "BackedUp": SnapshotState.COMPLETED,
}
"""CloudStack's states; those that are being destroyed are gone, all others are errors."""
GONE = frozenset({"Destroying", "Destroyed"})
REF, DESCRIPTION, COPY = "isthmus-ref", "isthmus-description", "isthmus-copy"
"""Tags that are written with the snapshot; the last one says of which other it is a copy."""
IMAGE = "isthmus-image"
"""The tag of one that was taken for an image, until that is begun: of which server, and under which name."""
_LEFT = timedelta(hours=1)
"""How long one may be taken for an image that was not made of it yet."""


def every(tenant: Tenant, natives: Collection[str] | None = None) -> Sequence[Snapshot]:
    """The tenant's snapshots in the order of their creation."""
    return [seen(tenant, one) for one in _items(tenant, natives)]


def by_ref(tenant: Tenant, ref: str) -> Snapshot | None:
    """What was taken is named so, too."""
    for item in tenant.all("listSnapshots", "snapshot", name=ref):
        if _tags(item).get(REF) == ref and item["state"] not in GONE:
            return seen(tenant, item)
    return None


def take(tenant: Tenant, spec: SnapshotSpec) -> Snapshot:
    """A snapshot of one of the tenant's volumes that has been on a server."""
    return one(tenant, begin(tenant, spec)["id"])


def one(tenant: Tenant, native: str) -> Snapshot:
    """Raises NotFound."""
    for made in every(tenant, [native]):
        return made
    raise NotFound("snapshot", native)


def begin(tenant: Tenant, spec: SnapshotSpec, image: str = "") -> Item:
    """The job that takes one of a volume, and its `id`; that it is on the way to a copy or an image is noted."""
    said = {REF: spec.ref, DESCRIPTION: spec.description, COPY: spec.source, IMAGE: image}
    tags = [{"key": key, "value": value} for key, value in said.items() if value]
    asked = {"volumeid": spec.volume, "name": spec.ref, "tags": tags}
    try:
        return tenant.client.begin("createSnapshot", "volume", spec.volume, **asked)
    except QuotaExceeded as fault:
        raise QuotaExceeded("snapshot", spec.ref, str(fault)) from fault


def left_for(tenant: Tenant, image: str) -> Mapping[str, Item]:
    """By their volumes, those that were taken lately for an image which then was not made."""
    oldest = datetime.now(UTC) - _LEFT
    found = [one for one in _items(tenant) if _tags(one).get(IMAGE) == image and moment(one["created"]) > oldest]
    return {one["volumeid"]: one for one in found if state(one) is not SnapshotState.ERROR and "volumeid" in one}


def wait(tenant: Tenant, native: str) -> None:
    """Until something can be made of one. Raises NotFound, Conflict, and Unavailable for one that takes too long."""
    until = time.monotonic() + JOB_SECONDS
    while True:
        found = one(tenant, native)
        if found.state is SnapshotState.COMPLETED:
            return
        if found.state is SnapshotState.ERROR:
            raise Conflict("snapshot", native, f"the snapshot {native} has failed")
        if time.monotonic() > until:
            raise Unsure("The cloud is still busy with a snapshot for this: ask again to go on.")
        time.sleep(LAST_LOOK)
        tenant.client.again()


def made(tenant: Tenant, natives: Sequence[str]) -> None:
    """The image that some were taken for is there, or was."""
    listed = _items(tenant, natives) if natives else ()
    if noted := [one["id"] for one in listed if IMAGE in _tags(one)]:
        about = {"resourcetype": "Snapshot", "resourceids": noted}
        tenant.client.begin("deleteTags", "snapshot", noted[0], **about, tags=[{"key": IMAGE}])


def usable(tenant: Tenant, native: str) -> int:
    """The size in GiB of a snapshot of which something can be made. Raises NotFound, Conflict."""
    for item in with_between(tenant, [native]):
        if state(item) is not SnapshotState.COMPLETED:
            raise Conflict("snapshot", native, f"the snapshot {native} is {item['state']}")
        return gibibytes(item.get("virtualsize"))
    raise NotFound("snapshot", native[:64])


def zones(tenant: Tenant, native: str) -> frozenset[str]:
    """The ids of the zones that a snapshot is in, if CloudStack tells."""
    found = tenant.some("listSnapshots", "snapshot", [native])
    return frozenset(one["zoneid"] for one in found if one.get("zoneid"))


def os_type(tenant: Tenant, native: str) -> str:
    """The id of the kind of system that is on a snapshot, if it is known to be one."""
    return next((str(item.get("ostypeid", "")) for item in _items(tenant, [native])), "")


def delete(tenant: Tenant, native: str) -> None:
    if not _items(tenant, [native]):
        return
    if image := images.made_of(tenant, native):
        raise Conflict("snapshot", native, f"the image {image} is made of the snapshot {native}", "in-use")
    listed = tenant.client.every("listSnapshots", "snapshot", ids=[native])
    for where in tenant.kept_here(listed):
        tenant.client.do("deleteSnapshot", "snapshot", native, id=native, **where)


def _items(tenant: Tenant, natives: Collection[str] | None = None) -> list[Item]:
    return [one for one in with_between(tenant, natives) if not is_between(one)]


def with_between(tenant: Tenant, natives: Collection[str] | None = None) -> list[Item]:
    """Each once, with those that are on the way to a copy: CloudStack lists one of several zones for each of them."""
    listed = {one["id"]: one for one in tenant.some("listSnapshots", "snapshot", natives)}
    there = [one for one in listed.values() if one["state"] not in GONE]
    return sorted(there, key=lambda one: (one["created"], one["id"]))


def _tags(item: Item) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in item.get("tags", ())}


def state(item: Item) -> SnapshotState:
    return STATES.get(item["state"], SnapshotState.ERROR)


def ref_of(item: Item) -> str:
    return _tags(item).get(REF, "")


def seen(tenant: Tenant, item: Item) -> Snapshot:
    tags, now = _tags(item), state(item)
    return Snapshot(
        native=item["id"],
        ref=tags.get(REF, ""),
        state=now,
        volume="" if COPY in tags else item.get("volumeid", ""),
        size=gibibytes(item.get("virtualsize")),
        created=moment(item["created"]),
        owner=tenant.native,
        name="" if REF in tags else item.get("name", ""),
        description=tags.get(DESCRIPTION, ""),
        progress=100 if now is SnapshotState.COMPLETED else 0,
    )
