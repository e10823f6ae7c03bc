"""Snapshots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from isthmus.aws.codec import Item
from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.images import user_of
from isthmus.aws.ec2.owners import ALIAS, account_of, is_self
from isthmus.aws.ec2.states import SNAPSHOT
from isthmus.aws.rendered import rendered
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import volumes
from isthmus.core.ids import Kind
from isthmus.core.registry import Found, Index
from isthmus.errors import Conflict
from isthmus.model import Snapshot, Volume

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        CreateSnapshotRequestTypeDef,
        DeleteSnapshotRequestTypeDef,
        DescribeSnapshotsRequestTypeDef,
    )

_UNKNOWN_VOLUME = "vol-ffffffff"
"""What EC2 itself says where a snapshot was not made from a volume of the account."""


class Face(NamedTuple):
    id: str
    account: str
    found: Found[Snapshot]
    owner: str
    volume: str


@ec2.listing("DescribeSnapshots", key="SnapshotId", ordered=True, exclusive="SnapshotIds", least=5)
def describe_snapshots(cx: Context, req: DescribeSnapshotsRequestTypeDef) -> Iterator[Item]:
    wanted = volumes.find_snapshots(cx, req.get("SnapshotIds"))
    owners, restorable = req.get("OwnerIds"), req.get("RestorableByUserIds")
    listed = volumes.index(cx)
    for found in wanted:
        one = face(cx, found, listed)
        if owners and not any(is_self(cx, said, one.owner) for said in owners):
            continue
        if restorable and not any(_restorable(cx, found, said) for said in restorable):
            continue
        yield render(one)


@ec2.action(
    "CreateSnapshot",
    makes=["snapshot"],
    refuses={"OutpostArn": "There are no Outposts.", "Location": "There are no Local Zones."},
)
def create_snapshot(cx: Context, req: CreateSnapshotRequestTypeDef) -> Mapping[str, Any]:
    found = volumes.create_snapshot(cx, req["VolumeId"], req.get("Description", ""))
    item = render(face(cx, found, volumes.index(cx)))
    return {name: value for name, value in item.items() if name not in ("StorageTier",)}


@ec2.action("DeleteSnapshot")
def delete_snapshot(cx: Context, req: DeleteSnapshotRequestTypeDef) -> Mapping[str, Any]:
    found = volumes.own_snapshot(cx, req["SnapshotId"])
    if image := user_of(cx, found):
        raise Conflict(Kind.SNAPSHOT, found.id, f"The snapshot {found.id} is currently in use by {image}", "in-use")
    volumes.delete_snapshot(cx, found.id)
    return {}


def face(cx: Context, found: Found[Snapshot], listed: Index[Volume]) -> Face:
    volume = found.data.get("volume") or listed.id_of(Kind.VOLUME, found.cloud, found.noun.volume)
    return Face(found.id, found.account, found, account_of(cx, found.cloud, found.noun.owner), volume)


@rendered
def render(one: Face) -> dict[str, Any]:
    """A Snapshot of the model."""
    snapshot = one.found.noun
    said: dict[str, Any] = {
        "SnapshotId": one.id,
        "VolumeId": one.volume or _UNKNOWN_VOLUME,
        "State": SNAPSHOT[snapshot.state],
        "StartTime": snapshot.created,
        "Progress": f"{snapshot.progress}%",
        "OwnerId": one.owner,
        "Description": snapshot.description,
        "VolumeSize": snapshot.size,
        "Encrypted": snapshot.encrypted,
        "StorageTier": "standard",
    }
    if not snapshot.owner:
        said["OwnerAlias"] = ALIAS
    if one.found.tags:
        said["Tags"] = tag_set(one.found.tags)
    return said


def _restorable(cx: Context, found: Found[Snapshot], said: str) -> bool:
    if said == "all":
        return found.noun.public
    tenant = cx.tenant(found.cloud)
    return said in ("self", cx.account) and (found.noun.owner == tenant or tenant in found.noun.shared_with)
