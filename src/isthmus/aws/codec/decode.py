"""Request parameters to a dict, as the model of the operation says."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any

from isthmus.aws.codec.model import Member, Model, Operation, Shape
from isthmus.aws.codec.scalars import READ, base64_bytes
from isthmus.aws.errors import AwsError

GENERIC = frozenset(
    {
        "Action",
        "Version",
        "AWSAccessKeyId",
        "Signature",
        "SignatureMethod",
        "SignatureVersion",
        "Timestamp",
        "Expires",
        "SecurityToken",
    }
)
"""Parameters of every request; so are all that begin with X-Amz-."""

KEEP_EMPTY = frozenset(
    {
        ("BlockDeviceMapping", "NoDevice"),
        ("Tag", "Value"),
        ("Filter", "Name"),
        ("AttributeValue", "Value"),
        ("BlobAttributeValue", "Value"),
        ("SecureBlobAttributeValue", "Value"),
    }
)
"""Members of which an empty value is a value; any other empty scalar is as good as absent."""

BASE64_TEXT = frozenset({"UserData", "UefiData", "LaunchTemplateSpecificationUserData"})
"""Strings that carry base64, by the model's documentation. They stay text, without line breaks."""

SPELLINGS = MappingProxyType({"RegisterImageRequest": {"RamDiskId": "RamdiskId"}})  # libcloud 3.9
"""Names on the wire that clients use beside those of the model, by shape."""

MAX_ITEMS = 1000
"""Items in one list of a request."""

_MAX_TEXT = 64 * 1024
_MAX_NAME = 512
_SHOWN = 64
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_INDEX = re.compile("[0-9]{1,9}")
_NOTHING = Shape("", "structure", {})

Step = str | int
Node = dict[Step, Any]


def is_generic(name: str) -> bool:
    return name in GENERIC or name[:6].lower() == "x-amz-"


def split_generic(pairs: Iterable[tuple[str, str]]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """The parameters of every request, and the action's own. Raises AwsError for a generic one given twice."""
    generic: dict[str, str] = {}
    own: list[tuple[str, str]] = []
    for name, value in pairs:
        if not is_generic(name):
            own.append((name, value))
        elif name in generic:
            raise _twice(name)
        else:
            generic[name] = value
    return generic, own


class Decoder:
    def __init__(self, model: Model, max_items: int = MAX_ITEMS) -> None:
        self._model = model
        self._max_items = max_items
        self._is_query = model.protocol == "query"
        self._names: Callable[[Shape], Mapping[str, Member]] = cache(self._names_of)
        self._wire: Callable[[Shape], Mapping[str, str]] = cache(self._wire_of)
        # Items of one list are asked for in a row.
        self._listed = lru_cache(64)(self._walk)

    def decode(self, operation: Operation, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """The request as the model's own names and Python values. Raises AwsError."""
        root = operation.input or _NOTHING
        tree: Node = {}
        for name, value in pairs:
            if not is_generic(name):
                self._put(tree, root, name, value)
        request: dict[str, Any] = self._built(root, tree, ())
        return request

    def _put(self, tree: Node, root: Shape, name: str, text: str) -> None:
        path, shape, owner = self._resolve(root, name)
        if shape.type == "list" and (text or not self._is_query):
            path.append(1)  # a list without an index is its only item
            shape = self._element(shape)
        if shape.type in ("structure", "list"):
            if text:
                raise AwsError("InvalidParameterValue", f"The parameter {_shown(name)} does not take a value itself")
            return
        if not text and owner not in KEEP_EMPTY and not isinstance(path[-1], int):
            return  # an empty item of a list is kept: without it, `InstanceId.1=` would mean every instance
        value = _value(shape, owner[1], name, text)
        node = tree
        for step in path[:-1]:
            node = self._step(node, step, {}, name)
        if path[-1] in node:
            raise _twice(name)
        self._step(node, path[-1], value, name)

    def _step(self, node: Node, step: Step, value: Any, name: str) -> Any:
        if isinstance(step, int) and step not in node and len(node) >= self._max_items:
            reason = f"at most {self._max_items} items are allowed"
            raise AwsError("InvalidParameterValue", f"The list of {_shown(name)} is too long: {reason}")
        return node.setdefault(step, value)

    def _resolve(self, root: Shape, name: str) -> tuple[list[Step], Shape, tuple[str, str]]:
        """Where the parameter goes, its shape, and the structure and member that it belongs to."""
        if len(name) > _MAX_NAME:
            raise _unknown(name)
        listed, _, last = name.rpartition(".")
        if listed and _INDEX.fullmatch(last):
            with suppress(AwsError):  # told below, with the whole name
                path, shape, owner = self._listed(root, listed)
                if shape.type == "list":
                    return [*path, int(last)], self._element(shape), owner
        return self._walk(root, name)

    def _walk(self, root: Shape, name: str) -> tuple[list[Step], Shape, tuple[str, str]]:
        path: list[Step] = []
        shape, owner = root, ("", "")
        segments = name.split(".")
        position = 0
        while position < len(segments):
            segment = segments[position]
            position += 1
            if shape.type == "structure":
                member = self._names(shape).get(segment)
                if member is None:
                    raise _unknown(name)
                owner = (shape.name, member.name)
                path.append(member.name)
                shape = self._model.shape(member.shape)
                position += self._is_marker(shape, segments, position)
            elif shape.type == "list" and _INDEX.fullmatch(segment):
                path.append(int(segment))
                shape = self._element(shape)
            elif segment not in ("0", "1") or position < len(segments) or not isinstance(path[-1], str):
                raise _unknown(name)  # but boto 2 numbers a scalar
        return path, shape, owner

    def _is_marker(self, shape: Shape, segments: list[str], position: int) -> bool:
        """Whether the next segment is the query protocol's `member`, which stands before an index."""
        if not self._is_query or shape.element is None or position >= len(segments):
            return False
        return segments[position] in ("member", shape.element.location)

    def _element(self, shape: Shape) -> Shape:
        return self._model.shape(self._model.element(shape).shape)

    def _names_of(self, shape: Shape) -> dict[str, Member]:
        names = dict(shape.members)
        names.update({wire: shape.members[name] for name, wire in self._wire(shape).items()})
        for spelling, wire in SPELLINGS.get(shape.name, {}).items():
            names[spelling] = names[wire]
        return names

    def _wire_of(self, shape: Shape) -> dict[str, str]:
        return {name: self._wire_name(member) for name, member in shape.members.items()}

    def _wire_name(self, member: Member) -> str:
        if self._is_query:
            return member.location or member.name
        location = member.location[:1].upper() + member.location[1:]
        return member.query or location or member.name

    def _built(self, shape: Shape, node: Any, path: tuple[str, ...]) -> Any:
        """Lists in the order of their numbers, gaps closed. Raises AwsError for what is missing."""
        if shape.type == "structure":
            return self._structure(shape, node, path)
        if shape.type == "list":
            element = self._element(shape)
            return [self._built(element, node[index], (*path, str(index))) for index in sorted(node)]
        return node

    def _structure(self, shape: Shape, node: Node, path: tuple[str, ...]) -> dict[str, Any]:
        wire = self._wire(shape)
        missing = [name for name in shape.members if name in shape.required and name not in node]
        if missing:
            full = ".".join((*path, wire[missing[0]]))
            raise AwsError("MissingParameter", f"The request must contain the parameter {full}")
        return {
            str(name): self._built(self._model.shape(shape.members[str(name)].shape), value, (*path, wire[str(name)]))
            for name, value in node.items()
        }


def _value(shape: Shape, member: str, name: str, text: str) -> Any:
    is_packed = shape.type == "blob" or member in BASE64_TEXT or (shape.name, member) == ("UserData", "Data")
    if _FORBIDDEN.search(text):
        raise AwsError("InvalidParameterValue", f"The value of {_shown(name)} contains a character that is not allowed")
    if len(text) > _MAX_TEXT and not is_packed:
        raise AwsError("InvalidParameterValue", f"The value of {_shown(name)} is longer than {_MAX_TEXT} characters")
    if is_packed:
        return _packed(shape, name, text)
    read, expected = READ[shape.type]
    try:
        return read(text)
    except ValueError:
        reason = f"Invalid value '{text[:_SHOWN]}' for {_shown(name)}. It must be {expected}"
        raise AwsError("InvalidParameterValue", reason) from None


def _packed(shape: Shape, name: str, text: str) -> bytes | str:
    try:
        content = base64_bytes(text)
    except ValueError:
        code = "InvalidParameterValue" if shape.type == "blob" else "InvalidUserData.Malformed"
        raise AwsError(code, f"Invalid BASE64 encoding of {_shown(name)}.") from None
    return content if shape.type == "blob" else base64.b64encode(content).decode()


def _shown(name: str) -> str:
    return name if len(name) <= _SHOWN else name[:_SHOWN] + "..."


def _unknown(name: str) -> AwsError:
    return AwsError("UnknownParameter", f"The parameter {_shown(name)} is not recognized")


def _twice(name: str) -> AwsError:
    return AwsError("InvalidParameterValue", f"The parameter {_shown(name)} is given more than once")
