"""Tenants: each is one account's."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_index("tenants_owned", "tenants", ["cloud", "tenant"], unique=True)
