"""What both versions of the signature need: single parameters, hosts and errors."""

from __future__ import annotations

import re
from collections.abc import Iterable

from isthmus.aws.errors import AwsError

_PORT = re.compile(r":[0-9]{1,5}$")


def incomplete(reason: str) -> AwsError:
    return AwsError("IncompleteSignature", reason)


def single(pairs: Iterable[tuple[str, str]], name: str, default: str | None = None) -> str:
    """The value of a parameter that may be given only once. Raises AwsError."""
    values = [value for key, value in pairs if key == name]
    if len(values) > 1:
        raise incomplete(f"The parameter {name} is given more than once.")
    if values and (values[0] or default is not None):
        return values[0]
    if default is None:
        raise incomplete(f"The request must contain the parameter {name}.")
    return default


def hosts(header: str) -> tuple[str, ...]:
    """What the client may have signed as its host: some leave the port out."""
    without = _PORT.sub("", header)
    return (header,) if without == header else (header, without)
