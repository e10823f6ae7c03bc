"""What the operator of a CloudStack offers: zones, and sizes of servers and of disks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from isthmus.errors import Invalid, Unavailable, Unsupported
from isthmus.model import Flavor, Zone
from isthmus.providers.cloudstack.client import Item
from isthmus.providers.cloudstack.tenant import Tenant

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack, Options


_SIZED = ":"
"""Between an offering's id and the size that it is asked for with."""
_MHZ = 1000
"""How fast a processor is asked for where the offering leaves that open, too."""


def zones(tenant: Tenant, cloud: CloudStack) -> Mapping[str, Item]:
    """The configured zones that there are, by their names. Raises Unavailable for those of the other kind."""
    found = {str(one["name"]): one for one in tenant.offers("listZones", "zone") if one["name"] in cloud.zones}
    for name, one in found.items():
        if bool(one.get("securitygroupsenabled")) != cloud.options.security_groups:
            has = "has no" if cloud.options.security_groups else "has"
            raise Unavailable(f"The zone {name} {has} security groups, unlike its cloud's settings say.")
    return found


def listed_zones(tenant: Tenant, cloud: CloudStack) -> Sequence[Zone]:
    up = zones(tenant, cloud)
    return [Zone(name, name in up and up[name].get("allocationstate", "Enabled") == "Enabled") for name in cloud.zones]


def zone(tenant: Tenant, cloud: CloudStack, name: str) -> Item:
    """Raises Invalid for a zone that there is not."""
    found = zones(tenant, cloud)
    if name not in found:
        raise Invalid(f"there is no zone {name}", "zone")
    return found[name]


class Size(NamedTuple):
    """What a server is asked for with: a service offering, and what that one leaves open."""

    offering: str
    details: Mapping[str, str]


def flavors(tenant: Tenant, options: Options) -> Sequence[Flavor]:
    """Under the names of the operator's map, which has offerings by names or ids, and else under their own.

    An offering whose size is chosen at each launch is as many flavors as the map has names of known sizes for it.
    """
    names = {theirs: name for name, theirs in options.flavors.items()}
    listed = tenant.offers("listServiceOfferings", "serviceoffering")
    fixed = [
        Flavor(
            one["id"],
            names.get(str(one["id"])) or names.get(str(one["name"])) or str(one["name"]),
            one["cpunumber"],
            one["memory"],
            one.get("rootdisksize", 0),
        )
        for one in listed
        if not one.get("iscustomized") and not one.get("issystem")
    ]
    chosen = [
        replace(wanted, native=_sized(one["id"], wanted.cpus, wanted.memory))
        for one in listed
        if one.get("iscustomized")
        for name, theirs in options.flavors.items()
        if theirs in (one["id"], one["name"]) and (wanted := options.sizes.get(name))
    ]
    return [*fixed, *chosen]


def flavor_of(machine: Item, known: Collection[str]) -> str:
    """The native flavor of a virtual machine; `known` are all that there are."""
    sized = _sized(machine["serviceofferingid"], machine.get("cpunumber", 0), machine.get("memory", 0))
    return sized if sized in known else str(machine["serviceofferingid"])


def size(tenant: Tenant, options: Options, native: str) -> Size:
    """Raises Invalid for a flavor that there is not."""
    for one in flavors(tenant, options):
        if one.native == native:
            offering, sized, _ = native.partition(_SIZED)
            listed = tenant.offers("listServiceOfferings", "serviceoffering")
            open_speed = any(each["id"] == offering and not each.get("cpuspeed") for each in listed)
            speed = {"cpuSpeed": str(_MHZ)} if open_speed else {}
            asked = {"cpuNumber": str(one.cpus), "memory": str(one.memory), **speed} if sized else {}
            return Size(offering, asked)
    raise Invalid(f"there is no flavor {native[:64]}", "flavor")


def _sized(offering: str, cpus: int, memory: int) -> str:
    return f"{offering}{_SIZED}{cpus}x{memory}"


def disk(tenant: Tenant, ours: Mapping[str, str], kind: str) -> Item:
    """The disk offering of a type of volumes: the one that the operator's map has, else the first that has no size of
    its own. Raises Invalid, Unsupported."""
    listed = tenant.offers("listDiskOfferings", "diskoffering")
    if wanted := ours.get(kind):
        for one in listed:
            if wanted in (one["id"], one["name"]):
                return one
        raise Invalid(f"the disk offering {wanted} of the type {kind} is not there", "type")
    for one in sorted(listed, key=lambda one: str(one["name"])):
        if one.get("iscustomized") and not one.get("iscustomizediops"):
            return one
    raise Unsupported("The cloud offers no disks of a size of one's own: its operator can add a custom disk offering.")


def vpc(tenant: Tenant, wanted: str) -> Item:
    """The offering that VPCs are made of: the one that the settings name, else CloudStack's default one."""
    listed = tenant.offers("listVPCOfferings", "vpcoffering", state="Enabled")
    return _chosen(listed, wanted, lambda one: not one.get("isdefault"), "VPCs", "vpc_offering")


def tier(tenant: Tenant, wanted: str) -> Item:
    """The offering that subnets are made of: the one that the settings name, else rather one without load balancing,
    which only one tier of a VPC can have."""
    listed = tenant.offers("listNetworkOfferings", "networkoffering", forvpc=True, state="Enabled")
    return _chosen(listed, wanted, lambda one: "nolb" not in str(one["name"]).lower(), "subnets", "network_offering")


def isolated(tenant: Tenant) -> Item:
    """The offering that CloudStack makes an account's first network of: with source NAT, if one says so."""
    listed = tenant.offers(
        "listNetworkOfferings", "networkoffering", forvpc=False, state="Enabled", guestiptype="Isolated"
    )
    return _chosen(listed, "", lambda one: "sourcenat" not in str(one["name"]).lower(), "networks", "")


def _chosen(listed: Sequence[Item], wanted: str, rank: Callable[[Item], bool], what: str, option: str) -> Item:
    found = [one for one in listed if not wanted or wanted in (one["id"], one["name"])]
    if not found:
        hint = f": its operator can name one as {option}" if option else ""
        raise Unsupported(f"The cloud has no offering {wanted or 'at all'} for {what}{hint}.")
    return min(found, key=lambda one: (rank(one), str(one["name"])))
