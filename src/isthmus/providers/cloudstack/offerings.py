"""What the operator of a CloudStack offers: zones and sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from isthmus.errors import Invalid, Unavailable
from isthmus.model import Flavor, Zone
from isthmus.providers.cloudstack.client import Client, Item


def zones(client: Client, names: Sequence[str], *, grouped: bool) -> Mapping[str, Item]:
    """The configured zones that there are, by their names. Raises Unavailable for those of the other kind."""
    found = {str(one["name"]): one for one in client.every("listZones", "zone") if one["name"] in names}
    for name, one in found.items():
        if bool(one.get("securitygroupsenabled")) != grouped:
            has = "has no" if grouped else "has"
            raise Unavailable(f"The zone {name} {has} security groups, unlike its cloud's settings say.")
    return found


def listed_zones(client: Client, names: Sequence[str], *, grouped: bool) -> Sequence[Zone]:
    up = zones(client, names, grouped=grouped)
    return [Zone(name, name in up and up[name].get("allocationstate") == "Enabled") for name in names]


def zone_id(client: Client, names: Sequence[str], zone: str, *, grouped: bool) -> str:
    """Raises Invalid for a zone that there is not."""
    found = zones(client, names, grouped=grouped)
    if zone not in found:
        raise Invalid(f"there is no zone {zone}", "zone")
    return str(found[zone]["id"])


def flavors(client: Client, ours: Mapping[str, str]) -> Sequence[Flavor]:
    """Under the names of the operator's map, which has offerings by names or ids, and else under their own.

    Those whose size is chosen at each launch are left out: no instance type can be.
    """
    names = {theirs: name for name, theirs in ours.items()}
    listed = client.every("listServiceOfferings", "serviceoffering")
    return [
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
