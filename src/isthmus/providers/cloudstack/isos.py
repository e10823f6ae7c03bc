"""ISOs that can be booted, as images of a machine with a blank root disk.

CloudStack keeps them apart from templates, with commands of their own, and deploys them as if they were one, given an
offering for the root disk and the zone's hypervisor. Source: CloudStack's listing of its API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from isthmus.errors import Denied, Unsupported
from isthmus.providers import DiskSpec
from isthmus.providers.cloudstack import disks, offerings
from isthmus.providers.cloudstack.client import Client, Item
from isthmus.providers.cloudstack.tenant import Tenant

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack

ROOT_GIB = 8
"""Of the root disk, unless a launch asks for more: the ISO has none to say."""


class Words(NamedTuple):
    """The commands for templates, and those for ISOs."""

    update: str
    permit: str
    permissions: str
    permission: str
    """The name of what the latter answers."""
    delete: str


_TEMPLATES = Words(
    "updateTemplate",
    "updateTemplatePermissions",
    "listTemplatePermissions",
    "templatepermission",
    "deleteTemplate",
)
_ISOS = Words("updateIso", "updateIsoPermissions", "listIsoPermissions", "isopermission", "deleteIso")


def is_iso(item: Item) -> bool:
    return bool(item.get("format") == "ISO")


def words(item: Item) -> Words:
    return _ISOS if is_iso(item) else _TEMPLATES


def asks(tenant: Tenant, own: Client, mine: tuple[str, ...], public: tuple[str, ...]) -> list[Callable[[], Any]]:
    """What is asked for all ISOs that the tenant sees; those of everybody are as they were within the last minute."""
    ways = {**dict.fromkeys(mine, own.every), **dict.fromkeys(public, tenant.offers)}
    return [partial(_seen, way, one) for one, way in ways.items()]


def _seen(way: Callable[..., Sequence[Item]], chosen: str) -> Sequence[Item]:
    """None for a role that has no ISOs."""
    try:
        return way("listIsos", "iso", isofilter=chosen, bootable=True)
    except (Denied, Unsupported):
        return ()


def asked(cloud: CloudStack, tenant: Tenant, root: DiskSpec, zone: Item) -> Mapping[str, Any]:
    """What a deployment is asked beside the ISO itself. Raises Invalid, Unsupported."""
    offering = offerings.disk(tenant, cloud.options.volume_types, root.type)
    size = disks.sized(offering, root.size or ROOT_GIB, root.type)
    return {"diskofferingid": offering["id"], **size, "hypervisor": _hypervisor(tenant, zone)}


def _hypervisor(tenant: Tenant, zone: Item) -> str:
    """That of a zone. Raises Unsupported for a zone with several: only a template says for which of them it is."""
    names = hypervisors(tenant, zone["id"])
    if len(names) != 1:
        has = " and ".join(names) or "none"
        raise Unsupported(f"The zone {zone['name']} has no single hypervisor to boot an ISO with, but {has}.")
    return names[0]


def hypervisors(tenant: Tenant, zone: str) -> Sequence[str]:
    """Those of a zone, by name."""
    told = tenant.client.read("listHypervisors", zoneid=zone).get("hypervisor", ())
    return sorted({str(one["name"]) for one in told})
