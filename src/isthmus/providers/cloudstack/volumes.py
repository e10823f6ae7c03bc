"""CloudStack's volumes. Source: CloudStack's API, and its Volume.State."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from isthmus.errors import Conflict, Invalid, NotFound, Unsupported
from isthmus.model import Attachment, AttachmentState, Snapshot, Volume, VolumeState, need_ref
from isthmus.providers import Capability, SnapshotSpec, VolumeSpec
from isthmus.providers.cloudstack import copies, disks, machines, notes, places, snapshots
from isthmus.providers.cloudstack.client import Item
from isthmus.providers.cloudstack.places import Disk, Place
from isthmus.providers.cloudstack.tenant import Tenant
from isthmus.together import together

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack


class CloudStackVolumes:
    def __init__(self, cloud: CloudStack, tenant: Tenant) -> None:
        self._cloud = cloud
        self._tenant = tenant
        self._client = tenant.client

    def list_volumes(self, natives: Collection[str] | None = None) -> Sequence[Volume]:
        """Where volumes are is said by them and by the machines: both are asked for at the same time."""
        if natives is None:
            listed, hosts = together(partial(disks.with_between, self._tenant), partial(machines.every, self._tenant))
            found = self._cloud.copies.shown(self._tenant, listed)
        else:
            found = disks.every(self._tenant, natives)
            on = {one["virtualmachineid"] for one in found if "virtualmachineid" in one}
            hosts = machines.every(self._tenant, on) if on else []
        known = {one["id"]: one for one in hosts}
        return [self._volume(one, known) for one in found]

    def create_volume(self, spec: VolumeSpec) -> Volume:
        need_ref(spec.ref, "volume")
        if spec.encrypted:
            raise Unsupported(self._cloud.lacks[Capability.ENCRYPTION])
        with self._cloud.turn(spec.ref):
            native = disks.by_ref(self._tenant, spec.ref) or self._begin(spec)
            for made in self.list_volumes([native]):
                return made
        raise NotFound("volume", native)

    def _begin(self, spec: VolumeSpec) -> str:
        if spec.source:
            return copies.volume(self._cloud, self._tenant, spec)
        return str(disks.begin(self._cloud, self._tenant, spec)["id"])

    def delete_volume(self, native: str) -> None:
        for found in disks.every(self._tenant, [native]):
            if "virtualmachineid" in found:
                raise Conflict("volume", native, f"the volume {native} is attached", "in-use")
            self._client.do("deleteVolume", "volume", native, id=native)

    def attach_volume(self, native: str, server: str, device: str) -> None:
        volume, host = self._demand(native), machines.one(self._tenant, server)
        self._check_attach(volume, host, device)
        self._cloud.going.discard(native)
        places.write(self._client, volume, Place(server, device, datetime.now(UTC).timestamp(), keep=True))
        root = {"deviceid": 0} if device == places.launched(host).root.device else {}
        self._client.begin("attachVolume", "volume", native, id=native, virtualmachineid=server, **root)

    def detach_volume(self, native: str, server: str, *, force: bool = False) -> None:  # noqa: ARG002
        volume = self._on(native, server)
        if volume["type"] == "ROOT" and machines.one(self._tenant, server)["state"] != "Stopped":
            raise Conflict("volume", native, f"the root volume of the server {server} is kept until that is stopped")
        if volume["type"] == "ROOT":
            self._remember(volume, server)
        self._cloud.going.add(native)
        try:
            self._client.begin("detachVolume", "volume", native, id=native)
        except BaseException:
            self._cloud.going.discard(native)
            raise

    def _remember(self, root: Item, server: str) -> None:
        """Write on a root disk what its server said of it."""
        disk = places.launched(machines.one(self._tenant, server)).root
        if disk.ref and not places.written(root).ref:
            places.write_made(self._client, root, disk)

    def resize_volume(self, native: str, size: int) -> None:
        volume = self._demand(native)
        now = notes.gibibytes(volume["size"])
        if size < now:
            raise Invalid(f"the volume {native} has {now} GiB and cannot shrink", "size")
        if size > now:
            self._client.begin("resizeVolume", "volume", native, id=native, size=size)

    def retype_volume(self, native: str, type: str, iops: int) -> NoReturn:  # noqa: ARG002
        raise Unsupported(self._cloud.lacks[Capability.VOLUME_RETYPE])

    def set_delete_with_server(self, native: str, server: str, value: bool) -> None:
        volume = self._on(native, server)
        if volume["type"] == "ROOT":
            if not value:
                raise Unsupported(self._cloud.lacks[Capability.ROOT_KEPT])
            return
        [link] = self.list_volumes([native])[0].attachments
        if link.delete_with_server != value:
            at = Place(server, link.device, link.since.timestamp(), keep=not value)
            places.write(self._client, volume, at)

    def list_snapshots(self, natives: Collection[str] | None = None) -> Sequence[Snapshot]:
        listed = snapshots.with_between(self._tenant, natives)
        shown = self._cloud.copies.shown(self._tenant, listed)
        return [snapshots.seen(self._tenant, one) for one in shown]

    def create_snapshot(self, spec: SnapshotSpec) -> Snapshot:
        need_ref(spec.ref, "snapshot")
        with self._cloud.turn(spec.ref):
            if before := snapshots.by_ref(self._tenant, spec.ref):
                return before
            if spec.source:
                return snapshots.one(self._tenant, copies.snapshot(self._cloud, self._tenant, spec))
            self._demand(spec.volume)
            return snapshots.take(self._tenant, spec)

    def delete_snapshot(self, native: str) -> None:
        snapshots.delete(self._tenant, native)

    def share_snapshot(self, native: str, *, public: bool, tenants: Sequence[str]) -> NoReturn:  # noqa: ARG002
        raise Unsupported(self._cloud.lacks[Capability.SNAPSHOT_SHARE])

    def _demand(self, native: str) -> Item:
        for found in disks.every(self._tenant, [native]):
            return found
        raise NotFound("volume", native[:64])

    def _on(self, native: str, server: str) -> Item:
        """A volume that is on a server. Raises NotFound, Conflict."""
        volume = self._demand(native)
        if volume.get("virtualmachineid") != server:
            raise Conflict("volume", native, f"the volume {native} is not attached to the server {server[:64]}")
        return volume

    def _check_attach(self, volume: Item, host: Item, device: str) -> None:
        native = volume["id"]
        if not device:
            raise Invalid("a volume is attached under the name of a device", "device")
        if "virtualmachineid" in volume or volume["state"] == "Attaching":
            raise Conflict("volume", native, f"the volume {native} is attached", "in-use")
        if disks.state(volume) is not VolumeState.AVAILABLE:
            raise Conflict("volume", native, f"the volume {native} is {volume['state']}")
        if host["state"] not in ("Running", "Stopped"):
            raise Conflict("server", host["id"], f"the server {host['id']} is {host['state']}")
        if volume["zoneid"] != host["zoneid"]:
            raise Invalid(f"the volume {native} is not in the server's zone", "zone")
        listed = self.list_volumes()
        if any(link.server == host["id"] and link.device == device for one in listed for link in one.attachments):
            raise Conflict("device", device, f"the server {host['id']} has a {device}", "in-use")

    def _volume(self, item: Item, hosts: Mapping[str, Item]) -> Volume:
        host = hosts.get(item.get("virtualmachineid", ""), {})
        on = [host.get(name) for name in ("id", "name", "created", "details")]
        said = (item, on, self._cloud.going.since(item["id"]), disks.state(item))
        return self._cloud.volumes.of((self._tenant.native, item["id"]), said, partial(self._made, item, hosts))

    def _made(self, item: Item, hosts: Mapping[str, Item]) -> Volume:
        said, made = notes.load(item["name"]), places.written(item)
        link, disk = self._link(item, hosts)
        state = VolumeState.IN_USE if link else disks.state(item)
        offering = item.get("diskofferingname", "")
        return Volume(
            native=item["id"],
            ref=said.ref or made.ref or disk.ref,
            name=said.text if said.ref or item["type"] != "ROOT" else "",
            state=state,
            zone=item["zonename"],
            size=notes.gibibytes(item["size"]),
            type=said.more.removeprefix(disks.COPIED)
            or made.more
            or disk.type
            or self._types.get(offering)
            or offering,
            created=notes.moment(item["created"]),
            snapshot="" if said.more.startswith(disks.COPIED) else item.get("snapshotid", ""),
            iops=item.get("maxiops") or 0,
            encrypted=bool(item.get("encryptformat")),
            attachments=(link,) if link else (),
        )

    @property
    def _types(self) -> Mapping[str, str]:
        """The names of disk offerings, each with that of a type of ours."""
        return {theirs: ours for ours, theirs in reversed([*self._cloud.options.volume_types.items()])}

    def _link(self, item: Item, hosts: Mapping[str, Item]) -> tuple[Attachment | None, Disk]:
        """Where a volume is, and which disk of a launch it was made for."""
        at, host = places.place(item), hosts.get(item.get("virtualmachineid", ""))
        if "virtualmachineid" not in item:
            if not at or item["state"] != "Attaching":
                return None, Disk("", "")
            return Attachment(at.server, at.device, AttachmentState.ATTACHING, at.when, not at.keep), Disk("", "")
        disk = _disk(item, host)
        server, state = item["virtualmachineid"], AttachmentState.ATTACHED
        if self._cloud.going.since(item["id"]) > (at.since if at and at.server == server else 0):
            state = AttachmentState.DETACHING
        if item["state"] == "Attaching":
            state = AttachmentState.ATTACHING
        if at and at.server == server:
            return Attachment(server, at.device, state, at.when, not at.keep), disk
        since = notes.moment(item.get("attached") or (host or item)["created"])
        return Attachment(server, disk.device or f"device {item.get('deviceid')}", state, since, not disk.keep), disk


def _disk(item: Item, host: Item | None) -> Disk:
    """The disk of a launch that a volume was made for; for others nothing is known but that they stay."""
    made = places.launched(host) if host else places.Launched()
    if item["type"] == "ROOT":
        return made.root
    ref = notes.load(item["name"]).ref
    return next((one for one in made.disks if ref and one.ref == ref), Disk("", "", keep=True))
