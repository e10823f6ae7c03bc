"""One HTTP request as it came in: nothing decoded, nothing normalised."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from isthmus.aws.errors import AwsError

Pairs = list[tuple[str, str]]

MAX_PAIRS = 20_000
_FORM = "application/x-www-form-urlencoded"
_BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Request:
    """`path` and `query` are raw, still percent-encoded, bytes taken as Latin-1; so are header values.

    Header names are in lower case, and the values of a repeated one are joined by commas.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)
    peer: str = ""
    """The address at the other end of the connection, a client's or a proxy's; empty if it is not known."""
    _parsed: dict[str, Pairs] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def query_params(self) -> Pairs:
        """The query's parameters in their order. Raises AwsError if it is malformed."""
        if "query" not in self._parsed:
            self._parsed["query"] = _pairs(self.query.encode("latin-1", "replace"))
        return self._parsed["query"]

    @property
    def params(self) -> Pairs:
        """The query's parameters, then those of a form in the body. Raises AwsError if either is malformed."""
        if "all" not in self._parsed:
            form = _pairs(self.body) if self.body and self._is_form() else []
            self._parsed["all"] = [*self.query_params, *form]
        return self._parsed["all"]

    def _is_form(self) -> bool:
        """Whether the body is a form; it is if nobody says what it is."""
        kind = self.headers.get("content-type", _FORM).partition(";")[0].strip().lower()
        if kind in (_FORM, "") and self.headers.get("content-encoding", "identity").lower() != "identity":
            raise AwsError("InvalidRequest", "The content encoding of the request is not supported.", 415)
        return kind in (_FORM, "")


def _pairs(text: bytes) -> Pairs:
    """`a=b&c=d` as text. Raises AwsError for broken percent-encoding, for what is not UTF-8 and for too much."""
    if not text:
        return []
    if _BROKEN.search(text):
        raise AwsError("MalformedQueryString", "The request contains a malformed percent-encoding.")
    parts = text.replace(b"+", b" ").split(b"&")
    if len(parts) > MAX_PAIRS:
        raise AwsError("InvalidParameterValue", f"The request has more than {MAX_PAIRS} parameters.")
    try:
        return [_pair(part) for part in parts if part]
    except UnicodeDecodeError:
        raise AwsError("MalformedQueryString", "The request contains text that is not valid UTF-8.") from None


def _pair(part: bytes) -> tuple[str, str]:
    name, _, value = part.partition(b"=")
    if b"%" in part:
        name, value = unquote_to_bytes(name), unquote_to_bytes(value)
    return name.decode(), value.decode()
