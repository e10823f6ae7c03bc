"""Templates of files that CloudStack fetches. Source: CloudStack's registerTemplate, and its web interface.

The name of the file says its format, which CloudStack demands, and the format says the hypervisor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from isthmus.errors import Invalid, Unsupported
from isthmus.providers import ImageSpec
from isthmus.providers.cloudstack import isos, offerings
from isthmus.providers.cloudstack.tenant import Tenant

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack

FORMATS = {"qcow2": "QCOW2", "raw": "RAW", "img": "RAW", "vhd": "VHD", "vmdk": "VMDK", "ova": "OVA"}
"""By the ends of files' names."""
PACKED = ("gz", "bz2", "zip")
"""Further ends: CloudStack unpacks these."""
HYPERVISORS = {
    "QCOW2": ("KVM",),
    "RAW": ("KVM",),
    "VHD": ("XenServer", "Hyperv", "KVM"),
    "VMDK": ("KVM",),
    "OVA": ("VMware",),
}
"""Which take a format, the one that it is made for first."""
_ARCHITECTURES = {"x86_64": None, "arm64": "aarch64"}
"""As CloudStack names those that it does not assume, since its version 4.20."""


def begin(cloud: CloudStack, tenant: Tenant, spec: ImageSpec, system: str, details: Mapping[str, str]) -> str:
    """Let CloudStack fetch a template, in all zones whose hypervisors take it; its id. Raises Invalid, Unsupported."""
    if spec.architecture not in _ARCHITECTURES:
        raise Unsupported(f"CloudStack fetches no images of the architecture {spec.architecture}.")
    form = format_of(spec.url)
    hypervisor, zones = _taken(cloud, tenant, form)
    made = tenant.client.do(
        "registerTemplate",
        "image",
        spec.ref,
        name=spec.name,
        displaytext=spec.description or spec.name,
        url=spec.url,
        checksum=f"{{SHA-256}}{spec.sha256}" if spec.sha256 else None,
        format=form,
        hypervisor=hypervisor,
        zoneids=zones,
        ostypeid=system,
        arch=_ARCHITECTURES[spec.architecture],
        ispublic=False,
        details=details,
    )
    return str(made["template"][0]["id"])


def format_of(url: str) -> str:
    """The format that the name of the file at a URL says. Raises Invalid."""
    end, *before = reversed(urlsplit(url).path.lower().split("."))
    if end in PACKED and before:
        end = before[0]
    if end not in FORMATS:
        known = ", ".join(f".{one}" for one in FORMATS)
        raise Invalid(f"the name of a file that CloudStack fetches ends with one of {known}", "url")
    return FORMATS[end]


def _taken(cloud: CloudStack, tenant: Tenant, form: str) -> tuple[str, Sequence[str]]:
    """The hypervisor for a format, and the zones that have it."""
    zones = [one["id"] for one in offerings.zones(tenant, cloud).values()]
    there = {zone: isos.hypervisors(tenant, zone) for zone in zones}
    for hypervisor in HYPERVISORS[form]:
        if having := [zone for zone in zones if hypervisor in there[zone]]:
            return hypervisor, having
    has = " and ".join(sorted(set(chain.from_iterable(there.values())))) or "none"
    raise Unsupported(f"No hypervisor of the cloud takes {form}: it has {has}.")
