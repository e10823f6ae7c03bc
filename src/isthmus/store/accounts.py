"""Accounts, their credentials, their tenants on the clouds, and random values that all processes share."""

from __future__ import annotations

import json
import re
import secrets
import string
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, delete, select

from isthmus.store.database import Database
from isthmus.store.errors import StoreError
from isthmus.store.secrets import Vault
from isthmus.store.tables import accounts, credentials, ended_tenants, records, settings, tenants

_REMEMBERED_SECONDS = 1.0
_REMEMBERED_COUNT = 10_000
_LONGEST_NAME = 128
_KEY_LETTERS = string.ascii_uppercase + "234567"
_SECRET_LETTERS = string.ascii_letters + string.digits + "+/"
_ACCESS_KEY = re.compile(r"[A-Za-z0-9_.@:-]{1,128}")
_ACCOUNT = re.compile(r"[0-9]{12}")
_LOGINS = "logins by access keys"
"""Where they stand among a tenant's settings."""

T = TypeVar("T")
Logins = Mapping[str, Mapping[str, Any]]
"""What is signed in with, by access keys."""


@dataclass(frozen=True, slots=True)
class Account:
    """`id` is 12 digits."""

    id: str
    name: str
    created: datetime


@dataclass(frozen=True, slots=True)
class Credential:
    access_key: str
    account: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CredentialInfo:
    """A credential as it may be shown: without its secret."""

    access_key: str
    account: str
    created: datetime


@dataclass(frozen=True, slots=True)
class Tenant:
    """What an account is on a cloud; `settings` may hold the tenant's own secrets there."""

    account: str
    cloud: str
    tenant: str
    settings: Mapping[str, Any] = field(repr=False)
    logins: Logins = field(default_factory=dict, repr=False)
    """The secrets that go with single access keys, by these."""

    def secrets(self, access_key: str) -> Mapping[str, Any]:
        """What is signed in with for who signed with a key; without one, for work that no request asks for."""
        any_login = next(iter(self.logins.values()), self.settings)
        return self.logins.get(access_key, self.settings) if access_key or self.settings else any_login


class Remembered(Generic[T]):
    """Answers of at most a second ago. What is forgotten while it is being looked up is not remembered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[object, tuple[float, T]] = {}
        self._forgotten = 0

    def get(self, key: object) -> T | None:
        until, value = self._known.get(key, (0.0, None))
        return value if time.monotonic() < until else None

    def mark(self) -> int:
        """To be taken before a look-up, and given to `keep` with what was found."""
        return self._forgotten

    def keep(self, key: object, value: T, mark: int) -> None:
        with self._lock:
            if len(self._known) >= _REMEMBERED_COUNT:
                self._known.clear()
            if mark == self._forgotten:
                self._known[key] = (time.monotonic() + _REMEMBERED_SECONDS, value)

    def forget(self, key: object) -> None:
        with self._lock:
            self._forgotten += 1
            self._known.pop(key, None)


class Accounts:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._credentials: Remembered[Credential] = Remembered()
        self._tenants: Remembered[Tenant] = Remembered()
        self._owners: Remembered[str] = Remembered()
        self._settings: dict[str, bytes] = {}

    def create_account(self, name: str) -> Account:
        with self._database.writing() as connection:
            return _new_account(connection, _stored(name))

    def accounts(self) -> Sequence[Account]:
        with self._database.reading() as connection:
            rows = connection.execute(select(accounts).order_by(accounts.c.created, accounts.c.id))
            return [Account(*row) for row in rows]

    def account(self, known: str) -> Account | None:
        if not _ACCOUNT.fullmatch(known):
            return None
        with self._database.reading() as connection:
            row = connection.execute(select(accounts).where(accounts.c.id == known)).one_or_none()
        return Account(*row) if row else None

    def create_credential(self, account: str) -> Credential:
        access_key = "AKIA" + "".join(secrets.choice(_KEY_LETTERS) for _ in range(16))
        secret = "".join(secrets.choice(_SECRET_LETTERS) for _ in range(40))
        return self.import_credential(account, access_key, secret)

    def import_credential(self, account: str, access_key: str, secret: str) -> Credential:
        """Raises StoreError for an unknown account, a bad access key, or one that is there already."""
        if not self.account(account):
            raise StoreError(f"There is no account {account}.")
        if not _ACCESS_KEY.fullmatch(access_key):
            raise StoreError("An access key has 1 to 128 letters, digits and characters of _.@:- only.")
        if not secret:
            raise StoreError("The secret is empty.")
        row = {
            "access_key": access_key,
            "account": account,
            "secret": self._vault.lock(secret.encode(), f"credential {access_key}"),
            "created": datetime.now(UTC),
        }
        with self._database.writing() as connection:
            insert = self._database.insert(credentials).on_conflict_do_nothing()
            if connection.scalar(insert.returning(credentials.c.access_key), row) is None:
                raise StoreError(f"There is a credential {access_key} already.")
        return Credential(access_key, account, secret)

    def credentials(self, account: str | None = None) -> Sequence[CredentialInfo]:
        table = credentials.c
        query = select(table.access_key, table.account, table.created).order_by(table.created, table.access_key)
        if account is not None:
            query = query.where(table.account == _stored(account))
        with self._database.reading() as connection:
            return [CredentialInfo(*row) for row in connection.execute(query)]

    def revoke(self, access_key: str) -> bool:
        """Whether there was such a credential. This process knows at once, others within a second.

        The logins that went with it are forgotten.
        """
        if not _ACCESS_KEY.fullmatch(access_key):
            return False
        where = credentials.c.access_key == access_key
        with self._database.writing() as connection:
            account = connection.scalar(select(credentials.c.account).where(where))
            connection.execute(delete(credentials).where(where))
        self._credentials.forget(access_key)
        if account:
            self._drop_logins(account, access_key)
        return account is not None

    def credential(self, access_key: str) -> Credential | None:
        """The credential with its secret. Found ones are remembered for a second, others are not."""
        if known := self._credentials.get(access_key):
            return known
        if not _ACCESS_KEY.fullmatch(access_key):
            return None
        mark = self._credentials.mark()
        query = select(credentials.c.account, credentials.c.secret).where(credentials.c.access_key == access_key)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        secret = self._vault.unlock(bytes(row.secret), f"credential {access_key}").decode()
        found = Credential(access_key, row.account, secret)
        self._credentials.keep(access_key, found, mark)
        return found

    def set_tenant(self, account: str, cloud: str, tenant: str, given: Mapping[str, Any] | None = None) -> None:
        """Says which tenant of a cloud an account is.

        StoreError: no such account, or another one is this tenant, or was it and has records of that cloud.
        """
        if not self.account(account):
            raise StoreError(f"There is no account {account}.")
        if (other := self._owner(_stored(cloud), _stored(tenant))) and other != account:
            raise StoreError(f"The tenant {tenant} of the cloud {cloud} is the account {other} already.")
        if (before := self._ended(cloud, tenant)) and before != account and self._has_records(before, cloud):
            raise StoreError(f"The tenant {tenant} of the cloud {cloud} was the account {before}, which has its ids.")
        with self._database.writing() as connection:
            known = self._read_tenant(connection, account, cloud, to_change=True)
            logins = known.logins if known.tenant == tenant else {}
            self._write_tenant(connection, Tenant(account, cloud, tenant, given or {}, logins))
        self._tenants.forget((account, cloud))
        self._owners.forget((cloud, tenant))

    def end_tenant(self, account: str, cloud: str) -> str:
        """Lets an account be no tenant of a cloud: what it was there, or empty.

        Its logins there are forgotten. The tenant is nobody until it is said whose it is.
        """
        where = tenants.c.account == _stored(account), tenants.c.cloud == _stored(cloud)
        insert = self._database.insert(ended_tenants)
        statement = insert.on_conflict_do_update(
            index_elements=["cloud", "tenant"], set_={"account": insert.excluded.account}
        )
        with self._database.writing() as connection:
            tenant = connection.scalar(select(tenants.c.tenant).where(*where)) or ""
            if tenant:
                connection.execute(delete(tenants).where(*where))
                connection.execute(statement, {"cloud": cloud, "tenant": tenant, "account": account})
        self._tenants.forget((account, cloud))
        self._owners.forget((cloud, tenant))
        return tenant

    def keep_login(self, account: str, cloud: str, tenant: str, access_key: str, login: Mapping[str, Any]) -> None:
        """Says what requests with an access key sign in with. StoreError: the account is another tenant, or none."""
        known = self._tenant(account, _stored(cloud))
        if known.tenant not in ("", tenant):
            raise StoreError(f"The account {account} is another tenant of the cloud {cloud} already: {known.tenant}.")
        if not known.tenant:
            self.set_tenant(account, cloud, tenant)
        self._change_logins(account, cloud, lambda logins: {**logins, access_key: login})

    def _change_logins(self, account: str, cloud: str, change: Callable[[Logins], Logins]) -> None:
        """In one step, as others may keep theirs at the same time. Nothing if the account is nobody there."""
        with self._database.writing() as connection:
            known = self._read_tenant(connection, account, cloud, to_change=True)
            if known.tenant:
                changed = Tenant(account, cloud, known.tenant, known.settings, change(known.logins))
                self._write_tenant(connection, changed)
        self._tenants.forget((account, cloud))

    def _write_tenant(self, connection: Connection, said: Tenant) -> None:
        text = json.dumps({**said.settings, **({_LOGINS: said.logins} if said.logins else {})}, default=dict).encode()
        insert = self._database.insert(tenants)
        statement = insert.on_conflict_do_update(
            index_elements=["account", "cloud"],
            set_={"tenant": insert.excluded.tenant, "settings": insert.excluded.settings},
        )
        locked = self._vault.lock(text, f"tenant {said.account} {said.cloud}")
        row = {"account": said.account, "cloud": said.cloud, "tenant": said.tenant, "settings": locked}
        connection.execute(statement, row)
        connection.execute(delete(ended_tenants).where(*_is_ended(said.cloud, said.tenant)))

    def _drop_logins(self, account: str, access_key: str) -> None:
        with self._database.reading() as connection:
            clouds = connection.scalars(select(tenants.c.cloud).where(tenants.c.account == account)).all()
        for cloud in clouds:
            if access_key in self._tenant(account, cloud).logins:
                self._change_logins(
                    account, cloud, lambda logins: {key: login for key, login in logins.items() if key != access_key}
                )

    def tenant(self, account: str, cloud: str) -> Tenant | None:
        """The account's tenant on a cloud, if it was said; remembered for a second."""
        found = self._tenants.get((account, cloud))
        if found is None:
            mark = self._tenants.mark()
            found = self._tenant(_stored(account), _stored(cloud))
            self._tenants.keep((account, cloud), found, mark)
        return found if found.tenant else None

    def _tenant(self, account: str, cloud: str) -> Tenant:
        with self._database.reading() as connection:
            return self._read_tenant(connection, account, cloud)

    def _read_tenant(self, connection: Connection, account: str, cloud: str, *, to_change: bool = False) -> Tenant:
        query = select(tenants.c.tenant, tenants.c.settings)
        query = query.where(tenants.c.account == account, tenants.c.cloud == cloud)
        row = connection.execute(query.with_for_update() if to_change else query).one_or_none()
        if row is None:
            return Tenant(account, cloud, "", {})
        text = self._vault.unlock(bytes(row.settings), f"tenant {account} {cloud}")
        kept = json.loads(text)
        logins = kept.pop(_LOGINS, {})
        return Tenant(account, cloud, row.tenant, kept, logins)

    def tenant_of(self, account: str, cloud: str) -> str:
        """The native id of the account's tenant, or empty; remembered for a second."""
        found = self.tenant(account, cloud)
        return found.tenant if found else ""

    def account_for(self, cloud: str, tenant: str, name: str, *others: str) -> str:
        """The account of a cloud's tenant, made and named so at the first call; remembered for a second.

        On `others`, clouds with the same tenants, it is this one as well, unless it was ended there or is another one.
        Empty for a tenant that was ended.
        """
        owners = {one: self._remembered_owner(one, tenant) for one in (cloud, *others)}
        nobody = [one for one, owner in owners.items() if not owner and not self._ended(one, tenant)]
        found = next(filter(None, owners.values()), "")
        if not found and len(nobody) == len(owners):
            found = self._own(nobody.pop(0), tenant, name)
        for one in nobody if found else ():
            if not self.tenant_of(found, one):
                self._join(found, one, tenant)
        return found

    def _remembered_owner(self, cloud: str, tenant: str) -> str:
        if known := self._owners.get((cloud, tenant)):
            return known
        mark = self._owners.mark()
        found = self._owner(_stored(cloud), _stored(tenant))
        self._owners.keep((cloud, tenant), found, mark)
        return found

    def _own(self, cloud: str, tenant: str, name: str) -> str:
        """A new account for a tenant; of several processes that try, one makes it."""
        shown = "".join(letter if letter.isprintable() else "?" for letter in name)[:_LONGEST_NAME]
        with self._database.writing() as connection:
            made = _new_account(connection, shown or tenant).id
            if not self._is_joined(connection, made, cloud, tenant):
                connection.execute(delete(accounts).where(accounts.c.id == made))
                made = ""
        return made or self._owner(cloud, tenant)

    def _join(self, account: str, cloud: str, tenant: str) -> None:
        """Let a tenant that is nobody be an account's."""
        with self._database.writing() as connection:
            self._is_joined(connection, account, cloud, tenant)
        self._tenants.forget((account, cloud))

    def _is_joined(self, connection: Connection, account: str, cloud: str, tenant: str) -> bool:
        """Whether the tenant is the account's now: another process may have been faster."""
        locked = self._vault.lock(b"{}", f"tenant {account} {cloud}")
        row = {"account": account, "cloud": cloud, "tenant": tenant, "settings": locked}
        insert = self._database.insert(tenants).on_conflict_do_nothing()
        return connection.scalar(insert.returning(tenants.c.account), row) is not None

    def _owner(self, cloud: str, tenant: str) -> str:
        query = select(tenants.c.account).where(tenants.c.cloud == cloud, tenants.c.tenant == tenant)
        with self._database.reading() as connection:
            return connection.scalar(query) or ""

    def _ended(self, cloud: str, tenant: str) -> str:
        """The account that a tenant was before it was ended, or empty."""
        with self._database.reading() as connection:
            return connection.scalar(select(ended_tenants.c.account).where(*_is_ended(cloud, tenant))) or ""

    def _has_records(self, account: str, cloud: str) -> bool:
        """Whether an account has ids of a cloud's things, or had some lately."""
        query = select(records.c.id).where(records.c.account == account, records.c.cloud == cloud).limit(1)
        with self._database.reading() as connection:
            return connection.scalar(query) is not None

    def account_of(self, cloud: str, tenant: str) -> str:
        """The account of a cloud's tenant, or empty. One that was given no tenant is its own by its number."""
        if found := self._owner(_stored(cloud), _stored(tenant)):
            return found
        return tenant if self.account(tenant) and not self.tenant_of(tenant, cloud) else ""

    def setting(self, name: str) -> bytes:
        """32 random bytes, the same in every process on this store; made at the first call."""
        if name not in self._settings:
            self._settings[name] = self._vault.unlock(self._locked_setting(name), f"setting {name}")
        return self._settings[name]

    def _locked_setting(self, name: str) -> bytes:
        query = select(settings.c.value).where(settings.c.name == f"setting {name}")
        with self._database.reading() as connection:
            found = connection.scalar(query)
        if found is None:
            value = self._vault.lock(secrets.token_bytes(32), f"setting {name}")
            insert = self._database.insert(settings).on_conflict_do_nothing()
            with self._database.writing() as connection:
                connection.execute(insert, {"name": f"setting {name}", "value": value})
                found = connection.scalar(query)
        return bytes(found or b"")


def _new_account(connection: Connection, name: str) -> Account:
    made = Account(f"{secrets.randbelow(9 * 10**11) + 10**11}", name, datetime.now(UTC))
    connection.execute(accounts.insert(), {"id": made.id, "name": made.name, "created": made.created})
    return made


def _is_ended(cloud: str, tenant: str) -> Sequence[ColumnElement[bool]]:
    return ended_tenants.c.cloud == cloud, ended_tenants.c.tenant == tenant


def _stored(word: str) -> str:
    """The word, if both databases can hold it. Raises StoreError."""
    if "\0" in word or not word.isprintable():
        raise StoreError("A name has characters that cannot be stored.")
    return word
