"""Public addresses: each is of one network or VPC from the beginning, and of one machine by static NAT."""

from __future__ import annotations

from uuid import NAMESPACE_URL, uuid5

from emulators.cloudstack.commands import firewalls
from emulators.cloudstack.commands.acts import SUCCESS, Params, act, deletion, filtered, mine, missing
from emulators.cloudstack.world import Account, Item, Refusal, World

_KIND = "address"


@act("listPortForwardingRules")
@act("listIpForwardingRules")
def none(world: World, account: Account, params: Params) -> list[Item]:
    return []


@act("associateIpAddress")
def associate(world: World, account: Account, params: Params) -> Item:
    owner: Item = {}
    if known := params.get("vpcid"):
        home = mine(world, account, "vpc", known, f"Unable to find VPC by id {known}")
        owner = {"vpcid": known}
    elif known := params.get("networkid"):
        home = mine(world, account, "network", known, f"unable to find network {known}")
        if "vpcid" in home:
            raise Refusal(431, "Can't assign ip to the network directly when network belongs to VPC.", 4350)
        owner = {"associatednetworkid": known, "associatednetworkname": home["name"]}
    else:
        raise Refusal(431, "Unable to figure out zone, network or VPC to assign ip to", 4350)
    made = {
        "id": "",
        "ipaddress": _number(world, params.get("ipaddress", ""), home["zoneid"]),
        "account": account.name,
        "allocated": world.stamp(),
        "state": "Allocating",
        "issourcenat": False,
        "isstaticnat": False,
        "forvirtualnetwork": True,
        "zoneid": home["zoneid"],
        "zonename": home["zonename"],
        "tags": [],
        **owner,
    }
    made["id"] = str(uuid5(NAMESPACE_URL, made["ipaddress"]))
    world.add(account, _KIND, made)

    def finish() -> Item:
        made["state"] = "Allocated"
        return {"ipaddress": made}

    return world.begin("associateIpAddress", account, finish, made["id"])


@act("listPublicIpAddresses")
def list_public_addresses(world: World, account: Account, params: Params) -> list[Item]:
    return filtered(world.own(account, _KIND), params, "id", "ipaddress", "vpcid", "associatednetworkid", "zoneid")


@act("disassociateIpAddress")
def disassociate(world: World, account: Account, params: Params) -> Item:
    address = _mine(world, account, params.get("id", ""))
    firewalls.drop(world, account, firewalls.COMING, "ipaddressid", address["id"])
    return deletion(world, account, "disassociateIpAddress", _KIND, address["id"])


@act("enableStaticNat")
def enable_static_nat(world: World, account: Account, params: Params) -> Item:
    address = _mine(world, account, params["ipaddressid"])
    known = params["virtualmachineid"]
    machine = mine(world, account, "machine", known, missing("enableStaticNat", "vm_instance", known))
    if address["isstaticnat"]:
        raise Refusal(431, f"Failed to enable static nat: ip address {address['id']} is already assigned to a vm", 4350)
    tiers = {one["id"]: one.get("vpcid") for one in world.own(account, "network")}
    nic = next((one for one in machine["nic"] if _serves(address, one["networkid"], tiers)), None)
    if nic is None:
        raise Refusal(431, f"Vm {known} is not in the network or VPC of the ip address", 4350)
    guest = params.get("vmguestip", nic["ipaddress"])
    if guest not in {nic["ipaddress"], *(one["ipaddress"] for one in nic.get("secondaryip", ()))}:
        raise Refusal(431, f"Invalid ip {guest}: it is no address of the nic {nic['id']}", 4350)
    if any(
        (one.get("virtualmachineid"), one.get("vmipaddress")) == (known, guest) for one in world.own(account, _KIND)
    ):
        raise Refusal(431, f"Failed to enable static nat: {guest} of vm {known} already has a static nat ip", 4350)
    address.update(
        isstaticnat=True,
        virtualmachineid=known,
        virtualmachinename=machine["name"],
        vmipaddress=guest,
        associatednetworkid=nic["networkid"],
    )
    machine.update(publicip=address["ipaddress"], publicipid=address["id"])
    return dict(SUCCESS)


@act("disableStaticNat")
def disable_static_nat(world: World, account: Account, params: Params) -> Item:
    address = _mine(world, account, params["ipaddressid"])
    if not address["isstaticnat"]:
        raise Refusal(431, "Specified IP is not enabled for static nat", 4350)

    def finish() -> Item:
        free(world, account, address)
        return dict(SUCCESS)

    return world.begin("disableStaticNat", account, finish, address["id"])


def free(world: World, account: Account, address: Item) -> None:
    """Take an address off its machine. One of a VPC is of no tier then."""
    for machine in world.own(account, "machine"):
        if machine["id"] == address.get("virtualmachineid"):
            machine.pop("publicip", None)
            machine.pop("publicipid", None)
    for name in ("virtualmachineid", "virtualmachinename", "vmipaddress"):
        address.pop(name, None)
    if "vpcid" in address:
        address.pop("associatednetworkid", None)
    address["isstaticnat"] = False


def _number(world: World, wanted: str, zone: str) -> str:
    """An address has the same id whoever has it."""
    if not wanted:
        return world.public_address(zone)
    taken = {one["ipaddress"] for _, one in world.things[_KIND].values()}
    if not wanted.startswith(world.public_range(zone)) or wanted in taken:
        raise Refusal(431, f"Unable to find ip address {wanted}, or it is already in use", 4350)
    return wanted


def _serves(address: Item, network: str, tiers: dict[str, str | None]) -> bool:
    if "vpcid" in address:
        return tiers.get(network) == address["vpcid"]
    return network == address.get("associatednetworkid")


def _mine(world: World, account: Account, known: str) -> Item:
    return mine(world, account, _KIND, known, f"Unable to find ip address by id {known}")
