"""What Isthmus must find again in the cloud itself, kept where CloudStack has room for it at the thing's creation.

Virtual machines keep it in their details, volumes and key pairs behind their names, groups behind their descriptions,
snapshots in tags.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from isthmus.errors import Invalid

GIB = 1024**3
MARK = "isthmus:"
COPY = "isthmus-copy:"
"""How the names of things begin that are on the way to a copy, with its ref behind."""
LONGEST = 255
"""Characters of a text: CloudStack's own bound."""


class Noted(NamedTuple):
    """A text with what is noted behind it."""

    text: str
    ref: str = ""
    more: str = ""


def dump(text: str, ref: str, more: str = "", *, field: str) -> str:
    """A text with a note behind it. Raises Invalid if that is too long."""
    made = f"{text} {MARK}{ref}{'/' if more else ''}{more}".lstrip()
    if len(made) > LONGEST:
        room = LONGEST - len(made) + len(text)
        raise Invalid(f"CloudStack has room for {room} characters here, not for {len(text)}", field)
    return made


def load(said: str | None) -> Noted:
    """What was dumped; a text that somebody else wrote has no ref."""
    text, _, last = (said or "").rpartition(" ")
    if not last.startswith(MARK):
        return Noted(said or "")
    ref, _, more = last.removeprefix(MARK).partition("/")
    return Noted(text, ref, more)


def is_between(item: Mapping[str, Any]) -> bool:
    """Whether a volume or a snapshot is on the way to a copy: nobody is shown it."""
    return str(item.get("name", "")).startswith(COPY)


def gibibytes(size: int | None) -> int:
    """Of a size in bytes, a begun one counts."""
    return -(-(size or 0) // GIB)


def moment(text: str | None) -> datetime:
    """A time as CloudStack says it: 2026-01-02T03:04:05+0000."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else datetime.fromtimestamp(0, UTC)
