"""Cinder's snapshots. Source: docs.openstack.org/api-ref/block-storage/v3."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

from isthmus.errors import Conflict, Invalid, NotFound, QuotaExceeded
from isthmus.model import Snapshot, SnapshotState
from isthmus.providers.openstack import blocks, notes
from isthmus.providers.openstack.client import Client, Item, chosen, found, known

STATES = {
    "creating": SnapshotState.PENDING,
    "backing-up": SnapshotState.COMPLETED,
    "restoring": SnapshotState.COMPLETED,
    "available": SnapshotState.COMPLETED,
}
"""Cinder's statuses; those that are being deleted are gone, all others are errors."""
GONE = frozenset({"deleting", "deleted"})
_PROJECT = "os-extended-snapshot-attributes:project_id"
_PROGRESS = "os-extended-snapshot-attributes:progress"


def every(client: Client, natives: Collection[str] | None = None) -> Sequence[Snapshot]:
    """The tenant's snapshots in the order of their creation."""
    items = chosen(
        natives, partial(one, client), partial(client.every, "block-storage", "/snapshots/detail", "snapshots")
    )
    ours = [item for item in items if _ours(client, item) and item["status"] not in GONE]
    return [_snapshot(client, item) for item in sorted(ours, key=lambda item: (item["created_at"], item["id"]))]


def one(client: Client, native: str) -> Item:
    """A snapshot of the tenant's, as Cinder says it. Raises NotFound."""
    path = f"/snapshots/{known('snapshot', native)}"
    item: Item = client.get("block-storage", path, "snapshot", native)["snapshot"]
    if not _ours(client, item):
        raise NotFound("snapshot", native)
    return item


def usable(client: Client, native: str) -> Item:
    """A snapshot of which something can be made. Raises NotFound, Conflict."""
    item = one(client, native)
    if STATES.get(item["status"]) is not SnapshotState.COMPLETED:
        raise Conflict("snapshot", native, f"the snapshot {native} is {item['status']}")
    return item


def by_ref(client: Client, ref: str) -> Snapshot | None:
    listed = client.every("block-storage", "/snapshots/detail", "snapshots", metadata=str({notes.REF: ref}))
    for item in listed:
        if item["metadata"].get(notes.REF) == ref and _ours(client, item) and item["status"] not in GONE:
            return _snapshot(client, item)
    return None


def take(client: Client, ref: str, volume: str, description: str) -> Snapshot:
    """A snapshot of one of the tenant's volumes, attached or not."""
    body = {"volume_id": volume, "description": description, "force": True, "metadata": {notes.REF: ref}}
    try:
        made = client.post("block-storage", "/snapshots", {"snapshot": body}, "volume", volume)["snapshot"]
    except Invalid as refusal:
        raise Conflict("volume", volume, str(refusal)) from refusal
    except QuotaExceeded as refusal:  # of snapshots, or of the GiB that they share with volumes
        raise QuotaExceeded("snapshot", reason=str(refusal)) from refusal
    return _snapshot(client, made)


def pending(client: Client) -> set[str]:
    """The tenant's snapshots that are being made."""
    listed = client.every("block-storage", "/snapshots", "snapshots", status="creating")
    return {item["id"] for item in listed if item["status"] == "creating"}


def make_bootable(client: Client, native: str) -> None:
    """Nova boots from a snapshot if its volume may be booted from."""
    path = f"/volumes/{one(client, native)['volume_id']}/action"
    client.post("block-storage", path, {"os-set_bootable": {"bootable": True}}, "snapshot", native)


def delete(client: Client, native: str) -> None:
    item = found(partial(one, client, native))
    if not item or item["status"] in GONE:
        return
    if image := blocks.image_with(client, native):
        raise Conflict("snapshot", native, f"the image {image} needs the snapshot {native}", "in-use")
    try:
        client.delete("block-storage", f"/snapshots/{native}", "snapshot", native)
    except Invalid as refusal:
        raise Conflict("snapshot", native, str(refusal)) from refusal


def _ours(client: Client, item: Item) -> bool:
    return bool(item.get(_PROJECT, client.project) == client.project)


def _snapshot(client: Client, item: Item) -> Snapshot:
    state = STATES.get(item["status"], SnapshotState.ERROR)
    progress = str(item.get(_PROGRESS) or "").rstrip("%")
    return Snapshot(
        native=item["id"],
        ref=item["metadata"].get(notes.REF, ""),
        state=state,
        volume=item["volume_id"],
        size=item["size"],
        created=notes.moment(item["created_at"]),
        owner=client.project,
        name=item["name"] or "",
        description=item["description"] or "",
        progress=100 if state is SnapshotState.COMPLETED else int(progress) if progress.isdigit() else 0,
    )
