"""When images are deprecated, and which are protected from being deleted: only the API knows."""

from __future__ import annotations

from datetime import datetime, timedelta

from isthmus.context import Context
from isthmus.core.ids import Kind
from isthmus.core.notes import note
from isthmus.core.registry import Found
from isthmus.errors import Conflict
from isthmus.model import Image

COOLDOWN = timedelta(hours=24)
"""How long an image protected with a cooldown stays protected when that is taken back."""
_DEPRECATED, _PROTECTED, _COOLS = "deprecated", "protected", "cools"


def deprecated(cx: Context, found: Found[Image]) -> datetime | None:
    """When an image is, or was, deprecated by its owner; None if it is not."""
    record = found.record
    if record is None and found.noun.owner not in ("", cx.tenant(found.cloud)):
        owner = cx.store.account_of(found.cloud, found.noun.owner)
        record = cx.store.view(owner).records.get(found.id) if owner else None
    said = record.data.get(_DEPRECATED) if record else None
    return datetime.fromisoformat(said) if said else None


def deprecate(cx: Context, found: Found[Image], when: datetime | None) -> None:
    note(cx, Kind.IMAGE, found, **{_DEPRECATED: when.isoformat() if when else None})


def protection(found: Found[Image]) -> str:
    """`cooldown`, `plain`, or empty."""
    return str(found.data.get(_PROTECTED, ""))


def protect(cx: Context, found: Found[Image], *, cooldown: bool) -> None:
    note(cx, Kind.IMAGE, found, **{_PROTECTED: "cooldown" if cooldown else "plain", _COOLS: None})


def unprotect(cx: Context, found: Found[Image]) -> None:
    """Take protection back: at once, or after the cooldown."""
    cools = (cx.now() + COOLDOWN).isoformat() if protection(found) == "cooldown" else found.data.get(_COOLS)
    note(cx, Kind.IMAGE, found, **{_PROTECTED: None, _COOLS: cools})


def demand_unprotected(cx: Context, found: Found[Image]) -> None:
    """Raises Conflict (`protected`) for an image that cannot be deleted now."""
    if protection(found):
        raise Conflict(Kind.IMAGE, found.id, f"The image {found.id} is protected from deregistration.", "protected")
    cools = found.data.get(_COOLS)
    if cools and cx.now() < datetime.fromisoformat(cools):
        reason = f"The image {found.id} is protected from deregistration until {cools}."
        raise Conflict(Kind.IMAGE, found.id, reason, "protected")
