"""Users, accounts and their keys: an administrator sees all of them, others themselves alone."""

from __future__ import annotations

from emulators.cloudstack.commands.acts import ACTS, Params, act, filtered
from emulators.cloudstack.contract import commands
from emulators.cloudstack.world import DOMAIN, Account, Item, Refusal, World

_UNLIMITED = ("volumelimit", "snapshotlimit", "templatelimit", "iplimit", "vpclimit")


@act("getUser")
def get_user(world: World, _: Account, params: Params) -> Item:
    found = world.accounts.get(params["userapikey"])
    if found is None:
        raise Refusal(431, "User does not exist in the system", 4350)
    return _user(world, found)


@act("getUserKeys")
def get_user_keys(world: World, account: Account, params: Params) -> Item:
    """The newest pair."""
    newest = _pairs(world, account, params["id"])[-1]
    return {"apikey": newest.api, "secretkey": newest.secret}


@act("listUserKeys")
def list_user_keys(world: World, account: Account, params: Params) -> list[Item]:
    return [
        {"userid": one.user, "accountid": one.id, "accountname": one.name, "apikey": one.api, "secretkey": one.secret}
        for one in _pairs(world, account, params["userid"])
        if params.get("apikeyfilter", one.api) == one.api
    ]


@act("listUsers")
def list_users(world: World, account: Account, params: Params) -> list[Item]:
    users = {one.user: _user(world, one) for one in _seen(world, account)}
    return filtered(users.values(), params, "id", "username", "account")


@act("listAccounts")
def list_accounts(world: World, account: Account, params: Params) -> list[Item]:
    """Of limits, those of machines have a number here."""
    limits = {"vmlimit": "20", **dict.fromkeys(_UNLIMITED, "Unlimited")}
    said = {
        one.id: {"id": one.id, "name": one.name, "domainid": DOMAIN, "roletype": one.role, **limits}
        | {"state": _state(world, one.id)}
        for one in _seen(world, account)
    }
    return filtered(said.values(), params, "id", "name", "state")


@act("createAccount")
def create_account(world: World, _: Account, params: Params) -> Item:
    """Its user's keys are nobody's before they are registered."""
    if any(one.name == params["username"] for one in world.accounts.values()):
        raise Refusal(431, f"The user {params['username']} already exists in domain 1", 4350)
    made = world.new_account(params["username"])
    return {"id": made.id, "name": made.name, "user": [_user(world, made)]}


@act("registerUserKeys")
def register_user_keys(world: World, account: Account, params: Params) -> Item:
    pair = world.new_pair(_pairs(world, account, params["id"])[-1])
    said = {"apikey": pair.api, "secretkey": pair.secret}
    return world.begin("registerUserKeys", account, lambda: {"userkeys": said}, pair.user)


@act("deleteAccount")
def delete_account(world: World, account: Account, params: Params) -> Item:
    """All that it had goes with it."""

    def finish() -> Item:
        for api in [one.api for one in world.accounts.values() if one.id == params["id"]]:
            del world.accounts[api]
        for things in world.things.values():
            for known in [one for one, (owner, _) in things.items() if owner == params["id"]]:
                world.destroyed.pop(known, None)
                del things[known]
        return {"success": True}

    return world.begin("deleteAccount", account, finish, params["id"])


@act("listApis")
def list_apis(world: World, account: Account, params: Params) -> list[Item]:
    """What the emulator has and the account's role may do."""
    may = [commands()[name] for name in ACTS if world.may(account, name)]
    listed: list[Item] = [{"name": one.name, "isasync": one.asynchronous} for one in may]
    return filtered(listed, params, "name")


def _seen(world: World, account: Account) -> list[Account]:
    """The newest pair of each user comes last."""
    return [one for one in world.accounts.values() if account.role == "Admin" or one.user == account.user]


def _pairs(world: World, account: Account, user: str) -> list[Account]:
    found = [one for one in world.accounts.values() if one.user == user]
    if not found:
        raise Refusal(431, f"Unable to find user by id {user}", 4350)
    if account.role != "Admin" and account.user != user:
        raise Refusal(531, f"Acct[{account.id}-{account.name}] does not have permission to operate with resource", 4365)
    return found


def _user(world: World, found: Account) -> Item:
    said = {"id": found.user, "username": found.name, "account": found.name, "accountid": found.id}
    said["domainid"] = DOMAIN
    return {**said, "apikey": found.api, "state": _state(world, found.user), "roletype": found.role}


def _state(world: World, known: str) -> str:
    return "disabled" if known in world.disabled else "enabled"
