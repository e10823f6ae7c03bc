"""Users and their keys, as an administrator finds them: a user may ask for the keys of his own alone."""

from __future__ import annotations

from emulators.cloudstack.commands.acts import Params, act
from emulators.cloudstack.world import Account, Item, Refusal, World


@act("getUser")
def get_user(world: World, _: Account, params: Params) -> Item:
    found = world.accounts.get(params["userapikey"])
    if found is None:
        raise Refusal(431, "User does not exist in the system", 4350)
    said = {"id": found.user, "username": found.name, "account": found.name, "accountid": found.id}
    return {**said, "apikey": found.api, "state": "enabled", "roletype": found.role}


@act("getUserKeys")
def get_user_keys(world: World, account: Account, params: Params) -> Item:
    for found in world.accounts.values():
        if found.user == params["id"] and (account.role == "Admin" or account is found):
            return {"apikey": found.api, "secretkey": found.secret}
    raise Refusal(531, f"Acct[{account.id}-{account.name}] does not have permission to operate with resource", 4365)
