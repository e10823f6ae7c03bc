"""The commands by their names, and what they share."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from emulators.cloudstack.world import Account, Item, Refusal, World

Params = dict[str, str]
Act = Callable[[World, Account, Params], Item | list[Item]]
ACTS: dict[str, Act] = {}
SUCCESS = {"success": True}


def act(name: str) -> Callable[[Act], Act]:
    def register(one: Act) -> Act:
        ACTS[name.lower()] = one
        return one

    return register


def filtered(items: Iterable[Item], params: Params, *names: str) -> list[Item]:
    """Those that have what these parameters say; `ids` names several."""
    wanted = {name: params[name] for name in names if name in params}
    ids = params["ids"].split(",") if "ids" in params else None
    return [
        one
        for one in items
        if all(str(one.get(name)) == value for name, value in wanted.items()) and (ids is None or one["id"] in ids)
    ]


def known(world: World, kind: str, params: Params, command: str) -> None:
    """Refuse a list by ids that nothing of this kind has."""
    for name in ("id", "ids"):
        for one in filter(None, params.get(name, "").split(",")):
            if one not in world.things[kind]:
                said = f"Unable to execute API command {command.lower()} due to invalid value. Invalid parameter {name}"
                why = "due to incorrect long value format, or entity does not exist"
                raise Refusal(431, f"{said} value={one} {why}", 4350)


def mine(world: World, account: Account, kind: str, known: str, text: str) -> Item:
    """A thing of the asker's own. Others' are told to be there, and not his: as CloudStack does."""
    owner, item = world.things[kind].get(known, ("", {}))
    if not item:
        raise Refusal(431, text, 4350)
    if owner != account.id:
        raise Refusal(531, f"Acct[{account.id}-{account.name}] does not have permission to operate with resource", 4365)
    return item


def listed(world: World, account: Account, kind: str, params: Params) -> list[Item]:
    """What is the asker's own; for an administrator who asks for all, that of all accounts, or of all projects."""
    if account.role != "Admin" or params.get("listall", "false").lower() != "true":
        return world.own(account, kind)
    projects = params.get("projectid") == "-1"
    items = world.things[kind].values()
    return [one for owner, one in items if (world.project_of(owner) is not None) == projects]


def everywhere(world: World, items: Iterable[Item]) -> list[Item]:
    """As they are listed: once for each zone."""
    return [
        {**item, "zoneid": zone["id"], "zonename": zone["name"]} if zone else item
        for item in items
        for zone in world.several_zones.get(item["id"], [None])
    ]


def left_elsewhere(world: World, item: Item, params: Params) -> bool:
    """Whether a thing stays in other zones than the one that it is deleted in; without one it is in all."""
    there = [one["id"] for one in world.several_zones.pop(item["id"], [world.zone(item["zoneid"])])]
    wanted = params.get("zoneid") or ",".join(there)
    if "zoneid" in params and wanted not in there:
        raise Refusal(431, f"Unable to find {item['id']} in the zone {wanted}", 4350)
    left = [one for one in there if one not in wanted.split(",")]
    if left:
        world.several_zones[item["id"]] = [world.zone(one) for one in left]
    return bool(left)


def missing(command: str, table: str, known: str) -> str:
    """How CloudStack says that there is nothing of an id that a parameter names."""
    said = f"Unable to execute API command {command.lower()} due to invalid value."
    return f"{said} Object {table}(uuid: {known}) does not exist."


def offered(offerings: Iterable[Item], known: str, what: str) -> Item:
    """One of the operator's offerings."""
    for one in offerings:
        if one["id"] == known:
            return one
    raise Refusal(431, f"Unable to find {what}: {known}", 4350)


def deletion(world: World, account: Account, command: str, kind: str, known: str) -> Item:
    """A job at whose end a thing is gone."""

    def finish() -> Item:
        world.things[kind].pop(known, None)
        return dict(SUCCESS)

    return world.begin(command, account, finish, known)
