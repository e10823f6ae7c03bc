"""The store: what only the API knows, shared by all threads and processes that serve one installation."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, select, update

from isthmus.store import schema
from isthmus.store.accounts import Account, Accounts, Credential, CredentialInfo, Tenant
from isthmus.store.changes import Change, Edit, Statements
from isthmus.store.claims import Claims
from isthmus.store.database import Database, parse
from isthmus.store.secrets import Vault
from isthmus.store.tables import generations, records, tags
from isthmus.store.views import COLUMNS, EVERYONE, Record, View, Views, record_of


class Store:
    """Every failure of the database is a StoreError."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._accounts = Accounts(database, vault)
        self._views = Views(database)
        self._statements = Statements(database)
        self._mine = threading.local()
        self.tagged: Callable[[str, Collection[str]], None] | None = None
        """Told of what changes of this process made of tags: the account, and the ids of resources."""
        self.claims = Claims(database)

    @classmethod
    def open(cls, url: str, key: bytes) -> Store:
        """Opens `sqlite:///path` or `postgresql+psycopg://…`, and makes or migrates what is in it.

        Raises StoreError, with one sentence for the operator, if it cannot be used; it is then left as it is.
        """
        vault = Vault(key)
        database = Database(parse(url))
        try:
            schema.prepare(database, vault)
        except BaseException:
            database.close()
            raise
        return cls(database, vault)

    def close(self) -> None:
        self.claims.close()
        self._database.close()

    def view(self, account: str) -> View:
        """What the account has on record now: the very same object as long as nothing changes."""
        return self._views.view(account)

    @contextmanager
    def change(self, account: str) -> Iterator[Change]:
        """A transaction on one account's records and tags; an exception undoes it."""
        noted: list[Edit] | None = getattr(self._mine, "edits", None)
        edits: list[Edit] | None = None if noted is None else []
        with self._database.writing() as connection:
            change = Change(connection, self._statements, account, self._views, edits)
            yield change
        change.committed()
        if self.tagged and change.tagged:
            self.tagged(account, change.tagged)
        if noted is not None and edits:
            noted.extend(edits)

    @contextmanager
    def noting(self, edits: list[Edit]) -> Iterator[None]:
        """Note down what changes of this thread make of records meanwhile."""
        before, self._mine.edits = getattr(self._mine, "edits", None), edits
        try:
            yield
        finally:
            self._mine.edits = before

    def find(self, known: str) -> Record | None:
        """A record by its id, whosever it is."""
        if "\0" in known or not known.isascii():
            return None
        found = self._select(records.c.id == known)
        return found[0] if found else None

    def let_all_know(self, known: str, kind: str, cloud: str, native: str, now: datetime) -> bool:
        """Let a thing that all accounts may see have an id for all of them that have none on record for it.

        False if the id is already another thing's, or the thing has another such id. Processes that serve know it
        within 10 seconds.
        """
        mine = f"{EVERYONE}/{known}"
        with self.change(EVERYONE) as change:
            held = change.view.records.get(mine) or change.view.by_native(cloud, kind, native)
            if held is None and self.find(known) is None:
                change.put(Record(mine, EVERYONE, kind, cloud, native, {}, now))
                return True
        return held is not None and (held.id, held.cloud, held.kind, held.native) == (mine, cloud, kind, native)

    def accounts_with_records(self) -> Sequence[str]:
        held = and_(records.c.dropped.is_(False), records.c.account != EVERYONE)
        query = select(records.c.account).where(held).distinct().order_by(records.c.account)
        with self._database.reading() as connection:
            return connection.scalars(query).all()

    def records_where(self, kind: str, *, cloud: str | None = None, native: str | None = None) -> Sequence[Record]:
        """All accounts' records of a kind, or those of one cloud or one native id."""
        conditions = [records.c.kind == kind]
        conditions += [] if cloud is None else [records.c.cloud == cloud]
        conditions += [] if native is None else [records.c.native == native]
        return self._select(and_(*conditions))

    def gone_before(self, when: datetime) -> Sequence[Record]:
        """All accounts' records of what was gone before a moment."""
        return self._select(records.c.gone < when)

    def unfinished(self, kind: str) -> Sequence[Record]:
        """All accounts' records of what was begun and has no native id yet."""
        return self._select(and_(records.c.kind == kind, records.c.native == "", records.c.gone.is_(None)))

    def _select(self, condition: ColumnElement[bool]) -> list[Record]:
        query = select(*COLUMNS).where(condition, records.c.dropped.is_(False))
        with self._database.reading() as connection:
            return [record_of(row) for row in connection.execute(query.order_by(records.c.created, records.c.id))]

    def purge(self, now: datetime) -> None:
        """Removes old claims, and what is left of dropped records and tags. To be called now and then."""
        self.claims.purge(now)
        for account in self._accounts_with_tombstones():
            with self._database.writing() as connection:
                mine = generations.c.account == account
                # Locks the account. Who has not read of these tombstones yet, sees the floor and reads all anew.
                connection.execute(update(generations).where(mine).values(floor=generations.c.generation))
                connection.execute(delete(records).where(records.c.account == account, records.c.dropped.is_(True)))
                connection.execute(delete(tags).where(tags.c.account == account, tags.c.dropped.is_(True)))

    def _accounts_with_tombstones(self) -> Sequence[str]:
        dropped = select(records.c.account).where(records.c.dropped.is_(True))
        untagged = select(tags.c.account).where(tags.c.dropped.is_(True))
        with self._database.reading() as connection:
            return connection.scalars(dropped.union(untagged)).all()

    def create_account(self, name: str) -> Account:
        return self._accounts.create_account(name)

    def accounts(self) -> Sequence[Account]:
        return self._accounts.accounts()

    def account(self, known: str) -> Account | None:
        return self._accounts.account(known)

    def create_credential(self, account: str) -> Credential:
        """A new access key of 20 characters with a secret of 40."""
        return self._accounts.create_credential(account)

    def import_credential(self, account: str, access_key: str, secret: str) -> Credential:
        """Raises StoreError for an unknown account, a bad access key, or one that is there already."""
        return self._accounts.import_credential(account, access_key, secret)

    def credentials(self, account: str | None = None) -> Sequence[CredentialInfo]:
        return self._accounts.credentials(account)

    def revoke(self, access_key: str) -> bool:
        """Whether there was such a credential. This process knows at once, others within a second."""
        return self._accounts.revoke(access_key)

    def credential(self, access_key: str) -> Credential | None:
        return self._accounts.credential(access_key)

    def set_tenant(self, account: str, cloud: str, tenant: str, settings: Mapping[str, Any] | None = None) -> None:
        """Says which tenant of a cloud an account is; `settings` are encrypted.

        StoreError: there is no such account, or the tenant is another account's, or was and its ids are on record.
        """
        self._accounts.set_tenant(account, cloud, tenant, settings)

    def end_tenant(self, account: str, cloud: str) -> str:
        """Lets an account be no tenant of a cloud: what it was there, or empty. This process knows at once, others
        within a second.

        Its logins there are forgotten. The tenant gets no account by itself any more, until it is said whose it is.
        """
        return self._accounts.end_tenant(account, cloud)

    def keep_login(self, account: str, cloud: str, tenant: str, access_key: str, login: Mapping[str, Any]) -> None:
        """Says what requests signed with an access key sign in with on a cloud, until the key is revoked; encrypted.

        StoreError: there is no such account, it is another tenant there, or the tenant is another account's.
        """
        self._accounts.keep_login(account, cloud, tenant, access_key, login)

    def tenant(self, account: str, cloud: str) -> Tenant | None:
        return self._accounts.tenant(account, cloud)

    def tenant_of(self, account: str, cloud: str) -> str:
        """The native id of the account's tenant on a cloud, or empty."""
        return self._accounts.tenant_of(account, cloud)

    def account_for(self, cloud: str, tenant: str, name: str, *others: str) -> str:
        """The account of a cloud's tenant; at the first call it is made, with the tenant's name.

        On `others`, clouds with the same tenants, it is this tenant as well, unless it was ended there, or the account
        is another one. Empty for a tenant that was ended.
        """
        return self._accounts.account_for(cloud, tenant, name, *others)

    def account_of(self, cloud: str, tenant: str) -> str:
        """The account of a cloud's tenant, or empty."""
        return self._accounts.account_of(cloud, tenant)

    def seal(self, text: str, name: str) -> str:
        """A secret as it may stand in a record, bound to the name of whose it is."""
        return base64.b64encode(self._vault.lock(text.encode(), name)).decode()

    def unseal(self, sealed: str, name: str) -> str:
        """Raises StoreError if it was sealed with another master key or for another name."""
        return self._vault.unlock(base64.b64decode(sealed), name).decode()

    def setting(self, name: str) -> bytes:
        """32 random bytes, the same in every process on this store; made at the first call."""
        return self._accounts.setting(name)
