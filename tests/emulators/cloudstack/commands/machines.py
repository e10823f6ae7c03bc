"""Virtual machines. Those that are destroyed are seen by administrators alone, and hold what they had for a day."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime, timedelta
from uuid import uuid4

from emulators.cloudstack.commands import addresses, affinity, isos, keys, templates, volumes
from emulators.cloudstack.commands.acts import Params, act, filtered, known, mine, missing, offered
from emulators.cloudstack.world import STAMP, Account, Item, Refusal, World

_MOST_USER_DATA = 32768
"""Characters of base64: `vm.userdata.max.length`."""
_KIND = "machine"
_TABLE = "vm_instance"


@act("deployVirtualMachine")
def deploy(world: World, account: Account, params: Params) -> Item:
    command = "deployVirtualMachine"
    zone = world.zone(params["zoneid"])
    offering = offered(world.service_offerings, params["serviceofferingid"], "service offering")
    iso = isos.booted(world, account, params)
    template = iso or templates.usable(world, account, command, params.get("templateid", ""), zone)
    if "userdata" in params:
        check_user_data(params["userdata"])
    name = params.get("name") or f"VM-{uuid4()}"
    if any(one["name"] == name for one in world.own(account, _KIND)):
        raise Refusal(431, f"The vm with hostName {name} already exists in the network domain", 4350)
    size = int(params.get("rootdisksize", 0)) * volumes.GIB
    if 0 < size < template["size"]:
        raise Refusal(431, f"Unsupported: rootdisksize override is smaller than template size {template['size']}", 4350)
    machine = {
        "id": str(uuid4()),
        "name": name,
        "displayname": params.get("displayname", name),
        "account": account.name,
        "created": world.stamp(),
        "lastupdated": world.stamp(),
        "state": "Stopped",
        "zoneid": zone["id"],
        "zonename": zone["name"],
        "templateid": template["id"],
        "templatename": template["name"],
        **({"isoid": iso["id"], "isoname": iso["name"]} if iso else {}),
        "serviceofferingid": offering["id"],
        "serviceofferingname": offering["name"],
        **_size(offering, params),
        "hypervisor": "KVM",
        "rootdeviceid": 0,
        "rootdevicetype": "ROOT",
        "passwordenabled": template.get("passwordenabled", False),
        "details": {**template.get("details", {}), **_details(params)},
        "keypairs": _key_pairs(world, account, params),
        "securitygroup": my_groups(world, account, params, zone),
        "affinitygroup": affinity.chosen(world, account, params),
        "nic": _nics(world, account, params, zone),
        "tags": [],
    }
    world.add(account, _KIND, machine)
    world.user_data[machine["id"]] = params.get("userdata", "")
    root = volumes.new(world, account, zone, f"ROOT-{name}", size or template["size"], state="Creating", kind="ROOT")
    root |= {"virtualmachineid": machine["id"], "deviceid": 0, "isoid" if iso else "templateid": template["id"]}
    if params.get("startvm", "true").lower() == "true":
        machine["state"] = "Starting"

    def finish() -> Item:
        machine["state"] = "Running" if machine["state"] == "Starting" else "Stopped"
        root["state"] = "Ready"
        if not machine["passwordenabled"]:
            return {"virtualmachine": machine}
        password = uuid4().hex
        world.passwords[machine["id"]] = keys.encrypted(world, account, machine["keypairs"], password)
        return {"virtualmachine": {**machine, "password": password}}

    def fail() -> None:
        machine["state"] = "Error"

    return world.begin(command, account, finish, machine["id"], fail)


@act("listVirtualMachines")
def list_machines(world: World, account: Account, params: Params) -> list[Item]:
    known(world, "machine", params, "listVirtualMachines")
    seen = [one for one in world.own(account, _KIND) if one["state"] not in ("Destroyed", "Expunging")]
    return filtered(seen, params, "id", "name", "state", "zoneid", "templateid", "keypair")


@act("changeServiceForVirtualMachine")
def change_service(world: World, account: Account, params: Params) -> Item:
    machine = my_machine(world, account, "changeServiceForVirtualMachine", params["id"])
    if machine["state"] != "Stopped":
        raise Refusal(431, f"Unable to upgrade virtual machine {machine['id']} in state {machine['state']}", 4350)
    offering = offered(world.service_offerings, params["serviceofferingid"], "service offering")
    machine.update(serviceofferingid=offering["id"], serviceofferingname=offering["name"])
    machine.update(_size(offering, params))
    return machine


@act("startVirtualMachine")
def start(world: World, account: Account, params: Params) -> Item:
    return _change(world, account, "startVirtualMachine", params["id"], ("Stopped",), "Starting", "Running")


@act("stopVirtualMachine")
def stop(world: World, account: Account, params: Params) -> Item:
    return _change(world, account, "stopVirtualMachine", params["id"], ("Running", "Stopped"), "Stopping", "Stopped")


@act("rebootVirtualMachine")
def reboot(world: World, account: Account, params: Params) -> Item:
    return _change(world, account, "rebootVirtualMachine", params["id"], ("Running",), "Running", "Running")


@act("destroyVirtualMachine")
def destroy(world: World, account: Account, params: Params) -> Item:
    expunge = params.get("expunge", "false").lower() == "true"
    if expunge and account.role == "User" and not world.users_expunge:
        raise Refusal(531, "Parameter expunge can be passed by Admin only.", 4365)
    machine = my_machine(world, account, "destroyVirtualMachine", params["id"])
    if machine.get("deleteprotection"):
        raise Refusal(
            431, f"Instance [id = {machine['id']}] has delete protection enabled and cannot be deleted.", 4350
        )
    going = params.get("volumeids", "").split(",")
    machine["state"] = "Stopping"

    def finish() -> Item:
        machine["state"] = "Destroyed"
        world.destroyed[machine["id"]] = world.now()
        for volume in world.own(account, "volume"):
            if volume.get("virtualmachineid") == machine["id"]:
                if volume["type"] == "ROOT" or volume["id"] in going:
                    volume["state"] = "Destroy"
                else:
                    volumes.free(volume)
        for address in world.own(account, "address"):
            if address.get("virtualmachineid") == machine["id"]:
                addresses.free(world, account, address)
        if expunge:
            del world.destroyed[machine["id"]], world.things["machine"][machine["id"]]
        return {"virtualmachine": machine}

    return world.begin("destroyVirtualMachine", account, finish, machine["id"])


def _change(
    world: World, account: Account, command: str, known: str, before: tuple[str, ...], state: str, after: str
) -> Item:
    machine = my_machine(world, account, command, known)
    if machine["state"] not in before:
        raise Refusal(431, f"Unable to do {command} of VM {known}: it is in state {machine['state']}", 4350)
    machine["state"] = state

    def finish() -> Item:
        machine["state"] = after
        machine["lastupdated"] = max(world.stamp(), _later(machine["lastupdated"]))
        return {"virtualmachine": machine}

    return world.begin(command, account, finish, known)


def _later(stamp: str) -> str:
    """Its changes lie a second apart at least: a real machine takes longer."""
    return (datetime.fromisoformat(stamp) + timedelta(seconds=1)).strftime(STAMP)


def _size(offering: Item, params: Params) -> Item:
    """How large a machine is: as its offering, or the details where that leaves it open, say."""
    if not offering["iscustomized"]:
        return {"cpunumber": offering["cpunumber"], "memory": offering["memory"]}
    said = _details(params)
    open_ones = ["cpuNumber", "memory"] + ([] if offering.get("cpuspeed") else ["cpuSpeed"])
    if missing_ones := [name for name in open_ones if not said.get(name.lower(), "").isdecimal()]:
        raise Refusal(431, f"Need to specify custom parameter values {', '.join(missing_ones)}", 4350)
    return {"cpunumber": int(said["cpunumber"]), "memory": int(said["memory"])}


def _details(params: Params) -> Item:
    found = ((re.fullmatch(r"details\[\d+\]\.(.+)", name), value) for name, value in params.items())
    return {name[1]: value for name, value in found if name}


def my_machine(world: World, account: Account, command: str, known: str) -> Item:
    return mine(world, account, _KIND, known, missing(command, _TABLE, known))


def _key_pairs(world: World, account: Account, params: Params) -> str:
    names = [one for one in (params.get("keypairs") or params.get("keypair") or "").split(",") if one]
    there = {one["name"] for one in world.own(account, "keypair")}
    for name in names:
        if name not in there:
            raise Refusal(431, f"A key pair with name '{name}' was not found.", 4350)
    return ",".join(names)


def _nics(world: World, account: Account, params: Params, zone: Item) -> list[Item]:
    """One in each network, the first one the default; a wanted address is the first's, unless each says its own."""
    mapped = _mapped(params)
    first, *more = _networks(world, account, params, zone)
    wanted = {first["id"]: params.get("ipaddress", "")} | mapped
    for network, address in wanted.items():
        if address and address in world.private_addresses(network):
            raise Refusal(533, f"Unable to acquire Guest IP address for network {network}", 4325)
    made = [world.nic(one, wanted.get(one["id"], "")) for one in (first, *more)]
    return [{**nic, "isdefault": not number, "deviceid": str(number)} for number, nic in enumerate(made)]


def _mapped(params: Params) -> dict[str, str]:
    """The wanted addresses of `iptonetworklist`, or empty ones, by network, in their order."""
    found = (re.fullmatch(r"iptonetworklist\[(\d+)\]\.networkid", name) for name in params)
    numbers = sorted(int(one[1]) for one in found if one)
    if numbers and ("networkids" in params or "ipaddress" in params):
        raise Refusal(431, "ipToNetworkMap can't be specified along with networkIds or ipAddress", 4350)
    return {
        params[f"iptonetworklist[{one}].networkid"]: params.get(f"iptonetworklist[{one}].ip", "") for one in numbers
    }


def _networks(world: World, account: Account, params: Params, zone: Item) -> list[Item]:
    """Those that are named; else the zone's shared one, or the only isolated one, which is made if there is none."""
    if ids := [*_mapped(params)] or [one for one in params.get("networkids", "").split(",") if one]:
        if zone["networktype"] == "Basic":
            raise Refusal(431, "Can't specify network Ids in Basic zone", 4350)
        shared = {one["id"]: one for one in world.networks}
        found = [
            shared.get(one) or mine(world, account, "network", one, f"Unable to find network by id {one}")
            for one in ids
        ]
        for one in found:
            if len(found) > 1 and zone["securitygroupsenabled"]:
                raise Refusal(431, "Only support one network per VM if security group enabled", 4350)
            if one["zoneid"] != zone["id"]:
                raise Refusal(431, f"Network id={one['id']} doesn't belong to zone {zone['id']}", 4350)
        return found
    if zone["securitygroupsenabled"]:
        return [one for one in world.networks if one["zoneid"] == zone["id"]]
    here = [one for one in world.own(account, "network") if one["zoneid"] == zone["id"]]
    own = [one for one in here if "vpcid" not in one]
    if len(own) > 1:
        raise Refusal(431, "More than 1 default Isolated networks are found; please specify networkIds", 4350)
    return own or [world.default_network(account, zone)]


def my_groups(world: World, account: Account, params: Params, zone: Item) -> list[Item]:
    ids = [one for one in params.get("securitygroupids", "").split(",") if one]
    names = [one for one in params.get("securitygroupnames", "").split(",") if one]
    if ids and names:
        raise Refusal(431, "securitygroupids parameter is mutually exclusive with securitygroupnames parameter", 4350)
    by_name = {one["name"]: one["id"] for one in world.own(account, "group")}
    ids += [by_name.get(one, one) for one in names]
    if ids and not zone["securitygroupsenabled"]:
        raise Refusal(431, "Can't create vm with security groups; security group feature is not enabled per zone", 4350)
    table = "security_group"
    found = [mine(world, account, "group", one, missing("deployVirtualMachine", table, one)) for one in ids]
    if not found and zone["securitygroupsenabled"]:
        found = [world.default_group(account)]
    return [{"id": one["id"], "name": one["name"]} for one in found]


def check_user_data(text: str) -> None:
    try:
        if not base64.b64decode(text, validate=True):
            raise Refusal(431, "User data is too short", 4350)
    except binascii.Error as error:
        raise Refusal(431, "User data needs base64 encoding", 4350) from error
    if len(text) > _MOST_USER_DATA:
        raise Refusal(431, f"User data is too long: at most {_MOST_USER_DATA}", 4350)
