"""CloudStack's errors as Faults: by their codes, and by their texts, since one code says many things.

Sources: CloudStack's ApiErrorCode, its ApiServer and its checkers of roles, and the texts of its recorded answers. A
command that a role lacks is refused with 401 or with 432, by version; one that a version does not have, with 401 as if
the keys were wrong. Nearly all jobs that failed say 530.
"""

from __future__ import annotations

import re
from typing import NoReturn

from isthmus.errors import (
    Conflict,
    Incomplete,
    Invalid,
    NoCapacity,
    NotFound,
    NotTaken,
    QuotaExceeded,
    Throttled,
    Unauthorized,
    Unavailable,
    Unsupported,
)

_MISSING = re.compile(
    r"(does not|doesn't) exist|unable to (find|aquire|acquire)|(was|is) not found|could not find|not a valid \w+ id"
    r"|specify a valid \w+ id|^invalid parameter (id|\w+id)\b",
    re.IGNORECASE,
)
_TAKEN = re.compile(
    r"already exi(s|st)|already (on|in use by|used)|duplicate|failed to authorize security group"
    r"|choose another ip",
    re.IGNORECASE,
)
_LIMIT = re.compile(r"maximum (number|amount)|limit.* exceeded|exceed.* limit|max\w* .*resource", re.IGNORECASE)
_TYPE = re.compile(r"resources of type *=? *'(\w+)'", re.IGNORECASE)
_LIMITED = {
    "user_vm": "server",
    "cpu": "cpu",
    "volume": "volume",
    "primary_storage": "volume",
    "snapshot": "snapshot",
    "template": "image",
    "public_ip": "address",
    "vpc": "network",
    "network": "subnet",
}
"""CloudStack's types of resources with limits, and our kinds. Of memory and secondary storage is what was asked for."""
_FULL = re.compile(r"insufficient|no (free|available|more) |unable to (create a deployment|orchestrate)", re.IGNORECASE)
_TIED = re.compile(
    r"in use|still (has|have|attached|used)|has (running|instances|active)|is attached|not be deleted", re.IGNORECASE
)
_STATE = re.compile(
    r"\bstate\b|not attached|is (not )?(running|stopped|stopping|starting|ready)|already (running|stopped)",
    re.IGNORECASE,
)
_WRONG = re.compile(r"^invalid\b", re.IGNORECASE)
_LACKING = re.compile(r"missing parameter", re.IGNORECASE)
_COMMAND = re.compile(r"\b(command|API)\b.* not available for\b", re.IGNORECASE)
_ADMINISTRATORS = re.compile(r"\bby (an )?admin\b", re.IGNORECASE)
"""What only they may ask for of a thing that need not be anybody else's."""


def refuse(code: int, text: str, kind: str, native: str) -> NoReturn:
    """Raise the Fault of an answer."""
    text = text[:500]
    match code:
        case 401 if not _COMMAND.search(text):
            raise NotTaken("The cloud does not take this account's keys: they may have been changed or withdrawn.")
        case 401 | 432 if _COMMAND.search(text):
            raise Unauthorized(text)
        case 432:
            raise Unsupported(text)
        case 429:
            raise Throttled("The cloud takes no more requests of this account for a while.")
        case 503 | 534:
            raise Unavailable(f"The cloud cannot do this now: {text}")
        case 531 if native and not _ADMINISTRATORS.search(text):  # somebody else's, who is not told of
            raise NotFound(kind, native)
        case 531:
            raise Unauthorized(text or "The cloud does not allow this.")
        case 532 | 535:
            _limited(text, kind, native)
        case 533:
            raise NoCapacity(kind, native, text)
        case 536:
            raise Conflict(kind, native, text, "in-use")
        case 537:
            raise Conflict(kind, native, text, "duplicate")
    _by_text(text, kind, native)
    if code in (430, 431) and _LACKING.search(text):
        raise Incomplete(text)
    if code in (430, 431) or _WRONG.search(text):
        raise Invalid(text)
    raise Unavailable(f"The cloud has failed: {text}" if text else "The cloud has failed.")


def _by_text(text: str, kind: str, native: str) -> None:
    """Raise what a text says; what it does not say is left to the code."""
    if _TAKEN.search(text):
        raise Conflict(kind, native, text, "duplicate")
    if _MISSING.search(text):
        raise NotFound(kind, native)
    if _LIMIT.search(text):
        _limited(text, kind, native)
    if _FULL.search(text):
        raise NoCapacity(kind, native, text)
    if _TIED.search(text):
        raise Conflict(kind, native, text, "in-use")
    if _STATE.search(text):
        raise Conflict(kind, native, text)


def _limited(text: str, kind: str, native: str) -> NoReturn:
    """A limit is on what the text names, which need not be what was asked for: a server has volumes, too."""
    named = _TYPE.search(text)
    limited = _LIMITED.get(named[1].lower(), kind) if named else kind
    raise QuotaExceeded(limited, native if limited == kind else "", text)
