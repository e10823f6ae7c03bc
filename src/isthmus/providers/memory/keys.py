"""SSH public keys."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from isthmus.errors import Conflict, Invalid
from isthmus.model import Key
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
            _check(spec.public)
            if any(key.name == spec.name for key in self._tenant.keys):
                raise Conflict("key", spec.name, f"there is a key {spec.name!r}", code="duplicate")
            self._world.room("key", len(self._tenant.keys))
            key = Key(self._world.native("key"), spec.ref, spec.name, spec.public.strip(), now)
            return self._tenant.keys.put(key)

    def delete_key(self, native: str) -> None:
        with self._world:
            if self._tenant.keys.find(native) is not None:
                self._tenant.keys.drop(native)


def _check(public: str) -> None:
    line = public.strip()
    try:
        if "\n" in line or "\r" in line:
            raise ValueError
        load_ssh_public_key(line.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise Invalid("this is not an SSH public key on one line", "public") from None
