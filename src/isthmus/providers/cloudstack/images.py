"""CloudStack's templates as images. Source: CloudStack's listTemplates; a template is listed once for each zone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from isthmus.errors import NotFound, Unsupported
from isthmus.model import Image, ImageDisk, ImageState
from isthmus.providers import Capability, ImageSpec, ImportSpec
from isthmus.providers.cloudstack.client import Client, Item
from isthmus.providers.cloudstack.tenant import Tenant
from isthmus.together import together

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack

FILTERS = ("self", "sharedexecutable", "featured", "community")
"""Whose templates are asked for: the tenant's own, those shared with it, and the public ones of two kinds."""
GIB = 1024**3
_FAILED = ("error", "fail", "abandon")
ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "arm64", "i686": "i386"}
"""CloudStack's words since its version 4.20, and ours."""


class CloudStackImages:
    def __init__(self, cloud: CloudStack, tenant: Tenant) -> None:
        self._cloud = cloud
        self._tenant = tenant
        self._client = tenant.client

    def list_images(self, natives: Collection[str] | None = None) -> Sequence[Image]:
        found = [_image(self._tenant, zoned) for zoned in templates(self._client).values()]
        found.sort(key=lambda image: (image.created, image.native))
        return [image for image in found if natives is None or image.native in natives]

    def create_image(self, spec: ImageSpec) -> NoReturn:  # noqa: ARG002
        raise Unsupported(self._cloud.lacks[Capability.IMAGE_OF_SERVER])

    def import_image(self, spec: ImportSpec) -> NoReturn:  # noqa: ARG002
        raise Unsupported(self._cloud.lacks[Capability.IMAGE_IMPORT])

    def describe_image(self, native: str, description: str) -> NoReturn:  # noqa: ARG002
        self._demand(native)
        raise Unsupported("Templates of CloudStack cannot be described here yet: do it there.")

    def share_image(self, native: str, *, public: bool, tenants: Sequence[str]) -> NoReturn:  # noqa: ARG002
        raise Unsupported(self._cloud.lacks[Capability.IMAGE_SHARE])

    def delete_image(self, native: str) -> None:
        if self.list_images([native]):
            raise Unsupported("Templates of CloudStack cannot be deleted here yet: do it there.")

    def _demand(self, native: str) -> None:
        if not self.list_images([native]):
            raise NotFound("image", native[:64])


def templates(client: Client) -> Mapping[str, list[Item]]:
    """All that the tenant sees by their ids, each as it is in every zone."""
    asks = [partial(client.every, "listTemplates", "template", templatefilter=one) for one in FILTERS]
    found: dict[str, dict[str, Item]] = {}
    for listed in together(*asks):
        for one in listed:
            if one.get("templatetype") != "SYSTEM":
                found.setdefault(one["id"], {})[one.get("zoneid", "")] = one
    return {native: list(zoned.values()) for native, zoned in found.items()}


def _image(tenant: Tenant, zoned: Sequence[Item]) -> Image:
    """One template of all zones: it is ready once it is so in one."""
    item = next((one for one in zoned if one.get("isready")), zoned[0])
    owner = tenant.native if tenant.owner.has(item) else item.get("accountid", "")
    root = ImageDisk("/dev/sda1", -(-item.get("size", 0) // GIB))
    return Image(
        native=item["id"],
        ref="",
        name=item["name"],
        state=_state(item),
        owner=owner,
        created=moment(item.get("created", "")),
        description=item.get("displaytext", ""),
        architecture=_architecture(item),
        platform="windows" if "windows" in item.get("ostypename", "").lower() else "",
        public=bool(item.get("ispublic")),
        disks=(root,),
        reason="" if item.get("isready") else item.get("status", ""),
    )


def _state(item: Item) -> ImageState:
    if item.get("isready"):
        return ImageState.AVAILABLE
    status = item.get("status", "").lower()
    return ImageState.ERROR if any(word in status for word in _FAILED) else ImageState.PENDING


def _architecture(item: Item) -> str:
    if said := ARCHITECTURES.get(item.get("arch", "")):
        return said
    return "i386" if "(32-bit)" in item.get("ostypename", "") else "x86_64"


def moment(text: str) -> datetime:
    """A time as CloudStack says it: 2026-01-02T03:04:05+0000."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else datetime.fromtimestamp(0, UTC)
