"""Glance's images. Source: docs.openstack.org/api-ref/image/v2."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any

from isthmus.errors import Conflict, Denied, Fault, Invalid, NotFound, Unsupported
from isthmus.model import Image, ImageDisk, ImageKind, ImageState, ServerState, Snapshot, Volume, need_ref
from isthmus.providers import Capability, ImageSpec, ImportSpec
from isthmus.providers.openstack import blocks, disks, notes, servers, snapshots
from isthmus.providers.openstack.client import Client, Item, chosen, found, known
from isthmus.providers.openstack.volumes import OpenStackVolumes
from isthmus.together import for_each, together

if TYPE_CHECKING:
    from isthmus.providers.openstack.cloud import OpenStack

STATES = {
    "queued": ImageState.PENDING,
    "saving": ImageState.PENDING,
    "uploading": ImageState.PENDING,
    "importing": ImageState.PENDING,
    "active": ImageState.AVAILABLE,
}
"""Glance's statuses; those that are being deleted are gone, all others (killed, deactivated) are errors."""
GONE = frozenset({"deleted", "pending_delete"})
KINDS = {"aki": ImageKind.KERNEL, "ari": ImageKind.RAMDISK}
"""By Glance's formats of containers and disks."""
FORMATS = {"raw": "raw", "qcow2": "qcow2", "vmdk": "vmdk", "vpc": "vhd"}
PUBLIC = frozenset({"public", "community"})
REF, OF_SERVER, SHARED, REASON = "isthmus_ref", "isthmus_server", "isthmus_shared", "isthmus_reason"
"""Properties of ours. Nova copies those of an image to the images of its servers: on an image that Nova
made a ref counts only if it is of the server that the image says."""
_SNAPSHOT = timedelta(hours=6)
"""How long a snapshot may be in the making."""
_PATCH = "application/openstack-images-v2.1-json-patch"


class OpenStackImages:
    def __init__(self, cloud: OpenStack, client: Client) -> None:
        self._cloud = cloud
        self._client = client

    def list_images(self, natives: Collection[str] | None = None) -> Sequence[Image]:
        items = [item for item in chosen(natives, self._seen, self._every) if item["status"] not in GONE]
        shared = [item["id"] for item in items if self._ours(item) and item.get(SHARED) and not _public(item)]
        members = dict(zip(shared, for_each(self._members, shared), strict=True))
        made = [_image(item, members.get(item["id"], ())) for item in items]
        return sorted(self._whole(made), key=lambda image: (image.created, image.native))

    def create_image(self, spec: ImageSpec) -> Image:
        if spec.source:
            raise Unsupported(self._cloud.lacks[Capability.IMAGE_COPY])
        if spec.url:
            raise Unsupported(self._cloud.lacks[Capability.IMAGE_URL])
        need_ref(spec.ref, "image")
        with self._cloud.turn(spec.ref):
            if before := self._by_ref(spec.ref):
                return before
            return _image(self._of_server(spec) if spec.server else self._of_disks(spec))

    def import_image(self, spec: ImportSpec) -> Image:
        """The file is sent by and by: the state tells."""
        need_ref(spec.ref, "image")
        if not spec.path.is_file():
            raise Invalid("there is no such file", "path")
        with self._cloud.turn(spec.ref):
            if before := self._by_ref(spec.ref):
                return before
            made = self._make(spec, _formats(spec))
        Thread(target=self._send, args=(made["id"], spec), daemon=True).start()
        return _image(made)

    def describe_image(self, native: str, description: str) -> None:
        self._own(native)
        self._patch(native, {"description": description})

    def share_image(self, native: str, *, public: bool, tenants: Sequence[str]) -> None:
        """Members are those of an image that is `shared`, so it is that first, and public in the end."""
        item = self._own(native)
        if any(disk.snapshot for disk in blocks.disks(item)):
            raise Unsupported(self._cloud.lacks[Capability.IMAGE_SHARE_SNAPSHOTS])
        wanted = dict.fromkeys(tenants)
        if public and wanted:
            raise Unsupported("Glance has no members of public images: name tenants, or all.")
        if public:
            self._publish(native)
            return
        self._patch(native, {"visibility": "shared", SHARED: "1" if wanted else ""})
        there = self._members(native)
        path = f"/v2/images/{native}/members"
        for tenant in [one for one in wanted if one not in there]:
            self._client.post("image", path, {"member": tenant}, "image", native)
        for tenant in [one for one in there if one not in wanted]:
            self._client.delete("image", f"{path}/{tenant}", "image", native)

    def delete_image(self, native: str) -> None:
        if found(partial(self._own, native)):
            self._client.delete("image", f"/v2/images/{native}", "image", native)

    def _publish(self, native: str) -> None:
        """For all projects: in everybody's list where the operator lets one, else as one of the community."""
        try:
            self._patch(native, {"visibility": "public"})
        except Denied:
            self._patch(native, {"visibility": "community"})

    def _whole(self, images: Sequence[Image]) -> Sequence[Image]:
        """An image without data is active at once: it is pending as long as one of its snapshots is."""
        latest = datetime.now(UTC) - _SNAPSHOT
        if not any(one.created > latest and any(disk.snapshot for disk in one.disks) for one in images):
            return images
        pending = snapshots.pending(self._client)
        return [
            replace(one, state=ImageState.PENDING)
            if one.state is ImageState.AVAILABLE and any(disk.snapshot in pending for disk in one.disks)
            else one
            for one in images
        ]

    def _every(self) -> list[Item]:
        """Those that Glance lists, those of the community, and those shared with the tenant, accepted or not."""
        ask = partial(self._client.every, "image", "/v2/images", "images")
        lists = together(
            ask, partial(ask, visibility="community"), partial(ask, visibility="shared", member_status="all")
        )
        seen = {item["id"]: item for listed in lists for item in listed}
        return [item for item in seen.values() if self._ours(item) or item["visibility"] != "private"]

    def _seen(self, native: str) -> Item:
        """An image that the tenant may use. Raises NotFound, for an administrator as for all."""
        item: Item = self._client.get("image", f"/v2/images/{known('image', native)}", "image", native)
        if self._ours(item) or _public(item):
            return item
        if item["visibility"] == "shared":
            self._client.get("image", f"/v2/images/{native}/members/{self._client.project}", "image", native)
            return item
        raise NotFound("image", native)

    def _own(self, native: str) -> Item:
        """Raises NotFound, and Denied for an image that the tenant sees only."""
        item = self._seen(native)
        if not self._ours(item):
            raise Denied(f"The image {native} is another's.")
        return item

    def _ours(self, item: Item) -> bool:
        return bool(item["owner"] == self._client.project)

    def _members(self, native: str) -> tuple[str, ...]:
        listed = self._client.get("image", f"/v2/images/{native}/members", "image", native)["members"]
        return tuple(one["member_id"] for one in listed)

    def _by_ref(self, ref: str) -> Image | None:
        """What was made with a ref; one whose making broke off is finished."""
        asked = {REF: ref, "owner": self._client.project}
        listed = self._client.every("image", "/v2/images", "images", **asked)
        for item in listed:
            if _ref(item) == ref and item["status"] not in GONE:
                if item["status"] == "queued" and blocks.root_snapshot(item):
                    self._client.upload("image", f"/v2/images/{item['id']}/file", b"", "image", item["id"])
                return _image(item)
        return None

    def _patch(self, native: str, changes: Mapping[str, str]) -> None:
        body = [{"op": "add", "path": f"/{name}", "value": value} for name, value in changes.items()]
        self._client.patch("image", f"/v2/images/{native}", body, "image", native, type=_PATCH)

    def _make(self, spec: ImageSpec | ImportSpec, more: Mapping[str, Any]) -> Item:
        loaded = {
            "kernel_id": self._loadable(spec.kernel, ImageKind.KERNEL),
            "ramdisk_id": self._loadable(spec.ramdisk, ImageKind.RAMDISK),
        }
        body = {
            "name": spec.name,
            "visibility": "private",
            REF: spec.ref,
            "description": spec.description,
            "architecture": spec.architecture,
            **({"os_type": spec.platform} if spec.platform else {}),
            **{name: value for name, value in loaded.items() if value},
            **more,
        }
        made: Item = self._client.post("image", "/v2/images", body, "image")
        return made

    def _loadable(self, native: str, kind: ImageKind) -> str:
        """A kernel or ramdisk. Raises NotFound, Invalid for another kind."""
        if native and _kind(self._seen(native)) is not kind:
            raise Invalid(f"the image {native} is no {kind}", str(kind))
        return native

    def _send(self, native: str, spec: ImportSpec) -> None:
        try:
            with spec.path.open("rb") as file:
                self._client.upload("image", f"/v2/images/{native}/file", file, "image", native)
            if spec.public:
                self._publish(native)
        except (Fault, OSError) as error:
            self._patch(native, {REASON: str(error)[:255] or "the file could not be sent"})

    def _of_disks(self, spec: ImageSpec) -> Item:
        if not spec.disks or not spec.disks[0].snapshot:
            raise Invalid("an image is made of a server, or of disks of which the first has a snapshot", "disks")
        _check_devices(spec.disks)
        chosen_ = tuple(self._sized(disk) for disk in spec.disks)
        snapshots.make_bootable(self._client, chosen_[0].snapshot)
        return self._of_snapshots(replace(spec, root_device=spec.root_device or chosen_[0].device), chosen_)

    def _of_snapshots(self, spec: ImageSpec, volumes: Sequence[ImageDisk]) -> Item:
        """An image without data, which is active when that is uploaded: Nova makes the disks of the snapshots."""
        more = {
            "disk_format": "raw",
            "container_format": "bare",
            "min_disk": volumes[0].size,
            "root_device_name": spec.root_device,
            **blocks.mapping(volumes),
        }
        made = self._make(spec, more)
        self._client.upload("image", f"/v2/images/{made['id']}/file", b"", "image", made["id"])
        return made

    def _sized(self, disk: ImageDisk) -> ImageDisk:
        least = snapshots.usable(self._client, disk.snapshot)["size"] if disk.snapshot else 1
        return replace(disk, size=_fitting(disk.size, least))

    def _of_server(self, spec: ImageSpec) -> Item:
        host = servers.one(self._client, spec.server)
        if servers.state_of(host) not in (ServerState.RUNNING, ServerState.STOPPED):
            raise Conflict("server", spec.server, f"the server {spec.server} is {host['status'].lower()}")
        _check_devices(spec.disks)
        root, wanted = disks.root_device(host), {disk.device: disk for disk in spec.disks}
        kept = self._kept(spec, host, wanted)
        refs = spec.snapshot_refs[: len(kept)]
        if len(set(refs)) < len(kept) or "" in refs:
            raise Invalid(f"{len(kept)} snapshots are to be made, each needs a ref of its own", "snapshot_refs")
        sized = [_of_volume(device, volume, wanted.get(device)) for device, volume in kept.items()]
        added = [self._sized(disk) for disk in spec.disks if disk.device not in kept]
        text = f"Made for the image {spec.name}"
        pairs = list(zip(refs, kept.values(), strict=True))
        made = for_each(lambda pair: self._snapshot(pair[0], pair[1].native, text), pairs)
        taken = [replace(disk, snapshot=one.native) for disk, one in zip(sized, made, strict=True)]
        volumes = sorted((*taken, *added), key=lambda disk: (disk.device != root, disk.device))
        if volumes and volumes[0].device == root:
            return self._of_snapshots(replace(spec, root_device=spec.root_device or root), volumes)
        return self._of_own_disk(spec, host, volumes)

    def _snapshot(self, ref: str, volume: str, text: str) -> Snapshot:
        return snapshots.by_ref(self._client, ref) or snapshots.take(self._client, ref, volume, text)

    def _kept(self, spec: ImageSpec, host: Item, wanted: Mapping[str, ImageDisk]) -> dict[str, Volume]:
        """The volumes of a server by device, but for those that are left out or replaced."""
        root, native = disks.root_device(host), host["id"]
        if root in spec.without or (host["image"] and root in wanted and not wanted[root].snapshot):
            raise Invalid("an image has the server's root disk as it is, or another of a snapshot", "disks")
        volumes = OpenStackVolumes(self._cloud, self._client).list_volumes(disks.attached_to(host))
        on_it = {link.device: one for one in volumes for link in one.attachments if link.server == native}
        return {
            device: on_it[device]
            for device in sorted(on_it)
            if device not in spec.without and not (device in wanted and wanted[device].snapshot)
        }

    def _of_own_disk(self, spec: ImageSpec, host: Item, beside: Sequence[ImageDisk]) -> Item:
        """Nova sends the server's own disk to Glance, and tells of the volumes in properties."""
        said = {
            REF: spec.ref,
            OF_SERVER: host["id"],
            SHARED: "",
            "description": spec.description,
            "root_device_name": spec.root_device or disks.root_device(host),
            **blocks.beside(beside),
        }
        body = {"createImage": {"name": spec.name, "metadata": said}}
        made = self._client.post("compute", f"/servers/{host['id']}/action", body, "server", spec.server)
        return self._seen(made["image_id"])


def _image(item: Item, members: Sequence[str] = ()) -> Image:
    kind = _kind(item)
    reason = item.get(REASON) or (f"the image is {item['status']}" if item["status"] not in STATES else "")
    machine = kind is ImageKind.MACHINE
    return Image(
        native=item["id"],
        ref=_ref(item),
        name=item["name"] or "",
        state=ImageState.ERROR if reason else STATES[item["status"]],
        owner=item["owner"] or "",
        created=notes.moment(item["created_at"]),
        kind=kind,
        description=item.get("description") or "",
        architecture=item.get("architecture") or "x86_64",
        platform="windows" if item.get("os_type") == "windows" else "",
        public=_public(item),
        shared_with=tuple(members),
        root_device=blocks.root_device(item) if machine else "",
        disks=blocks.disks(item) if machine else (),
        kernel=item.get("kernel_id") or "",
        ramdisk=item.get("ramdisk_id") or "",
        reason=reason,
    )


def _ref(item: Item) -> str:
    """The ref that an image was made with, not one that Nova copied from another image."""
    return str(item.get(REF) or "") if item.get("instance_uuid") == item.get(OF_SERVER) else ""


def _kind(item: Item) -> ImageKind:
    return KINDS.get(item["container_format"] or "") or KINDS.get(item["disk_format"] or "", ImageKind.MACHINE)


def _public(item: Item) -> bool:
    return item["visibility"] in PUBLIC


def _formats(spec: ImportSpec) -> Mapping[str, str]:
    loadable = next((name for name, kind in KINDS.items() if kind is spec.kind), "")
    return {
        "disk_format": loadable or FORMATS[spec.format],
        "container_format": loadable or "bare",
    }


def _of_volume(device: str, volume: Volume, change: ImageDisk | None) -> ImageDisk:
    """A volume's disk in an image; its snapshot is to be made."""
    goes = all(link.delete_with_server for link in volume.attachments)
    if change is None:
        return ImageDisk(device, volume.size, "", volume.type, goes)
    return replace(change, size=_fitting(change.size, volume.size), type=change.type or volume.type)


def _fitting(asked: int, least: int) -> int:
    """`asked`, or `least` for 0; Invalid if it is too small."""
    if asked and asked < least:
        raise Invalid(f"a size of {asked} GiB is less than {least} GiB", "size")
    return asked or least


def _check_devices(chosen_: Sequence[ImageDisk]) -> None:
    devices = {disk.device for disk in chosen_}
    if len(devices) < len(chosen_) or "" in devices:
        raise Invalid("each disk needs a device of its own", "disks")
