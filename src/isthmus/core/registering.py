"""Keys that a cloud gave out, kept here: each is a credential of its account, and the login that goes with it."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping, Sequence

from isthmus.context import World
from isthmus.errors import Broken, Unavailable
from isthmus.providers import Registered, Registrar
from isthmus.store import Store

Registrars = Mapping[str, Registrar]
"""Whom keys can be registered with, by the names of their clouds."""


def registrars(world: World, *, encrypted: bool) -> Registrars:
    """One of each realm."""
    found: dict[str, Registrar] = {}
    realms = set()
    for name, cloud in world.clouds.items():
        registrar = cloud.registrar
        if registrar and (encrypted or registrar.unencrypted) and cloud.realm not in realms:
            realms.add(cloud.realm)
            found[name] = registrar
    return found


def register(world: World, asked: Registrars, access_key: str, secret: str) -> str:
    """Keep a pair that a cloud takes: the account that it belongs to. Empty for one that is not to be kept.

    What is kept for a key stays, unless it is the very same pair. The clouds are asked whatever is kept, so that how
    long it takes does not tell which keys are. Raises Unavailable if none takes it, and one does not say.
    """
    away: Unavailable | None = None
    for name, registrar in asked.items():
        try:
            whose = registrar.registered(access_key, secret)
        except Broken:
            raise
        except Unavailable as fault:
            away = fault
            continue
        if whose:
            return _kept(world, name, whose, access_key, secret)
    if away:
        raise away
    return ""


def _kept(world: World, cloud: str, whose: Registered, access_key: str, secret: str) -> str:
    store, same = world.store, list(_realm(world, cloud))
    known = store.credential(access_key)
    if known and not hmac.compare_digest(known.secret.encode(), secret.encode()):
        return ""
    if known and store.tenant_of(known.account, cloud) != whose.tenant:  # as an operator has said: a project's, perhaps
        return known.account
    others = [one for one in same if one != cloud]
    account = store.account_for(cloud, whose.tenant, whose.name, *others)
    if account:
        here = [one for one in same if store.tenant_of(account, one) == whose.tenant]
        keep(store, account, here, whose, access_key, secret)
    return account


def keep(store: Store, account: str, clouds: Sequence[str], whose: Registered, access_key: str, secret: str) -> None:
    """Keep a pair for an account as its login at these clouds. StoreError: the key is kept otherwise already."""
    for one in clouds:
        store.keep_login(account, one, whose.tenant, access_key, whose.login)
    known = store.credential(access_key)
    if known is None or (known.account, known.secret) != (account, secret):
        store.import_credential(account, access_key, secret)


def forget(world: World, account: str, access_key: str) -> bool:
    """Whether the key was a login at a cloud where keys can be registered, and is forgotten now."""
    names = {one for cloud in registrars(world, encrypted=True) for one in _realm(world, cloud)}
    tenants = [world.store.tenant(account, one) for one in names]
    if not any(access_key in one.logins for one in tenants if one):
        return False
    return world.store.revoke(access_key)


def _realm(world: World, cloud: str) -> Iterator[str]:
    """The clouds that take the same keys, this one included."""
    realm = world.clouds[cloud].realm
    return (name for name, one in world.clouds.items() if one.realm == realm)
