"""One account's change: a transaction that gives each row it touches the account's next generation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache, cached_property
from typing import Any, NamedTuple

from sqlalchemy import Connection, Update, and_, bindparam, update

from isthmus.store.database import Database
from isthmus.store.tables import generations, records, tags
from isthmus.store.views import Record, View, Views

_CHANGEABLE = [column.name for column in records.columns if column.name not in ("id", "account")]


class Statements:
    """What a change says to the database, compiled once."""

    def __init__(self, database: Database) -> None:
        insert = database.insert
        first = insert(generations).values(account=bindparam("account"), generation=1, floor=0)
        self.begin = first.on_conflict_do_update(
            index_elements=["account"], set_={"generation": generations.c.generation + 1}
        ).returning(generations.c.generation)
        put = insert(records)
        self.put = put.on_conflict_do_update(
            index_elements=["id"],
            set_={name: put.excluded[name] for name in _CHANGEABLE},
            where=records.c.account == put.excluded.account,
        ).returning(records.c.id)
        tag = insert(tags)
        self.tag = tag.on_conflict_do_update(
            index_elements=["account", "resource"],
            set_={name: tag.excluded[name] for name in ("tags", "dropped", "generation")},
        )


_MINE = and_(records.c.id == bindparam("known"), records.c.account == bindparam("mine"), records.c.dropped.is_(False))
_UPDATE = update(records).where(_MINE)
_DROP = _UPDATE.values(dropped=True, data={}, generation=bindparam("generation"))


@cache
def _update(*names: str) -> Update:
    """Sets these columns, and the generation."""
    return _UPDATE.values({name: bindparam(name) for name in (*names, "generation")})


class Edit(NamedTuple):
    """What a change made of one record; None where there is none."""

    known: str
    before: Record | None
    after: Record | None
    tags: Mapping[str, str]
    """Those that it had before."""


class Change:
    """What is done is committed together at the end. Meanwhile the account is locked: never call a cloud in here.

    `edits` gets what is done to records, if it is given.
    """

    def __init__(
        self,
        connection: Connection,
        statements: Statements,
        account: str,
        views: Views,
        edits: list[Edit] | None = None,
    ) -> None:
        self._connection = connection
        self._say = statements
        self._account = account
        self._views = views
        self._generation = connection.scalar(statements.begin, {"account": account})
        self._edits = edits
        self._tagged: dict[str, Mapping[str, str]] = {}
        """What tags this change has given to resources, each with all that it has then."""
        self._of_tags_alone = True

    def committed(self) -> None:
        """What this process wrote of tags need not be read again."""
        if self._of_tags_alone:
            self._views.tagged(self._account, self._generation, self._tagged)

    @property
    def tagged(self) -> Collection[str]:
        """The ids of resources whose tags it changed."""
        return self._tagged.keys()

    @cached_property
    def view(self) -> View:
        """The account as it was before this change; nobody else changes it until the end."""
        return self._views.view(self._account)

    def put(self, record: Record) -> None:
        """Writes a new record, or all of a known one. Raises ValueError for another account's."""
        self._of_tags_alone = False
        values = {
            "id": record.id,
            "account": record.account,
            "kind": record.kind,
            "cloud": record.cloud,
            "native": record.native,
            "data": dict(record.data),
            "created": record.created,
            "gone": record.gone,
            "dropped": False,
            "generation": self._generation,
        }
        if record.account != self._account or self._connection.scalar(self._say.put, values) is None:
            raise ValueError(f"{record.id} is the record of another account")
        if self._edits is not None:
            self._note(self._edits, record.id, lambda _: record)

    def update(
        self,
        known: str,
        *,
        native: str | None = None,
        data: Mapping[str, Any] | None = None,
        gone: datetime | None = None,
    ) -> None:
        """Sets what is given. Raises KeyError if there is no such record."""
        self._of_tags_alone = False
        given: dict[str, Any] = {"native": native, "data": None if data is None else dict(data), "gone": gone}
        values = {name: value for name, value in given.items() if value is not None}
        said = {"known": known, "mine": self._account, **values, "generation": self._generation}
        if self._connection.execute(_update(*values), said).rowcount != 1:
            raise KeyError(known)
        if self._edits is not None:
            self._note(self._edits, known, lambda held: held and replace(held, **values))

    def drop(self, known: str) -> None:
        """Forgets a record and its tags; that there is none is fine."""
        self._of_tags_alone = False
        values = {"known": known, "mine": self._account, "generation": self._generation}
        self._connection.execute(_DROP, values)
        if self._edits is not None:
            self._note(self._edits, known, lambda _: None)
        self.untag([known])

    def _note(self, edits: list[Edit], known: str, after: Callable[[Record | None], Record | None]) -> None:
        earlier = next((edit for edit in reversed(edits) if edit.known == known), None)
        held = earlier.after if earlier else self.view.records.get(known)
        edits.append(Edit(known, held, after(held), self.view.tags.get(known, {})))

    def tag(self, ids: Iterable[str], given: Mapping[str, str]) -> None:
        """Adds tags to resources; a key that is there gets the new value and keeps its place."""
        before = self._tags(ids)
        self._write({resource: {**now, **given} for resource, now in before.items()}, before)

    def untag(self, ids: Iterable[str], keys: Iterable[str] | None = None) -> None:
        """Takes tags away: those of some keys, or all."""
        before = self._tags(ids)
        taken = None if keys is None else frozenset(keys)
        after = {
            resource: {} if taken is None else {key: value for key, value in now.items() if key not in taken}
            for resource, now in before.items()
        }
        self._write(after, before)

    def _tags(self, ids: Iterable[str]) -> dict[str, Mapping[str, str]]:
        before = self.view.tags
        return {one: self._tagged.get(one, before.get(one, {})) for one in ids}

    def _write(self, after: Mapping[str, Mapping[str, str]], before: Mapping[str, Mapping[str, str]]) -> None:
        rows = [
            {
                "account": self._account,
                "resource": resource,
                "tags": now,
                "dropped": not now,
                "generation": self._generation,
            }
            for resource, now in after.items()
            if now != before[resource]
        ]
        self._tagged.update({row["resource"]: row["tags"] for row in rows})
        if rows:
            self._connection.execute(self._say.tag, rows)
