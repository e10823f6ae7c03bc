"""The CloudStack that `make test-cloudstack` is given: two accounts there, and Isthmus's cloud, which knows their keys.

An administrator's keys make the accounts for the time of the run, and delete them with all that is left. A user's
keys need another account's beside them.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from isthmus.errors import Fault
from isthmus.providers.cloudstack import CloudStack, Keys, Options
from isthmus.providers.cloudstack.client import Client, Wire
from isthmus.providers.cloudstack.credentials import owner
from isthmus.providers.cloudstack.survey import JUDGE

NAME = "real-cloudstack"
DELETE_SECONDS = 1800
"""How long an account may take to be deleted with all that it has."""
_TENANTS: list[str] = []


class Given(NamedTuple):
    """What the environment says."""

    url: str
    keys: Keys
    other: Keys | None
    zone: str
    verify: bool


class User(NamedTuple):
    tenant: str
    keys: Keys


def absent() -> str:
    """Why there is no such cloud to test with, or empty."""
    lacking = [name for name in ("CLOUDSTACK_URL", "CLOUDSTACK_KEY", "CLOUDSTACK_SECRET") if not os.environ.get(name)]
    return f"no CloudStack is named, {lacking[0]} is not set (make test-cloudstack)" if lacking else ""


def given() -> Given:
    said = {name.removeprefix("CLOUDSTACK_"): value for name, value in os.environ.items() if value}
    other = Keys(said["OTHER_KEY"], said["OTHER_SECRET"]) if {"OTHER_KEY", "OTHER_SECRET"} <= said.keys() else None
    keys = Keys(said["KEY"], said["SECRET"])
    return Given(said["URL"], keys, other, said.get("ZONE", ""), said.get("VERIFY", "true") != "false")


def file() -> str:
    """The URL of a disk's file that the cloud can fetch, or empty."""
    return os.environ.get("CLOUDSTACK_FILE", "")


def tenants() -> tuple[str, str]:
    """Those of the cloud that was opened last."""
    first, second = _TENANTS
    return first, second


@contextmanager
def _users(wire: Wire, client: Client, said: Given) -> Iterator[tuple[User, User]]:
    """Two accounts. Those that are made are deleted, whatever happens."""
    if said.other:
        yield _of(wire, said.keys), _of(wire, said.other)
        return
    may = {one["name"] for one in client.read("listApis")["api"]}
    assert may.issuperset((*JUDGE, "createAccount")), (
        "These are a user's keys: give another account's as well, OTHER_KEY and OTHER_SECRET, or an administrator's."
    )
    made: list[User] = []
    try:
        for number in range(2):
            made.append(_made(client, f"isthmus-test-{secrets.token_hex(4)}-{number}"))
        yield made[0], made[1]
    finally:
        jobs = [client.begin("deleteAccount", "account", one.tenant, id=one.tenant)["jobid"] for one in made]
        for job in jobs:
            client.done(job, seconds=DELETE_SECONDS)


def _of(wire: Wire, keys: Keys) -> User:
    return User(owner(Client(wire, keys), keys.api).tenant, keys)


def _made(client: Client, name: str) -> User:
    """A new account with one user, who has keys."""
    person = {"firstname": "Isthmus", "lastname": "Test", "email": f"{name}@example.org"}
    said = {**person, "username": name, "password": secrets.token_urlsafe(24), "accounttype": 0}
    account = client.do("createAccount", **said)["account"]
    try:
        [user] = account["user"]
        answer = client.do("registerUserKeys", "user", user["id"], id=user["id"])
        pair = answer.get("userkeys", answer)
        return User(account["id"], Keys(pair["apikey"], pair["secretkey"]))
    except (Fault, KeyError, ValueError):
        client.do("deleteAccount", "account", account["id"], id=account["id"])
        raise


@contextmanager
def _opened() -> Iterator[tuple[CloudStack, Mapping[str, Keys]]]:
    """The cloud, and the keys of its two tenants."""
    said = given()
    wire = Wire(said.url, verify=said.verify)
    try:
        client = Client(wire, said.keys)
        zones = [one for one in client.every("listZones", "zone") if said.zone in ("", one["name"])]
        assert zones, f"CloudStack shows no zone {said.zone}"
        with _users(wire, client, said) as users:
            options = Options(said.url, verify=said.verify, security_groups=bool(zones[0].get("securitygroupsenabled")))
            cloud = CloudStack(NAME, (zones[0]["name"],), options)
            _TENANTS[:] = [one.tenant for one in users]
            try:
                yield cloud, {one.tenant: one.keys for one in users}
            finally:
                cloud.close()
    finally:
        wire.close()


class Real:
    """The cloud, whose sessions need no secrets; the accounts that were made for it go when it is closed."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._cloud, self._keys = self._stack.enter_context(_opened())

    def session(self, tenant: str) -> Any:
        keys = self._keys[tenant]
        return self._cloud.session(tenant, {"api_key": keys.api, "secret_key": keys.secret})

    def close(self) -> None:
        self._stack.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cloud, name)
