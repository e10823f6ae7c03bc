"""SSH public keys."""

from __future__ import annotations

from collections.abc import Sequence

from isthmus.errors import Conflict, Invalid
from isthmus.model import Key, need_ref, public_key
from isthmus.providers import KeySpec
from isthmus.providers.local.base import Base, made, native, now
from isthmus.providers.local.records import KeyRecord


class LocalKeys:
    def __init__(self, base: Base, tenant: str) -> None:
        self._base = base
        self._tenant = tenant

    def list_keys(self) -> Sequence[Key]:
        return [record.noun for record in self._base.keys.owned(self._tenant)]

    def import_key(self, spec: KeySpec) -> Key:
        need_ref(spec.ref, "key")
        with self._base.lock:
            if found := self._base.keys.by_ref(self._tenant, spec.ref):
                return found.noun
            if not spec.name:
                raise Invalid("a key needs a name", "name")
            public = public_key(spec.public)
            if any(key.name == spec.name for key in self.list_keys()):
                raise Conflict("key", spec.name, f"there is a key {spec.name!r}", code="duplicate")
            key = Key(native("key"), spec.ref, spec.name, public, now())
            return self._base.keys.put(KeyRecord(self._tenant, key, made())).noun

    def delete_key(self, native: str) -> None:
        with self._base.lock:
            if self._base.keys.find(self._tenant, native):
                self._base.keys.drop(native)
