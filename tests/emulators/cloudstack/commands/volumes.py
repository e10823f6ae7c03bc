"""Volumes: those of machines, and disks of their own."""

from __future__ import annotations

from uuid import uuid4

from emulators.cloudstack.commands.acts import SUCCESS, Params, act, filtered, known, mine
from emulators.cloudstack.world import Account, Item, Refusal, World

GIB = 1024**3
_CD_DEVICE = 3


@act("createVolume")
def create_volume(world: World, account: Account, params: Params) -> Item:
    offering = next((one for one in world.disk_offerings if one["id"] == params.get("diskofferingid")), None)
    if offering is None:
        raise Refusal(431, "Please specify a valid disk offering ID.", 4350)
    if bool(params.get("size")) != offering["iscustomized"]:
        raise Refusal(431, f"Size and the disk offering {offering['name']} do not go together", 4350)
    zone = world.zone(params.get("zoneid", ""))
    size = int(params.get("size") or offering["disksize"]) * GIB
    source = _snapshot(world, account, params["snapshotid"], size) if "snapshotid" in params else {}
    after = {"snapshotid": source["id"]} if source else {}
    made = new(world, account, zone, params.get("name", ""), size, state="Creating")
    made |= {"diskofferingid": offering["id"], "diskofferingname": offering["name"]}
    made |= after

    def finish() -> Item:
        if source and source["zoneid"] != zone["id"]:
            raise Refusal(530, f"Failed to create volume: {made['id']}", 4250)
        made["state"] = "Ready" if after else "Allocated"
        return {"volume": made}

    def fail() -> None:
        world.things["volume"].pop(made["id"], None)

    return world.begin("createVolume", account, finish, made["id"], fail)


def _snapshot(world: World, account: Account, known: str, size: int) -> Item:
    snapshot = mine(world, account, "snapshot", known, f"unable to find a snapshot with id {known}")
    if snapshot["state"] != "BackedUp":
        raise Refusal(431, f"Snapshot id={known} is not in BackedUp state yet and can't be used", 4350)
    if size < snapshot["virtualsize"]:
        raise Refusal(431, f"Invalid size for volume creation: {size // GIB}GB", 4350)
    return snapshot


def free(volume: Item) -> None:
    """Take a volume off its machine."""
    for name in ("virtualmachineid", "vmname", "vmstate", "deviceid", "attached"):
        volume.pop(name, None)


@act("resizeVolume")
def resize_volume(world: World, account: Account, params: Params) -> Item:
    volume = _mine(world, account, params["id"])
    size = int(params["size"]) * GIB
    if volume["state"] not in ("Ready", "Allocated"):
        raise Refusal(431, "Volume should be in ready or allocated state before attempting a resize", 4350)
    if size < volume["size"]:
        raise Refusal(431, "Going from existing size to a smaller one needs shrinkok", 4350)

    def finish() -> Item:
        volume["size"] = size
        return {"volume": volume}

    return world.begin("resizeVolume", account, finish, volume["id"])


def new(
    world: World, account: Account, zone: Item, name: str, size: int, *, state: str, kind: str = "DATADISK"
) -> Item:
    made = {
        "id": str(uuid4()),
        "name": name,
        "zoneid": zone["id"],
        "zonename": zone["name"],
        "type": kind,
        "state": state,
        "size": size,
        "created": world.stamp(),
        "account": account.name,
        "tags": [],
    }
    return world.add(account, "volume", made)


@act("listVolumes")
def list_volumes(world: World, account: Account, params: Params) -> list[Item]:
    known(world, "volume", params, "listVolumes")
    own = [one for one in world.own(account, "volume") if one["state"] != "Destroy"]
    own = [one for one in own if params.get("keyword", "") in one["name"]]
    return filtered(own, params, "id", "name", "state", "zoneid", "type", "virtualmachineid")


@act("deleteVolume")
def delete_volume(world: World, account: Account, params: Params) -> Item:
    volume = _mine(world, account, params["id"])
    if "virtualmachineid" in volume:
        raise Refusal(530, "Please specify a volume that is not attached to any VM.", 4250)
    if volume["state"] == "Creating":
        raise Refusal(431, "Please specify a volume that is not in state Creating.", 4350)
    del world.things["volume"][volume["id"]]
    return SUCCESS


@act("attachVolume")
def attach_volume(world: World, account: Account, params: Params) -> Item:
    volume = _mine(world, account, params["id"])
    machine = mine(world, account, "machine", params["virtualmachineid"], "Unable to find the virtual machine")
    if "virtualmachineid" in volume:
        raise Refusal(431, "Please specify a volume that is not attached to any VM.", 4350)
    if machine["state"] not in ("Running", "Stopped"):
        raise Refusal(431, "Please specify a VM that is either running or stopped.", 4350)
    if machine["zoneid"] != volume["zoneid"]:
        raise Refusal(431, "Please specify a VM that is in the same zone as the volume.", 4350)
    taken = {
        one.get("deviceid") for one in world.own(account, "volume") if one.get("virtualmachineid") == machine["id"]
    }
    free = next(number for number in range(1, 64) if number not in taken | {_CD_DEVICE})
    device = int(params.get("deviceid", free))
    if device in taken | {_CD_DEVICE}:
        raise Refusal(431, f"deviceId {device} is used by VM {machine['id']}", 4350)
    volume["state"] = "Attaching"

    def finish() -> Item:
        named = {"virtualmachineid": machine["id"], "vmname": machine["name"], "vmstate": machine["state"]}
        volume.update(state="Ready", deviceid=device, attached=world.stamp(), **named)
        return {"volume": volume}

    return world.begin("attachVolume", account, finish, volume["id"])


@act("detachVolume")
def detach_volume(world: World, account: Account, params: Params) -> Item:
    volume = _mine(world, account, params["id"])
    if "virtualmachineid" not in volume:
        raise Refusal(530, "The specified volume is not attached to a VM.", 4250)
    machine = world.things["machine"][volume["virtualmachineid"]][1]
    if volume["type"] == "ROOT" and machine["state"] != "Stopped":
        raise Refusal(431, "Please specify a data volume, or a VM that is stopped", 4350)

    def finish() -> Item:
        free(volume)
        return {"volume": volume}

    return world.begin("detachVolume", account, finish, volume["id"])


def _mine(world: World, account: Account, known: str) -> Item:
    return mine(world, account, "volume", known, f"Unable to aquire volume with ID: {known}")
