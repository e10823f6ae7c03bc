"""Pages of a listing: opaque tokens that name the last item given, sealed against tampering.

A token holds no state here: things may come and go between pages, and what was there all along is given once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.aws.errors import AwsError
from isthmus.context import Context

_SEAL = 16


@dataclass(frozen=True, slots=True)
class Page:
    size: int = 0
    """Items at most; 0 for all."""
    after: tuple[str, ...] = ()
    question: str = ""
    """Whose listing of what this is, whatever it filters: a token is good for the same one only."""


_FILTERS = ("Filters", "Filter")
"""A listing goes on behind the same item whatever is filtered out of it: EC2 takes its tokens with other filters."""
LARGEST = 1000
"""Items of a page where the model has no bound; more may be asked for, and are not given."""


def page_of(cx: Context, action: str, exclusive: str, bounds: tuple[int, int | None], request: dict[str, Any]) -> Page:
    """Take the page out of a request. Raises AwsError for a size or token that cannot be."""
    size = request.pop("MaxResults", None)
    token = request.pop("NextToken", "")
    if size is None and not token:
        return Page()
    if exclusive and size and request.get(exclusive):
        raise AwsError("InvalidParameterCombination", f"MaxResults and {exclusive} cannot be used together.")
    if size is not None:
        _demand_within(size, *bounds)
    most = min(bounds[1] or LARGEST, LARGEST)
    question = _question(cx, action, request)
    return Page(min(size or most, most), _open(cx, token, question) if token else (), question)


def _demand_within(size: int, least: int, most: int | None) -> None:
    if size < least:
        reason = f"Expecting a value greater than or equal to {least}."
    elif most is not None and size > most:
        reason = f"Expecting a value less than or equal to {most}."
    else:
        return
    raise AwsError("InvalidParameterValue", f"Value ( {size} ) for parameter maxResults is invalid. {reason}")


def token_for(cx: Context, page: Page, last: tuple[str, ...]) -> str:
    """The token of the page that begins behind `last`."""
    text = json.dumps(last, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_seal(cx, page.question, text) + text).decode().rstrip("=")


def _question(cx: Context, action: str, request: Mapping[str, Any]) -> str:
    said = json.dumps(
        {name: value for name, value in request.items() if name not in _FILTERS}, sort_keys=True, default=str
    )
    return f"{cx.account}\n{action}\n{said}"


def _seal(cx: Context, question: str, text: bytes) -> bytes:
    key = cx.store.setting("page-tokens")
    return hmac.digest(key, question.encode() + b"\n" + text, hashlib.sha256)[:_SEAL]


def _open(cx: Context, token: str, question: str) -> tuple[str, ...]:
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    seal, text = raw[:_SEAL], raw[_SEAL:]
    if not hmac.compare_digest(seal, _seal(cx, question, text)):
        raise AwsError("InvalidNextToken", "The token is not one that this listing gave.")
    return tuple(json.loads(text))
