"""Tags: a key that is there already is refused, and so is an empty value."""

from __future__ import annotations

import re

from emulators.cloudstack.commands.acts import SUCCESS, Params, act, filtered, mine
from emulators.cloudstack.contract import LONGEST
from emulators.cloudstack.world import DOMAIN, Account, Item, Refusal, World

_KINDS = {
    "uservm": "machine",
    "volume": "volume",
    "snapshot": "snapshot",
    "securitygroup": "group",
    "publicipaddress": "address",
    "network": "network",
    "vpc": "vpc",
    "networkacl": "aclitem",
    "firewallrule": "firewallrule",
    "template": "template",
    "iso": "iso",
    "securitygrouprule": "rule",
}
_INDEXED = re.compile(r"tags\[(\d+)\]\.(key|value)")


@act("createTags")
def create_tags(world: World, account: Account, params: Params) -> Item:
    things, said = _things(world, account, params), _said(params)
    if not said or not all(said.values()):
        raise Refusal(431, "Unable to create tags: a value is empty", 4350)
    if any(len(text) > LONGEST for pair in said.items() for text in pair):
        raise Refusal(431, f"A tag has at most {LONGEST} characters", 4350)
    for thing in things:
        for one in thing["tags"]:
            if one["key"].lower() in {key.lower() for key in said}:
                kind = params["resourcetype"]
                raise Refusal(431, f"tag {one['key']} already on {kind} with id {thing['id']}", 4350)

    def finish() -> Item:
        for thing in things:
            about = {"resourceid": thing["id"], "resourcetype": params["resourcetype"], **owner(world, account)}
            about |= {"customer": params["customer"]} if "customer" in params else {}
            thing["tags"] += [{"key": key, "value": value, **about} for key, value in said.items()]
        return dict(SUCCESS)

    return world.begin("createTags", account, finish, "")


@act("deleteTags")
def delete_tags(world: World, account: Account, params: Params) -> Item:
    things, said = _things(world, account, params), _said(params)

    def goes(tag: Item) -> bool:
        return not said or (tag["key"] in said and said[tag["key"]] in ("", tag["value"]))

    def finish() -> Item:
        for thing in things:
            thing["tags"][:] = [one for one in thing["tags"] if not goes(one)]
        return dict(SUCCESS)

    return world.begin("deleteTags", account, finish, "")


@act("listTags")
def list_tags(world: World, account: Account, params: Params) -> list[Item]:
    things = (one for kind in _KINDS.values() for one in world.own(account, kind))
    every = ({**tag, "resourceid": one["id"]} for one in things for tag in one["tags"])
    return filtered(every, params, "resourceid", "resourcetype", "key", "value", "customer")


def of_new(world: World, account: Account, params: Params, kind: str) -> list[Item]:
    """Those that something is made with."""
    about = {"resourcetype": kind, **owner(world, account)}
    return [{"key": key, "value": value, **about} for key, value in _said(params).items()]


def owner(world: World, account: Account) -> Item:
    """Whose a tag is said to be."""
    project = world.project_of(account.id)
    return {"domainid": DOMAIN, "domain": "ROOT", **(project.said if project else {"account": account.name})}


def _things(world: World, account: Account, params: Params) -> list[Item]:
    kind = _KINDS.get(params["resourcetype"].lower())
    if kind is None:
        raise Refusal(431, f"Invalid resource type {params['resourcetype']}", 4350)
    ids = params["resourceids"].split(",")
    return [mine(world, account, kind, one, f"Unable to find resource by id {one} and type {kind}") for one in ids]


def _said(params: Params) -> dict[str, str]:
    parts: dict[str, dict[str, str]] = {}
    for name, value in params.items():
        if found := _INDEXED.fullmatch(name):
            parts.setdefault(found[1], {})[found[2]] = value
    return {one["key"]: one.get("value", "") for one in parts.values()}
