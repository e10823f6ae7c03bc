"""Projects, which several accounts may be in: each has things of its own, by an account that no user is of."""

from __future__ import annotations

from emulators.cloudstack.commands.acts import SUCCESS, Params, act, filtered
from emulators.cloudstack.world import DOMAIN, Account, Item, Project, Refusal, World

_UNLIMITED = ("volumelimit", "snapshotlimit", "templatelimit", "iplimit", "vpclimit")


@act("createProject")
def create_project(world: World, account: Account, params: Params) -> Item:
    """Of the asker's account."""
    if any(one.name == params["name"] for one in world.projects.values()):
        raise Refusal(431, f"Project with name {params['name']} already exists in domain id={DOMAIN}", 4350)
    made = world.new_project(params["name"], account)
    return world.begin("createProject", account, lambda: {"project": _project(made)}, made.id)


@act("listProjects")
def list_projects(world: World, account: Account, params: Params) -> list[Item]:
    mine = [one for one in world.projects.values() if account.role == "Admin" or account.id in one.members]
    return filtered(map(_project, mine), params, "id", "name")


@act("addAccountToProject")
def add_account(world: World, account: Account, params: Params) -> Item:
    found = world.project(account, params["projectid"])
    added = [one.id for one in world.accounts.values() if one.name == params.get("account")]
    if not added:
        raise Refusal(431, f"Unable to find account name={params.get('account')} in domain id={DOMAIN}", 4350)

    def finish() -> Item:
        found.members.update(added)
        return dict(SUCCESS)

    return world.begin("addAccountToProject", account, finish, "")


def _project(one: Project) -> Item:
    """Of limits, those of machines have a number here."""
    said = {"id": one.id, "name": one.name, "displaytext": one.name, "projectaccountname": one.account.name}
    limits = {"vmlimit": "30", **dict.fromkeys(_UNLIMITED, "Unlimited")}
    return {**said, "domainid": DOMAIN, "domain": "ROOT", "state": "Active", **limits}
