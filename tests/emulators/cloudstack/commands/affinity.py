"""Affinity groups: an account's, by their names. There are no hosts here that machines could be kept from."""

from __future__ import annotations

from uuid import uuid4

from emulators.cloudstack.commands.acts import Params, act, deletion, filtered, mine, missing
from emulators.cloudstack.world import Account, Item, Refusal, World

_KIND = "affinity"
_TYPES = ("host anti-affinity", "host affinity")


@act("createAffinityGroup")
def create(world: World, account: Account, params: Params) -> Item:
    if params["type"] not in _TYPES:
        raise Refusal(431, f"Unable to create affinity group, invalid affinity group type {params['type']}", 4350)
    name = params["name"]
    if any(one["name"] == name for one in world.own(account, _KIND)):
        raise Refusal(431, f"Unable to create affinity group, a group with name {name} already exists.", 4350)
    said = {"name": name, "type": params["type"], "description": params.get("description", name)}
    made = world.add(account, _KIND, {"id": str(uuid4()), "account": account.name, **said})
    return world.begin("createAffinityGroup", account, lambda: {"affinitygroup": made}, made["id"])


@act("listAffinityGroups")
def list_groups(world: World, account: Account, params: Params) -> list[Item]:
    found = filtered(world.own(account, _KIND), params, "id", "name", "type")
    return [{**one, "virtualmachineIds": _members(world, account, one["id"])} for one in found]


@act("deleteAffinityGroup")
def delete(world: World, account: Account, params: Params) -> Item:
    known = params.get("id", "")
    mine(world, account, _KIND, known, missing("deleteAffinityGroup", "affinity_group", known))
    if _members(world, account, known):
        raise Refusal(536, "Cannot delete affinity group when it's in use by virtual machines", 4375)
    return deletion(world, account, "deleteAffinityGroup", _KIND, known)


def chosen(world: World, account: Account, params: Params) -> list[Item]:
    """The groups that a deployment names."""
    ids = [one for one in params.get("affinitygroupids", "").split(",") if one]
    found = (mine(world, account, _KIND, one, f"Unable to find affinity group by id {one}") for one in ids)
    return [{"id": one["id"], "name": one["name"], "type": one["type"]} for one in found]


def _members(world: World, account: Account, known: str) -> list[str]:
    machines = world.own(account, "machine")
    return [one["id"] for one in machines if any(each["id"] == known for each in one["affinitygroup"])]
