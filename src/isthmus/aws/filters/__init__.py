"""Filters of every listing, applied to the items as they are rendered: they cannot disagree with the answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from isthmus.aws.codec import Codec
from isthmus.aws.codec.scalars import plain
from isthmus.aws.errors import AwsError
from isthmus.aws.filters.names import TAG, names
from isthmus.aws.filters.paths import Path, item_shape, path_of, tags_member
from isthmus.aws.filters.patterns import any_of

__all__ = ["apply", "matcher", "names"]

MAX_FILTERS, MAX_VALUES = 50, 200
"""EC2's limits for one request, and for each of its filters."""

Item = Mapping[str, Any]
Predicate = Callable[[Item], bool]
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")
_TAG_PARTS = {"tag-key": "Key", "tag-value": "Value"}


def matcher(codec: Codec, operation: str, filters: Sequence[Item], shape: str = "") -> Predicate:
    """Whether an item passes all filters of a request.

    `shape` is the items', if it is not what the operation lists. Raises AwsError for a filter that the listing does
    not have, that has no values, and for too many.
    """
    if len(filters) > MAX_FILTERS:
        raise AwsError("FilterLimitExceeded", f"A request may have at most {MAX_FILTERS} filters.")
    shape = shape or item_shape(codec, operation)
    tests = [_test(codec, operation, shape, each) for each in filters]
    if len(tests) == 1:
        return tests[0]
    return lambda item: all(test(item) for test in tests)


def hints(filters: Sequence[Item]) -> dict[str, frozenset[str]]:
    """Of filters those whose values are all exact, by name: what no value fits does not pass."""
    found: dict[str, frozenset[str]] = {}
    for each in filters:
        name, values = each.get("Name", ""), frozenset(each.get("Values", ()))
        if values and not any(char in value for value in values for char in "*?\\"):
            found[name] = found.get(name, values) & values
    return found


def only(tags: Mapping[str, Mapping[str, str]], key: str, hints: Mapping[str, frozenset[str]]) -> frozenset[str] | None:
    """The ids that exact filters leave: those that they name, or that have the tags they name. None: any may pass.

    `tags` are those of all resources; `key` is the member that holds the items' ids.
    """
    found: frozenset[str] | None = hints.get(_dashed(key))
    for name, values in hints.items():
        if name.startswith("tag:"):
            word = name.removeprefix("tag:")
            having = frozenset(one for one, held in tags.items() if held.get(word) in values)
            found = having if found is None else found & having
    return found


def _dashed(member: str) -> str:
    """A member's name as filters say it: `VolumeId` is `volume-id`."""
    return _WORD.sub("-", member).lower()


def apply(
    codec: Codec, operation: str, filters: Sequence[Item], items: Iterable[Item], shape: str = ""
) -> Iterator[Item]:
    """The items that pass all filters."""
    return filter(matcher(codec, operation, filters, shape), items)


def _test(codec: Codec, operation: str, shape: str, wanted: Item) -> Predicate:
    name, values = wanted.get("Name", ""), wanted.get("Values", ())
    find = _finder(codec, operation, shape, name)
    if find is None:
        raise AwsError("InvalidParameterValue", f"The filter '{name[:128]}' is invalid")
    if not values:
        raise AwsError("InvalidParameterValue", f"The filter '{name[:128]}' has no values")
    if len(values) > MAX_VALUES:
        raise AwsError("FilterLimitExceeded", f"A filter may have at most {MAX_VALUES} values.")
    matches = any_of(values)
    return lambda item: any(matches(text) for text in find(item))


Find = Callable[[Item], Iterable[str]]


def _finder(codec: Codec, operation: str, shape: str, name: str) -> Find | None:
    """What finds the texts that a filter looks at, or None if the listing has no such filter."""
    known = _known(codec, operation)
    if name.startswith("tag:"):
        return _tag_finder(codec, shape, name.removeprefix("tag:")) if not known or TAG in known else None
    if known and name not in known:
        return None
    tags = tags_member(codec, shape) if name in _TAG_PARTS else ""
    path = (tags, _TAG_PARTS[name]) if tags else path_of(codec, shape, name)
    return _texts(path) if path else None


def _tag_finder(codec: Codec, shape: str, key: str) -> Find | None:
    if member := tags_member(codec, shape):
        return _tag(member, key)
    return _own_tag(key) if "Key" in codec.shape(shape).members else None


@lru_cache(maxsize=1024)
def _known(codec: Codec, operation: str) -> frozenset[str]:
    """The names, with the `tag-value` that goes with `tag-key`."""
    documented = names(codec, operation)
    return documented | {"tag-value"} if "tag-key" in documented else documented


def _texts(path: Path) -> Find:
    """What finds the texts at a path, through all lists on the way."""

    def find(item: Item) -> Iterator[str]:
        values: list[Any] = [item]
        for name in path:
            inner: list[Any] = []
            for value in values:
                found = value.get(name)
                if isinstance(found, (list, tuple)):
                    inner.extend(found)
                elif found is not None:
                    inner.append(found)
            values = inner
        return map(plain, values)

    return find


def _tag(member: str, key: str) -> Find:
    return lambda item: (tag.get("Value", "") for tag in item.get(member) or () if tag.get("Key") == key)


def _own_tag(key: str) -> Find:
    """For items that are tags themselves."""
    return lambda item: (item.get("Value", ""),) if item.get("Key") == key else ()
