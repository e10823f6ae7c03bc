"""Secrets of credentials that a cloud gave out and told us, to judge signatures by: each is known for a while only."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from isthmus.model import SignedRequest

SECRET_SECONDS = 120
"""How long a secret is known: a revoked credential is good that long at most."""
ANEW_SECONDS = 5
"""A secret as old as this is asked for anew when it does not fit: it may have been changed."""
_NONCE_BYTES = 12
_MOST_SECRETS = 10_000


@dataclass(frozen=True, slots=True)
class Told:
    """A credential as its cloud has it."""

    user: str
    tenant: str
    secret: str = field(repr=False)
    name: str = ""
    """The tenant's, for people."""
    domain: str = ""
    """In which the tenant has its name, where a cloud has such."""
    fresh: bool = True
    """The cloud has just told it: what else is known of the user is then to be looked at anew as well."""


@dataclass(frozen=True, slots=True)
class _Kept:
    told: Told
    """Without its secret."""
    locked: bytes = field(repr=False)
    since: float


class Secrets:
    """Secrets that a cloud told, each for a while, encrypted with a key of this process.

    `ask` tells the credential of an access key as the cloud has it now, or None; it may raise Unavailable.
    """

    def __init__(self, ask: Callable[[str], Told | None]) -> None:
        self._ask = ask
        self._cipher = AESGCM(AESGCM.generate_key(256))
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def verified(self, request: SignedRequest) -> Told | None:
        """The credential that a request was rightly signed with. Raises Unavailable."""
        with self._lock:
            kept = self._kept.get(request.access_key)
        age = time.monotonic() - kept.since if kept else SECRET_SECONDS
        if kept and age < SECRET_SECONDS:
            known = self._unlocked(request.access_key, kept)
            if request.verify(known.secret):
                return known
            if age < ANEW_SECONDS:
                return None
        told = self._told(request.access_key)
        return told if told and request.verify(told.secret) else None

    def known(self, access_key: str) -> Told | None:
        """A credential as it was told at most a while ago. Raises Unavailable."""
        with self._lock:
            kept = self._kept.get(access_key)
        if kept and time.monotonic() - kept.since < SECRET_SECONDS:
            return self._unlocked(access_key, kept)
        return self._told(access_key)

    def forget(self, access_key: str) -> None:
        with self._lock:
            self._kept.pop(access_key, None)

    def _told(self, access_key: str) -> Told | None:
        since = time.monotonic()
        told = self._ask(access_key)
        if told is None:
            self.forget(access_key)
        else:
            self._keep(access_key, told, since)
        return told

    def _keep(self, access_key: str, told: Told, since: float) -> None:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        locked = nonce + self._cipher.encrypt(nonce, told.secret.encode(), access_key.encode())
        with self._lock:
            self._kept[access_key] = _Kept(replace(told, secret="", fresh=False), locked, since)
            self._kept.move_to_end(access_key)
            while len(self._kept) > _MOST_SECRETS:
                self._kept.popitem(last=False)

    def _unlocked(self, access_key: str, kept: _Kept) -> Told:
        nonce, locked = kept.locked[:_NONCE_BYTES], kept.locked[_NONCE_BYTES:]
        secret = self._cipher.decrypt(nonce, locked, access_key.encode()).decode()
        return replace(kept.told, secret=secret)
