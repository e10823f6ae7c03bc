"""Whose a thing is: tenants as accounts, and EC2's aliases for owners."""

from __future__ import annotations

from isthmus.context import Context

ALIAS = "amazon"
"""The alias of the cloud's own images: what tools ask for when they want what the cloud provides."""


def account_of(cx: Context, cloud: str, tenant: str) -> str:
    """The account of a native tenant; the operator's for what belongs to the cloud."""
    if not tenant:
        return cx.world.operator
    if tenant == cx.tenant(cloud):
        return cx.account
    return cx.store.account_of(cloud, tenant) or tenant


def is_self(cx: Context, said: str, owner: str) -> bool:
    """Whether an owner as clients say it (`self`, an alias or an account) is this account."""
    if said == "self":
        return owner == cx.account
    if said == ALIAS:
        return owner == cx.world.operator
    return said == owner
