"""IMDSv2 session tokens without a store: each carries its expiry and a MAC that binds it to one guest."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
import time
from collections.abc import Callable
from pathlib import Path

from isthmus.imds.kept import keep

LONGEST = 21600
"""Six hours, in seconds: EC2's limit."""

_SECRET_BYTES = 32
_EXPIRY = struct.Struct(">Q")


class Tokens:
    """Processes that share `secret` accept each other's tokens. `clock` is the time in seconds since 1970."""

    def __init__(self, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        if len(secret) < _SECRET_BYTES:
            raise ValueError(f"a token secret has at least {_SECRET_BYTES} bytes")
        self._secret = secret
        self._clock = clock

    @classmethod
    def kept_in(cls, directory: Path) -> Tokens:
        """With the secret of a state directory; made there the first time. OSError when it cannot be written."""
        return cls(keep(directory / "imds-tokens.key", lambda: secrets.token_bytes(_SECRET_BYTES)))

    def issue(self, guest: str, seconds: int) -> str:
        """A token for the guest with this id, good for 1 to 21600 seconds."""
        if not 1 <= seconds <= LONGEST:
            raise ValueError(f"a token lives 1 to {LONGEST} seconds")
        return self._token(guest, int((self._clock() + seconds) * 1000))

    def valid(self, guest: str, token: str) -> bool:
        """Whether the token was issued to this guest and has not expired."""
        try:
            [expiry] = _EXPIRY.unpack_from(base64.urlsafe_b64decode(token))
        except (binascii.Error, struct.error, ValueError):
            return False
        # The whole text is compared, so that no second spelling of a token is one.
        genuine = hmac.compare_digest(self._token(guest, expiry).encode(), token.encode())
        return genuine and self._clock() * 1000 < expiry

    def _token(self, guest: str, expiry: int) -> str:
        until = _EXPIRY.pack(expiry)
        mac = hmac.new(self._secret, b"imds-token\0" + until + guest.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(until + mac.digest()).decode()
