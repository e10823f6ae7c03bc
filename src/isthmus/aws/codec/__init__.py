"""The wire of the ec2 and query protocols, driven by botocore's service models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from isthmus.aws.codec.decode import MAX_ITEMS, Decoder, is_generic, split_generic
from isthmus.aws.codec.encode import Encoder, Item, escape
from isthmus.aws.codec.model import Member, Model, Operation, Shape
from isthmus.aws.codec.validate import validate

__all__ = ["Codec", "Item", "Member", "Operation", "Shape", "escape", "is_generic", "split_generic"]


class _Operations(Mapping[str, Operation]):
    def __init__(self, model: Model) -> None:
        self._model = model
        self._known = frozenset(model.names)

    def __getitem__(self, name: str) -> Operation:
        if name not in self._known:
            raise KeyError(name)
        return self._model.operation(name)

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def __iter__(self) -> Iterator[str]:
        return iter(self._model.names)

    def __len__(self) -> int:
        return len(self._known)


class Codec:
    """One service's wire. `operation` is a name that `operations` has; any other is a KeyError."""

    def __init__(self, service: str, max_items: int = MAX_ITEMS) -> None:
        self.model = Model(service)
        self.operations: Mapping[str, Operation] = _Operations(self.model)
        self._decoder = Decoder(self.model, max_items)
        self._encoder = Encoder(self.model)

    def shape(self, name: str) -> Shape:
        return self.model.shape(name)

    def decode(self, operation: str, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """The request, in the model's names and Python's values. Raises AwsError."""
        return self._decoder.decode(self.operations[operation], pairs)

    def encode(self, operation: str, answer: Mapping[str, Any], *, version: str, request_id: str) -> bytes:
        """The XML of an answer; None and members that begin with `_` are left out."""
        return self._encoder.answer(self.operations[operation], answer, version, request_id)

    def texts(self, name: str, members: Mapping[str, str], *, version: str, request_id: str) -> bytes:
        """The XML of an answer to an action that the model does not have."""
        return self._encoder.texts(name, members, version, request_id)

    def error(self, code: str, message: str, request_id: str) -> bytes:
        return self._encoder.error(code, message, request_id)

    def validate(self, operation: str, answer: Mapping[str, Any]) -> list[str]:
        """What is wrong with an answer by the model, with paths; empty if all is well."""
        return validate(self.model, self.operations[operation], answer)
