"""The embedded cloud: QEMU machines on this host, with nothing else installed and no privileges."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from isthmus.errors import Invalid
from isthmus.model import Flavor, ServerState, SignedRequest
from isthmus.providers import NO_SECRETS, NO_TENANTS, Capability, Finding, Health, Tenants
from isthmus.providers.local import builtin, checks, clean, forwards, layout, owner, room, running, way, wires
from isthmus.providers.local.accel import Chooser
from isthmus.providers.local.addresses import LocalAddresses
from isthmus.providers.local.base import Base, Limits
from isthmus.providers.local.boots import Boots
from isthmus.providers.local.copies import Copies
from isthmus.providers.local.disks import INSTALL, QEMU_IMG
from isthmus.providers.local.firewalls import NO_EGRESS, NO_PEERS, LocalFirewalls
from isthmus.providers.local.halts import Halts
from isthmus.providers.local.images import NO_URL, LocalImages
from isthmus.providers.local.keys import LocalKeys
from isthmus.providers.local.launch import NO_ENCRYPTION
from isthmus.providers.local.layout import SUBNETS
from isthmus.providers.local.machine import ACCELERATORS, QEMU
from isthmus.providers.local.mend import Mender
from isthmus.providers.local.metrics import LocalMetrics
from isthmus.providers.local.networks import ONE_NETWORK, LocalNetworks
from isthmus.providers.local.offline import without_network
from isthmus.providers.local.ports import ONE_PORT, LocalPorts
from isthmus.providers.local.servers import LocalCompute
from isthmus.providers.local.volumes import LocalVolumes

_log = logging.getLogger(__name__)
_TENANT = re.compile(r"[!-~]{1,255}")
DEFAULT_ZONES = ("us-east-1a",)
ON_SLIRP = {
    Capability.EGRESS_RULES: NO_EGRESS,
    Capability.PEER_RULES: NO_PEERS,
    **dict.fromkeys(
        (Capability.NETWORKS, Capability.NETWORK_RANGES, Capability.ROUTES, Capability.ACLS, Capability.DHCP),
        ONE_NETWORK,
    ),
    Capability.PEERING: ONE_NETWORK,
    **dict.fromkeys((Capability.PORTS, Capability.SERVER_PORTS, Capability.PORT_ADDRESSES), ONE_PORT),
}
"""What user-mode networking alone cannot do."""
LACKS = {
    Capability.IMAGE_URL: NO_URL,
    Capability.ENCRYPTION: NO_ENCRYPTION,
    Capability.MULTI_ATTACH: "a volume of the local cloud is a file that one machine at a time can write to",
    Capability.PLACEMENT: "the local cloud is one host; it runs one instance of a spread group, or one partition",
}
AS_ROOT = "root, because of user-mode networking: network = 'namespaces' runs machines as a user without rights"
ISOLATION = {
    way.SLIRP: "guests cannot reach each other; at their gateway's address they reach this host's loopback",
    way.NAMESPACES: "guests reach each other as their firewalls say, and nothing of this host",
}
NEED_QEMU = (Capability.LAUNCH, Capability.IMAGE_OF_SERVER, Capability.ATTACH_RUNNING)
NEED_DISKS = (
    *(Capability.LAUNCH, Capability.IMAGE_OF_SERVER, Capability.ATTACH_RUNNING, Capability.IMAGE_IMPORT),
    *(Capability.SNAPSHOT_ATTACHED, Capability.VOLUME_RESIZE, Capability.VOLUME_COPY),
)


class LocalSession:
    """One tenant's view."""

    def __init__(self, cloud: Local, tenant: str) -> None:
        base, work = cloud.base, cloud.boots.work
        self.compute = LocalCompute(base, tenant, cloud.boots, cloud.halts, cloud.missing)
        self.volumes = LocalVolumes(base, tenant, work, cloud.copies)
        self.images = LocalImages(base, tenant, work, cloud.copies)
        self.networks = LocalNetworks(base, tenant)
        self.ports = LocalPorts(base, tenant)
        self.firewalls = LocalFirewalls(base, tenant)
        self.addresses = LocalAddresses(base, tenant)
        self.keys = LocalKeys(base, tenant)
        self.metrics = LocalMetrics(base, tenant)
        self.labels = None

    def once(self) -> LocalSession:
        return self

    def quotas(self) -> Mapping[str, int]:
        return {}


class Local:
    """Machines outlive this object and its process: `mend` of a later one takes them up again.

    `flavors` empty means a few of EC2's small ones. `metadata_socket` (by default `state`/metadata.sock) is where the
    guests' requests to 169.254.169.254 arrive: each connection begins with the line `ISTHMUS/1 <tenant> <native>`.
    `memory` (MiB) and `cpus` are what all guests together may have, by their flavors; 0 for as much as there is.
    `network` is how guests are connected: namespaces, slirp, or auto; `public`, with namespaces and as root, a range of
    public addresses that this host routes to guests, instead of loopback addresses of its own that it relays.
    `user` is whom machines belong to that root starts; by default one that has nothing on this host.
    Invalid if an argument cannot be; Unavailable if `state` cannot be written.
    """

    def __init__(
        self,
        name: str,
        state: Path,
        zones: Sequence[str] = DEFAULT_ZONES,
        flavors: Sequence[Flavor] = (),
        metadata_socket: Path | None = None,
        accelerator: str = "auto",
        memory: int = 0,
        cpus: int = 0,
        network: str = way.AUTO,
        public: str = "",
        user: str = "",
    ) -> None:
        way.demand(network, public)
        if accelerator not in ("auto", *ACCELERATORS):
            raise Invalid(f"the accelerator is auto, tcg or kvm, not {accelerator!r}", "accelerator")
        zones = tuple(zones) or DEFAULT_ZONES
        if len(set(zones)) < len(zones) or len(zones) > len(SUBNETS):
            raise Invalid(f"zones have different names, and there are at most {len(SUBNETS)}", "zones")
        self._name = name
        limits = Limits(memory, cpus)
        whose = owner.chosen(user, state.absolute())
        self.base = Base(name, state, zones, flavors, metadata_socket, limits, network, public, whose)
        self._chooser = Chooser(self.base.state, accelerator)
        self.boots = Boots(self.base, self._chooser)
        self.halts = Halts(self.base, self.boots.work)
        self.copies = Copies(self.base, self.boots.work)
        self._mender = Mender(self.base, self.boots, self.halts, self.copies)
        builtin.adopt(self.base)
        layout.adopt_ports(self.base)

    @property
    def name(self) -> str:
        return self._name

    @property
    def remote(self) -> bool:
        return False

    @property
    def lacks(self) -> Mapping[Capability, str]:
        lacking = LACKS | ({} if self.base.namespaces else ON_SLIRP)
        if reason := self.base.way.missing:
            lacking[Capability.LAUNCH] = reason
        for program, capabilities in ((QEMU, NEED_QEMU), (QEMU_IMG, NEED_DISKS)):
            if not shutil.which(program):
                lacking |= dict.fromkeys(capabilities, f"{program} is not installed: {INSTALL}")
        return lacking

    def missing(self) -> str:
        """Why no server can be launched, or empty."""
        return self.lacks.get(Capability.LAUNCH, "")

    def session(self, tenant: str, secrets: Mapping[str, Any] = NO_SECRETS) -> LocalSession:  # noqa: ARG002
        if not _TENANT.fullmatch(tenant):
            raise Invalid("the name of a tenant has 1 to 255 visible ASCII characters", "tenant")
        return LocalSession(self, tenant)

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
        known = self._chooser.known()
        running = sum(self.base.state_of(one) is ServerState.RUNNING for one in self.base.servers.everything())
        taken = room.taken(self.base)
        details = {
            "accelerator": known.name if known else "not known yet",
            "accelerator_reason": known.reason if known else "it is found out with the first launch",
            "tiny_image": "available" if builtin.kernel(self.base) else "not built",
            "machines": str(running),
            "memory": _of(taken.memory, self.base.limits.memory, " MiB"),
            "cpus": _of(taken.cpus, self.base.limits.cpus),
            "isolation": ISOLATION[self.base.way.name],
            "user": self.base.user or (AS_ROOT if os.geteuid() == 0 else "the service's own"),
            **wires.told(self.base),
        }
        return Health(details, tuple(self._degraded()))

    def mend(self) -> None:
        builtin.adopt(self.base)
        if not self.missing() and self._chooser.known() is None and (kernel := builtin.kernel(self.base)):
            self.boots.work.start("probe", lambda: self._probe(kernel))
        self._mender.mend()

    def check(self, *, repair: bool = False, tenants: Tenants = NO_TENANTS) -> Iterator[Finding]:  # noqa: ARG002
        if repair:
            self.mend()
        yield from checks.check(self.base, repair=repair)

    def clean(self, *, everything: bool = False) -> Iterator[str]:
        if everything:
            self.close()
        yield from clean.clean(self.base, everything=everything)

    def machines(self) -> Iterator[str]:
        yield from running.told(self.base)

    def close(self) -> None:
        self.boots.work.close()

    def _probe(self, kernel: Path) -> None:
        found = self._chooser.choose(kernel)
        _log.info("guests run on %s: %s", found.name, found.reason)

    def _degraded(self) -> list[str]:
        reasons = [reason] if (reason := self.missing()) else []
        known = self._chooser.known()
        if known and known.name == "tcg" and not reasons:
            reasons.append(f"guests are emulated, which is slow: {known.reason}")
        if not builtin.kernel(self.base):
            reasons.append(f"there is no built-in image until it is built: {builtin.BUILD}")
        if reason := without_network()[1]:
            reasons.append(f"qemu-img runs with this host's network, as it cannot be taken from it: {reason}")
        return reasons + forwards.failures(self.base) + wires.degraded(self.base)


def _of(taken: int, limit: int, unit: str = "") -> str:
    return f"{taken} of {limit}{unit} taken" if limit else f"{taken}{unit} taken, no limit"
