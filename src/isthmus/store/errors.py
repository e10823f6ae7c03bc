"""Why a store cannot be used, in one sentence an operator can act on."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from isthmus.errors import Broken


class StoreError(Broken):
    """One clear sentence; what is stored was left as it is."""


_SENTENCES = {
    "file is not a database": "{where} is not a database, or it is damaged; it was left as it is.",
    "malformed": "{where} is damaged; it was left as it is. Restore it from a backup.",
    "readonly database": "{where} cannot be written: it, or the place it is in, is read-only.",
    "read-only": "{where} cannot be written: it is read-only.",
    "unable to open": "{where} cannot be opened: its directory is missing, or read-only for this user.",
    "disk is full": "{where} cannot be written: the disk is full.",
    "no space left": "{where} cannot be written: the disk is full.",
    "disk i/o error": "{where} cannot be read or written: the disk reports an error, or is full.",
    "is locked": "{where} has been kept locked by another process for too long.",
    "authentication failed": "{where} does not accept this user and password.",
    "does not exist": "{where} does not exist, or lacks what Isthmus keeps in it.",
    "connection": "{where} cannot be reached.",
}


def explained(error: DBAPIError, where: str) -> StoreError:
    """The sentence for what a database said."""
    said = (str(error.orig).strip() or type(error).__name__).splitlines()[0]
    for word, sentence in _SENTENCES.items():
        if word in said.lower():
            return StoreError(sentence.format(where=where))
    return StoreError(f"{where} failed: {said}")
