"""Snapshots of volumes that were on a machine once: others have no data yet."""

from __future__ import annotations

from uuid import uuid4

from emulators.cloudstack.commands import tags, templates
from emulators.cloudstack.commands.acts import SUCCESS, Params, act, everywhere, filtered, known, left_elsewhere, mine
from emulators.cloudstack.world import Account, Item, Refusal, World

_KIND = "snapshot"


@act("createSnapshot")
def create_snapshot(world: World, account: Account, params: Params) -> Item:
    known = params["volumeid"]
    volume = mine(world, account, "volume", known, f"Unable to find volume by id {known}: entity does not exist")
    if volume["state"] != "Ready":
        raise Refusal(
            431, f"VolumeId: {known} is not in Ready state but {volume['state']}. Cannot take snapshot.", 4350
        )
    made = {
        "id": str(uuid4()),
        "name": params.get("name", f"{volume['name']}_{world.stamp()}"),
        "account": account.name,
        "created": world.stamp(),
        "volumeid": known,
        "volumename": volume["name"],
        "volumetype": volume["type"],
        "zoneid": volume["zoneid"],
        "zonename": volume["zonename"],
        "virtualsize": volume["size"],
        "snapshottype": "MANUAL",
        "intervaltype": "MANUAL",
        "state": "BackingUp",
        "tags": tags.of_new(world, account, params, "Snapshot"),
    }
    for one in templates.every_template(world):
        if one["id"] == volume.get("templateid"):
            made["ostypeid"] = one["ostypeid"]
    world.add(account, _KIND, made)

    def finish() -> Item:
        made["state"] = "BackedUp"
        return {"snapshot": made}

    def fail() -> None:
        made["state"] = "Error"

    return world.begin("createSnapshot", account, finish, made["id"], fail)


@act("listSnapshots")
def list_snapshots(world: World, account: Account, params: Params) -> list[Item]:
    known(world, "snapshot", params, "listSnapshots")
    return filtered(everywhere(world, world.own(account, _KIND)), params, "id", "name", "volumeid", "zoneid")


@act("deleteSnapshot")
def delete_snapshot(world: World, account: Account, params: Params) -> Item:
    found = mine(world, account, _KIND, params["id"], f"unable to find a snapshot with id {params['id']}")
    if found["state"] == "BackingUp":
        raise Refusal(431, f"Can't delete snapshot {found['id']} due to it is in BackingUp status", 4350)

    def finish() -> Item:
        if not left_elsewhere(world, found, params):
            world.things[_KIND].pop(found["id"], None)
        return dict(SUCCESS)

    return world.begin("deleteSnapshot", account, finish, found["id"])
