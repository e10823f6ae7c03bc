"""Further addresses of machines' interfaces."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from uuid import uuid4

from emulators.cloudstack.commands.acts import SUCCESS, Params, act
from emulators.cloudstack.world import Account, Item, Refusal, World

MOST = 256
"""`max.num.of.secondary.ips`, of one interface."""


@act("addIpToNic")
def add(world: World, account: Account, params: Params) -> Item:
    """The address is chosen at once, the router told of it by the job."""
    machine, nic = _nic(world, account, params["nicid"])
    if len(nic.get("secondaryip", ())) >= MOST:
        raise Refusal(431, f"Maximum Number of Ips per Nic has been crossed for nic {nic['id']}", 4350)
    network = IPv4Network(f"{nic['gateway']}/{nic['netmask']}", strict=False)
    taken = world.private_addresses(nic["networkid"]) | {nic["gateway"]}
    wanted = params.get("ipaddress") or next((str(one) for one in network.hosts() if str(one) not in taken), "")
    if not wanted or wanted in taken or not _within(wanted, network):
        raise Refusal(431, f"Allocating ip to guest nic {nic['id']} failed, please choose another ip", 4350)
    made = {"id": str(uuid4()), "ipaddress": wanted}
    nic.setdefault("secondaryip", []).append(made)

    def finish() -> Item:
        where = {"nicid": nic["id"], "networkid": nic["networkid"], "virtualmachineid": machine["id"]}
        return {"nicsecondaryip": {**made, **where}}

    return world.begin("addIpToNic", account, finish, made["id"], lambda: nic["secondaryip"].remove(made))


@act("removeIpFromNic")
def remove(world: World, account: Account, params: Params) -> Item:
    for machine in world.own(account, "machine"):
        for nic in machine["nic"]:
            for one in nic.get("secondaryip", ()):
                if one["id"] == params["id"]:
                    return _removal(world, account, machine, nic, one)
    raise Refusal(431, f"Unable to find secondary ip address by id {params['id']}", 4350)


def _removal(world: World, account: Account, machine: Item, nic: Item, one: Item) -> Item:
    number = one["ipaddress"]
    for address in world.own(account, "address"):
        if (address.get("virtualmachineid"), address.get("vmipaddress")) == (machine["id"], number):
            raise Refusal(431, f"Can't remove the ip {number}: it has a static NAT rule of {address['id']}", 4350)

    def finish() -> Item:
        nic["secondaryip"].remove(one)
        return dict(SUCCESS)

    return world.begin("removeIpFromNic", account, finish, one["id"])


def _nic(world: World, account: Account, known: str) -> tuple[Item, Item]:
    for machine in world.own(account, "machine"):
        for nic in machine["nic"]:
            if nic["id"] == known and machine["state"] != "Destroyed":
                return machine, nic
    raise Refusal(431, f"There is no nic for the id {known}: entity does not exist", 4350)


def _within(wanted: str, network: IPv4Network) -> bool:
    try:
        return IPv4Address(wanted) in network
    except ValueError:
        return False
