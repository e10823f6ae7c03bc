"""Who may use an image or a snapshot: everyone, or some accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from isthmus.aws.ec2.owners import account_of
from isthmus.aws.errors import AwsError
from isthmus.context import Context
from isthmus.core.registry import Found

ALL = "all"


class Change(NamedTuple):
    """Who is let in and who no longer; `all` is everyone."""

    add: Sequence[str]
    remove: Sequence[str]

    def __bool__(self) -> bool:
        return bool(self.add or self.remove)


def asked(change: Mapping[str, Any], users: Sequence[str], operation: str) -> Change:
    """A change in either spelling: the structure with Add and Remove, or users with an operation for all of them."""
    add, remove = ([_who(item) for item in change.get(side, ())] for side in ("Add", "Remove"))
    if users:
        if operation not in ("add", "remove"):
            raise AwsError("InvalidParameterValue", f"Value ({operation}) for parameter operationType is invalid.")
        (add if operation == "add" else remove).extend(users)
    return Change(add, remove)


def changed(cx: Context, found: Found[Any], change: Change, code: str) -> tuple[bool, Sequence[str]]:
    """Whether a thing is public, and whose accounts may use it, after a change. `code` refuses an unknown account."""
    for one in change.add:
        if one != ALL and cx.store.account(one) is None:
            raise AwsError(code, f'Invalid attribute item value "{one[:128]}" for userId item type.')
    before = {account_of(cx, found.cloud, tenant) for tenant in found.noun.shared_with}
    public = (found.noun.public or ALL in change.add) and ALL not in change.remove
    accounts = (before | {one for one in change.add if one != ALL}) - set(change.remove)
    return public, sorted(accounts)


def listed(cx: Context, found: Found[Any]) -> list[dict[str, str]]:
    """The permissions of a thing as EC2 lists them."""
    users = [{"UserId": account_of(cx, found.cloud, one)} for one in found.noun.shared_with]
    return [*([{"Group": ALL}] if found.noun.public else []), *users]


def _who(item: Mapping[str, Any]) -> str:
    for name in ("OrganizationArn", "OrganizationalUnitArn"):
        if item.get(name):
            raise AwsError("UnsupportedOperation", "There are no organizations.")
    return str(item.get("UserId") or item.get("Group") or "")
