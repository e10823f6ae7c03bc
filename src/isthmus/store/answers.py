"""Answers as text and back. JSON, with a tag on what JSON has no word for: times, bytes, decimals."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

_TAG = "$"

_WRITE: Mapping[type, tuple[str, Callable[[Any], Any]]] = {
    datetime: ("time", datetime.isoformat),
    bytes: ("bytes", lambda value: base64.b64encode(value).decode()),
    Decimal: ("decimal", str),
}

_READ: Mapping[str, Callable[[Any], Any]] = {
    "time": datetime.fromisoformat,
    "bytes": base64.b64decode,
    "decimal": Decimal,
    "map": dict,
}


def dumps(answer: Mapping[str, Any]) -> str:
    """Raises TypeError for what cannot be told apart when it is read again."""
    return json.dumps(_plain(answer), separators=(",", ":"))


def loads(text: str) -> Mapping[str, Any]:
    answer: Mapping[str, Any] = json.loads(text, object_hook=_untagged)
    return answer


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("only words can be keys of an answer")
        plain = {key: _plain(each) for key, each in value.items()}
        # An answer's own "$" is wrapped, so that it is not taken for one of ours.
        return {_TAG: "map", "value": [list(item) for item in plain.items()]} if _TAG in plain else plain
    if isinstance(value, str):
        return value
    for kind, (tag, write) in _WRITE.items():
        if isinstance(value, kind):
            return {_TAG: tag, "value": write(value)}
    return [_plain(each) for each in value] if isinstance(value, Iterable) else value


def _untagged(found: dict[str, Any]) -> Any:
    return _READ[found[_TAG]](found["value"]) if _TAG in found else found
