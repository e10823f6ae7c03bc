"""CloudStack's templates and ISOs as images. Source: CloudStack's API; a template is listed once for each zone.

A template has the contents of a root disk. What else an image says of disks is in the details of the template, written
with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, NoReturn

from isthmus.errors import Conflict, Denied, Invalid, NotFound, Unsupported
from isthmus.model import Image, ImageDisk, ImageState, Volume, need_ref
from isthmus.providers import Capability, ImageSpec, ImportSpec, SnapshotSpec
from isthmus.providers.cloudstack import fetched, isos, places, snapshots
from isthmus.providers.cloudstack.client import Client, Item
from isthmus.providers.cloudstack.notes import gibibytes, moment
from isthmus.providers.cloudstack.tenant import Tenant
from isthmus.together import for_each, together

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack
    from isthmus.providers.cloudstack.volumes import CloudStackVolumes

MINE, PUBLIC = ("self", "sharedexecutable"), ("featured", "community")
"""Whose templates are asked for: the tenant's own and those shared with it, and the public ones of two kinds."""
DETAIL = "isthmus-image"
"""The detail of a template that holds what was asked for."""
LONGEST = 1024
"""Characters of a detail."""
ROOT_DEVICE = "/dev/sda1"
ACCOUNTS, PROJECTS = "accounts", "projectids"
_GRANTEES = {ACCOUNTS: "account", PROJECTS: "projectids"}
"""Parameters that say whom a template is shared with, each with the field that tells it."""
Grantee = tuple[str, str]
"""One of these parameters, and the account's name or the project's id."""
_FAILED = ("error", "fail", "abandon")
_ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "arm64", "i686": "i386"}
"""CloudStack's words since its version 4.20, and ours."""


class CloudStackImages:
    def __init__(self, cloud: CloudStack, tenant: Tenant, volumes: CloudStackVolumes) -> None:
        self._cloud = cloud
        self._volumes = volumes
        self._tenant = tenant
        self._client = tenant.client

    def list_images(self, natives: Collection[str] | None = None) -> Sequence[Image]:
        found = [one for one in templates(self._tenant).values() if natives is None or one["id"] in natives]
        private = [one for one in found if self._tenant.owner.has(one) and not one.get("ispublic")]
        shared = dict(zip((one["id"] for one in private), for_each(self._shared_with, private), strict=True))
        made = [self._image(one, shared.get(one["id"], ())) for one in found]
        return sorted(made, key=lambda image: (image.created, image.native))

    def create_image(self, spec: ImageSpec) -> Image:
        if spec.source:
            raise Unsupported(self._cloud.lacks[Capability.IMAGE_COPY])
        need_ref(spec.ref, "image")
        with self._cloud.turn(spec.ref):
            native = self._by_ref(spec.ref) or self._begun(spec)
        for made in self.list_images([native]):
            return made
        raise NotFound("image", native)

    def import_image(self, spec: ImportSpec) -> NoReturn:  # noqa: ARG002
        raise Unsupported(self._cloud.lacks[Capability.IMAGE_IMPORT])

    def describe_image(self, native: str, description: str) -> None:
        own = self._own(native)
        self._do(isos.words(own).update, native, displaytext=description or own["name"])

    def share_image(self, native: str, *, public: bool, tenants: Sequence[str]) -> None:
        """Whom it was shared with before is forgotten; nobody is meanwhile who shall not be."""
        own = self._own(native)
        wanted = {self._grantee(one) for one in tenants}
        if (public or wanted) and any(disk.snapshot for disk in _noted_disks(own)[1:]):
            raise Unsupported(self._cloud.lacks[Capability.IMAGE_SHARE_SNAPSHOTS])
        if before := self._grantees(own) - wanted:
            self._do(isos.words(own).permit, native, op="remove", **_by_kind(before))
        if bool(own.get("ispublic")) != public:
            self._do(isos.words(own).permit, native, ispublic=public)
        if wanted:
            self._do(isos.words(own).permit, native, op="add", **_by_kind(wanted))

    def delete_image(self, native: str) -> None:
        """Servers of it stay as they are."""
        for found in self._seen(native):
            self._demand_own(found)
            for where in self._tenant.kept_here(one for one in _listed(self._tenant) if one["id"] == native):
                self._do(isos.words(found).delete, native, **where)
            snapshots.made(self._tenant, [disk.snapshot for disk in _noted_disks(found) if disk.snapshot])

    def _begun(self, spec: ImageSpec) -> str:
        if spec.server:
            return self._of_server(spec)
        return self._of_url(spec) if spec.url else self._of_snapshots(spec)

    def _by_ref(self, ref: str) -> str:
        return next((one["id"] for one in own(self._tenant) if _noted(one).get("ref") == ref), "")

    def _of_server(self, spec: ImageSpec) -> str:
        """Of snapshots of a server's disks; the image is begun once that of its root disk is done.

        Raises NotFound, Invalid, and Unavailable for a root disk that takes too long: its snapshots stay, and who asks
        for an image of this server and name again goes on with them.
        """
        given = {disk.device: disk for disk in spec.disks}
        there = self._disks_of(spec)
        taken = [device for device in sorted(there) if not (device in given and given[device].snapshot)]
        refs = dict(zip(taken, spec.snapshot_refs, strict=False))
        if len(refs) < len(taken):
            raise Invalid("each disk of the server needs a ref for its snapshot", "snapshot_refs")
        for device in taken:
            if device in given and 0 < given[device].size < there[device][0].size:
                raise Invalid(f"the disk {device} has at least {there[device][0].size} GiB", "size")
        before = snapshots.left_for(self._tenant, mark := f"{spec.server}/{spec.name}")
        jobs = for_each(lambda one: self._snapshot(there[one][0], refs[one], mark, before), taken)
        begun = dict(zip(taken, jobs, strict=True))
        disks = [self._merged(one, there, begun, given) for one in sorted({*there, *given})]
        root = next(device for device, (_, is_root) in there.items() if is_root)
        if root in begun and begun[root] in before.values():
            snapshots.wait(self._tenant, begun[root]["id"])
        elif root in begun:
            self._client.done(begun[root]["jobid"], "snapshot", begun[root]["id"])
        native = self._make(spec, sorted(disks, key=lambda disk: disk.device != root))
        snapshots.made(self._tenant, [one["id"] for one in begun.values()])
        return native

    def _disks_of(self, spec: ImageSpec) -> dict[str, tuple[Volume, bool]]:
        """The volumes on a server by device, and whether each is its root disk. Raises NotFound, Invalid."""
        found = self._tenant.some("listVirtualMachines", "virtualmachine", [spec.server])
        if not found:
            raise NotFound("server", spec.server[:64])
        root = places.launched(found[0]).root.device
        if root in spec.without:
            raise Invalid("an image needs the root disk of its server", "without")
        links = [(link, one) for one in self._volumes.list_volumes() for link in one.attachments]
        on = {link.device: (one, link.device == root) for link, one in links if link.server == spec.server}
        return {device: both for device, both in on.items() if device not in spec.without}

    def _snapshot(self, volume: Volume, ref: str, mark: str, before: Mapping[str, Item]) -> Item:
        """What was begun before, if it was for the same image."""
        if volume.native in before:
            return before[volume.native]
        text = f"Created by an image of {mark.partition('/')[0]}"
        return snapshots.begin(self._tenant, SnapshotSpec(ref, volume.native, text), mark)

    def _merged(
        self,
        device: str,
        there: Mapping[str, tuple[Volume, bool]],
        begun: Mapping[str, Item],
        given: Mapping[str, ImageDisk],
    ) -> ImageDisk:
        """A disk of a server, as the image is to have it."""
        asked = given.get(device)
        if device not in begun:
            return self._sized(given[device])
        volume, _ = there[device]
        snapshot, size = begun[device]["id"], volume.size
        if asked is None:
            [link] = volume.attachments
            return ImageDisk(device, size, snapshot, volume.type, link.delete_with_server)
        return ImageDisk(device, asked.size or size, snapshot, asked.type or volume.type, asked.delete_with_server)

    def _of_snapshots(self, spec: ImageSpec) -> str:
        disks = [self._sized(one) for one in spec.disks]
        if not disks or not disks[0].snapshot:
            raise Invalid("an image needs the snapshot of its root disk", "disks")
        return self._make(spec, disks)

    def _of_url(self, spec: ImageSpec) -> str:
        """Its size is told once CloudStack has fetched it."""
        self._demand_no_kernel(spec)
        disks = spec.disks or [ImageDisk(ROOT_DEVICE, 0)]
        return fetched.begin(self._cloud, self._tenant, spec, self._os_type(), _note(spec.ref, disks))

    def _demand_no_kernel(self, spec: ImageSpec) -> None:
        if spec.kernel or spec.ramdisk:
            raise Unsupported(self._cloud.lacks[Capability.KERNEL])

    def _make(self, spec: ImageSpec, disks: Sequence[ImageDisk]) -> str:
        """The root disk's contents are those of the first snapshot."""
        self._demand_no_kernel(spec)
        root = disks[0].snapshot
        begun = self._client.begin(
            "createTemplate",
            "image",
            spec.ref,
            name=spec.name,
            displaytext=spec.description or spec.name,
            snapshotid=root,
            ostypeid=snapshots.os_type(self._tenant, root) or self._os_type(),
            details=_note(spec.ref, disks),
        )
        return str(begun["id"])

    def _sized(self, disk: ImageDisk) -> ImageDisk:
        """A disk as large as its snapshot, unless it is to be larger. Raises NotFound, Conflict, Invalid."""
        if not disk.snapshot:
            return disk
        least = snapshots.usable(self._tenant, disk.snapshot)
        if disk.size and disk.size < least:
            raise Invalid(f"a disk of the snapshot {disk.snapshot} has at least {least} GiB", "size")
        return ImageDisk(disk.device, disk.size or least, disk.snapshot, disk.type, disk.delete_with_server)

    def _os_type(self) -> str:
        """The kind of system that the settings name for images of which CloudStack knows none."""
        wanted = self._cloud.options.os_type
        for one in self._client.every("listOsTypes", "ostype", description=wanted):
            if one["description"] == wanted:
                return str(one["id"])
        raise Unsupported(f"The cloud knows no system {wanted}: its operator can name another as os_type.")

    def _seen(self, native: str) -> list[Item]:
        found = templates(self._tenant).get(native)
        return [found] if found else []

    def _own(self, native: str) -> Item:
        for found in self._seen(native):
            return self._demand_own(found)
        raise NotFound("image", native[:64])

    def _demand_own(self, item: Item) -> Item:
        if not self._tenant.owner.has(item):
            raise Denied("this image is another account's")
        return item

    def _do(self, command: str, native: str, **params: Any) -> None:
        self._client.do(command, "image", native, id=native, **params)

    def _grantees(self, item: Item) -> set[Grantee]:
        words = isos.words(item)
        found = self._client.read(words.permissions, "image", item["id"], id=item["id"]).get(words.permission, {})
        return {(kind, one) for kind, key in _GRANTEES.items() for one in found.get(key, ())}

    def _shared_with(self, item: Item) -> tuple[str, ...]:
        domain = self._tenant.owner.domain
        natives = (
            self._cloud.tenant_named(one, domain) if kind == ACCOUNTS else one
            for kind, one in sorted(self._grantees(item))
        )
        return tuple(filter(None, natives))

    def _grantee(self, tenant: str) -> Grantee:
        """An account by its name, or a project by its id: in CloudStack images are shared within a domain.

        Raises Denied.
        """
        found = self._cloud.owner_of(tenant)
        if found is None:
            raise Denied("This account has not been seen on CloudStack yet: it has to sign a request there first.")
        if found.domain != self._tenant.owner.domain:
            raise Denied("CloudStack shares images among the accounts of one domain alone.")
        return (PROJECTS, found.project) if found.project else (ACCOUNTS, found.name)

    def _image(self, item: Item, shared: tuple[str, ...]) -> Image:
        said, disks = _noted(item), _noted_disks(item)
        name = item["name"]
        text = item.get("displaytext", "")
        return Image(
            native=item["id"],
            ref=said.get("ref", ""),
            name=name,
            state=_state(item),
            owner=self._tenant.native if self._tenant.owner.has(item) else item.get("accountid", ""),
            created=moment(item.get("created")),
            description="" if text == name else text,
            architecture=_architecture(item),
            platform="windows" if "windows" in item.get("ostypename", "").lower() else "",
            public=bool(item.get("ispublic")),
            shared_with=shared,
            root_device=disks[0].device,
            disks=tuple(disks),
            reason="" if item.get("isready") else item.get("status", ""),
        )


def _by_kind(grantees: Collection[Grantee]) -> Mapping[str, list[str]]:
    """As parameters."""
    kinds = {kind: sorted(one for each, one in grantees if each == kind) for kind in _GRANTEES}
    return {kind: named for kind, named in kinds.items() if named}


def asks(tenant: Tenant, own: Client) -> list[Callable[[], list[Item]]]:
    """What is asked for all templates that the tenant sees; the public ones are the operator's to change."""
    ways = {**dict.fromkeys(MINE, own), **dict.fromkeys(PUBLIC, tenant.offered)}
    return [partial(way.every, "listTemplates", "template", templatefilter=one) for one, way in ways.items()]


def templates(tenant: Tenant) -> Mapping[str, Item]:
    """All templates and ISOs that the tenant sees, by their ids; of several zones one where it is ready."""
    return _united(tenant, _listed(tenant))


def own(tenant: Tenant) -> Sequence[Item]:
    return list(_united(tenant, tenant.all("listTemplates", "template", templatefilter="self")).values())


def _listed(tenant: Tenant) -> list[Item]:
    """Each for every zone that it is in, whichever cloud's that is."""
    lists = together(*asks(tenant, tenant.client), *isos.asks(tenant, tenant.client, MINE, PUBLIC))
    return list(chain.from_iterable(lists))


def _united(tenant: Tenant, listed: Iterable[Item]) -> Mapping[str, Item]:
    found: dict[str, Item] = {}
    for one in listed:
        if one.get("templatetype") != "SYSTEM" and tenant.here(one) and not found.get(one["id"], {}).get("isready"):
            found[one["id"]] = one
    return found


def template(tenant: Tenant, lists: Sequence[Sequence[Item]], native: str) -> Item:
    """What a server can be made of, among the answers to `asks`, else an ISO. Raises NotFound, Conflict."""
    found = _united(tenant, chain.from_iterable(lists)).get(native)
    if found is None:
        lists = together(*isos.asks(tenant, tenant.offered, MINE, PUBLIC))
        found = _united(tenant, chain.from_iterable(lists)).get(native)
    if found is None:
        raise NotFound("image", native[:64])
    if not found.get("isready"):
        raise Conflict("image", native, f"the image {native} is not ready: {found.get('status', '')}")
    return found


def made_of(tenant: Tenant, snapshot: str) -> str:
    """The image that needs a snapshot, or empty."""
    for one in own(tenant):
        if any(disk.snapshot == snapshot for disk in _noted_disks(one)):
            return str(one["id"])
    return ""


def size_of(template: Item) -> int:
    """In GiB, of its root disk."""
    return isos.ROOT_GIB if isos.is_iso(template) else gibibytes(template.get("size"))


def _note(ref: str, disks: Sequence[ImageDisk]) -> Mapping[str, str]:
    said = [[one.device, one.size, one.snapshot, one.type, int(one.delete_with_server)] for one in disks]
    text = json.dumps({"ref": ref, "disks": said}, separators=(",", ":"))
    if len(text) > LONGEST:
        raise Invalid(f"CloudStack has room for fewer disks of an image than {len(disks)}", "disks")
    return {DETAIL: text}


def _noted(item: Item) -> dict[str, Any]:
    try:
        said = json.loads(item.get("details", {}).get(DETAIL, "{}"))
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _noted_disks(item: Item) -> list[ImageDisk]:
    """The root disk first: as asked for, or of the template's own size."""
    try:
        disks = [
            ImageDisk(device, size or size_of(item), snapshot, type, bool(going))
            for device, size, snapshot, type, going in _noted(item).get("disks", ())
        ]
    except (TypeError, ValueError):
        disks = []
    return disks or [ImageDisk(ROOT_DEVICE, size_of(item))]


def _state(item: Item) -> ImageState:
    if item.get("isready"):
        return ImageState.AVAILABLE
    status = item.get("status", "").lower()
    return ImageState.ERROR if any(word in status for word in _FAILED) else ImageState.PENDING


def _architecture(item: Item) -> str:
    if said := _ARCHITECTURES.get(item.get("arch", "")):
        return said
    return "i386" if "(32-bit)" in item.get("ostypename", "") else "x86_64"
