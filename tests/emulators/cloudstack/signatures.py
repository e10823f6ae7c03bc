"""Whether a request to the emulator is signed, by versions 1 and 3: written anew, to judge how Isthmus does it."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import quote_plus

LONGEST = timedelta(minutes=15)
"""How long a signature may be good, where that is enforced."""


def expected(secret: str, params: Mapping[str, str]) -> str:
    words = []
    for name in sorted(params, key=str.lower):
        if name.lower() != "signature":
            # Java's URLEncoder: letters, digits and .-*_ stand for themselves.
            value = quote_plus(params[name], safe="*").replace("+", "%20").replace("~", "%7E")
            words.append(f"{name}={value}".lower())
    digest = hmac.new(secret.encode(), "&".join(words).encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def wrong(secret: str, params: Mapping[str, str], now: datetime, *, enforced: bool) -> str:
    """Why a request is not to be believed, or empty. `params` by their names as they were sent.

    With `enforced` it has to expire, and soon: version 1 does not. Source: CloudStack's ApiServer.
    """
    small = {name.lower(): value for name, value in params.items()}
    if not hmac.compare_digest(small.get("signature", ""), expected(secret, params)):
        return "the signature is another"
    if small.get("signatureversion") == "3":
        try:
            until = datetime.strptime(small.get("expires", ""), "%Y-%m-%dT%H:%M:%S%z")
        except ValueError:
            return "it does not say when it expires"
        if until < now:
            return "it has expired"
        if enforced and until > now + LONGEST:
            return "it expires too late"
    elif enforced:
        return "it is not of version 3"
    return ""
