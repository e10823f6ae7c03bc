"""CloudStack's API as data: what a command takes of whom, and what its answer may say. NOTICE tells its origin."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

COMMON = frozenset({"command", "apikey", "signature", "signatureversion", "expires", "response"})
"""Parameters of all commands."""
LONGEST = 255
"""Characters of a string, unless the contract says otherwise."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_NUMBER = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,19})?")
_BITS = {"short": 16, "integer": 32, "int": 32, "long": 64}
"""How large whole numbers may be, by their types."""
_DATES = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S%z")
"""How a moment is asked for."""
_STAMP = _DATES[-1]
"""How one is told."""
_INDEXED = re.compile(r"(\w+)\[(\d+)\](?:\.(.+))?")
_SUCCESS = "SuccessResponse"
_RESULTS = {
    "authorizeSecurityGroupIngress": ("securitygroup", "createSecurityGroup"),
    "authorizeSecurityGroupEgress": ("securitygroup", "createSecurityGroup"),
    "createProject": ("project", "createProject"),
}
"""Where the contract is wrong about results of jobs, as recorded answers show: the object's name, and whose fields
it has."""


class Command:
    def __init__(self, said: Mapping[str, Any]) -> None:
        self.name: str = said["name"]
        self.changes = not self.name.startswith(("list", "get", "query"))
        self.asynchronous: bool = said["isasync"]
        self.list_key: str = said.get("listkey") or ""
        self.object: str = said.get("objectname") or ""
        self.succeeds: bool = said.get("responseobject") == _SUCCESS
        """Whether it says that it has succeeded, and no more."""
        self.roles: frozenset[str] = frozenset(said.get("roles", ()))
        self.params: Mapping[str, Mapping[str, Any]] = {one["name"]: one for one in said["params"]}
        self.fields = _fields(said["response"])

    def wrong(self, params: Mapping[str, str], role: str) -> str:
        """Why parameters are not those of this command, or empty."""
        bases = {name: (_INDEXED.fullmatch(name) or [None, name])[1] or name for name in params}
        for name, base in bases.items():
            said = self.params.get(base)
            if said is None:
                return f"unknown parameter {name} of {self.name}"
            if role != "Admin" and (said.get("adminonly") or role not in said.get("authorized", [role])):
                return f"parameter {name} of {self.name} is not for users"
            if reason := _mistyped(said, name, params[name]):
                return f"parameter {name} of {self.name} {reason}"
        for name, said in self.params.items():
            if said["required"] and not any(base == name and params[one] for one, base in bases.items()):
                return f"missing parameter {name}"
        return ""

    def strange(self, answer: Mapping[str, Any]) -> list[str]:
        """The fields of an answer's object that the contract does not know, or that have values of other types."""
        return list(_strange(self.fields, answer, self.name))

    def strange_result(self, result: Mapping[str, Any]) -> list[str]:
        """The same of what a job has done: one object under its name, or that it has succeeded."""
        if self.succeeds:
            return self.strange(result) if result.get("success") is True else [f"{self.name} tells no success"]
        name, like = _RESULTS.get(self.name, (self.object, self.name))
        if [*result] != [name]:
            return [f"{self.name} job: {', '.join(result)} for {name}"]
        return list(_strange(commands()[like.lower()].fields, result[name], f"{self.name} job"))


@dataclass(frozen=True)
class Field:
    type: str
    below: Mapping[str, Field]
    """Its own fields, if it is an object or a list of objects."""


def _fields(said: Any) -> Mapping[str, Field]:
    return {one["name"]: Field(one["type"], _fields(one.get("response") or ())) for one in said}


def _strange(fields: Mapping[str, Field], item: Any, path: str) -> Iterator[str]:
    if not isinstance(item, Mapping):
        yield f"{path} is no object: {item!r}"
        return
    for name, value in item.items():
        here = f"{path}.{name}"
        if name not in fields:
            yield here
            continue
        field = fields[name]
        if not _tells(field, value):
            yield f"{here} is no {field.type}: {value!r}"
        elif field.below:
            for one in value if isinstance(value, list) else [value]:
                yield from _strange(field.below, one, here)


def _tells(field: Field, value: Any) -> bool:
    """Whether a value is of a field's type. One that is not of the table is the name of a Java type."""
    if told := _TOLD.get(field.type):
        return told(value)
    return isinstance(value, (dict, list)) if field.below else isinstance(value, str)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return _whole(value) or isinstance(value, float)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _list(value: Any) -> bool:
    return isinstance(value, list)


def _map(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_text, value.values()))


def _stamp(value: Any) -> bool:
    return isinstance(value, str) and _is_date(value, _STAMP)


def _any(value: Any) -> bool:
    return value is not None


_TOLD: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(_BITS, _whole),
    **dict.fromkeys(("float", "double", "bigdecimal"), _number),
    **dict.fromkeys(("list", "set", "java"), _list),
    **dict.fromkeys(("object", "responseobject"), _any),
    "boolean": lambda value: isinstance(value, bool),
    "date": _stamp,
    "map": _map,
    "string": _text,
}
"""Of the types of answers, which values are of them."""


def _mistyped(said: Mapping[str, Any], name: str, value: str) -> str:
    kind, indexed = said["type"], _INDEXED.fullmatch(name)
    if kind == "map":
        return "" if indexed and indexed[3] else "is a map"
    if indexed:
        return "is no map"
    if kind == "list":
        parts = value.split(",")
        return next((reason for one in parts if (reason := _mistyped_one(said.get("itemtype", "string"), one))), "")
    if kind == "string" and len(value) > said.get("length", LONGEST):
        return "is too long"
    return _mistyped_one(kind, value)


def _mistyped_one(kind: str, value: str) -> str:
    if kind == "uuid" and not _UUID.fullmatch(value) and value != "-1":
        return f"is no uuid: {value}"
    if kind in _BITS and not (_WHOLE.fullmatch(value) and -1 <= int(value) >> (_BITS[kind] - 1) <= 0):
        return f"is no {kind}: {value}"
    if kind == "double" and not _NUMBER.fullmatch(value):
        return f"is no number: {value}"
    if kind == "boolean" and value.lower() not in ("true", "false"):
        return f"is no boolean: {value}"
    if kind == "date" and not any(_is_date(value, one) for one in _DATES):
        return f"is no date: {value}"
    return ""


def _is_date(value: str, form: str) -> bool:
    try:
        datetime.strptime(value, form)
    except ValueError:
        return False
    return True


@cache
def commands() -> Mapping[str, Command]:
    """By their names in small letters, as the server finds them."""
    packed = (Path(__file__).parent / "contract.json.gz").read_bytes()
    listed = json.loads(gzip.decompress(packed))["api"]
    return {one["name"].lower(): Command(one) for one in listed}
