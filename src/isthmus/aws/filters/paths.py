"""Where in a rendered item the value of a filter is: from its name and the model, or from the table of exceptions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from isthmus.aws.codec import Codec, Shape
from isthmus.aws.filters.exceptions import EXCEPTIONS, ITEM_SHAPES

Path = tuple[str, ...]
"""Member names from the item inwards; lists on the way are searched through."""

_NO_WORD = re.compile("[^a-z0-9]")


def item_shape(codec: Codec, operation: str) -> str:
    """The shape of what a listing lists. Raises ValueError for an operation that lists nothing."""
    if operation in ITEM_SHAPES:
        return ITEM_SHAPES[operation]
    output = codec.operations[operation].output
    for member in output.members.values() if output else ():
        if member.type_name == "list":
            return codec.model.element(codec.shape(member.shape)).shape
    raise ValueError(f"{operation} lists nothing")


def path_of(codec: Codec, shape: str, name: str) -> Path | None:
    """The path of a filter within an item of this shape, or None if there is none."""
    known = EXCEPTIONS.get(shape, {})
    if name in known:
        return known[name]
    for prefix, path in known.items():
        if prefix.endswith(".") and name.startswith(prefix):
            return _joined(codec, shape, path, name.removeprefix(prefix))
    word, _, rest = name.partition(".")
    member = _member(codec.shape(shape), _plain(word))
    return _joined(codec, shape, (member,), rest) if member else None


def _joined(codec: Codec, shape: str, path: Path, rest: str) -> Path | None:
    here = shape_at(codec, shape, path)
    if not rest:
        return None if here.type == "structure" else path
    inner = path_of(codec, here.name, rest) if here.type == "structure" else None
    return (*path, *inner) if inner else None


def shape_at(codec: Codec, shape: str, path: Path) -> Shape:
    """The shape at the end of a path, that of the elements if it is a list. Raises KeyError."""
    here = codec.shape(shape)
    for name in path:
        here = codec.shape(here.members[name].shape)
        while here.element is not None:
            here = codec.shape(here.element.shape)
    return here


def _member(shape: Shape, word: str) -> str | None:
    for member in shape.members.values() if word else ():
        if word in _spellings(member.name, member.location):
            return member.name
    return None


def _spellings(name: str, location: str) -> Iterator[str]:
    for spelling in (_plain(name), _plain(location)):
        yield spelling
        yield spelling.removesuffix("s")
        yield spelling.removesuffix("set")


def _plain(word: str) -> str:
    return _NO_WORD.sub("", word.lower())


def tags_member(codec: Codec, shape: str) -> str:
    """The member that holds an item's tags, or empty."""
    for member in codec.shape(shape).members.values():
        if member.type_name == "list" and shape_at(codec, shape, (member.name,)).name == "Tag":
            return member.name
    return ""
