"""Frozen dataclasses to JSON and back, driven by their type hints."""

from __future__ import annotations

import dataclasses
import functools
import types
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def encode(value: Any) -> Any:
    """What json.dumps takes, of dataclasses, enums, times and tuples."""
    if dataclasses.is_dataclass(value):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    return value


def decode(kind: Any, value: Any) -> Any:
    """The inverse of `encode`; keys that `kind` does not know are ignored, absent ones take their default."""
    if get_origin(kind) is tuple:
        return tuple(decode(get_args(kind)[0], item) for item in value)
    if get_origin(kind) in (Union, types.UnionType):
        return None if value is None else decode(get_args(kind)[0], value)
    if dataclasses.is_dataclass(kind):
        hints = _hints(kind)  # type: ignore[arg-type]
        known = {name: decode(hint, value[name]) for name, hint in hints.items() if name in value}
        return kind(**known)  # type: ignore[operator]
    if kind is datetime:
        return datetime.fromisoformat(value)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    return value
