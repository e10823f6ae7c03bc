"""VPCs and their tiers, in zones without security groups: a router for each VPC, and lists of filters for its tiers."""

from __future__ import annotations

from ipaddress import IPv4Network
from uuid import uuid4

from emulators.cloudstack.commands.acts import SUCCESS, Params, act, deletion, filtered, listed, mine, offered
from emulators.cloudstack.commands.firewalls import check_ports
from emulators.cloudstack.world import Account, Item, Refusal, World

_SMALLEST = 29
"""The prefix of the smallest tier."""


@act("listVPCOfferings")
def list_vpc_offerings(world: World, _: Account, params: Params) -> list[Item]:
    return filtered(world.vpc_offerings, params, "id", "name", "state")


@act("listNetworkOfferings")
def list_network_offerings(world: World, _: Account, params: Params) -> list[Item]:
    for_vpc = {"true": True, "false": False}.get(params.get("forvpc", ""))
    found = [one for one in world.network_offerings if for_vpc in (None, one["forvpc"])]
    return filtered(found, params, "id", "name", "guestiptype", "state")


@act("createVPC")
def create_vpc(world: World, account: Account, params: Params) -> Item:
    zone = world.zone(params["zoneid"])
    if zone["securitygroupsenabled"]:
        raise Refusal(431, "VPC is not supported in a zone with security groups", 4350)
    offering = offered(world.vpc_offerings, params["vpcofferingid"], "vpc offering")
    cidr = _range(params.get("cidr", ""))
    made = {
        "id": str(uuid4()),
        "name": params["name"],
        "displaytext": params.get("displaytext", params["name"]),
        "account": account.name,
        "created": world.stamp(),
        "cidr": str(cidr),
        "zoneid": zone["id"],
        "zonename": zone["name"],
        "vpcofferingid": offering["id"],
        "vpcofferingname": offering["name"],
        "state": "Enabled",
        "network": [],
        "tags": [],
    }
    world.add(account, "vpc", made)
    return world.begin("createVPC", account, lambda: {"vpc": _seen(world, account, made)}, made["id"])


@act("listVPCs")
def list_vpcs(world: World, account: Account, params: Params) -> list[Item]:
    own = [_seen(world, account, one) for one in world.own(account, "vpc")]
    return filtered(own, params, "id", "name", "zoneid", "cidr", "state")


@act("deleteVPC")
def delete_vpc(world: World, account: Account, params: Params) -> Item:
    vpc = _vpc(world, account, params["id"])
    if _tiers(world, account, vpc["id"]):
        raise Refusal(536, f"Can't remove VPC {vpc['id']} as it has active networks", 4375)

    def finish() -> Item:
        del world.things["vpc"][vpc["id"]]
        for one in world.own(account, "address"):
            if one.get("vpcid") == vpc["id"]:
                del world.things["address"][one["id"]]
        return dict(SUCCESS)

    return world.begin("deleteVPC", account, finish, vpc["id"])


@act("createNetwork")
def create_network(world: World, account: Account, params: Params) -> Item:
    """A tier of a VPC, or an isolated network."""
    zone = world.zone(params["zoneid"])
    if zone["securitygroupsenabled"]:
        raise Refusal(431, "Only shared networks are supported in a zone with security groups", 4350)
    offering = offered(world.network_offerings, params["networkofferingid"], "network offering")
    if offering["forvpc"] != bool(params.get("vpcid")):
        raise Refusal(
            431, f"The network offering {offering['name']} is{' not' * (not offering['forvpc'])} for VPCs", 4350
        )
    cidr = _range(f"{params.get('gateway', '10.1.1.1')}/{params.get('netmask', '255.255.255.0')}", strict=False)
    made = {
        "id": str(uuid4()),
        "name": params["name"],
        "displaytext": params.get("displaytext", params["name"]),
        "account": account.name,
        "created": world.stamp(),
        "cidr": str(cidr),
        "gateway": params.get("gateway", "10.1.1.1"),
        "netmask": str(cidr.netmask),
        "type": "Isolated",
        "state": "Allocated",
        "zoneid": zone["id"],
        "zonename": zone["name"],
        "networkofferingid": offering["id"],
        "networkofferingname": offering["name"],
        "egressdefaultpolicy": offering["egressdefaultpolicy"],
        "tags": [],
    }
    if known := params.get("vpcid"):
        vpc = _vpc(world, account, known)
        within = IPv4Network(vpc["cidr"])
        if not cidr.subnet_of(within):
            raise Refusal(431, f"Network cidr {cidr} is not within vpc cidr {within}", 4350)
        for other in _tiers(world, account, known):
            if cidr.overlaps(IPv4Network(other["cidr"])):
                raise Refusal(431, f"Network cidr {cidr} crosses with other network cidr {other['cidr']}", 4350)
        made |= {"vpcid": known, "vpcname": vpc["name"], "aclid": _acl(world, account, params.get("aclid", ""), vpc)}
    return world.add(account, "network", made)


@act("listNetworks")
def list_networks(world: World, account: Account, params: Params) -> list[Item]:
    return filtered(
        [*world.networks, *listed(world, account, "network", params)],
        params,
        "id",
        "name",
        "zoneid",
        "type",
        "vpcid",
        "state",
    )


@act("deleteNetwork")
def delete_network(world: World, account: Account, params: Params) -> Item:
    network = mine(world, account, "network", params["id"], f"unable to find network {params['id']}")
    for machine in world.own(account, "machine"):
        if any(nic["networkid"] == network["id"] for nic in machine["nic"]):
            raise Refusal(536, f"Can't delete network {network['id']}: it still has instances", 4375)
    return deletion(world, account, "deleteNetwork", "network", network["id"])


@act("createNetworkACLList")
def create_list(world: World, account: Account, params: Params) -> Item:
    vpc = _vpc(world, account, params["vpcid"])
    made = {
        "id": str(uuid4()),
        "name": params["name"],
        "description": params.get("description", ""),
        "vpcid": vpc["id"],
    }
    world.add(account, "acllist", made)
    return world.begin("createNetworkACLList", account, lambda: {"networkacllist": made}, made["id"])


@act("listNetworkACLLists")
def list_lists(world: World, account: Account, params: Params) -> list[Item]:
    return filtered([*world.acl_lists, *listed(world, account, "acllist", params)], params, "id", "name", "vpcid")


@act("deleteNetworkACLList")
def delete_list(world: World, account: Account, params: Params) -> Item:
    found = mine(world, account, "acllist", params["id"], f"Unable to find network ACL list {params['id']}")
    if any(one.get("aclid") == found["id"] for one in world.own(account, "network")):
        raise Refusal(536, "ACL is still associated with networks", 4375)
    for item in _items(world, account, found["id"]):
        del world.things["aclitem"][item["id"]]
    return deletion(world, account, "deleteNetworkACLList", "acllist", found["id"])


@act("createNetworkACL")
def create_item(world: World, account: Account, params: Params) -> Item:
    held = mine(
        world, account, "acllist", params.get("aclid", ""), f"Unable to find specified ACL {params.get('aclid')}"
    )
    number = int(params.get("number", 0)) or 1 + max(
        [one["number"] for one in _items(world, account, held["id"])], default=0
    )
    if any(one["number"] == number for one in _items(world, account, held["id"])):
        raise Refusal(431, f"ACL item with number {number} already exists in ACL: {held['id']}", 4350)
    check_ports(params)
    made = {
        "id": str(uuid4()),
        "aclid": held["id"],
        "aclname": held["name"],
        "number": number,
        "protocol": params["protocol"].lower(),
        "action": params.get("action", "allow").capitalize(),
        "traffictype": params.get("traffictype", "ingress").capitalize(),
        "cidrlist": params.get("cidrlist", "0.0.0.0/0"),
        "state": "Active",
        "tags": [],
        **{name: params[name] for name in ("startport", "endport") if name in params},
        **{name: int(params[name]) for name in ("icmptype", "icmpcode") if name in params},
    }
    world.add(account, "aclitem", made)
    return world.begin("createNetworkACL", account, lambda: {"networkacl": made}, made["id"])


@act("listNetworkACLs")
def list_items(world: World, account: Account, params: Params) -> list[Item]:
    return filtered(world.own(account, "aclitem"), params, "id", "aclid", "action", "protocol")


@act("deleteNetworkACL")
def delete_item(world: World, account: Account, params: Params) -> Item:
    found = mine(world, account, "aclitem", params["id"], f"Unable to find network ACL item {params['id']}")
    return deletion(world, account, "deleteNetworkACL", "aclitem", found["id"])


@act("replaceNetworkACLList")
def replace_list(world: World, account: Account, params: Params) -> Item:
    network = mine(world, account, "network", params["networkid"], f"unable to find network {params['networkid']}")
    vpc = _vpc(world, account, network.get("vpcid", ""))
    wanted = _acl(world, account, params["aclid"], vpc)

    def finish() -> Item:
        network["aclid"] = wanted
        return dict(SUCCESS)

    return world.begin("replaceNetworkACLList", account, finish, network["id"])


def _acl(world: World, account: Account, known: str, vpc: Item) -> str:
    """The id of a list of filters that a VPC's tiers may have: the one that denies all, unless another is named."""
    if not known:
        return next(str(one["id"]) for one in world.acl_lists if one["name"] == "default_deny")
    if not any(one["id"] == known for one in world.acl_lists):
        found = mine(world, account, "acllist", known, f"Unable to find specified NetworkACL {known}")
        if found["vpcid"] != vpc["id"]:
            raise Refusal(431, f"ACL: {known} do not belong to the VPC", 4350)
    return known


def _items(world: World, account: Account, held: str) -> list[Item]:
    return [one for one in world.own(account, "aclitem") if one["aclid"] == held]


def _vpc(world: World, account: Account, known: str) -> Item:
    return mine(world, account, "vpc", known, f"Unable to find VPC by id {known}")


def _tiers(world: World, account: Account, vpc: str) -> list[Item]:
    return [one for one in world.own(account, "network") if one.get("vpcid") == vpc]


def _seen(world: World, account: Account, vpc: Item) -> Item:
    return {**vpc, "network": _tiers(world, account, vpc["id"])}


def _range(text: str, *, strict: bool = True) -> IPv4Network:
    try:
        found = IPv4Network(text, strict=strict)
    except ValueError as error:
        raise Refusal(431, f"Invalid CIDR specified {text}", 4350) from error
    if found.prefixlen > _SMALLEST:
        raise Refusal(431, f"The range {text} is too small", 4350)
    return found
