"""What is said of virtual machines that there are: names, user data, groups, protection."""

from __future__ import annotations

from emulators.cloudstack.commands.acts import Params, act
from emulators.cloudstack.commands.machines import check_user_data, my_groups, my_machine
from emulators.cloudstack.world import Account, Item, Refusal, World

_SAID = ("displayname", "name", "group")
_SWITCHES = ("deleteprotection", "haenable", "isdynamicallyscalable")
_STOPPED = {"securitygroupids", "securitygroupnames", "userdata", "name"}
"""What is changed of stopped machines alone."""


@act("updateVirtualMachine")
def update(world: World, account: Account, params: Params) -> Item:
    command = "updateVirtualMachine"
    machine = my_machine(world, account, command, params["id"])
    for name in _STOPPED & params.keys():
        if machine["state"] != "Stopped":
            raise Refusal(431, f"Virtual machine must be stopped prior to update {name}", 4350)
    if {"securitygroupids", "securitygroupnames"} & params.keys():
        machine["securitygroup"] = my_groups(world, account, params, world.zone(machine["zoneid"]))
    if "userdata" in params:
        check_user_data(params["userdata"])
        world.user_data[machine["id"]] = params["userdata"]
    machine |= {name: params[name] for name in _SAID if name in params}
    machine |= {name: params[name].lower() == "true" for name in _SWITCHES if name in params}
    return machine


@act("getVMPassword")
def password(world: World, account: Account, params: Params) -> Item:
    """As the machine's key pair encrypts it, by RSA with the padding of PKCS#1 v1.5."""
    machine = my_machine(world, account, "getVMPassword", params["id"])
    if text := world.passwords.get(machine["id"]):
        return {"encryptedpassword": text}
    raise Refusal(431, f"No password for VM with id '{machine['id']}' found.", 4350)


@act("getVirtualMachineUserData")
def user_data(world: World, account: Account, params: Params) -> Item:
    known = params["virtualmachineid"]
    machine = my_machine(world, account, "getVirtualMachineUserData", known)
    return {"virtualmachineid": machine["id"], "userdata": world.user_data[machine["id"]]}
