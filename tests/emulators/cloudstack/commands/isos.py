"""ISOs: the operator's featured ones, and accounts' own, which they may let others use."""

from __future__ import annotations

from emulators.cloudstack.commands.acts import Params, act, filtered, mine, missing
from emulators.cloudstack.commands.templates import begun, permit, readable_by, seen, told, updated
from emulators.cloudstack.world import Account, Item, Refusal, World

KIND = "iso"
_TABLE = "vm_template"
_SIZE = 400 * 1024**2


@act("listHypervisors")
def list_hypervisors(world: World, _: Account, params: Params) -> list[Item]:
    return [{"name": one} for one in world.hypervisors]


@act("registerIso")
def register(world: World, account: Account, params: Params) -> Item:
    """It is fetched afterwards."""
    zone = world.zone(params["zoneid"])
    bootable = params.get("bootable", "true").lower() == "true"
    if bootable and not any(one["id"] == params.get("ostypeid") for one in world.os_types):
        raise Refusal(431, "Please pass a valid GuestOS Id", 4350)
    if not params["url"].lower().endswith(".iso"):
        raise Refusal(431, "Please specify a valid iso", 4350)
    made = {
        **begun(world, account, params, zone),
        "bootable": bootable,
        "format": "ISO",
        "isfeatured": params.get("isfeatured", "false").lower() == "true",
        "ostypeid": params.get("ostypeid", ""),
        "size": _SIZE,
        "status": "50% Downloaded",
    }
    world.add(account, KIND, made)

    def finish() -> Item:
        made.update(isready=True, status="Successfully Installed")
        return {"iso": made}

    world.begin("registerIso", account, finish, made["id"])
    return made


@act("listIsos")
def list_isos(world: World, account: Account, params: Params) -> list[Item]:
    every = [item for _, item in world.things[KIND].values()]
    found = seen(world, account, params.get("isofilter", "selfexecutable"), every, world.own(account, KIND))
    wanted = {"true": True, "false": False}.get(params.get("bootable", ""))
    return filtered([one for one in found if wanted in (None, one["bootable"])], params, "id", "name", "zoneid")


@act("updateIso")
def update(world: World, account: Account, params: Params) -> Item:
    return updated(_mine(world, account, "updateIso", params["id"]), params)


@act("listIsoPermissions")
def list_permissions(world: World, account: Account, params: Params) -> Item:
    return told(world, _mine(world, account, "listIsoPermissions", params["id"]))


@act("updateIsoPermissions")
def update_permissions(world: World, account: Account, params: Params) -> Item:
    return permit(world, account, _mine(world, account, "updateIsoPermissions", params["id"]), params)


@act("deleteIso")
def delete(world: World, account: Account, params: Params) -> Item:
    found = _mine(world, account, "deleteIso", params["id"])

    def finish() -> Item:
        world.things[KIND].pop(found["id"], None)
        return {"success": True}

    return world.begin("deleteIso", account, finish, found["id"])


def booted(world: World, account: Account, params: Params) -> Item | None:
    """The ISO that a machine is to be deployed from, if it is one that the account may use, with the size of its root
    disk as `size`."""
    owner, found = world.things[KIND].get(params.get("templateid", ""), ("", {}))
    if not found or not readable_by(world, account, found, owner):
        return None
    if found["zoneid"] != params["zoneid"]:
        raise Refusal(431, f"The template {found['id']} is not available for use", 4350)
    if not found["isready"] or not found["bootable"]:
        raise Refusal(431, f"ISO {found['id']} is not ready to be used, or not bootable", 4350)
    if params.get("hypervisor") not in world.hypervisors:
        text = "hypervisor parameter is needed to deploy VM or the hypervisor parameter value passed is invalid"
        raise Refusal(431, text, 4350)
    offering = next((one for one in world.disk_offerings if one["id"] == params.get("diskofferingid")), None)
    if offering is None:
        raise Refusal(431, "Installing from ISO requires a disk offering to be specified for the root disk.", 4350)
    if "overridediskofferingid" in params or "rootdisksize" in params:
        raise Refusal(431, "The root disk of an ISO has the disk offering that is given", 4350)
    if offering["iscustomized"] and "size" not in params:
        raise Refusal(431, "This disk offering requires a custom size specified", 4350)
    size = int(params["size"]) if offering["iscustomized"] else offering["disksize"]
    return {**found, "size": size * 1024**3}


def _mine(world: World, account: Account, command: str, known: str) -> Item:
    return mine(world, account, KIND, known, missing(command, _TABLE, known))
