"""Zones and offerings: what the operator made."""

from __future__ import annotations

from emulators.cloudstack.commands.acts import Params, act, filtered
from emulators.cloudstack.world import Account, Item, World


@act("listZones")
def list_zones(world: World, _: Account, params: Params) -> list[Item]:
    return filtered(world.zones, params, "id", "name")


@act("listCapabilities")
def list_capabilities(world: World, _: Account, __: Params) -> Item:
    said = {"cloudstackversion": "4.22.1.0", "securitygroupsenabled": world.with_groups}
    return {"capability": {**said, "allowuserexpungerecovervm": world.users_expunge}}


@act("listDiskOfferings")
def list_disk_offerings(world: World, _: Account, params: Params) -> list[Item]:
    return filtered(world.disk_offerings, params, "id", "name")


@act("listServiceOfferings")
def list_service_offerings(world: World, _: Account, params: Params) -> list[Item]:
    return filtered(world.service_offerings, params, "id", "name")
