"""Whose a thing is: tenants as accounts, and EC2's aliases for owners."""

from __future__ import annotations

import hashlib

from isthmus.context import Context

ALIAS = "amazon"
"""The alias of the cloud's own images: what tools ask for when they want what the cloud provides."""


def account_of(cx: Context, cloud: str, tenant: str) -> str:
    """The account of a native tenant; the operator's for what belongs to the cloud."""
    if not tenant:
        return cx.world.operator
    if tenant == cx.tenant(cloud):
        return cx.account
    return cx.store.account_of(cloud, tenant) or _stranger(cloud, tenant)


def _stranger(cloud: str, tenant: str) -> str:
    """The number of a tenant without an account here, whose native id is nobody's business."""
    digest = hashlib.sha256(f"{cloud}\n{tenant}".encode()).hexdigest()
    return f"{int(digest, 16) % 10**12:012d}"


def is_self(cx: Context, said: str, owner: str) -> bool:
    """Whether an owner as clients say it (`self`, an alias or an account) is this account."""
    if said == "self":
        return owner == cx.account
    if said == ALIAS:
        return owner == cx.world.operator
    return said == owner
