"""SSH public keys."""

from __future__ import annotations

from collections.abc import Sequence

from isthmus.errors import Conflict, Invalid
from isthmus.model import Key, public_key
from isthmus.providers import KeySpec
from isthmus.providers.memory.world import Tenant, World


class MemoryKeys:
    def __init__(self, world: World, tenant: Tenant) -> None:
        self._world = world
        self._tenant = tenant

    def list_keys(self) -> Sequence[Key]:
        with self._world:
            return self._tenant.keys.listing()

    def import_key(self, spec: KeySpec) -> Key:
        with self._world as now:
            if found := self._tenant.keys.by_ref(spec.ref):
                return found
            if not spec.ref or not spec.name:
                raise Invalid("a key needs a ref and a name", "name" if spec.ref else "ref")
            public = public_key(spec.public)
            if any(key.name == spec.name for key in self._tenant.keys):
                raise Conflict("key", spec.name, f"there is a key {spec.name!r}", code="duplicate")
            self._world.room("key", len(self._tenant.keys))
            key = Key(self._world.native("key"), spec.ref, spec.name, public, now)
            return self._tenant.keys.put(key)

    def delete_key(self, native: str) -> None:
        with self._world:
            if self._tenant.keys.find(native) is not None:
                self._tenant.keys.drop(native)
