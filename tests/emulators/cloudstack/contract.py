"""CloudStack's API as data: what a command takes of whom, and what its answer may say. NOTICE tells its origin."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

COMMON = frozenset({"command", "apikey", "signature", "signatureversion", "expires", "response"})
"""Parameters of all commands."""
LONGEST = 255
"""Characters of a string, unless the contract says otherwise."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_INDEXED = re.compile(r"(\w+)\[(\d+)\](?:\.(.+))?")


class Command:
    def __init__(self, said: Mapping[str, Any]) -> None:
        self.name: str = said["name"]
        self.changes = not self.name.startswith(("list", "get", "query"))
        self.asynchronous: bool = said["isasync"]
        self.list_key: str = said.get("listkey") or ""
        self.object: str = said.get("objectname") or ""
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
        """The fields of an answer's object that the contract does not know."""
        return list(_strange(self.fields, answer, self.name))


def _fields(said: Any) -> Mapping[str, Any]:
    return {one["name"]: _fields(one["response"]) if one.get("response") else None for one in said}


def _strange(fields: Mapping[str, Any], item: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, value in item.items():
        if name not in fields:
            yield f"{path}.{name}"
            continue
        below = fields[name]
        for one in value if isinstance(value, list) else [value]:
            if below and isinstance(one, Mapping):
                yield from _strange(below, one, f"{path}.{name}")


def _mistyped(said: Mapping[str, Any], name: str, value: str) -> str:
    kind = said["type"]
    if kind == "list":
        parts = value.split(",")
        return next((reason for one in parts if (reason := _mistyped_one(said.get("itemtype", "string"), one))), "")
    if kind == "map":
        return "" if _INDEXED.fullmatch(name) else "is a map"
    if kind == "string" and len(value) > said.get("length", LONGEST):
        return "is too long"
    return _mistyped_one(kind, value)


def _mistyped_one(kind: str, value: str) -> str:
    if kind == "uuid" and not _UUID.fullmatch(value) and value != "-1":
        return f"is no uuid: {value}"
    if kind in ("integer", "long", "short") and not _WHOLE.fullmatch(value):
        return f"is no number: {value}"
    if kind == "boolean" and value.lower() not in ("true", "false"):
        return f"is no boolean: {value}"
    if kind == "date":
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return f"is no date: {value}"
    return ""


@cache
def commands() -> Mapping[str, Command]:
    """By their names in small letters, as the server finds them."""
    packed = (Path(__file__).parent / "contract.json.gz").read_bytes()
    listed = json.loads(gzip.decompress(packed))["api"]
    return {one["name"].lower(): Command(one) for one in listed}
