"""Answers and errors as XML. Each shape is compiled once into the function that writes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from isthmus.aws.codec.model import Model, Operation, Shape
from isthmus.aws.codec.scalars import plain

ERAS: tuple[tuple[str, Mapping[str, frozenset[str]]], ...] = (
    (
        "2016-11-15",
        MappingProxyType({"Vpc": frozenset({"CidrBlockAssociationSet", "Ipv6CidrBlockAssociationSet"})}),
    ),
)
"""Newest first: members by shape that clients of an older `Version` must not see.

A nested list that boto 2 does not know ends the object around it.
"""

NAMESPACES = MappingProxyType({"2016-04-01": "2016-11-15"})
"""Versions in whose answers another stands. libcloud's drivers for Outscale ask by the first and read the second
alone; in any other they find nothing, and say so with empty lists. Those of AWS's own clients do not look at it.
"""

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_SPECIAL = re.compile('[&<>"\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]')
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"}
_special = _SPECIAL.search

Write = Callable[[Any, list[str]], None]


class Item(dict[str, Any]):
    """A rendered item that keeps its XML once it was written: it must not change after that."""

    __slots__ = ("written",)

    def __init__(self, *args: Any, **members: Any) -> None:
        super().__init__(*args, **members)
        self.written: dict[tuple[str, int], str] = {}


def escape(text: str) -> str:
    """Text for XML 1.0; what that cannot carry becomes U+FFFD."""
    return _SPECIAL.sub(lambda match: _ENTITIES.get(match[0], "\ufffd"), text)


class Encoder:
    def __init__(self, model: Model) -> None:
        self._model = model
        self._is_query = model.protocol == "query"
        self._structure: Callable[[str, int], Write] = cache(self._compile_structure)

    def answer(self, operation: Operation, answer: Mapping[str, Any], version: str, request_id: str) -> bytes:
        """The XML of an answer. Raises KeyError for a member that the model does not have."""
        out: list[str] = []
        if operation.output is not None:
            self._structure(operation.output.name, _era(version))(answer, out)
        name = operation.name
        head, tail = self._wrapping(operation, answer, version, escape(request_id))
        text = "".join((_DECLARATION, f"<{name}Response ", head, *out, tail, f"</{name}Response>"))
        return text.encode()

    def texts(self, name: str, members: Mapping[str, str], version: str, request_id: str) -> bytes:
        """The answer to an action that the model does not have: its members as they are."""
        inner = "".join(f"<{tag}>{escape(text)}</{tag}>" for tag, text in members.items())
        head = f'<{name}Response xmlns="{_namespace(version)}"><requestId>{escape(request_id)}</requestId>'
        return f"{_DECLARATION}{head}{inner}</{name}Response>".encode()

    def error(self, code: str, message: str, request_id: str) -> bytes:
        said = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
        request_id = escape(request_id)
        if not self._is_query:
            error = f"<Errors><Error>{said}</Error></Errors><RequestID>{request_id}</RequestID>"
            return f"{_DECLARATION}<Response>{error}</Response>".encode()
        sender = "Receiver" if code in ("InternalError", "ServiceUnavailable", "Unavailable") else "Sender"
        error = f"<Error><Type>{sender}</Type>{said}</Error><RequestId>{request_id}</RequestId>"
        return f'{_DECLARATION}<ErrorResponse xmlns="{self._model.namespace}">{error}</ErrorResponse>'.encode()

    def _wrapping(
        self, operation: Operation, answer: Mapping[str, Any], version: str, request_id: str
    ) -> tuple[str, str]:
        """What stands before and behind the members of an answer."""
        if self._is_query:
            wrapper = operation.wrapper or f"{operation.name}Result"
            metadata = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
            return f'xmlns="{self._model.namespace}"><{wrapper}>', f"</{wrapper}>{metadata}"
        done = "<return>true</return>" if _is_void(operation, answer) else ""
        return f'xmlns="{_namespace(version)}"><requestId>{request_id}</requestId>{done}', ""

    def _compile_structure(self, name: str, era: int) -> Write:
        shape = self._model.shape(name)
        hidden = frozenset[str]().union(*(members.get(name, ()) for _, members in ERAS[:era]))
        plan = self._plan(shape, hidden, era)
        get = plan.get

        def write(value: Mapping[str, Any], out: list[str]) -> None:
            append = out.append
            for key, member in value.items():
                if member is None:
                    continue
                step = get(key)
                if step is None:
                    _skip(name, key, hidden)
                    continue
                start, end, nested = step
                if nested is not None:
                    append(start)
                    nested(member, out)
                    append(end)
                elif member.__class__ is str:
                    append(start + (escape(member) if _special(member) else member) + end)
                else:
                    append(start + escape(plain(member)) + end)

        return write

    def _plan(self, shape: Shape, hidden: frozenset[str], era: int) -> dict[str, tuple[str, str, Write | None]]:
        """For each member the text around it and, where it is no scalar, what writes it."""
        plan: dict[str, tuple[str, str, Write | None]] = {}
        for member in shape.members.values():
            if member.name in hidden:
                continue
            tag = member.location or member.name
            target = self._model.shape(member.shape)
            if target.type == "list" and target.flattened:
                plan[member.name] = ("", "", self._list(target, era, tag))
            elif target.type == "list":
                plan[member.name] = ("", "", self._list_in(target, era, tag))
            else:
                plan[member.name] = (f"<{tag}>", f"</{tag}>", self._lazy(target, era))
        return plan

    def _lazy(self, shape: Shape, era: int) -> Write | None:
        """What writes a structure, compiled when it is first met, so that a shape may hold itself."""
        if shape.type != "structure":
            return None
        name = shape.name

        def write(value: Any, out: list[str]) -> None:
            self._structure(name, era)(value, out)

        return write

    def _list_in(self, shape: Shape, era: int, tag: str) -> Write:
        location = self._model.element(shape).location
        items = self._list(shape, era, location or ("member" if self._is_query else "item"))

        def write(value: Iterable[Any], out: list[str]) -> None:
            before = len(out)
            out.append(f"<{tag}>")
            items(value, out)
            if len(out) == before + 1:
                out[before] = f"<{tag}/>"
            else:
                out.append(f"</{tag}>")

        return write

    def _list(self, shape: Shape, era: int, tag: str) -> Write:
        """What writes the items of a list, each within its tag."""
        element = self._model.shape(self._model.element(shape).shape)
        nested = self._lazy(element, era)
        return _structures(nested, tag, (f"{element.name} {tag}", era)) if nested else _scalars(tag)


def _scalars(tag: str) -> Write:
    start, end = f"<{tag}>", f"</{tag}>"

    def write(value: Iterable[Any], out: list[str]) -> None:
        out.extend(start + escape(plain(item)) + end for item in value)

    return write


def _structures(nested: Write, tag: str, mark: tuple[str, int]) -> Write:
    """What writes a list of structures, and keeps under `mark` what it wrote of an Item."""
    start, end = f"<{tag}>", f"</{tag}>"

    def write(value: Iterable[Any], out: list[str]) -> None:
        for item in value:
            kept = item.written if isinstance(item, Item) else None
            if kept is not None and mark in kept:
                out.append(kept[mark])
                continue
            own = out if kept is None else []
            own.append(start)
            nested(item, own)
            own.append(end)
            if kept is not None:
                kept[mark] = "".join(own)
                out.append(kept[mark])

    return write


def _namespace(version: str) -> str:
    return f"http://ec2.amazonaws.com/doc/{escape(NAMESPACES.get(version, version))}/"


def _era(version: str) -> int:
    """How many of the changes are newer than this version."""
    return sum(version < since for since, _ in ERAS)


def _is_void(operation: Operation, answer: Mapping[str, Any]) -> bool:
    """Whether the answer must say that all is well: libcloud takes a missing `return` for a failure."""
    output = operation.output
    if output is None or not output.members:
        return True
    return "Return" in output.members and answer.get("Return") is None


def _skip(shape: str, key: str, hidden: frozenset[str]) -> None:
    if key not in hidden and not key.startswith("_"):
        raise KeyError(f"{shape} has no member {key}")
