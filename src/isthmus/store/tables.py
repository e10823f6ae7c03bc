"""What is stored. A change here needs a migration beside it and a new HEAD; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator

HEAD = "0004"
"""The newest revision under migrations/versions."""


class Time(TypeDecorator[datetime]):
    """An aware time, kept and given back in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


version = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
"""Alembic's own, with the one row that says which revision the schema is at."""

metadata = MetaData()

accounts = Table(
    "accounts",
    metadata,
    Column("id", String(12), primary_key=True),
    Column("name", Text, nullable=False),
    Column("created", Time, nullable=False),
)

credentials = Table(
    "credentials",
    metadata,
    Column("access_key", String(128), primary_key=True),
    Column("account", String(12), ForeignKey("accounts.id"), nullable=False, index=True),
    Column("secret", LargeBinary, nullable=False),
    Column("created", Time, nullable=False),
)

tenants = Table(
    "tenants",
    metadata,
    Column("account", String(12), ForeignKey("accounts.id"), primary_key=True),
    Column("cloud", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("settings", LargeBinary, nullable=False),
    Index("tenants_owned", "cloud", "tenant", unique=True),
)

# Tenants of clouds that are to be nobody, with the account that each was last.
ended_tenants = Table(
    "ended_tenants",
    metadata,
    Column("cloud", Text, primary_key=True),
    Column("tenant", Text, primary_key=True),
    Column("account", String(12), ForeignKey("accounts.id"), nullable=False),
)

settings = Table(
    "settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

# Every change of an account takes the next generation and writes it on each row it touches. What is newer than
# `floor` can be read as a difference; tombstones up to it are gone, so older readers read everything again.
generations = Table(
    "generations",
    metadata,
    Column("account", Text, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("floor", BigInteger, nullable=False),
)

records = Table(
    "records",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("cloud", Text, nullable=False),
    Column("native", Text, nullable=False),
    Column("data", JSON, nullable=False),
    Column("created", Time, nullable=False),
    Column("gone", Time),
    Column("dropped", Boolean, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Index("records_changed", "account", "generation"),
    Index("records_native", "kind", "native"),
    Index("records_gone", "gone"),
)

tags = Table(
    "tags",
    metadata,
    Column("account", Text, primary_key=True),
    Column("resource", Text, primary_key=True),
    Column("tags", JSON, nullable=False),
    Column("dropped", Boolean, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Index("tags_changed", "account", "generation"),
)

# Requests that must be done only once. `token` is a hash; `holder` names the process at work, and is empty when none
# is; `lease` is in seconds of the database's own clock, on which all processes agree.
claims = Table(
    "claims",
    metadata,
    Column("account", Text, primary_key=True),
    Column("action", Text, primary_key=True),
    Column("token", String(64), primary_key=True),
    Column("digest", Text, nullable=False),
    Column("seed", String(32), nullable=False),
    Column("holder", Text, nullable=False),
    Column("lease", BigInteger, nullable=False),
    Column("answer", Text),
    Column("created", Time, nullable=False, index=True),
)
