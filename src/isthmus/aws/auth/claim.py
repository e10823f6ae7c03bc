"""What a signed request claims: who sent it, when, and the proof."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from isthmus.aws.auth.keys import signing_key
from isthmus.aws.errors import AwsError
from isthmus.model import SignedRequest

SKEW = timedelta(minutes=15)
"""How far a sender's clock may be off, either way: AWS's "common errors" page."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a SigV4 key is derived for: `date` as YYYYMMDD; region and service as the client calls them."""

    date: str
    region: str
    service: str


@dataclass(frozen=True, slots=True)
class Claim:
    """`signed_at` is None only where `expires` is given; `token` is that of a session, or empty."""

    access_key: str
    algorithm: str
    scope: Scope | None
    signed_at: datetime | None
    expires: datetime | None
    token: str = field(repr=False)
    strings: Callable[[], Iterator[bytes]] = field(repr=False)
    """The strings to sign that are as good as one another: with the host's port, and without. Made when asked for."""
    signature: str = field(repr=False)
    form: Callable[[Callable[[str], bool]], SignedRequest] = field(repr=False)
    """What was signed, given how to verify it. Made when asked for."""

    def verify(self, secret: str) -> bool:
        """Whether the signature was made with this secret, in constant time for all that are wrong."""
        scope = self.scope
        key = signing_key(secret, scope.date, scope.region, scope.service) if scope else _bytes(secret)
        hashed = "sha1" if self.algorithm == "HmacSHA1" else "sha256"
        said = _bytes(self.signature)
        made = (hmac.digest(key, text, hashed) for text in self.strings())
        return any(
            hmac.compare_digest(said, digest.hex().encode() if scope else base64.b64encode(digest)) for digest in made
        )

    def signed(self) -> SignedRequest:
        """For a cloud that knows signers by itself."""
        return self.form(self.verify)

    def check_time(self, now: datetime) -> None:
        """Raises AwsError RequestExpired for a request that is too old, or from the future."""
        if self.signed_at is not None and self.signed_at - now > SKEW:
            raise _expired(self.signed_at, now)
        if self.expires is not None:
            if now > self.expires:
                raise _expired(self.expires, now)
        elif self.signed_at is not None and now - self.signed_at > SKEW:
            raise _expired(self.signed_at, now)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _expired(said: datetime, now: datetime) -> AwsError:
    times = f"Timestamp date is {said:%Y-%m-%dT%H:%M:%SZ}. Current date is {now:%Y-%m-%dT%H:%M:%SZ}."
    return AwsError("RequestExpired", f"Request has expired. {times}")
