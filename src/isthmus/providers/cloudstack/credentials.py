"""Who signed, when CloudStack gave out the keys: an administrator's keys read the secret, and we judge by it.

Source: CloudStack's listing of its API: `getUser`, `getUserKeys`, and `listUserKeys` of 4.23, where a user has
several pairs.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from collections import OrderedDict
from contextlib import suppress
from typing import NamedTuple, TypeVar

from isthmus.errors import Denied, NotFound, NotTaken, Unavailable, Unsupported
from isthmus.model import SignedRequest
from isthmus.providers.cloudstack.client import Client, Item, Wire
from isthmus.providers.cloudstack.projects import project
from isthmus.providers.cloudstack.signing import Keys
from isthmus.told import Secrets, Told

_log = logging.getLogger(__name__)
API_KEY = re.compile(r"[0-9A-Za-z_.~-]{8,255}")
_NOBODY = "isthmus-nobody"
"""An API key that CloudStack does not give out, and an id of no user."""
_NO_USER = "00000000-0000-4000-8000-000000000000"
_ENABLED = "enabled"
_MOST = 10_000
"""Tenants and pairs that are remembered."""
T = TypeVar("T")
U = TypeVar("U")


class Owner(NamedTuple):
    """For whom calls are made: `tenant` is the id of the user's account, `name` that account's name in its domain.

    For a project `tenant` is that one's id, and so is `project`; `name` is that of the account that CloudStack has for
    it, which no user is of.
    """

    user: str
    tenant: str
    name: str
    domain: str
    project: str = ""

    def has(self, item: Item) -> bool:
        """Whether a thing is the tenant's own: it names its project, or its account and that one's domain."""
        if self.project or item.get("projectid"):
            return bool(item.get("projectid") == self.project)
        return bool(item.get("account") == self.name and item.get("domainid") == self.domain)


class Signer(NamedTuple):
    """Who signed, and with which pair: calls to the cloud are made with the same."""

    owner: Owner
    keys: Keys


class Credentials:
    """CloudStack's own API keys. Without an administrator's keys nobody is known by them."""

    def __init__(self, wire: Wire, admin: Keys | None) -> None:
        self._wire = wire
        self._admin = Client(wire, admin) if admin else None
        self._secrets = Secrets(self._told)
        self._lock = threading.Lock()
        self._latest: OrderedDict[str, str] = OrderedDict()
        """The API key that each tenant signed with last."""
        self._owners: OrderedDict[bytes, Owner] = OrderedDict()
        """Whose the keys are that are kept here, by their digests."""
        self._named: OrderedDict[tuple[str, str], Owner] = OrderedDict()
        """Who has been here, by names and domains."""

    def admit(self, request: SignedRequest) -> Signer | None:
        """Who signed. Raises Unavailable if CloudStack is away, or does not tell."""
        if self._admin is None or not API_KEY.fullmatch(request.access_key):
            return None
        told = self._secrets.verified(request)
        if told is None:
            return None
        found = _signer(told, request.access_key)
        with self._lock:
            _remember(self._latest, told.tenant, request.access_key)
            self._see(found.owner)
        return found

    def latest(self, tenant: str) -> Signer | None:
        """For work that goes on after a request: the pair that a tenant signed with last. Raises Unavailable."""
        api = self._latest.get(tenant, "")
        told = self._secrets.known(api) if api else None
        return _signer(told, api) if told else None

    def owner(self, keys: Keys, *, anew: bool = False) -> Owner:
        """Whose a pair is that is kept here; asked once, or anew. Raises Denied for keys that are not taken."""
        digest = _digest(keys)
        if (known := self._owners.get(digest)) is None or anew:
            known = owner(Client(self._wire, keys), keys.api)
            with self._lock:
                _remember(self._owners, digest, known)
                self._see(known)
        return known

    def member(self, keys: Keys, native: str) -> Owner | None:
        """A project as one of its users has it; None for who is not in it. Asked once of a pair that is."""
        digest = _digest(keys, native)
        if (known := self._owners.get(digest)) is None:
            user = self.owner(keys)
            if (found := project(Client(self._wire, keys), native)) is None:
                return None
            known = of_project(user, found)
            with self._lock:
                _remember(self._owners, digest, known)
                self._see(known)
        return known

    def owner_of(self, tenant: str) -> Owner | None:
        """Who a tenant is, if it has been here."""
        with self._lock:
            return next((one for one in self._named.values() if one.tenant == tenant), None)

    def tenant_named(self, name: str, domain: str) -> str:
        """The tenant of a name in a domain, if it has been here; else empty."""
        with self._lock:
            found = self._named.get((name, domain))
        return found.tenant if found else ""

    def _see(self, one: Owner) -> None:
        _remember(self._named, (one.name, one.domain), one)

    def missing(self) -> str:
        """Why the administrator's keys cannot find out who signs, or empty."""
        if self._admin is None:
            return ""
        try:
            self._user(self._admin, _NOBODY)
            self._pair(self._admin, _NO_USER, _NOBODY)
        except Unavailable as fault:
            return str(fault)
        return ""

    def _told(self, api: str) -> Told | None:
        """A pair as CloudStack has it now, if its user and account may use it. Raises Unavailable."""
        admin = self._admin
        user = self._user(admin, api) if admin else None
        if admin is None or user is None or user.get("state", "").lower() != _ENABLED:
            return None
        secret = self._pair(admin, user["id"], api)
        if not secret or not self._taken(Keys(api, secret), user["accountid"]):
            return None
        return Told(user["id"], user["accountid"], secret, user["account"], user["domainid"])

    def _user(self, admin: Client, api: str) -> Item | None:
        with suppress(NotFound):
            found: Item = _asked(admin, "getUser", userapikey=api).get("user", {})
            if found.get("id") and found.get("accountid"):
                return found
        return None

    def _pair(self, admin: Client, user: str, api: str) -> str:
        """The secret of a user's pair, or empty."""
        with suppress(NotFound):
            newest: Item = _asked(admin, "getUserKeys", user, id=user).get("userkeys", {})
            if newest.get("apikey") == api:
                return str(newest.get("secretkey", ""))
            if newest:
                return self._older(admin, user, api)
        return ""

    def _older(self, admin: Client, user: str, api: str) -> str:
        """The secret of a pair that is not the user's newest; a CloudStack before 4.23 has none."""
        with suppress(Denied, Unsupported):
            answer = admin.read("listUserKeys", "user", user, userid=user, apikeyfilter=api)
            for one in next((value for value in answer.values() if isinstance(value, list)), ()):
                if one.get("apikey") == api:
                    return str(one.get("secretkey", ""))
        return ""

    def _taken(self, keys: Keys, account: str) -> bool:
        """Whether CloudStack itself takes a pair: not of a disabled account, and not after the pair's end."""
        try:
            Client(self._wire, keys).read("listAccounts", "account", account, id=account)
        except NotTaken:
            return False
        except (Denied, NotFound, Unsupported):  # the pair is good, but may not ask this
            return True
        return True


def _digest(keys: Keys, project: str = "") -> bytes:
    return hashlib.sha256(f"{keys.api}\n{keys.secret}\n{project}".encode()).digest()


def of_project(user: Owner, item: Item) -> Owner:
    """CloudStack's account of a project is named so, unless it tells: old versions do not."""
    name = item.get("projectaccountname") or f"PrjAcct-{item['name']}"
    return Owner(user.user, item["id"], name, item["domainid"], item["id"])


def _signer(told: Told, api: str) -> Signer:
    return Signer(Owner(told.user, told.tenant, told.name, told.domain), Keys(api, told.secret))


def _remember(known: OrderedDict[T, U], name: T, value: U) -> None:
    """The longest unused are forgotten."""
    known[name] = value
    known.move_to_end(name)
    while len(known) > _MOST:
        known.popitem(last=False)


def _asked(admin: Client, command: str, native: str = "", /, **params: str) -> Item:
    """What the administrator is told. Raises NotFound, and Unavailable for an administrator who may not ask."""
    try:
        return admin.read(command, "user", native, **params)
    except NotTaken as fault:
        raise Unavailable("CloudStack does not take the administrator's keys.") from fault
    except (Denied, Unsupported) as fault:
        _log.warning("CloudStack does not let the administrator's keys do %s: %s", command, fault)
        raise Unavailable(f"CloudStack does not let the administrator's keys do {command}.") from fault


def owner(client: Client, api: str) -> Owner:
    """Whose keys a client has. Raises Denied for keys that are not taken, or whose owner CloudStack does not tell."""
    users = client.every("listUsers", "user")
    found = [one for one in users if one.get("apikey") == api] or (users if len(users) == 1 else [])
    if not found:  # an administrator sees many users, of whom he need not be one
        with suppress(Denied, Unsupported, NotFound):
            found = [client.read("getUser", "user", userapikey=api)["user"]]
    if not found:
        raise Denied("CloudStack does not tell whose keys these are.")
    return Owner(found[0]["id"], found[0]["accountid"], found[0]["account"], found[0]["domainid"])
