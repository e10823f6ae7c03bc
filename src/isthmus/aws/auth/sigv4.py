"""SigV4: the whole request, signed with a key derived for a day, a region and a service."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from hashlib import sha256
from urllib.parse import quote

from isthmus.aws.auth.claim import Claim, Scope
from isthmus.aws.auth.parts import hosts, incomplete, single
from isthmus.aws.errors import AwsError
from isthmus.aws.request import Request
from isthmus.model import SignedRequest

ALGORITHM = "AWS4-HMAC-SHA256"
_MOST_SECONDS = 604_800
_TIME = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z")
_FIELD = re.compile(r"\s*(Credential|SignedHeaders|Signature)=([^,\s]+)\s*")
_NAMES = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+(?:;[a-z0-9!#$%&'*+.^_`|~-]+){0,99}")
_BLANKS = re.compile(r"[ \t\r\n]+")
_MUST_SIGN = ("x-amz-security-token", "x-amz-target")
"""Headers that change what a request means: if they are there, they are signed."""


def in_header(request: Request) -> Claim:
    """A claim by the Authorization header."""
    fields = _fields(request.headers["authorization"])
    stamp, signed_at = _header_time(request)
    names = _signed_names(request, fields["SignedHeaders"])
    access_key, scope = _credential(fields["Credential"], stamp)
    signature, payload = fields["Signature"], _body_hash(request)
    said = f"{ALGORITHM} Credential={fields['Credential']}, SignedHeaders={';'.join(names)}, Signature={signature}"
    added = {"authorization": said, "x-amz-date": stamp}
    return Claim(
        access_key=access_key,
        algorithm=ALGORITHM,
        scope=scope,
        signed_at=signed_at,
        expires=None,
        token=request.headers.get("x-amz-security-token", ""),
        strings=partial(_strings, request, names, stamp, scope, payload),
        signature=signature,
        form=partial(_form, request, names, added, payload, access_key, signature),
    )


def in_query(request: Request) -> Claim:
    """A claim by a presigned URL, good until it expires."""
    pairs = request.query_params
    if single(pairs, "X-Amz-Algorithm") != ALGORITHM:
        raise incomplete(f"The algorithm must be {ALGORITHM}.")
    stamp = single(pairs, "X-Amz-Date")
    signed_at = _basic_time(stamp)
    names = _signed_names(request, single(pairs, "X-Amz-SignedHeaders"))
    access_key, scope = _credential(single(pairs, "X-Amz-Credential"), stamp)
    signature, payload = single(pairs, "X-Amz-Signature"), _presigned_hash(request, names)
    return Claim(
        access_key=access_key,
        algorithm=ALGORITHM,
        scope=scope,
        signed_at=signed_at,
        expires=_expires(signed_at, single(pairs, "X-Amz-Expires")),
        token=single(pairs, "X-Amz-Security-Token", ""),
        strings=partial(_strings, request, names, stamp, scope, payload),
        signature=signature,
        form=partial(_form, request, names, {}, payload, access_key, signature),
    )


def _fields(header: str) -> dict[str, str]:
    algorithm, _, rest = header.strip().partition(" ")
    if algorithm != ALGORITHM:
        raise incomplete(f"The Authorization header must use {ALGORITHM}.")
    matches = [_FIELD.fullmatch(part) for part in rest.split(",", 8)]
    fields = {match[1]: match[2] for match in matches if match}
    if len(fields) < 3 or len(matches) != 3:
        raise incomplete("The Authorization header must have Credential, SignedHeaders and Signature, each once.")
    return fields


def _credential(text: str, stamp: str) -> tuple[str, Scope]:
    """The access key and the scope, with whatever region and service the client calls them."""
    parts = text.rsplit("/", 4)
    if len(parts) != 5 or not all(parts) or parts[4] != "aws4_request":
        raise incomplete("The Credential must be ACCESSKEY/DATE/REGION/SERVICE/aws4_request.")
    if parts[1] != stamp[:8]:
        raise incomplete("The date of the Credential is not the date of the request.")
    return parts[0], Scope(*parts[1:4])


def _signed_names(request: Request, text: str) -> list[str]:
    if not _NAMES.fullmatch(text):
        raise incomplete("The SignedHeaders must be names in lower case, separated by semicolons.")
    names = text.split(";")
    missing = [name for name in _MUST_SIGN if name in request.headers and name not in names]
    if "host" not in names or missing:
        raise incomplete(f"The header {missing[0] if missing else 'host'} must be signed.")
    if len(set(names)) < len(names):
        raise incomplete("A header is signed more than once.")
    return names


def _header_time(request: Request) -> tuple[str, datetime]:
    """The time as it was signed, and as a time. Raises AwsError."""
    if stamp := request.headers.get("x-amz-date"):
        return stamp, _basic_time(stamp)
    try:
        said = parsedate_to_datetime(request.headers["date"])
        moment = said.replace(tzinfo=UTC) if said.tzinfo is None else said.astimezone(UTC)
    except (KeyError, ValueError, TypeError, IndexError, OverflowError):
        raise incomplete("The request must have a valid X-Amz-Date or Date header.") from None
    return moment.strftime("%Y%m%dT%H%M%SZ"), moment


def _basic_time(stamp: str) -> datetime:
    match = _TIME.fullmatch(stamp)
    try:
        if match:
            return datetime(*map(int, match.groups()), tzinfo=UTC)  # type: ignore[misc, arg-type]
    except ValueError:
        pass
    raise incomplete("The date of the request must be written as YYYYMMDDTHHMMSSZ.")


def _expires(signed_at: datetime, text: str) -> datetime:
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) < 8 else 0
    if not 1 <= seconds <= _MOST_SECONDS:
        raise AwsError("InvalidParameterValue", f"X-Amz-Expires must be between 1 and {_MOST_SECONDS} seconds.")
    try:
        return signed_at + timedelta(seconds=seconds)
    except OverflowError:
        raise incomplete("The date of the request is out of range.") from None


def _body_hash(request: Request) -> str:
    """Of the bytes as they came: an X-Amz-Content-SHA256 that says anything else cannot verify."""
    return sha256(request.body).hexdigest()


def _presigned_hash(request: Request, names: Sequence[str]) -> str:
    """A presigned URL may leave the body unsigned; then it may have none."""
    said = request.headers.get("x-amz-content-sha256", "") if "x-amz-content-sha256" in names else ""
    said = said or single(request.query_params, "X-Amz-Content-Sha256", "")
    return said if said == "UNSIGNED-PAYLOAD" and not request.body else _body_hash(request)


def _form(
    request: Request,
    names: Sequence[str],
    added: Mapping[str, str],
    payload: str,
    access_key: str,
    signature: str,
    verify: Callable[[str], bool],
) -> SignedRequest:
    params = tuple(pair for pair in request.query_params if pair[0] != "X-Amz-Signature")
    headers = {name: _trimmed(request.headers.get(name, "")) for name in names} | dict(added)
    host, path = request.headers.get("host", ""), _path(request.path)
    return SignedRequest(access_key, signature, request.method, host, path, params, headers, payload, verify)


def _strings(request: Request, names: Sequence[str], stamp: str, scope: Scope, payload: str) -> Iterator[bytes]:
    head = f"{request.method}\n{_path(request.path)}\n{_query(request)}\n"
    values = {name: _trimmed(request.headers.get(name, "")) for name in names}
    begin = f"{ALGORITHM}\n{stamp}\n{scope.date}/{scope.region}/{scope.service}/aws4_request\n"
    for host in hosts(values["host"]):
        values["host"] = host
        lines = "".join([f"{name}:{value}\n" for name, value in values.items()])
        canonical = f"{head}{lines}\n{';'.join(names)}\n{payload}".encode("utf-8", "surrogatepass")
        yield (begin + sha256(canonical).hexdigest()).encode("utf-8", "surrogatepass")


def _trimmed(value: str) -> str:
    return _BLANKS.sub(" ", value.strip(" \t\r\n"))


def _path(raw: str) -> str:
    """Without dots and empty segments, then encoded once more: all services but S3 sign the encoded path."""
    if raw in ("", "/"):
        return "/"
    kept: list[str] = []
    for segment in raw.split("/"):
        if segment == "..":
            kept[-1:] = []
        elif segment not in ("", "."):
            kept.append(segment)
    last = "/" if raw.endswith("/") and kept else ""
    return quote("/" + "/".join(kept) + last, safe="/~", errors="surrogatepass")


def _query(request: Request) -> str:
    if not request.query:
        return ""
    encoded = [
        (quote(name, safe="~"), quote(value, safe="~"))
        for name, value in request.query_params
        if name != "X-Amz-Signature"
    ]
    return "&".join([f"{name}={value}" for name, value in sorted(encoded)])
