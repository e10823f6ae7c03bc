"""The cloud and its sessions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from isthmus.errors import Invalid
from isthmus.model import Flavor, SignedRequest
from isthmus.providers import NO_SECRETS, NO_TENANTS, Capability, Finding, Health, Tenants
from isthmus.providers.memory import builtin
from isthmus.providers.memory.addresses import MemoryAddresses
from isthmus.providers.memory.compute import NO_PASSWORD, MemoryCompute
from isthmus.providers.memory.firewalls import MemoryFirewalls
from isthmus.providers.memory.images import NO_URL, MemoryImages
from isthmus.providers.memory.keys import MemoryKeys
from isthmus.providers.memory.labels import MemoryLabels
from isthmus.providers.memory.metrics import MemoryMetrics
from isthmus.providers.memory.networks import MemoryNetworks
from isthmus.providers.memory.ports import MemoryPorts
from isthmus.providers.memory.volumes import MemoryVolumes
from isthmus.providers.memory.world import World
from isthmus.quotas import QUOTAS

LACKS = MappingProxyType(
    {
        Capability.PASSWORD: NO_PASSWORD,
        Capability.IMAGE_URL: NO_URL,
        Capability.MULTI_ATTACH: "a simulated volume is on one server at a time; attach one volume to each server",
    }
)


@dataclass(frozen=True, slots=True)
class MemorySession:
    """One tenant's view; every family is there."""

    compute: MemoryCompute
    volumes: MemoryVolumes
    images: MemoryImages
    networks: MemoryNetworks
    ports: MemoryPorts
    firewalls: MemoryFirewalls
    addresses: MemoryAddresses
    keys: MemoryKeys
    metrics: MemoryMetrics
    labels: MemoryLabels
    limits: Mapping[str, int]

    def once(self) -> MemorySession:
        return self

    def quotas(self) -> Mapping[str, int]:
        return self.limits


class Memory:
    """A cloud of simulated servers: gone with this process, and safe to use from many threads.

    Transitional states last `settle` by `clock`. `quota` limits what each tenant has, by kind: server, volume,
    snapshot, image, network, subnet, port, firewall, address, key.
    """

    def __init__(
        self,
        name: str,
        zones: Sequence[str] = ("us-east-1a", "us-east-1b"),
        flavors: Sequence[Flavor] = (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        settle: timedelta = timedelta(seconds=0.2),
        quota: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._name = name
        self._world = World(zones, flavors or builtin.FLAVORS, clock, settle, quota)
        names = {one.kind: name for name, one in QUOTAS.items() if one.per == "account"}
        self._limits = MappingProxyType({names[kind]: most for kind, most in quota.items() if kind in names})
        builtin.furnish(self._world)

    @property
    def name(self) -> str:
        return self._name

    @property
    def remote(self) -> bool:
        return False

    @property
    def lacks(self) -> Mapping[Capability, str]:
        return LACKS

    def session(self, tenant: str, secrets: Mapping[str, Any] = NO_SECRETS) -> MemorySession:  # noqa: ARG002
        if not tenant:
            raise Invalid("a session is a tenant's", "tenant")
        world, mine = self._world, self._world.tenant(tenant)
        return MemorySession(
            compute=MemoryCompute(world, mine),
            volumes=MemoryVolumes(world, mine),
            images=MemoryImages(world, mine),
            networks=MemoryNetworks(world, mine),
            ports=MemoryPorts(world, mine),
            firewalls=MemoryFirewalls(world, mine),
            addresses=MemoryAddresses(world, mine),
            keys=MemoryKeys(world, mine),
            metrics=MemoryMetrics(world, mine),
            labels=MemoryLabels(world, mine),
            limits=self._limits,
        )

    @property
    def admits(self) -> bool:
        return False

    @property
    def registrar(self) -> None:
        """It gives out no credentials."""

    @property
    def realm(self) -> str:
        return self.name

    def admit(self, request: SignedRequest) -> None:
        """It gives out no credentials."""

    def health(self) -> Health:
        return Health(details={"servers": "simulated", "kept": "in this process only"})

    def mend(self) -> None:
        """Nothing can be half done: every call does all or nothing in one process."""

    def check(self, *, repair: bool = False, tenants: Tenants = NO_TENANTS) -> Sequence[Finding]:  # noqa: ARG002
        """It has no storage."""
        return ()

    def clean(self, *, everything: bool = False) -> Sequence[str]:  # noqa: ARG002
        """It keeps nothing on this host."""
        return ()

    def machines(self) -> Sequence[str]:
        """None runs on this host."""
        return ()

    def close(self) -> None:
        """There is no connection to let go of."""
