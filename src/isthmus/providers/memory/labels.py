"""Labels of simulated things."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from isthmus.providers.memory.tables import Shared, Table
from isthmus.providers.memory.world import Tenant, World


class MemoryLabels:
    def __init__(self, world: World, tenant: Tenant) -> None:
        self._world = world
        self._tenant = tenant
        self._own: Mapping[str, Table[Any]] = {
            "server": tenant.servers,
            "volume": tenant.volumes,
            "network": tenant.networks,
            "subnet": tenant.subnets,
            "firewall": tenant.firewalls,
            "address": tenant.addresses,
        }
        self._shared: Mapping[str, Shared[Any]] = {"snapshot": world.snapshots, "image": world.images}

    def list_kinds(self) -> Collection[str]:
        return {*self._own, *self._shared}

    def list_labels(self, kind: str) -> Mapping[str, Mapping[str, str]]:
        with self._world:
            known = self._tenant.labels.get(kind, {})
            return {native: held for native, held in known.items() if self._has(kind, native)}

    def set_labels(self, wanted: Mapping[str, Mapping[str, Mapping[str, str]]]) -> None:
        with self._world:
            for kind, things in wanted.items():
                known = self._tenant.labels.setdefault(kind, {})
                for native, labels in things.items():
                    if labels and self._has(kind, native):
                        known[native] = dict(labels)
                    else:
                        known.pop(native, None)

    def _has(self, kind: str, native: str) -> bool:
        """Whether a thing is the tenant's own."""
        if kind in self._own:
            return self._own[kind].find(native) is not None
        found = self._shared[kind].raw(native)
        return found is not None and found.owner == self._tenant.name
