"""The pairs that users register by themselves: a call that the pair signs says whose it is."""

from __future__ import annotations

from isthmus.errors import Denied, NotFound, Unsupported
from isthmus.providers import Registered
from isthmus.providers.cloudstack.credentials import API_KEY, Credentials
from isthmus.providers.cloudstack.signing import Keys


class CloudStackRegistrar:
    def __init__(self, credentials: Credentials, *, unencrypted: bool) -> None:
        self._credentials = credentials
        self._unencrypted = unencrypted

    @property
    def unencrypted(self) -> bool:
        return self._unencrypted

    def registered(self, access_key: str, secret: str) -> Registered | None:
        """Who may not list himself is not taken: that is said before the secret is looked at. Raises Unavailable."""
        if not API_KEY.fullmatch(access_key):
            return None
        keys = Keys(access_key, secret)
        try:
            whose = self._credentials.owner(keys, anew=True)
        except (Denied, NotFound, Unsupported):
            return None
        return Registered(whose.tenant, whose.name, keys.login)
