"""Accounts with their credentials and tenants; records and tags by generation."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_accounts()
    _create_records()


def _create_accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(12), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "credentials",
        sa.Column("access_key", sa.String(128), primary_key=True),
        sa.Column("account", sa.String(12), sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_credentials_account", "credentials", ["account"])
    op.create_table(
        "tenants",
        sa.Column("account", sa.String(12), sa.ForeignKey("accounts.id"), primary_key=True),
        sa.Column("cloud", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("settings", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "settings",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )


def _create_records() -> None:
    op.create_table(
        "generations",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("floor", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "records",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("cloud", sa.Text, nullable=False),
        sa.Column("native", sa.Text, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("gone", sa.DateTime(timezone=True)),
        sa.Column("dropped", sa.Boolean, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
    )
    op.create_index("records_changed", "records", ["account", "generation"])
    op.create_index("records_native", "records", ["kind", "native"])
    op.create_index("records_gone", "records", ["gone"])
    op.create_table(
        "tags",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("resource", sa.Text, primary_key=True),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("dropped", sa.Boolean, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
    )
    op.create_index("tags_changed", "tags", ["account", "generation"])
