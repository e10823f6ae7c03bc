"""Security groups, in zones that have them: rules are made one range of ports and one peer each."""

from __future__ import annotations

import re
from uuid import uuid4

from emulators.cloudstack.commands.acts import SUCCESS, Params, act, filtered, mine, missing
from emulators.cloudstack.world import Account, Item, Refusal, World

_KIND, _TABLE = "group", "security_group"
_PEER = re.compile(r"usersecuritygrouplist\[(\d+)\]\.(account|group)")


@act("createSecurityGroup")
def create_group(world: World, account: Account, params: Params) -> Item:
    name = params["name"]
    world.default_group(account)
    if any(one["name"] == name for one in world.own(account, _KIND)):
        raise Refusal(431, f"Unable to create security group, a group with name {name} already exisits.", 4350)
    return world.new_group(account, name, params.get("description", ""))


@act("listSecurityGroups")
def list_groups(world: World, account: Account, params: Params) -> list[Item]:
    world.default_group(account)
    named = {"name": params["securitygroupname"]} if "securitygroupname" in params else {}
    return filtered(world.own(account, _KIND), {**params, **named}, "id", "name")


@act("deleteSecurityGroup")
def delete_group(world: World, account: Account, params: Params) -> Item:
    group = _mine(world, account, "deleteSecurityGroup", params)
    if group["name"] == "default":
        raise Refusal(431, "The network group default is reserved", 4350)
    if any(one["id"] == group["id"] for each in world.own(account, "machine") for one in each["securitygroup"]):
        raise Refusal(536, "Cannot delete group when it's in use by virtual machines", 4375)
    naming = (one for each in world.own(account, _KIND) for one in (*each["ingressrule"], *each["egressrule"]))
    if any((one.get("account"), one.get("securitygroupname")) == (account.name, group["name"]) for one in naming):
        raise Refusal(536, "Cannot delete group when it's in use by other security groups", 4375)
    del world.things[_KIND][group["id"]]
    return SUCCESS


@act("authorizeSecurityGroupIngress")
def authorize_ingress(world: World, account: Account, params: Params) -> Item:
    return _authorize(world, account, "authorizeSecurityGroupIngress", params)


@act("authorizeSecurityGroupEgress")
def authorize_egress(world: World, account: Account, params: Params) -> Item:
    return _authorize(world, account, "authorizeSecurityGroupEgress", params)


@act("revokeSecurityGroupIngress")
def revoke_ingress(world: World, account: Account, params: Params) -> Item:
    return _revoke(world, account, "revokeSecurityGroupIngress", params["id"])


@act("revokeSecurityGroupEgress")
def revoke_egress(world: World, account: Account, params: Params) -> Item:
    return _revoke(world, account, "revokeSecurityGroupEgress", params["id"])


def _authorize(world: World, account: Account, command: str, params: Params) -> Item:
    group = _mine(world, account, command, params)
    held = group["ingressrule" if command.endswith("Ingress") else "egressrule"]
    peers: list[Item] = [{"cidr": one} for one in params.get("cidrlist", "").split(",") if one]
    peers += _groups(world, params)
    if not peers:
        raise Refusal(431, "At least one cidr or at least one security group needs to be specified", 4350)
    said = _protocol(params)

    def finish() -> Item:
        if any({**said, **one}.items() <= rule.items() for one in peers for rule in held):
            raise Refusal(537, "There is already a rule of these ports", 4360)
        for one in peers:
            known = str(uuid4())
            rule = {**said, **one, "ruleid": known, "tags": []}
            held.append(rule)
            world.things["rule"][known] = (account.id, {"id": known, "tags": rule["tags"]})
        return {"securitygroup": group}

    return world.begin(command, account, finish, group["id"])


def _groups(world: World, params: Params) -> list[Item]:
    """The peers of a rule that are groups, by their accounts and names."""
    parts: dict[str, Item] = {}
    for name, value in params.items():
        if found := _PEER.fullmatch(name):
            parts.setdefault(found[1], {})[found[2]] = value
    names = {one.id: one.name for one in world.accounts.values()}
    names |= {one.account.id: one.account.name for one in world.projects.values()}
    every = {(names.get(owner), item["name"]) for owner, item in world.things[_KIND].values()}
    for one in parts.values():
        if not {"account", "group"} <= one.keys():
            raise Refusal(431, f"Invalid user group specified {one}, it needs an account and a group", 4350)
        if (one["account"], one["group"]) not in every:
            raise Refusal(431, f"Nonexistent account {one['account']} or security group {one['group']}", 4350)
    return [{"account": one["account"], "securitygroupname": one["group"]} for one in parts.values()]


def _protocol(params: Params) -> Item:
    protocol = params.get("protocol", "all").lower()
    if protocol == "icmp":
        return {"protocol": protocol, "icmptype": int(params["icmptype"]), "icmpcode": int(params["icmpcode"])}
    if protocol == "all" or protocol.isdigit():
        return {"protocol": protocol}
    first, last = int(params.get("startport", -1)), int(params.get("endport", params.get("startport", -1)))
    if not 0 < first <= last <= 65535:
        raise Refusal(431, f"Invalid port numbers {first}:{last}", 4350)
    return {"protocol": protocol, "startport": first, "endport": last}


def _revoke(world: World, account: Account, command: str, rule: str) -> Item:
    name = "ingressrule" if command.endswith("Ingress") else "egressrule"
    for group in world.own(account, _KIND):
        if any(one["ruleid"] == rule for one in group[name]):
            break
    else:
        raise Refusal(431, f"Unable to find the security rule with id {rule}", 4350)

    def finish() -> Item:
        group[name] = [one for one in group[name] if one["ruleid"] != rule]
        world.things["rule"].pop(rule, None)
        return dict(SUCCESS)

    return world.begin(command, account, finish, group["id"])


def _mine(world: World, account: Account, command: str, params: Params) -> Item:
    known = params.get("securitygroupid") or params.get("id", "")
    if name := params.get("securitygroupname") or params.get("name", ""):
        known = next((one["id"] for one in world.own(account, _KIND) if one["name"] == name), name)
    return mine(world, account, _KIND, known, missing(command, _TABLE, known))
