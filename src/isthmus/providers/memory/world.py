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

from isthmus import networking
from isthmus.errors import Conflict, Invalid, NotFound, QuotaExceeded
from isthmus.model import (
    Address,
    Firewall,
    Flavor,
    Hop,
    Image,
    Key,
    Network,
    Port,
    Route,
    Server,
    Snapshot,
    Subnet,
    SubnetWiring,
    Volume,
    Wiring,
    Zone,
)
from isthmus.providers.memory.pool import Pool
from isthmus.providers.memory.tables import Shared, Table

DEFAULT_NETWORK = "172.31.0.0/16"
DEFAULT = "default"
PUBLIC_RANGES = ("198.51.100.0/24", "203.0.113.0/24", "192.0.2.0/24")

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
        self.offered = tuple(flavors)
        self.flavors = {flavor.native: flavor for flavor in self.offered}
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
        self.ports: Table[Port] = Table("port")
        self.firewalls: Table[Firewall] = Table("firewall")
        self.addresses: Table[Address] = Table("address")
        self.keys: Table[Key] = Table("key")
        self.labels: dict[str, dict[str, dict[str, str]]] = {}
        """Kind -> native id -> labels."""
        self.pools: dict[str, Pool] = {}
        self.wirings: dict[str, Wiring] = {}
        self.default_firewalls: dict[str, str] = {}
        """Network -> firewall."""
        self.devices: dict[str, dict[str, str]] = {}
        """Server -> device -> volume."""
        self.guarded: defaultdict[str, set[str]] = defaultdict(set)
        """Firewall -> ports."""
        self.answered: dict[tuple[str, str], str] = {}
        """Port and its private address -> public address."""
        self._make_defaults(zones)

    def add_network(self, network: Network, firewall: str) -> Network:
        """Keep a network with its default firewall."""
        self.firewalls.put(networking.default_firewall(firewall, network.native))
        self.default_firewalls[network.native] = firewall
        self.wirings[network.native] = Wiring(internet=network.default)
        return self.networks.put(network)

    def drop_network(self, native: str) -> None:
        self.firewalls.drop(self.default_firewalls.pop(native))
        self.networks.drop(native)
        del self.wirings[native]

    def add_subnet(self, subnet: Subnet) -> Subnet:
        pool = self.pools[subnet.native] = Pool(subnet.cidr)
        return self.subnets.put(replace(subnet, free=pool.free))

    def default_network(self) -> str:
        """The native id; NotFound."""
        for network in self.networks:
            if network.default:
                return network.native
        raise NotFound("network", "", "there is no default network")

    def default_subnet(self, zone: str) -> str:
        """The native id; NotFound."""
        for subnet in self.subnets:
            if subnet.default and subnet.zone == zone:
                return subnet.native
        raise NotFound("subnet", "", f"there is no default subnet in the zone {zone}")

    def put_port(self, port: Port) -> Port:
        """Keep a port, and tell its firewalls, its server and its public addresses."""
        before = self.ports.find(port.native)
        for firewall in before.firewalls if before else ():
            self.guarded[firewall].discard(port.native)
        for firewall in port.firewalls:
            self.guarded[firewall].add(port.native)
        self.ports.put(port)
        for one in {before.server if before else "", port.server} - {""}:
            self._retell(one, port)
        if before and before.server != port.server:
            for private in port.addresses:
                if public := self.answered.get((port.native, private)):
                    self.addresses.put(replace(self.addresses.get(public), server=port.server))
        return port

    def _retell(self, server: str, port: Port) -> None:
        """A server's ports with this one as it is now, in the order of their index."""
        found = self.servers.find(server)
        if found is None:
            return
        others = [one for one in found.ports if one.native != port.native]
        ports = sorted([*others, *([port] if port.server == server else [])], key=lambda one: one.index)
        self.servers.put(replace(found, ports=tuple(ports)))

    def answer(self, public: str, port: Port, private: str) -> None:
        """Let a port answer a public address; Conflict if another does already."""
        if (port.native, private) in self.answered:
            raise Conflict("port", port.native, f"{private} has a public address", code="in-use")
        address = self.addresses.get(public)
        self.addresses.put(replace(address, server=port.server, port=port.native, private=private))
        self.answered[port.native, private] = public

    def unanswer(self, port: str, private: str) -> None:
        """Take off the public address of a port's private one, if it has one."""
        if public := self.answered.pop((port, private), ""):
            self.addresses.put(replace(self.addresses.get(public), server="", port="", private=""))

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
        """A default network as it was before this process: its natives are the same in every run."""
        native = f"network-default-{self.name}"
        network = Network(native, "", DEFAULT, DEFAULT_NETWORK, default=True)
        self.add_network(network, f"firewall-default-{self.name}")
        bits = max(2, (len(zones) - 1).bit_length())
        parts = IPv4Network(DEFAULT_NETWORK).subnets(prefixlen_diff=bits)
        for zone, part in zip(zones, parts, strict=False):
            native = f"subnet-default-{zone.name}-{self.name}"
            self.add_subnet(Subnet(native, "", DEFAULT, network.native, str(part), zone.name, free=0, default=True))
        out = (Route("0.0.0.0/0", Hop.INTERNET),)
        natives = sorted(subnet.native for subnet in self.subnets)
        self.wirings[network.native] = Wiring(internet=True, subnets=tuple(SubnetWiring(one, out) for one in natives))
