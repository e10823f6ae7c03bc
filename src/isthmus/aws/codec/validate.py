"""An answer against the model: what a client's own parser would stumble over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from isthmus.aws.codec.model import Model, Operation, Shape

TYPES: MappingProxyType[str, tuple[type, ...]] = MappingProxyType(
    {
        "blob": (bytes,),
        "boolean": (bool,),
        "double": (int, float),
        "float": (int, float),
        "integer": (int,),
        "list": (list, tuple),
        "long": (int,),
        "string": (str,),
        "structure": (Mapping,),
        "timestamp": (datetime,),
    }
)

OPEN_ENUMS = frozenset({"InstanceType"})
"""Enums that a private cloud may widen: its instance types are named by its operator."""

ALSO = frozenset(
    {
        ("PlatformValues", "windows"),
        ("AttachmentStatus", "available"),
        ("State", "available"),
        ("NetworkInterfaceType", "nat_gateway"),
    }
)
"""Values that EC2 really answers and its model spells otherwise."""


def validate(model: Model, operation: Operation, answer: Mapping[str, Any]) -> list[str]:
    """What is wrong with an answer, each with the path to it; empty if all is well."""
    if operation.output is None:
        return [f"{name}: the answer of {operation.name} has no members" for name in answer]
    return list(_problems(model, operation.output, answer, operation.name))


def _problems(model: Model, shape: Shape, value: Any, path: str) -> Iterator[str]:
    fits = isinstance(value, TYPES[shape.type]) and isinstance(value, bool) == (shape.type == "boolean")
    if not fits:
        yield f"{path}: {type(value).__name__} is no {shape.type}"
    elif shape.type == "structure":
        yield from _members(model, shape, value, path)
    elif shape.element is not None:
        element = model.shape(shape.element.shape)
        for index, item in enumerate(value):
            yield from _problems(model, element, item, f"{path}[{index}]")
    elif shape.enum and value not in shape.enum and not _also(shape, value):
        yield f"{path}: {value!r} is none of {shape.name}'s values"
    elif isinstance(value, datetime) and value.tzinfo is None:
        yield f"{path}: a time without a zone"


def _also(shape: Shape, value: Any) -> bool:
    return shape.name in OPEN_ENUMS or (shape.name, value) in ALSO


def _members(model: Model, shape: Shape, value: Mapping[str, Any], path: str) -> Iterator[str]:
    for name in sorted(shape.required):
        if value.get(name) is None:
            yield f"{path}.{name}: is required"
    for name, member in value.items():
        if name.startswith("_") or member is None:
            continue
        if name not in shape.members:
            yield f"{path}.{name}: {shape.name} has no such member"
        else:
            yield from _problems(model, model.shape(shape.members[name].shape), member, f"{path}.{name}")
