"""Templates: the operator's featured ones, and accounts' own, which they may let others use."""

from __future__ import annotations

import re
from uuid import uuid4

from emulators.cloudstack.commands.acts import (
    SUCCESS,
    Params,
    act,
    everywhere,
    filtered,
    left_elsewhere,
    mine,
    missing,
)
from emulators.cloudstack.world import DOMAIN, Account, Item, Refusal, World

_KIND, _TABLE = "template", "vm_template"
_ENDS = {"QCOW2": ("qcow2",), "RAW": ("raw", "img"), "VHD": ("vhd",), "VMDK": ("vmdk",), "OVA": ("ova",)}
_FETCHED = 2 * 1024**3
_NO_RECORD = "Failed to create private template record,"


@act("listTemplates")
def list_templates(world: World, account: Account, params: Params) -> list[Item]:
    return filtered(
        seen(
            world,
            account,
            params["templatefilter"],
            every_template(world),
            everywhere(world, world.own(account, _KIND)),
        ),
        params,
        "id",
        "name",
        "zoneid",
    )


def seen(world: World, account: Account, chosen: str, every: list[Item], own: list[Item]) -> list[Item]:
    """What a filter of templates or of ISOs chooses."""
    found = {
        "featured": [one for one in every if one["ispublic"] and one["isfeatured"]],
        "community": [one for one in every if one["ispublic"] and not one["isfeatured"]],
        "self": own,
        "selfexecutable": [one for one in own if one["isready"]],
        "executable": [one for one in every if one["ispublic"] or one in own],
        "sharedexecutable": [one for one in every if account.name in world.shared[one["id"]]],
    }.get(chosen)
    if found is None:
        raise Refusal(431, f"Please specify a valid template filter: {chosen}", 4350)
    return found


@act("listOsTypes")
def list_os_types(world: World, _: Account, params: Params) -> list[Item]:
    return filtered(world.os_types, params, "id", "description")


@act("registerTemplate")
def register_template(world: World, account: Account, params: Params) -> list[Item]:
    """It is fetched afterwards."""
    if params["hypervisor"] not in world.hypervisors:
        raise Refusal(431, f"Hypervisor {params['hypervisor']} is unknown", 4350)
    ends = _ENDS.get(params["format"])
    name = re.sub(r"\.(gz|bz2|zip)$", "", params["url"].partition("?")[0].lower())
    if ends is None or not name.startswith(("http://", "https://")) or not name.endswith(ends):
        raise Refusal(431, f"Please specify a valid {params['format'].lower()}", 4350)
    if not any(one["id"] == params.get("ostypeid") for one in world.os_types):
        raise Refusal(431, "Please pass a valid GuestOS Id", 4350)
    known = params.get("zoneids", "").split(",") if "zoneids" in params else [params.get("zoneid", "")]
    zones = [world.zone(one) for one in known]
    made = {
        **begun(world, account, params, zones[0]),
        "crossZones": False,
        "details": _details(params),
        "format": params["format"],
        "hypervisor": params["hypervisor"],
        "isfeatured": False,
        "ostypeid": params["ostypeid"],
        "status": "50% Downloaded",
        "templatetype": "USER",
        "url": params["url"],
    }
    world.add(account, _KIND, made)
    world.several_zones[made["id"]] = zones

    def finish() -> Item:
        made.update(isready=True, status="Download Complete", size=_FETCHED)
        return {"template": made}

    def fail() -> None:
        made.update(status="Failed to download: 404 Not Found")

    world.begin("registerTemplate", account, finish, made["id"], fail)
    return everywhere(world, [made])


def _details(params: Params) -> Item:
    found = ((re.fullmatch(r"details\[\d+\]\.(.+)", name), value) for name, value in params.items())
    return {name[1]: value for name, value in found if name}


@act("createTemplate")
def create_template(world: World, account: Account, params: Params) -> Item:
    """Of a snapshot, or of the volume of a machine that does not run."""
    size, zone = _source(world, account, params)
    made = {
        **begun(world, account, params, zone),
        "crossZones": False,
        "details": _details(params),
        "format": "QCOW2",
        "hypervisor": "KVM",
        "isfeatured": False,
        "ostypeid": params["ostypeid"],
        "size": size,
        "status": "Creating",
        "templatetype": "USER",
    }
    world.add(account, _KIND, made)

    def finish() -> Item:
        made.update(isready=True, status="Download Complete")
        return {"template": made}

    def fail() -> None:
        del world.things[_KIND][made["id"]]

    return world.begin("createTemplate", account, finish, made["id"], fail)


def begun(world: World, account: Account, params: Params, zone: Item) -> Item:
    """What templates and ISOs of an account have in common while they are being made."""
    return {
        "id": str(uuid4()),
        "name": params["name"],
        "displaytext": params.get("displaytext", params["name"]),
        "account": account.name,
        "accountid": account.id,
        "created": world.stamp(),
        "ispublic": params.get("ispublic", "false").lower() == "true",
        "isready": False,
        "ostypename": "Other Linux (64-bit)",
        "zoneid": zone["id"],
        "zonename": zone["name"],
        "tags": [],
    }


@act("updateTemplate")
def update_template(world: World, account: Account, params: Params) -> Item:
    return updated(_mine(world, account, "updateTemplate", params["id"]), params)


def updated(found: Item, params: Params) -> Item:
    found.update({name: params[name] for name in ("name", "displaytext") if name in params})
    return found


@act("listTemplatePermissions")
def list_permissions(world: World, account: Account, params: Params) -> Item:
    return told(world, _mine(world, account, "listTemplatePermissions", params["id"]))


def told(world: World, found: Item) -> Item:
    """Whom a template or an ISO is shared with."""
    said = {"id": found["id"], "ispublic": found["ispublic"], "domainid": DOMAIN}
    projects = {one.account.name: one.id for one in world.projects.values()}
    names = sorted(world.shared[found["id"]])
    told = {"account": [one for one in names if one not in projects]}
    return {**said, **told, "projectids": [projects[one] for one in names if one in projects]}


@act("updateTemplatePermissions")
def update_permissions(world: World, account: Account, params: Params) -> Item:
    return permit(world, account, _mine(world, account, "updateTemplatePermissions", params["id"]), params)


def permit(world: World, account: Account, found: Item, params: Params) -> Item:
    """Names of accounts are those of one's own domain."""
    names = [one for one in params.get("accounts", "").split(",") if one]
    there = {one.name for one in world.accounts.values()}
    for name in names:
        if name not in there:
            raise Refusal(431, f"Unable to grant a launch permission to account {name}, account not found", 4350)
    for known in filter(None, params.get("projectids", "").split(",")):
        names.append(world.project(world.accounts[account.api], known).account.name)
    match params.get("op", ""):
        case "add":
            world.shared[found["id"]] |= set(names)
        case "remove":
            world.shared[found["id"]] -= set(names)
        case "reset":
            world.shared[found["id"]].clear()
        case "" if not names:
            pass
        case _:
            raise Refusal(431, "Invalid operation: an operation and accounts go together", 4350)
    if "ispublic" in params:
        found["ispublic"] = params["ispublic"].lower() == "true"
    return dict(SUCCESS)


@act("deleteTemplate")
def delete_template(world: World, account: Account, params: Params) -> Item:
    found = _mine(world, account, "deleteTemplate", params["id"])

    def finish() -> Item:
        if not left_elsewhere(world, found, params):
            world.things[_KIND].pop(found["id"], None)
        return dict(SUCCESS)

    return world.begin("deleteTemplate", account, finish, found["id"])


def usable(world: World, account: Account, command: str, known: str, zone: Item) -> Item:
    """A template that an account may make machines of in a zone."""
    owner = world.things[_KIND].get(known, ("", {}))[0]
    there = [one for one in every_template(world) if one["id"] == known]
    open_ones = [one for one in there if readable_by(world, account, one, owner)]
    if not open_ones:
        raise Refusal(431, missing(command, _TABLE, known), 4350)
    for one in open_ones:
        if one["zoneid"] == zone["id"]:
            if not one["isready"]:
                raise Refusal(431, f"Template {known} is not ready to be used", 4350)
            return one
    raise Refusal(431, f"The template {known} is not available for use", 4350)


def readable_by(world: World, account: Account, item: Item, owner: str) -> bool:
    return item["ispublic"] or owner == account.id or account.name in world.shared[item["id"]]


def every_template(world: World) -> list[Item]:
    return [*world.templates, *everywhere(world, [item for _, item in world.things[_KIND].values()])]


def _source(world: World, account: Account, params: Params) -> tuple[int, Item]:
    if known := params.get("snapshotid"):
        snapshot = mine(
            world,
            account,
            "snapshot",
            known,
            f"{_NO_RECORD} unable to find snapshot {known}",
        )
        if snapshot["state"] != "BackedUp":
            raise Refusal(431, f"Snapshot id={known} is not in BackedUp state yet and can't be used for template", 4350)
        return snapshot["virtualsize"], world.zone(snapshot["zoneid"])
    if known := params.get("volumeid"):
        volume = mine(world, account, "volume", known, f"{_NO_RECORD} unable to find volume {known}")
        _, machine = world.things["machine"].get(volume.get("virtualmachineid", ""), ("", {"state": "Stopped"}))
        if machine["state"] != "Stopped":
            raise Refusal(431, "Please specify a volume that is not in use by a running virtual machine", 4350)
        return volume["size"], world.zone(volume["zoneid"])
    raise Refusal(431, f"{_NO_RECORD} neither volume ID nor snapshot ID were specified.", 4350)


def _mine(world: World, account: Account, command: str, known: str) -> Item:
    return mine(world, account, _KIND, known, missing(command, _TABLE, known))
