"""Cinder's volumes, and where Nova attaches them.

Sources: docs.openstack.org/api-ref/block-storage/v3 and docs.openstack.org/api-ref/compute. Volumes are detached
through Nova alone: Cinder refuses it to users (CVE-2023-2088).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from isthmus.errors import Conflict, Invalid, NotFound, Unsupported
from isthmus.model import Attachment, AttachmentState, ServerState, Snapshot, Volume, VolumeState, need_ref
from isthmus.providers import Capability, SnapshotSpec, VolumeSpec
from isthmus.providers.openstack import disks, endings, notes, servers, snapshots
from isthmus.providers.openstack.client import Client, Item, chosen, found, known
from isthmus.together import for_each, together

if TYPE_CHECKING:
    from isthmus.providers.openstack.cloud import OpenStack

STATES = {
    "creating": VolumeState.CREATING,
    "downloading": VolumeState.CREATING,
    "managing": VolumeState.CREATING,
    "restoring-backup": VolumeState.CREATING,
    "available": VolumeState.AVAILABLE,
    "awaiting-transfer": VolumeState.AVAILABLE,
    "backing-up": VolumeState.AVAILABLE,
    "extending": VolumeState.AVAILABLE,
    "maintenance": VolumeState.AVAILABLE,
    "retyping": VolumeState.AVAILABLE,
    "uploading": VolumeState.AVAILABLE,
    "reserved": VolumeState.IN_USE,
    "attaching": VolumeState.IN_USE,
    "in-use": VolumeState.IN_USE,
    "detaching": VolumeState.IN_USE,
    "deleting": VolumeState.DELETING,
    "deleted": VolumeState.DELETING,
    "unmanaging": VolumeState.DELETING,
}
"""Cinder's statuses; all others are errors. A volume that is attached is in use whatever else is done with it."""
HOLD_DATA = (VolumeState.AVAILABLE, VolumeState.IN_USE)
ATTACHING = frozenset({"reserved", "attaching"})
LINKS = {"detaching": AttachmentState.DETACHING}
_UNDER_WAY = frozenset({"creating", "downloading", "reserved", "attaching"})
_BLANK = "-blank-vol"
"""The end of Nova's names of volumes that it makes of nothing; others of its making have no name."""
_LAUNCHING, _BETWEEN = timedelta(hours=1), timedelta(seconds=20)
"""How long a launch may take, and how long one of its volumes may be available before Nova attaches it."""
_SNAPSHOTS_GO, _LOOK = 10.0, 0.3
"""Seconds that a volume is not yet given up for which Cinder is just deleting the snapshots, and between two tries."""
_NOVA_LETS_GO = 10.0
"""Seconds for which Nova may still have a volume on a server, when Cinder says already that it is on none."""
_STILL_THERE = "already attached to instances"
_PROJECT = "os-vol-tenant-attr:tenant_id"
_ZONE = "isthmus:zone"
"""The metadata of the zone that was asked for where Cinder has none of the name."""
_EXTEND_ATTACHED = "3.42"
_KEEP_OR_NOT = "2.85"


class OpenStackVolumes:
    def __init__(self, cloud: OpenStack, client: Client) -> None:
        self._cloud = cloud
        self._client = client

    def list_volumes(self, natives: Collection[str] | None = None) -> Sequence[Volume]:
        every = partial(self._client.every, "block-storage", "/volumes/detail", "volumes")
        items = [item for item in chosen(natives, self._one, every) if self._ours(item) and not _unclaimed(item)]
        return self._nouns(sorted(items, key=lambda item: (item["created_at"], item["id"])))

    def create_volume(self, spec: VolumeSpec) -> Volume:
        if spec.encrypted:
            raise Unsupported(disks.NO_ENCRYPTION)
        if spec.iops:
            raise Unsupported(disks.NO_SPEED)
        need_ref(spec.ref, "volume")
        if spec.zone not in self._cloud.zones:
            raise Invalid(f"there is no zone {spec.zone}", "zone")
        with self._cloud.turn(spec.ref):
            if before := self._by_ref(spec.ref):
                return before
            body = self._body(spec)
            made = self._client.post("block-storage", "/volumes", {"volume": body}, "volume")["volume"]
        [volume] = self._nouns([made])
        return volume

    def delete_volume(self, native: str) -> None:
        """One whose snapshots were deleted just now goes, too: Cinder takes a while for these."""
        item = found(partial(self._one, native))
        if item is None or _state(item) is VolumeState.DELETING:
            return
        if _state(item) is VolumeState.IN_USE:
            raise Conflict("volume", native, f"the volume {native} is attached", "in-use")
        until, again = time.monotonic() + _SNAPSHOTS_GO, True
        path = f"/volumes/{native}"
        while refusal := _refused(partial(self._client.delete, "block-storage", path, "volume", native)):
            held = self._client.get("block-storage", "/snapshots", volume_id=native)["snapshots"]
            going = all(one["status"] in snapshots.GONE for one in held)
            if not (again and going and time.monotonic() < until):
                raise Conflict("volume", native, str(refusal), "in-use" if held else "state") from refusal
            again = bool(held)
            time.sleep(_LOOK)

    def attach_volume(self, native: str, server: str, device: str) -> None:
        with self._cloud.turn(server):
            self._client.again()
            item, host = together(partial(self._one, native), partial(servers.one, self._client, server))
            self._check_attach(item, host, device)
            if device in self._devices(host):
                raise Conflict("device", device, f"the server {server} has a disk on {device}", "in-use")
            place = disks.Place(server, False, datetime.now(UTC), device)
            disks.write(self._client, native, {disks.AT: place.note()})
            body, path = {"volumeAttachment": {"volumeId": native}}, f"/servers/{server}/os-volume_attachments"
            until = time.monotonic() + _NOVA_LETS_GO
            while refusal := _refused(partial(self._client.post, "compute", path, body, "server", server)):
                if _STILL_THERE not in str(refusal) or time.monotonic() > until:
                    raise Conflict("volume", native, str(refusal)) from refusal
                time.sleep(_LOOK)

    def detach_volume(self, native: str, server: str, *, force: bool = False) -> None:
        """`force` does not wait for the end of attaching; Nova tries the guest's consent again by itself."""
        item, host = together(partial(self._one, native), partial(servers.one, self._client, server))
        [volume] = self._nouns([item])
        link = _link(volume, server)
        if link.state is AttachmentState.DETACHING:
            return
        if link.state is AttachmentState.ATTACHING and not force:
            raise Conflict("volume", native, f"the volume {native} is being attached")
        if link.device == disks.root_device(host):
            if servers.state_of(host) is not ServerState.STOPPED:
                raise Conflict("volume", native, "the root volume can leave a stopped server only")
            raise Unsupported("Nova does not take the root volume off a server: make a snapshot, or an image.")
        if said := self._unsaid(item):
            disks.write(self._client, native, said)
        self._client.delete("compute", f"/servers/{server}/os-volume_attachments/{native}", "volume", native)

    def resize_volume(self, native: str, size: int) -> None:
        item = self._one(native)
        if size < item["size"]:
            raise Invalid(f"the volume {native} has {item['size']} GiB and cannot shrink", "size")
        if size == item["size"]:
            return
        if item["status"] not in ("available", "in-use"):
            raise Conflict("volume", native, f"the volume {native} is {item['status']}")
        version = _EXTEND_ATTACHED if item["status"] == "in-use" else ""
        body = {"os-extend": {"new_size": size}}
        try:
            self._client.post("block-storage", f"/volumes/{native}/action", body, "volume", native, version=version)
        except Invalid as refusal:
            raise Conflict("volume", native, str(refusal)) from refusal

    def retype_volume(self, native: str, type: str, iops: int) -> None:  # noqa: ARG002
        raise Unsupported(self._cloud.lacks[Capability.VOLUME_RETYPE])

    def set_delete_with_server(self, native: str, server: str, value: bool) -> None:
        """Nova is told last if the volume is to go, first if it is to stay: a crash between loses no data."""
        item, _ = together(partial(self._one, native), partial(servers.one, self._client, server))
        [volume] = self._nouns([item])
        link = _link(volume, server)
        place = disks.Place(server, value, link.since, link.device)
        steps = [
            partial(disks.write, self._client, native, {**self._unsaid(item), disks.AT: place.note()}),
            partial(self._tell_nova, native, server, value),
        ]
        for step in steps if value else reversed(steps):
            step()

    def _tell_nova(self, native: str, server: str, goes: bool) -> None:
        body = {"volumeAttachment": {"volumeId": native, "delete_on_termination": goes}}
        path = f"/servers/{server}/os-volume_attachments/{native}"
        self._client.put("compute", path, body, "volume", native, version=_KEEP_OR_NOT)

    def list_snapshots(self, natives: Collection[str] | None = None) -> Sequence[Snapshot]:
        return snapshots.every(self._client, natives)

    def create_snapshot(self, spec: SnapshotSpec) -> Snapshot:
        if spec.source:
            raise Unsupported(self._cloud.lacks[Capability.SNAPSHOT_COPY])
        need_ref(spec.ref, "snapshot")
        with self._cloud.turn(spec.ref):
            if before := snapshots.by_ref(self._client, spec.ref):
                return before
            volume = self._one(spec.volume)
            if STATES.get(volume["status"]) not in HOLD_DATA:
                raise Conflict("volume", spec.volume, f"the volume {spec.volume} is {volume['status']}")
            return snapshots.take(self._client, spec.ref, spec.volume, spec.description)

    def delete_snapshot(self, native: str) -> None:
        snapshots.delete(self._client, native)

    def share_snapshot(self, native: str, *, public: bool, tenants: Sequence[str]) -> None:  # noqa: ARG002
        raise Unsupported(self._cloud.lacks[Capability.SNAPSHOT_SHARE])

    def _one(self, native: str) -> Item:
        path = f"/volumes/{known('volume', native)}"
        item: Item = self._client.get("block-storage", path, "volume", native)["volume"]
        if not self._ours(item):
            raise NotFound("volume", native)
        return item

    def _ours(self, item: Item) -> bool:
        return bool(item.get(_PROJECT, self._client.project) == self._client.project)

    def _by_ref(self, ref: str) -> Volume | None:
        metadata = str({notes.REF: ref})
        listed = self._client.every("block-storage", "/volumes/detail", "volumes", metadata=metadata)
        live = [one for one in listed if one["metadata"].get(notes.REF) == ref and self._ours(one)]
        made = self._nouns([one for one in live if _state(one) is not VolumeState.DELETING][:1])
        return made[0] if made else None

    def _body(self, spec: VolumeSpec) -> Mapping[str, Any]:
        body: dict[str, Any] = {"name": spec.name, "size": spec.size, "metadata": {notes.REF: spec.ref}}
        if spec.source:
            origin = self._source(spec)
            body["source_volid"] = spec.source
        elif spec.snapshot:
            origin = snapshots.usable(self._client, spec.snapshot)
            body["snapshot_id"] = spec.snapshot
        else:
            origin = {"size": 1}
        body["size"] = spec.size if spec.size or not origin.get("id") else origin["size"]
        if body["size"] < origin["size"]:
            raise Invalid(f"a size of {spec.size} GiB is less than {origin['size']} GiB", "size")
        zones, types = together(self._zones, self._types)
        body.update({"availability_zone": spec.zone} if spec.zone in zones else {})
        body["metadata"].update({} if spec.zone in zones else {_ZONE: spec.zone})
        if spec.type in types:
            body["volume_type"] = spec.type
        elif spec.type in disks.GENERAL_TYPES:
            body["metadata"].update({disks.TYPE: spec.type} if spec.type else {})
        else:
            raise Unsupported(f"Cinder has no volume type {spec.type}: the operator can make one of this name.")
        return body

    def _source(self, spec: VolumeSpec) -> Item:
        source = self._one(spec.source)
        if STATES.get(source["status"]) not in HOLD_DATA:
            raise Conflict("volume", spec.source, f"the volume {spec.source} is {source['status']}")
        if self._zone(source) != spec.zone:
            raise Invalid(f"the volume {spec.source} is not in the zone {spec.zone}", "zone")
        return source

    def _zones(self) -> set[str]:
        listed = self._client.get("block-storage", "/os-availability-zone")["availabilityZoneInfo"]
        return {one["zoneName"] for one in listed}

    def _types(self) -> set[str]:
        return {one["name"] for one in self._client.every("block-storage", "/types", "volume_types")}

    def _zone(self, item: Item) -> str:
        zone = item["metadata"].get(_ZONE) or item["availability_zone"]
        return str(zone if zone in self._cloud.zones else self._cloud.zones[0])

    def _check_attach(self, item: Item, host: Item, device: str) -> None:
        native, server = item["id"], host["id"]
        if not device:
            raise Invalid("a volume is attached under the name of a device", "device")
        if _state(item) is VolumeState.IN_USE:
            raise Conflict("volume", native, f"the volume {native} is attached", "in-use")
        if item["status"] != "available":
            raise Conflict("volume", native, f"the volume {native} is {item['status']}")
        if servers.state_of(host) not in (ServerState.RUNNING, ServerState.STOPPED):
            raise Conflict("server", server, f"the server {server} is {host['status'].lower()}")
        if self._zone(item) != host["OS-EXT-AZ:availability_zone"]:
            raise Invalid(f"the volume {native} is not in the server's zone", "zone")

    def _devices(self, host: Item) -> set[str]:
        """The names, as they were asked for, of all disks of a server."""
        own = {disks.root_device(host)} if host["image"] else set()
        volumes = self.list_volumes(disks.attached_to(host))
        return own | {link.device for one in volumes for link in one.attachments if link.server == host["id"]}

    def _nouns(self, items: Sequence[Item]) -> list[Volume]:
        """Where volumes are that do not tell it by themselves, Nova's list of servers says.

        Only of a server that Isthmus launched it is asked for the tags of the devices, when its volumes are seen
        first: these go into their metadata then.
        """
        unknown = [
            (item, link)
            for item in items
            for link in item["attachments"]
            if not _at(item, link) and not self._told(item, link)
        ]
        if unknown:
            self._learn(unknown)
        return [self._noun(item) for item in items]

    def _learn(self, unknown: Sequence[tuple[Item, Item]]) -> None:
        hosts = servers.read(self._client, sorted({link["server_id"] for _, link in unknown}))
        launched = {host["id"] for host in hosts if endings.ref_of(host)}
        asked = for_each(lambda server: found(partial(disks.held, self._client, server)), sorted(launched))
        told = {host["id"]: disks.shown(host) for host in hosts if host["id"] not in launched}
        told |= {server: answer or {} for server, answer in zip(sorted(launched), asked, strict=True)}
        known = {
            self._key(item, link): one
            for item, link in unknown
            if (one := told.get(link["server_id"], {}).get(item["id"]))
        }
        self._cloud.held.put(known)
        for item, link in unknown:
            one = known.get(self._key(item, link))
            if one and one.device and link["server_id"] in launched:
                place = disks.Place(link["server_id"], one.delete_with_server, _since(link), one.device)
                self._cloud.noting.begin(self._client, item["id"], link, {**one.notes(), disks.AT: place.note()})

    def _told(self, item: Item, link: Item) -> disks.Held | None:
        """What Nova has said of an attachment."""
        return self._cloud.held.peek(self._key(item, link))

    def _key(self, item: Item, link: Item) -> tuple[str, str, str]:
        return self._client.project, link["attachment_id"], item["id"]

    def _held(self, item: Item) -> list[disks.Held | None]:
        return [self._told(item, link) for link in item["attachments"]]

    def _unsaid(self, item: Item) -> dict[str, str]:
        """What its attachment tells of a volume, and its metadata does not yet."""
        launched = [one.notes() for one in self._held(item) if one and one.ref]
        return launched[0] if launched and not item["metadata"].get(notes.REF) else {}

    def _noun(self, item: Item) -> Volume:
        held = self._held(item)
        launched = next((one for one in held if one and one.ref), disks.Held("", "", delete_with_server=False))
        return Volume(
            native=item["id"],
            ref=item["metadata"].get(notes.REF) or launched.ref,
            name=item["name"] or "",
            state=_state(item),
            zone=self._zone(item),
            size=item["size"],
            type=item["metadata"].get(disks.TYPE) or launched.type or item["volume_type"] or "",
            created=notes.moment(item["created_at"]),
            snapshot=item["snapshot_id"] or "",
            encrypted=bool(item["encrypted"]),
            attachments=tuple(_links(item, held)),
        )


def _refused(ask: Callable[[], object]) -> Invalid | None:
    """Why a service does not do what it is asked for; None if it does."""
    try:
        ask()
    except Invalid as refusal:
        return refusal
    return None


def _state(item: Item) -> VolumeState:
    state = STATES.get(item["status"], VolumeState.ERROR)
    return VolumeState.IN_USE if item["attachments"] and state is VolumeState.AVAILABLE else state


def _unclaimed(item: Item) -> bool:
    """Whether Nova may be making a volume for a launch: whose disk it is can be told once it is attached only."""
    if item["attachments"] or item["metadata"].keys() & {notes.REF, disks.AT}:
        return False
    if item["name"] and not item["name"].endswith(_BLANK):
        return False
    now = datetime.now(UTC)
    if now - notes.moment(item["created_at"]) > _LAUNCHING:
        return False
    resting = item["status"] not in _UNDER_WAY and now - notes.moment(item["updated_at"]) > _BETWEEN
    return not resting


def _at(item: Item, link: Item) -> disks.Place | None:
    """What a volume's own metadata says of an attachment."""
    place = disks.place_of(item)
    return place if place and place.server == link["server_id"] else None


def _since(link: Item) -> datetime:
    return notes.moment(link.get("attached_at"))


def _links(item: Item, held: Sequence[disks.Held | None]) -> Iterator[Attachment]:
    state = LINKS.get(item["status"], AttachmentState.ATTACHED)
    if item["status"] in ATTACHING and not item["attachments"] and (at := disks.place_of(item)):
        yield Attachment(at.server, at.device, AttachmentState.ATTACHING, at.since, at.delete_with_server)
    for link, told in zip(item["attachments"], held, strict=True):
        server, since = link["server_id"], _since(link)
        if at := _at(item, link):
            yield Attachment(server, at.device, state, at.since, at.delete_with_server)
        elif told:
            yield Attachment(server, told.device or link["device"] or "", state, since, told.delete_with_server)
        else:
            yield Attachment(server, link["device"] or "", state, since)


def _link(volume: Volume, server: str) -> Attachment:
    """Raises Conflict for a volume that is not on the server."""
    for link in volume.attachments:
        if link.server == server:
            return link
    raise Conflict("volume", volume.native, f"the volume {volume.native} is not attached to the server {server}")
