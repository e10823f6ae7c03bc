"""SigV2: the parameters of a request, signed with HmacSHA256 or HmacSHA1."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from types import MappingProxyType
from urllib.parse import quote

from isthmus.aws.auth.claim import Claim
from isthmus.aws.auth.parts import hosts, incomplete, single
from isthmus.aws.errors import AwsError
from isthmus.aws.request import Pairs, Request
from isthmus.aws.time import parse_iso8601
from isthmus.model import SignedRequest

_METHODS = MappingProxyType({"hmacsha256": "HmacSHA256", "hmacsha1": "HmacSHA1"})


def in_params(request: Request, pairs: Pairs) -> Claim:
    """A claim by `Signature` among the parameters of the query and the form: every one of them is signed."""
    if single(pairs, "SignatureVersion", "") != "2":
        raise incomplete("Only the signature versions 2 and 4 are supported.")
    algorithm = _METHODS.get(single(pairs, "SignatureMethod").lower())
    if algorithm is None:
        raise incomplete("The SignatureMethod must be HmacSHA256 or HmacSHA1.")
    signed_at, expires = _times(pairs)
    tail = f"{request.path or '/'}\n{_canonical(pairs)}"
    host, access_key = request.headers.get("host", "").lower(), single(pairs, "AWSAccessKeyId")
    signature = single(pairs, "Signature")
    return Claim(
        access_key=access_key,
        algorithm=algorithm,
        scope=None,
        signed_at=signed_at,
        expires=expires,
        token=single(pairs, "SecurityToken", ""),
        strings=partial(_strings, request, hosts(host), tail),
        signature=signature,
        form=partial(_form, request, pairs, host, access_key, signature),
    )


def _strings(request: Request, names: Sequence[str], tail: str) -> Iterator[bytes]:
    return (f"{request.method}\n{host}\n{tail}".encode("utf-8", "surrogatepass") for host in names)


def _form(
    request: Request, pairs: Pairs, host: str, access_key: str, signature: str, verify: Callable[[str], bool]
) -> SignedRequest:
    params = tuple(pair for pair in pairs if pair[0] != "Signature")
    return SignedRequest(access_key, signature, request.method, host, request.path or "/", params, {}, "", verify)


def _canonical(pairs: Pairs) -> str:
    return "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(pairs) if name != "Signature"
    )


def _times(pairs: Pairs) -> tuple[datetime | None, datetime | None]:
    signed_at, expires = single(pairs, "Timestamp", ""), single(pairs, "Expires", "")
    if signed_at and expires:
        raise AwsError("InvalidParameterCombination", "The parameters Timestamp and Expires cannot be used together.")
    if not signed_at and not expires:
        raise AwsError("MissingParameter", "The request must contain the parameter Timestamp or Expires")
    return _time(signed_at, "Timestamp"), _time(expires, "Expires")


def _time(text: str, name: str) -> datetime | None:
    try:
        return parse_iso8601(text) if text else None
    except ValueError:
        raise AwsError("InvalidParameterValue", f"The {name} must be a time in ISO 8601.") from None
