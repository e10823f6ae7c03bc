"""The firewall of isolated networks: what comes in by public address, and what goes out by network.

Rules of one protocol whose ranges of ports overlap cannot name the same range of addresses. CloudStack compares these
by their texts.
"""

from __future__ import annotations

from ipaddress import IPv4Network
from uuid import uuid4

from emulators.cloudstack.commands.acts import Params, act, deletion, filtered, mine
from emulators.cloudstack.world import Account, Item, Refusal, World

COMING, GOING = "firewallrule", "egressrule"
"""The kinds of rules."""


@act("createFirewallRule")
def create(world: World, account: Account, params: Params) -> Item:
    known = params["ipaddressid"]
    address = mine(world, account, "address", known, f"Unable to find ip address by id {known}")
    if "vpcid" in address:
        raise Refusal(431, "Unable to create firewall rule for the address: it belongs to a VPC", 4350)
    if not address.get("associatednetworkid"):
        raise Refusal(431, "Unable to create firewall rule; ip is not associated with any network", 4350)
    at = {"ipaddressid": known, "ipaddress": address["ipaddress"], "networkid": address["associatednetworkid"]}
    return _made(world, account, params, "createFirewallRule", COMING, {**at, "traffictype": "Ingress"})


@act("createEgressFirewallRule")
def create_egress(world: World, account: Account, params: Params) -> Item:
    known = params["networkid"]
    network = mine(world, account, "network", known, f"unable to find network {known}")
    if "vpcid" in network:
        raise Refusal(431, "Firewall egress rules cannot be made for a network of a VPC", 4350)
    within = IPv4Network(network["cidr"])
    for one in _list(params, "cidrlist"):
        if not IPv4Network(one).subnet_of(within):
            raise Refusal(431, f"{one} is not within the guest network {within}", 4350)
    at = {"networkid": known, "traffictype": "Egress", "destcidrlist": params.get("destcidrlist", "")}
    return _made(world, account, params, "createEgressFirewallRule", GOING, at)


@act("listFirewallRules")
def list_rules(world: World, account: Account, params: Params) -> list[Item]:
    return filtered(world.own(account, COMING), params, "id", "ipaddressid", "networkid")


@act("listEgressFirewallRules")
def list_egress_rules(world: World, account: Account, params: Params) -> list[Item]:
    return filtered(world.own(account, GOING), params, "id", "networkid")


@act("deleteFirewallRule")
def delete(world: World, account: Account, params: Params) -> Item:
    return _gone(world, account, params, "deleteFirewallRule", COMING)


@act("deleteEgressFirewallRule")
def delete_egress(world: World, account: Account, params: Params) -> Item:
    return _gone(world, account, params, "deleteEgressFirewallRule", GOING)


def check_ports(params: Params) -> None:
    """CloudStack has no port 0."""
    ports = [int(params[name]) for name in ("startport", "endport") if name in params]
    if any(not 1 <= one <= 65535 for one in ports) or ports != sorted(ports):
        raise Refusal(431, f"The range of ports {ports} is invalid", 4350)
    if ports and params["protocol"].lower() not in ("tcp", "udp"):
        raise Refusal(431, f"Ports cannot be named for the protocol {params['protocol']}", 4350)


def drop(world: World, account: Account, kind: str, field: str, value: str) -> None:
    """Rules go with what they are of."""
    for one in world.own(account, kind):
        if one.get(field) == value:
            del world.things[kind][one["id"]]


def _made(world: World, account: Account, params: Params, command: str, kind: str, at: Item) -> Item:
    protocol = params["protocol"].lower()
    if protocol not in ("tcp", "udp", "icmp", *(["all"] if kind == GOING else [])):
        raise Refusal(431, f"Protocol {protocol} is not supported in the network", 4350)
    check_ports(params)
    made = {
        "id": str(uuid4()),
        **at,
        "protocol": protocol,
        "cidrlist": params.get("cidrlist", "0.0.0.0/0"),
        "state": "Active",
        "tags": [],
        **{name: int(params[name]) for name in ("startport", "endport", "icmptype", "icmpcode") if name in params},
    }
    for one in world.own(account, kind):
        if _conflict(one, made):
            raise Refusal(537, f"New rule conflicts with existing rule: {one['id']}", 4360)
    world.things[kind][made["id"]] = (account.id, made)
    return world.begin(command, account, lambda: {"firewallrule": made}, made["id"])


def _conflict(one: Item, other: Item) -> bool:
    if any(one.get(name) != other.get(name) for name in ("ipaddressid", "networkid", "protocol")):
        return False
    for name in ("cidrlist", "destcidrlist"):
        ours, theirs = set(_list(one, name)), set(_list(other, name))
        if (ours or theirs) and not ours & theirs:
            return False
    if one["protocol"] == "icmp":
        return all(one.get(name) == other.get(name) for name in ("icmptype", "icmpcode"))
    if "startport" not in one or "startport" not in other:
        return True
    return bool(one["startport"] <= other["endport"] and other["startport"] <= one["endport"])


def _gone(world: World, account: Account, params: Params, command: str, kind: str) -> Item:
    found = mine(world, account, kind, params["id"], f"Unable to find firewall rule {params['id']}")
    return deletion(world, account, command, kind, found["id"])


def _list(item: Item, name: str) -> list[str]:
    return [one for one in str(item.get(name) or "").split(",") if one]
