"""Signatures of CloudStack's API, version 3. Source: docs.cloudstack.apache.org, "Signing API requests"."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

EXPIRES = timedelta(minutes=5)
"""How long a request that was signed may be sent."""

LOGIN = ("api_key", "secret_key")
"""What is kept for an account to sign in with: the API keys of one of its users."""


@dataclass(frozen=True, slots=True)
class Keys:
    """A user's pair of API keys."""

    api: str
    secret: str = field(repr=False)

    @property
    def login(self) -> Mapping[str, str]:
        """As it is kept for an account."""
        return dict(zip(LOGIN, (self.api, self.secret), strict=True))


def signed(keys: Keys, params: Mapping[str, str], now: datetime) -> dict[str, str]:
    """A request's parameters, with who asks, until when it is good, and the signature."""
    until = (now + EXPIRES).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")
    said = {**params, "apikey": keys.api, "signatureversion": "3", "expires": until}
    return {**said, "signature": signature(keys.secret, said)}


def signature(secret: str, params: Mapping[str, str]) -> str:
    """Of all parameters but the signature itself."""
    pairs = sorted((name.lower(), _encoded(value).lower()) for name, value in params.items())
    text = "&".join(f"{name}={value}" for name, value in pairs)
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), hashlib.sha1)).decode()


def _encoded(value: str) -> str:
    """As Java's URLEncoder does it, which the server uses, with spaces as %20."""
    return quote(value, safe="*").replace("~", "%7E")
