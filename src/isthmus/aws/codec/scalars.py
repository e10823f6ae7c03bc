"""Single values as text: what a parameter says, and how an answer says it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from isthmus.aws.time import iso8601, parse_iso8601

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_FLOAT = re.compile(r"[+-]?(?:[0-9]{1,32}\.?[0-9]{0,32}|\.[0-9]{1,32})(?:[eE][+-]?[0-9]{1,3})?")
_SPACE = re.compile(r"\s+")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_INT_LIMIT, _LONG_LIMIT = 2**31, 2**63


def base64_bytes(text: str) -> bytes:
    """Base64 as clients write it: line breaks and missing padding are forgiven. Raises ValueError."""
    packed = _SPACE.sub("", text).rstrip("=")
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def _boolean(text: str) -> bool:
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        raise ValueError("not a boolean") from None


def _whole(limit: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not _INTEGER.fullmatch(text) or not -limit <= int(text) < limit:
            raise ValueError("not an integer")
        return int(text)

    return read


def _real(text: str) -> float:
    value = float(text) if _FLOAT.fullmatch(text) else float("inf")
    if value in (float("inf"), float("-inf")):
        raise ValueError("not a number")
    return value


def timestamp(text: str) -> datetime:
    """ISO 8601 or seconds of the epoch, as an aware time in UTC; without a zone it is UTC. Raises ValueError."""
    try:
        if _FLOAT.fullmatch(text):
            return datetime.fromtimestamp(float(text), UTC)
        return parse_iso8601(text)
    except (OverflowError, OSError) as error:
        raise ValueError("not a time") from error


READ: MappingProxyType[str, tuple[Callable[[str], Any], str]] = MappingProxyType(
    {
        "blob": (base64_bytes, "base64 text"),
        "boolean": (_boolean, "true or false"),
        "double": (_real, "a number"),
        "float": (_real, "a number"),
        "integer": (_whole(_INT_LIMIT), "an integer"),
        "long": (_whole(_LONG_LIMIT), "an integer"),
        "string": (str, "text"),
        "timestamp": (timestamp, "a time in ISO 8601"),
    }
)
"""How each type of scalar is read, and what it must be. The readers raise ValueError."""


def plain(value: object) -> str:
    """A scalar as AWS writes it, not yet escaped."""
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, datetime):
        return iso8601(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)
