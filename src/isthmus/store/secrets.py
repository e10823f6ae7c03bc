"""The master key in its file, and what is encrypted with it."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from isthmus.store.errors import StoreError

KEY_BYTES = 32
_NONCE_BYTES = 12


class Vault:
    """Encrypts with AES-GCM, each text bound to the name of what it belongs to."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise StoreError(f"The master key has {len(key)} bytes instead of {KEY_BYTES}.")
        self._cipher = AESGCM(key)

    def lock(self, plain: bytes, name: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, name.encode())

    def unlock(self, locked: bytes, name: str) -> bytes:
        """Raises StoreError if it was locked with another key or for another name."""
        try:
            return self._cipher.decrypt(locked[:_NONCE_BYTES], locked[_NONCE_BYTES:], name.encode())
        except (InvalidTag, ValueError) as error:
            raise StoreError("A secret in the store cannot be decrypted with this master key.") from error


def load_or_create(path: Path) -> bytes:
    """The master key in a file, made if there is none; of several processes that try, one makes it."""
    try:
        if not path.exists():
            _create(path)
        if path.stat().st_mode & 0o077:
            raise StoreError(f"The master key {path} can be read by other users; run: chmod 600 {path}")
        key = path.read_bytes()
    except OSError as error:
        raise StoreError(f"The master key {path} cannot be read or made: {error.strerror}.") from error
    if len(key) != KEY_BYTES:
        raise StoreError(f"The master key {path} has {len(key)} bytes instead of {KEY_BYTES}.")
    return key


def _create(path: Path) -> None:
    """Written in full under another name first: nobody reads half a key, and a crash leaves none."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)
    _sync(path.parent)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
