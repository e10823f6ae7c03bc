"""botocore's description of a service: its operations and the shapes they carry."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NO_NAMES: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a structure, or the element of a list.

    `shape` names its shape, of the type `type_name`, and `metadata` holds that shape's `min` and `max`, if it has
    any. `location` and `query` are names on the wire, if they are given.
    """

    name: str
    shape: str
    type_name: str
    metadata: Mapping[str, float]
    location: str = ""
    query: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A type of the model; there is one object of each, so that caches may be keyed by it."""

    name: str
    type: str
    members: Mapping[str, Member]
    element: Member | None = None
    required: frozenset[str] = NO_NAMES
    enum: frozenset[str] = NO_NAMES
    flattened: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """One action. `wrapper` is the element that the query protocol puts around the result."""

    name: str
    input: Shape | None
    output: Shape | None
    wrapper: str = ""

    def has_member(self, name: str) -> bool:
        """Whether the request knows a member of this name, such as `DryRun`."""
        return self.input is not None and name in self.input.members


class Model:
    """One service. Shapes and operations are built when they are first asked for."""

    def __init__(self, service: str) -> None:
        raw = _load(service)
        self.service = service
        self.protocol: str = raw["metadata"]["protocol"]
        self.namespace: str = raw["metadata"].get("xmlNamespace", "")
        self.filter_texts = _take_documentation(raw)
        self._shapes: dict[str, Any] = raw["shapes"]
        self._operations: dict[str, Any] = raw["operations"]
        self.shape = cache(self._shape)
        self.operation = cache(self._operation)

    @property
    def names(self) -> list[str]:
        return list(self._operations)

    def element(self, shape: Shape) -> Member:
        """What a list is made of."""
        if shape.element is None:
            raise TypeError(f"{shape.name} is no list")
        return shape.element

    def _shape(self, name: str) -> Shape:
        raw = self._shapes[name]
        element = raw.get("member")
        return Shape(
            name=name,
            type=raw["type"],
            members={key: self._member(key, value) for key, value in raw.get("members", {}).items()},
            element=self._member("", element) if element else None,
            required=frozenset(raw.get("required", ())),
            enum=frozenset(raw.get("enum", ())),
            flattened=raw.get("flattened", False),
        )

    def _member(self, name: str, raw: Mapping[str, Any]) -> Member:
        shape = self._shapes[raw["shape"]]
        bounds = {key: shape[key] for key in ("min", "max") if key in shape}
        return Member(name, raw["shape"], shape["type"], bounds, raw.get("locationName", ""), raw.get("queryName", ""))

    def _operation(self, name: str) -> Operation:
        raw = self._operations[name]
        output = raw.get("output", {})
        return Operation(
            name=name,
            input=self.shape(raw["input"]["shape"]) if "input" in raw else None,
            output=self.shape(output["shape"]) if output else None,
            wrapper=output.get("resultWrapper", ""),
        )


def _load(service: str) -> dict[str, Any]:
    """The newest model that botocore carries, read as a file: to import botocore costs 0.1 s and 15 MB."""
    spec = find_spec("botocore")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("botocore is not installed")
    versions = Path(spec.submodule_search_locations[0], "data", service)
    newest = max(path for path in versions.iterdir() if path.is_dir())
    packed = newest / "service-2.json.gz"
    text = gzip.decompress(packed.read_bytes()) if packed.exists() else (newest / "service-2.json").read_bytes()
    model: dict[str, Any] = json.loads(text)
    return model


def _take_documentation(raw: dict[str, Any]) -> dict[str, str]:
    """Drop the texts, half of the model's memory, but for those that name the filters of a request shape."""
    filters: dict[str, str] = {}
    for part in (raw["shapes"], raw["operations"]):
        for value in part.values():
            value.pop("documentation", None)
    for name, shape in raw["shapes"].items():
        for key, member in shape.get("members", {}).items():
            text = member.pop("documentation", "")
            if key in ("Filters", "Filter") and text:
                filters[name] = text
    return filters
