"""Volumes and snapshots."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from isthmus.context import Context
from isthmus.core import kept, locks
from isthmus.core.ids import Kind, adopt, mint
from isthmus.core.quotas import room
from isthmus.core.records import creating, forget
from isthmus.core.registry import Found, Index, family, find, join, pick
from isthmus.core.registry import index as joined
from isthmus.errors import Conflict, Invalid, NotFound, Unavailable, Unsupported
from isthmus.model import AttachmentState, Server, Snapshot, SnapshotState, Volume, VolumeState
from isthmus.providers import Capability, Session, SnapshotSpec, Volumes, VolumeSpec
from isthmus.store import View

SOURCE = "source"
"""The note of the volume that a volume is a copy of."""
ENCRYPT = "encrypt"
"""The account's setting: whether new volumes are encrypted without being asked for."""


@dataclass(frozen=True)
class VolumeOrder:
    """What a front asks for; `size` 0 is that of what it is made of: the snapshot or the volume with this id."""

    zone: str
    size: int = 0
    type: str = ""
    iops: int = 0
    snapshot: str = ""
    encrypted: bool = False
    source: str = ""


def api(session: Session) -> Volumes:
    return family(session.volumes, "volumes")


def index(cx: Context) -> Index[Volume]:
    return joined(cx, Kind.VOLUME, _volumes)


def seen(cx: Context) -> Index[Volume]:
    """As `index`, without those of clouds that cannot list them at the moment: `unlisted` names these."""
    return joined(cx, Kind.VOLUME, _volumes_seen)


def unlisted(cx: Context, seen: Index[Volume]) -> frozenset[str]:
    """The clouds whose volumes nobody knows at the moment: what is not among `seen` may be there."""
    listed = zip(cx.world.clouds, seen.sources[1:], strict=False)
    return frozenset(cloud for cloud, nouns in listed if nouns is _UNLISTED)


def named(view: View, cloud: str, server: Server) -> tuple[str, ...]:
    """The ids of a server's volumes by what the server itself tells.

    Which is which of those that were launched with it is on record only after they were seen: left out until then.
    """
    records = [(native, view.by_native(cloud, Kind.VOLUME, native)) for native in server.volumes]
    unseen = any(not one.native and one.data.get("server") == server.ref for one in view.of_kind(Kind.VOLUME).values())
    return tuple(
        record.id if record else adopt(Kind.VOLUME, cloud, native) for native, record in records if record or not unseen
    )


def snapshots(cx: Context) -> Index[Snapshot]:
    """The account's snapshots, the public ones, and those shared with it."""
    return joined(cx, Kind.SNAPSHOT, _snapshots)


def find_volumes(cx: Context, ids: Collection[str] | None = None) -> Iterator[Found[Volume]]:
    return find(cx, index(cx), Kind.VOLUME, ids)


def find_snapshots(cx: Context, ids: Collection[str] | None = None) -> Iterator[Found[Snapshot]]:
    return find(cx, snapshots(cx), Kind.SNAPSHOT, ids)


def one_volume(cx: Context, volume: str) -> Found[Volume]:
    return pick(index(cx), Kind.VOLUME, [volume])[0]


def one_snapshot(cx: Context, snapshot: str) -> Found[Snapshot]:
    return pick(snapshots(cx), Kind.SNAPSHOT, [snapshot])[0]


def own_snapshot(cx: Context, snapshot: str) -> Found[Snapshot]:
    """A snapshot that the account may change: one of another owner is not there."""
    found = one_snapshot(cx, snapshot)
    if found.noun.owner != cx.tenant(found.cloud):
        raise NotFound(Kind.SNAPSHOT, snapshot)
    return found


def create(cx: Context, order: VolumeOrder) -> Found[Volume]:
    """Make a volume. Raises Invalid for a size below its origin's, NotFound for a snapshot of another cloud."""
    place = cx.place(order.zone)
    spec = VolumeSpec("", order.size, place.native, order.type, order.iops, encrypted=order.encrypted or encrypts(cx))
    if order.source:
        source = _source(cx, order.source)
        spec = replace(spec, source=source.native, size=_fitting(order, source.size))
    elif order.snapshot:
        origin = _origin(cx, order.snapshot, place.cloud)
        spec = replace(spec, snapshot=origin.native, size=_fitting(order, origin.size))
    volumes = api(cx.session(place.cloud))
    ref = mint(Kind.VOLUME, cx.seed)
    data = {SOURCE: order.source} if order.source else {}
    check = room(cx, Kind.VOLUME, "volumes", index(cx))
    with creating(cx, Kind.VOLUME, ref, place.cloud, data, cx.tags.get("volume"), check) as made:
        noun = made(volumes.create_volume(replace(spec, ref=ref)))
    return join(cx, cx.view(), Kind.VOLUME, place.cloud, noun)


def copy(cx: Context, order: VolumeOrder) -> Found[Volume]:
    """Copy the volume `source` within its zone, as it is now. Raises Unsupported where the cloud cannot."""
    found = one_volume(cx, order.source)
    _demand_can(cx, found.cloud, Capability.VOLUME_COPY)
    zone = cx.world.place_of(found.cloud, found.noun.zone).zone
    return create(cx, replace(order, zone=zone, encrypted=order.encrypted or found.noun.encrypted))


def _origin(cx: Context, snapshot: str, cloud: str) -> Snapshot:
    found = one_snapshot(cx, snapshot)
    if found.cloud != cloud:
        raise NotFound(Kind.SNAPSHOT, snapshot)
    if found.noun.state is not SnapshotState.COMPLETED:
        raise Conflict(Kind.SNAPSHOT, snapshot, f"The snapshot {snapshot} is not completed.")
    return found.noun


def _source(cx: Context, volume: str) -> Volume:
    found = one_volume(cx, volume)
    if found.noun.state not in (VolumeState.AVAILABLE, VolumeState.IN_USE):
        raise Conflict(Kind.VOLUME, volume, f"The volume {volume} is in the '{found.noun.state}' state.")
    return found.noun


def _fitting(order: VolumeOrder, least: int) -> int:
    size = order.size or least
    if size < least:
        raise Invalid(f"The volume size {size} GiB is smaller than the {least} GiB of what it is made of.", "size")
    return size


def encrypts(cx: Context) -> bool:
    """Whether the account's new volumes are encrypted without being asked for."""
    return bool(kept.settings(cx).get(ENCRYPT, False))


def encrypt_by_default(cx: Context) -> None:
    """Raises Unsupported where no cloud can."""
    reasons = [cloud.lacks.get(Capability.ENCRYPTION, "") for cloud in cx.world.clouds.values()]
    if all(reasons):
        raise Unsupported(reasons[0])
    kept.set_setting(cx, ENCRYPT, True)


def delete(cx: Context, volume: str) -> None:
    found = one_volume(cx, volume)
    if found.noun.attachments:
        raise Conflict(Kind.VOLUME, volume, f"The volume {volume} is attached.", "in-use")
    api(cx.session(found.cloud)).delete_volume(found.noun.native)
    forget(cx, found.id)


def reshape(cx: Context, volume: str, size: int, kind: str, iops: int) -> None:
    """Grow a volume and change its type, both or neither; 0 IOPS for the type's own. Raises Unsupported."""
    found = one_volume(cx, volume)
    noun, volumes = found.noun, api(cx.session(found.cloud))
    grows, retypes = size != noun.size, (kind, iops) != (noun.type, noun.iops)
    for needed, capability in ((grows, Capability.VOLUME_RESIZE), (retypes, Capability.VOLUME_RETYPE)):
        if needed:
            _demand_can(cx, found.cloud, capability)
    if grows:
        volumes.resize_volume(noun.native, size)
    if retypes:
        volumes.retype_volume(noun.native, kind, iops)


def demand_free(found: Found[Volume]) -> None:
    """Raises Conflict (`in-use`) for a volume that is attached."""
    if found.noun.attachments:
        raise Conflict(Kind.VOLUME, found.id, f"{found.id} is already attached to an instance", "in-use")
    if found.noun.state is not VolumeState.AVAILABLE:
        raise Conflict(Kind.VOLUME, found.id, f"{found.id} is not 'available'.")


def attach(cx: Context, volume: str, cloud: str, server: str, device: str) -> Found[Volume]:
    """Attach to the server with this native id. Raises Conflict (`in-use`) for a volume that is attached."""
    found = one_volume(cx, volume)
    if found.cloud != cloud:
        raise Invalid(f"The volume {volume} is in another zone than the instance.", "zone")
    demand_free(found)
    api(cx.session(cloud)).attach_volume(found.noun.native, server, device)
    return one_volume(cx, volume)


def detach(cx: Context, volume: str, server: str = "", *, force: bool = False) -> Found[Volume]:
    """Detach from the server with this native id, or from the only one. The volume as it was is the answer."""
    found = one_volume(cx, volume)
    held = [one for one in found.noun.attachments if server in ("", one.server)]
    if not held:
        raise Conflict(Kind.VOLUME, volume, f"The volume {volume} is in the 'available' state.", "not-attached")
    if held[0].state is not AttachmentState.DETACHING or force:
        api(cx.session(found.cloud)).detach_volume(found.noun.native, held[0].server, force=force)
    return found


def create_snapshot(cx: Context, volume: str, description: str) -> Found[Snapshot]:
    found = one_volume(cx, volume)
    ref = mint(Kind.SNAPSHOT, cx.seed)
    data = {"volume": volume}
    with creating(cx, Kind.SNAPSHOT, ref, found.cloud, data, cx.tags.get("snapshot"), _room(cx)) as made:
        spec = SnapshotSpec(ref, found.noun.native, description)
        noun = made(api(cx.session(found.cloud)).create_snapshot(spec))
    return join(cx, cx.view(), Kind.SNAPSHOT, found.cloud, noun)


def _room(cx: Context) -> Callable[[View], None]:
    """Whether there may be one more snapshot of the account's own."""
    return room(cx, Kind.SNAPSHOT, "snapshots", snapshots(cx), lambda one: one.noun.owner == cx.tenant(one.cloud))


def copy_snapshot(cx: Context, snapshot: str, description: str) -> Found[Snapshot]:
    """Copy a completed snapshot that the account sees, within its cloud."""
    source = one_snapshot(cx, snapshot)
    if source.noun.state is not SnapshotState.COMPLETED:
        raise Conflict(Kind.SNAPSHOT, snapshot, f"The snapshot {snapshot} is not completed.")
    _demand_can(cx, source.cloud, Capability.SNAPSHOT_COPY)
    ref = mint(Kind.SNAPSHOT, cx.seed)
    with creating(cx, Kind.SNAPSHOT, ref, source.cloud, tags=cx.tags.get("snapshot"), check=_room(cx)) as made:
        spec = SnapshotSpec(ref, "", description, source.noun.native)
        noun = made(api(cx.session(source.cloud)).create_snapshot(spec))
    return join(cx, cx.view(), Kind.SNAPSHOT, source.cloud, noun)


def delete_snapshot(cx: Context, snapshot: str) -> None:
    found = own_snapshot(cx, snapshot)
    locks.demand_free(cx, found)
    api(cx.session(found.cloud)).delete_snapshot(found.noun.native)
    forget(cx, found.id)


def share_snapshot(cx: Context, snapshot: str, *, public: bool, accounts: Collection[str]) -> None:
    """Say who may make volumes of a snapshot: everyone, and these accounts."""
    found = own_snapshot(cx, snapshot)
    tenants = [replace(cx, account=account).tenant(found.cloud) for account in accounts]
    api(cx.session(found.cloud)).share_snapshot(found.noun.native, public=public, tenants=tenants)


def _demand_can(cx: Context, cloud: str, capability: Capability) -> None:
    """Raises Unsupported, before anything is done, for what a cloud lacks."""
    if capability in (lacks := cx.world.clouds[cloud].lacks):
        raise Unsupported(lacks[capability])


def _volumes(session: Session) -> Sequence[Volume]:
    return session.volumes.list_volumes() if session.volumes else ()


_UNLISTED: Sequence[Volume] = []
"""What stands for the list of a cloud that cannot give it: no other list is this object."""


def _volumes_seen(session: Session) -> Sequence[Volume]:
    try:
        return _volumes(session)
    except Unavailable:
        return _UNLISTED


def _snapshots(session: Session) -> Sequence[Snapshot]:
    return session.volumes.list_snapshots() if session.volumes else ()
