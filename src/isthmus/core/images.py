"""Images: the account's own, the public ones, and those shared with it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from isthmus.context import Context
from isthmus.core import image_notes
from isthmus.core.ids import Kind, mint
from isthmus.core.instance import Instance
from isthmus.core.quotas import room
from isthmus.core.records import creating, forget
from isthmus.core.registry import Found, Index, family, find, join, pick
from isthmus.core.registry import index as joined
from isthmus.errors import Conflict, Denied, NotFound, Unsupported
from isthmus.model import Image, ImageKind, ImageState
from isthmus.providers import Capability, Images, ImageSpec, Session

NO_DATA: Mapping[str, Any] = MappingProxyType({})
REGISTERED = ("ena", "sriov", "boot")
"""Notes of an image on what it was registered for; its copies have them too."""
_KINDS = {ImageKind.MACHINE: Kind.IMAGE, ImageKind.KERNEL: Kind.KERNEL, ImageKind.RAMDISK: Kind.RAMDISK}


def api(session: Session) -> Images:
    return family(session.images, "images")


def index(cx: Context) -> Index[Image]:
    """Machine, kernel and ramdisk images."""
    return joined(cx, Kind.IMAGE, _images, lambda image: _KINDS[image.kind])


def find_images(cx: Context, ids: Collection[str] | None = None) -> Iterator[Found[Image]]:
    return find(cx, index(cx), Kind.IMAGE, ids)


def one_image(cx: Context, image: str) -> Found[Image]:
    """A machine image."""
    [found] = pick(index(cx), Kind.IMAGE, [image])
    if found.noun.kind is not ImageKind.MACHINE:
        raise NotFound(Kind.IMAGE, image)
    return found


def own_image(cx: Context, image: str) -> Found[Image]:
    """An image that the account may change. Raises Denied for one that it merely sees."""
    [found] = find_images(cx, [image])
    if found.noun.owner != cx.tenant(found.cloud):
        raise Denied(f"You do not have permission to change the image {image}.")
    return found


def boot_part(cx: Context, cloud: str, kind: Kind, image: str) -> str:
    """The native id of a kernel or ramdisk image of this cloud; empty for none asked."""
    if not image:
        return ""
    [found] = pick(index(cx), kind, [image])
    if found.cloud != cloud or _KINDS[found.noun.kind] is not kind:
        raise NotFound(kind, image)
    return found.noun.native


def create(
    cx: Context, cloud: str, spec: ImageSpec, snapshots: int = 0, data: Mapping[str, Any] = NO_DATA
) -> Found[Image]:
    """Make an image under a new id, with `data` on record. Raises Conflict (`duplicate`) for a name in use."""
    tenant = cx.tenant(cloud)
    ref = mint(Kind.IMAGE, cx.seed)
    for found in index(cx):
        if found.noun.owner == tenant and found.noun.name == spec.name and found.id != ref:
            reason = f"AMI name {spec.name} is already in use by AMI {found.id}"
            raise Conflict(Kind.IMAGE, found.id, reason, "duplicate")
    refs = tuple(mint(Kind.SNAPSHOT, cx.seed) for _ in range(snapshots))
    check = room(cx, Kind.IMAGE, "images", index(cx), lambda one: one.noun.owner == cx.tenant(one.cloud))
    with creating(cx, Kind.IMAGE, ref, cloud, data, cx.tags.get("image"), check) as made:
        noun = made(api(cx.session(cloud)).create_image(replace(spec, ref=ref, snapshot_refs=refs)))
    if refs and (tags := cx.tags.get("snapshot")):
        with cx.store.change(cx.account) as change:
            change.tag(refs, tags)
    return join(cx, cx.view(), Kind.IMAGE, cloud, noun)


def fetching(cx: Context) -> str:
    """The first of the account's clouds that makes images of files at URLs. Raises Unsupported."""
    lacking = {name: cloud.lacks.get(Capability.IMAGE_URL, "") for name, cloud in cx.world.clouds.items()}
    if able := next((name for name, reason in lacking.items() if not reason), ""):
        return able
    raise Unsupported(next(iter(lacking.values())))


def create_of(cx: Context, instance: Instance, spec: ImageSpec) -> Found[Image]:
    """Make an image of an instance and all its disks."""
    spec = replace(spec, server=instance.server.native)
    return create(cx, instance.cloud, spec, len(instance.disks), {"instance": instance.id})


def copy(cx: Context, image: str, name: str, description: str) -> Found[Image]:
    """Copy an available machine image that the account sees, with its snapshots, within its cloud."""
    source = one_image(cx, image)
    if source.noun.state is not ImageState.AVAILABLE:
        raise Conflict(Kind.IMAGE, image, f"The image {image} is not available.")
    spec = ImageSpec("", name, description, source=source.noun.native)
    disks = sum(1 for disk in source.noun.disks if disk.snapshot)
    data = {**{name: source.data[name] for name in REGISTERED if name in source.data}, "source": source.id}
    return create(cx, source.cloud, spec, disks, data)


def delete(cx: Context, image: str) -> None:
    found = own_image(cx, image)
    image_notes.demand_unprotected(cx, found)
    api(cx.session(found.cloud)).delete_image(found.noun.native)
    forget(cx, found.id)


def describe(cx: Context, image: str, description: str) -> None:
    found = own_image(cx, image)
    api(cx.session(found.cloud)).describe_image(found.noun.native, description)


def share(cx: Context, image: str, *, public: bool, accounts: Collection[str]) -> None:
    """Say who may launch an image: everyone, and these accounts."""
    found = own_image(cx, image)
    tenants = [replace(cx, account=account).tenant(found.cloud) for account in accounts]
    api(cx.session(found.cloud)).share_image(found.noun.native, public=public, tenants=tenants)


def _images(session: Session) -> Sequence[Image]:
    return session.images.list_images() if session.images else ()
