"""What all tenants of a simulated cloud share: the clock, the lock, what falls due, and what each tenant has."""

from __future__ import annotations

import heapq
import secrets
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import IPv4Network
from itertools import count

from isthmus.errors import Invalid, QuotaExceeded
from isthmus.model import (
    Address,
    Direction,
    Firewall,
    Flavor,
    Image,
    Key,
    Network,
    Rule,
    Server,
    Snapshot,
    Subnet,
    Volume,
    Zone,
)
from isthmus.providers.memory.pool import Pool
from isthmus.providers.memory.tables import Shared, Table

DEFAULT_NETWORK = "172.31.0.0/16"
PUBLIC_RANGES = ("198.51.100.0/24", "203.0.113.0/24", "192.0.2.0/24")
EVERYTHING_OUT = Rule(Direction.EGRESS, "-1", cidr="0.0.0.0/0")

Step = Callable[[datetime], None]


class World:
    """Entered by every call: it holds the lock, lets what is due happen, and says what time it is."""

    def __init__(
        self,
        zones: Sequence[str],
        flavors: Iterable[Flavor],
        clock: Callable[[], datetime],
        settle: timedelta,
        quota: Mapping[str, int],
    ) -> None:
        self.zones = tuple(Zone(name) for name in zones)
        self.flavors = {flavor.native: flavor for flavor in flavors}
        self.images: Shared[Image] = Shared("image")
        self.snapshots: Shared[Snapshot] = Shared("snapshot")
        self.public = Pool(*PUBLIC_RANGES, skip=1)
        self._tenants: dict[str, Tenant] = {}
        self._clock = clock
        self._settle = settle
        self._quota = dict(quota)
        self._lock = threading.RLock()
        self._due: list[tuple[datetime, int, Step]] = []
        self._numbers = count(1)
        # Natives of two runs must differ, as a store may outlive this process.
        self._run = secrets.token_hex(4)

    def __enter__(self) -> datetime:
        self._lock.acquire()
        try:
            now = self._clock()
            while self._due and self._due[0][0] <= now:
                when, _, step = heapq.heappop(self._due)
                step(when)
        except BaseException:
            self._lock.release()
            raise
        return now

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def later(self, now: datetime, step: Step) -> None:
        """Do `step` when things have settled."""
        heapq.heappush(self._due, (now + self._settle, next(self._numbers), step))

    def native(self, kind: str) -> str:
        return f"{kind}-{self._run}-{next(self._numbers):x}"

    def mac(self) -> str:
        number = next(self._numbers)
        return "02:00:" + ":".join(f"{number >> shift & 255:02x}" for shift in (24, 16, 8, 0))

    def room(self, kind: str, have: int, more: int = 1) -> None:
        """QuotaExceeded if `more` of a kind are too many for a tenant who has `have`."""
        limit = self._quota.get(kind)
        if limit is not None and have + more > limit:
            raise QuotaExceeded(kind, reason=f"no more than {limit} of the kind {kind} are allowed")

    def zone(self, name: str) -> str:
        if all(zone.name != name for zone in self.zones):
            raise Invalid(f"there is no zone {name!r}", "zone")
        return name

    def flavor(self, native: str) -> Flavor:
        if (found := self.flavors.get(native)) is None:
            raise Invalid(f"there is no flavor {native!r}", "flavor")
        return found

    def tenant(self, name: str) -> Tenant:
        with self:
            if name not in self._tenants:
                self._tenants[name] = Tenant(name, self.zones)
            return self._tenants[name]


class Tenant:
    """What one tenant has, with the indexes that keep every call from searching."""

    def __init__(self, name: str, zones: Sequence[Zone]) -> None:
        self.name = name
        self.servers: Table[Server] = Table("server")
        self.volumes: Table[Volume] = Table("volume")
        self.networks: Table[Network] = Table("network")
        self.subnets: Table[Subnet] = Table("subnet")
        self.firewalls: Table[Firewall] = Table("firewall")
        self.addresses: Table[Address] = Table("address")
        self.keys: Table[Key] = Table("key")
        self.pools: dict[str, Pool] = {}
        self.default_subnets: dict[str, str] = {}
        self.devices: dict[str, dict[str, str]] = {}
        """Server -> device -> volume."""
        self.guarded: defaultdict[str, set[str]] = defaultdict(set)
        """Firewall -> servers."""
        self.answered: dict[str, str] = {}
        """Server -> address."""
        self.default_network = f"network-default-{name}"
        self.default_firewall = f"firewall-default-{name}"
        self._make_defaults(zones)

    def add_subnet(self, subnet: Subnet) -> Subnet:
        pool = self.pools[subnet.native] = Pool(subnet.cidr)
        if subnet.default:
            self.default_subnets[subnet.zone] = subnet.native
        return self.subnets.put(replace(subnet, free=pool.free))

    def take(self, subnet: str, wanted: str = "") -> str:
        """A private address of the subnet; fails as Pool.take does."""
        address = self.pools[subnet].take(wanted)
        self._recount(subnet)
        return address

    def give_back(self, subnet: str, address: str) -> None:
        self.pools[subnet].give_back(address)
        self._recount(subnet)

    def _recount(self, subnet: str) -> None:
        self.subnets.put(replace(self.subnets.get(subnet), free=self.pools[subnet].free))

    def _make_defaults(self, zones: Sequence[Zone]) -> None:
        network = self.networks.put(Network(self.default_network, "", "default", DEFAULT_NETWORK, default=True))
        bits = max(2, (len(zones) - 1).bit_length())
        parts = IPv4Network(DEFAULT_NETWORK).subnets(prefixlen_diff=bits)
        for zone, part in zip(zones, parts, strict=False):
            native = f"subnet-default-{zone.name}-{self.name}"
            self.add_subnet(Subnet(native, "", "default", network.native, str(part), zone.name, free=0, default=True))
        inside = Rule(Direction.INGRESS, "-1", peer=self.default_firewall)
        self.firewalls.put(
            Firewall(self.default_firewall, "", "default", "default", network.native, (inside, EVERYTHING_OUT))
        )
