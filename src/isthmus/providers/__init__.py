"""The contract between Isthmus and a cloud: one Protocol per family, in neutral nouns and native ids.

The rules behind the signatures are numbered in docs/providers.md; each is one test in tests/conformance.
In short: native ids only; `create_*` is idempotent on `spec.ref`; deleting what is gone succeeds; every call
returns at once and the state tells the rest; only `Fault`s leave; a `list_*` given natives answers those that
exist and are the tenant's, and never fails for the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from isthmus.model import (
    Address,
    Condition,
    Console,
    Counters,
    Firewall,
    Flavor,
    Image,
    Key,
    Network,
    Port,
    Rule,
    Server,
    SignedRequest,
    Snapshot,
    Subnet,
    Volume,
    Wiring,
    Zone,
)
from isthmus.providers.specs import (
    AddressSpec as AddressSpec,
)
from isthmus.providers.specs import (
    DiskSpec as DiskSpec,
)
from isthmus.providers.specs import (
    FirewallSpec as FirewallSpec,
)
from isthmus.providers.specs import (
    ImageSpec as ImageSpec,
)
from isthmus.providers.specs import (
    ImportSpec as ImportSpec,
)
from isthmus.providers.specs import (
    KeySpec as KeySpec,
)
from isthmus.providers.specs import (
    NetworkSpec as NetworkSpec,
)
from isthmus.providers.specs import (
    PortSpec as PortSpec,
)
from isthmus.providers.specs import (
    ServerSpec as ServerSpec,
)
from isthmus.providers.specs import (
    SnapshotSpec as SnapshotSpec,
)
from isthmus.providers.specs import (
    SubnetSpec as SubnetSpec,
)
from isthmus.providers.specs import (
    VolumeSpec as VolumeSpec,
)


class Capability(StrEnum):
    """The fine points on which clouds differ within a family they have."""

    LAUNCH = "launch servers"
    CONSOLE = "read a server's console"
    PASSWORD = "read the encrypted administrator password"  # noqa: S105
    RESIZE = "change a stopped server's flavor"
    USER_DATA = "change a stopped server's user data"
    KERNEL = "boot a kernel and ramdisk of the user's choice"
    PORTS = "make network interfaces and attach them to servers"
    SERVER_PORTS = "make several network interfaces with a server"
    PORT_FIREWALLS = "change the firewalls of a network interface"
    RUNNING_FIREWALLS = "change the firewalls of a server that runs"
    PORT_ADDRESSES = "give a network interface further private addresses"
    ROOT_KEPT = "keep a server's root volume when the server is deleted"
    ATTACH_RUNNING = "attach volumes to running servers"
    SNAPSHOT_UNUSED = "snapshot a volume that was never attached"
    SNAPSHOT_ATTACHED = "snapshot a volume that is attached"
    VOLUME_RESIZE = "grow a volume"
    VOLUME_RETYPE = "change a volume's type and IOPS"
    VOLUME_COPY = "copy a volume"
    IMAGE_OF_SERVER = "make an image of a server"
    IMAGE_OF_SNAPSHOT = "make an image of a snapshot"
    IMAGE_SHARE = "share an image with other tenants"
    IMAGE_SHARE_SNAPSHOTS = "share an image whose disks are snapshots"
    SNAPSHOT_SHARE = "share a snapshot with other tenants"
    SNAPSHOT_COPY = "copy a snapshot"
    IMAGE_COPY = "copy an image"
    IMAGE_IMPORT = "import an image file"
    IMAGE_URL = "make an image of the file at a URL"
    KEY_PUBLIC = "tell the public key of a key pair"
    DEFAULT_MEMBERS = "let members of a default firewall reach each other from the start"
    EGRESS_RULES = "filter outgoing traffic by protocol, port and address"
    PEER_RULES = "let firewalls name each other as peers"
    ENCRYPTION = "encrypt volumes"
    MULTI_ATTACH = "attach one volume to several servers"
    NETWORKS = "make networks and subnets"
    DEFAULT_NETWORK = "delete the default network and make it again"
    NETWORK_RANGES = "give a network further ranges of addresses"
    ROUTES = "route the traffic of each subnet as asked"
    ACLS = "filter the traffic of a subnet without keeping state"
    DHCP = "tell servers their domain and name servers"
    PEERING = "connect networks with each other"
    ADDRESS_ANY_ZONE = "let a public address serve servers of any zone"
    PLACEMENT = "keep servers on different hosts"


class Compute(Protocol):
    """Servers and what they are made of."""

    def list_zones(self) -> Sequence[Zone]: ...
    def list_flavors(self) -> Sequence[Flavor]: ...
    def list_servers(self, natives: Collection[str] | None = None) -> Sequence[Server]: ...
    def prepare_servers(self, specs: Sequence[ServerSpec]) -> None:
        """What is better made for several servers at once. They are created next, and are alike but for their refs."""

    def create_server(self, spec: ServerSpec) -> Server: ...
    def start_server(self, native: str) -> None: ...
    def stop_server(self, native: str, *, force: bool = False) -> None: ...
    def reboot_server(self, native: str) -> None: ...
    def prepare_deletion(self, natives: Collection[str]) -> None:
        """What is better read of several servers at once. They are deleted next."""

    def delete_server(self, native: str, *, force: bool = False) -> None:
        """Where the cloud asks guests to shut down first, not by `force`."""

    def resize_server(self, native: str, flavor: str) -> None: ...
    def set_user_data(self, native: str, data: bytes) -> None: ...
    def console_output(self, native: str) -> Console: ...
    def conditions(self, natives: Collection[str]) -> Mapping[str, Condition]:
        """How those are that run and that the cloud can look into, by native id."""
        ...

    def password_data(self, native: str) -> str: ...


class Volumes(Protocol):
    def list_volumes(self, natives: Collection[str] | None = None) -> Sequence[Volume]: ...
    def create_volume(self, spec: VolumeSpec) -> Volume: ...
    def delete_volume(self, native: str) -> None: ...
    def attach_volume(self, native: str, server: str, device: str) -> None: ...
    def detach_volume(self, native: str, server: str, *, force: bool = False) -> None: ...
    def resize_volume(self, native: str, size: int) -> None: ...
    def retype_volume(self, native: str, type: str, iops: int) -> None: ...
    def set_delete_with_server(self, native: str, server: str, value: bool) -> None: ...
    def list_snapshots(self, natives: Collection[str] | None = None) -> Sequence[Snapshot]: ...
    def create_snapshot(self, spec: SnapshotSpec) -> Snapshot: ...
    def delete_snapshot(self, native: str) -> None: ...
    def share_snapshot(self, native: str, *, public: bool, tenants: Sequence[str]) -> None: ...


class Images(Protocol):
    """The tenant's images, the public ones, and those shared with the tenant."""

    def list_images(self, natives: Collection[str] | None = None) -> Sequence[Image]: ...
    def create_image(self, spec: ImageSpec) -> Image: ...
    def import_image(self, spec: ImportSpec) -> Image: ...
    def describe_image(self, native: str, description: str) -> None: ...
    def share_image(self, native: str, *, public: bool, tenants: Sequence[str]) -> None: ...
    def delete_image(self, native: str) -> None: ...


class Networks(Protocol):
    def list_networks(self) -> Sequence[Network]: ...
    def create_network(self, spec: NetworkSpec) -> Network: ...
    def delete_network(self, native: str) -> None: ...
    def add_range(self, native: str, cidr: str) -> None: ...
    def remove_range(self, native: str, cidr: str) -> None: ...
    def wire(self, native: str, wiring: Wiring) -> None:
        """Connect a network as said, whatever was so before."""
        ...

    def wiring_of(self, native: str) -> Wiring: ...
    def list_subnets(self) -> Sequence[Subnet]: ...
    def create_subnet(self, spec: SubnetSpec) -> Subnet: ...
    def delete_subnet(self, native: str) -> None: ...


class Ports(Protocol):
    """Network interfaces: those of servers, and those that wait for one."""

    def list_ports(self) -> Sequence[Port]: ...
    def create_port(self, spec: PortSpec) -> Port: ...
    def delete_port(self, native: str) -> None: ...
    def attach_port(self, native: str, server: str, index: int) -> None: ...
    def detach_port(self, native: str) -> None: ...
    def add_addresses(self, native: str, addresses: Sequence[str], count: int = 0) -> None: ...
    def remove_addresses(self, native: str, addresses: Sequence[str]) -> None: ...
    def set_firewalls(self, native: str, firewalls: Sequence[str]) -> None: ...
    def set_source_check(self, native: str, value: bool) -> None: ...
    def set_delete_with_server(self, native: str, value: bool) -> None: ...


class Firewalls(Protocol):
    """Each network always has one firewall named `default`, which goes with it."""

    def list_firewalls(self, *, placed: bool = True) -> Sequence[Firewall]:
        """Unless `placed`, a cloud that would have to search for their networks may leave these empty."""

    def create_firewall(self, spec: FirewallSpec) -> Firewall: ...
    def delete_firewall(self, native: str) -> None: ...
    def add_rules(self, native: str, rules: Sequence[Rule]) -> None: ...
    def remove_rules(self, native: str, rules: Sequence[Rule]) -> None: ...


class Addresses(Protocol):
    def list_addresses(self) -> Sequence[Address]: ...
    def allocate_address(self, spec: AddressSpec) -> Address: ...
    def release_address(self, native: str) -> None: ...
    def associate_address(self, native: str, port: str, private: str = "") -> None: ...
    def disassociate_address(self, native: str) -> None: ...


class Keys(Protocol):
    def list_keys(self) -> Sequence[Key]: ...
    def import_key(self, spec: KeySpec) -> Key: ...
    def delete_key(self, native: str) -> None: ...


class Labels(Protocol):
    """Names and values that a cloud shows with things. Isthmus keeps its own; these are copies for who looks there."""

    def list_kinds(self) -> Collection[str]:
        """The kinds of things, by the words of `Fault.kind`, that can have labels."""
        ...

    def list_labels(self, kind: str) -> Mapping[str, Mapping[str, str]]:
        """Those that were given so, by native id; who has none may be left out."""
        ...

    def set_labels(self, wanted: Mapping[str, Mapping[str, Mapping[str, str]]]) -> None:
        """Give things, by kind and native id, these and no others; what was given otherwise stays."""


class Metrics(Protocol):
    def counters(self, native: str) -> Counters: ...


class Session(Protocol):
    """One tenant's view of a cloud. A family that the cloud lacks is None."""

    def once(self) -> Session:
        """The same for one request, in which a remote cloud is asked nothing twice until something is changed."""
        ...

    def quotas(self) -> Mapping[str, int]:
        """How much the cloud itself lets the tenant have, by the names of `isthmus.quotas`; all else has no limit."""
        ...

    @property
    def compute(self) -> Compute | None: ...
    @property
    def volumes(self) -> Volumes | None: ...
    @property
    def images(self) -> Images | None: ...
    @property
    def networks(self) -> Networks | None: ...
    @property
    def ports(self) -> Ports | None: ...
    @property
    def firewalls(self) -> Firewalls | None: ...
    @property
    def addresses(self) -> Addresses | None: ...
    @property
    def keys(self) -> Keys | None: ...
    @property
    def metrics(self) -> Metrics | None: ...
    @property
    def labels(self) -> Labels | None: ...


@dataclass(frozen=True, slots=True)
class Health:
    """`details` are facts worth showing (the accelerator in use, ...); `degraded` says what does not work and why."""

    details: Mapping[str, str] = field(default_factory=dict)
    degraded: tuple[str, ...] = ()


NO_SECRETS: Mapping[str, Any] = MappingProxyType({})
Tenants = Mapping[str, Mapping[str, Any]]
"""By their native ids, each with the secrets that the operator keeps for it."""
NO_TENANTS: Tenants = MappingProxyType({})


class Admission(NamedTuple):
    """Who signed a request with a credential of the cloud's own: the tenant, its name, and a session of theirs."""

    tenant: str
    name: str
    session: Session


class Registered(NamedTuple):
    """Whose a pair of keys is: the tenant, its name, and what is signed in with for who signs with the pair."""

    tenant: str
    name: str
    login: Mapping[str, Any]


class Registrar(Protocol):
    """Of a cloud whose tenants may make known to us the keys that it gave out."""

    @property
    def unencrypted(self) -> bool:
        """Whether they may over connections that are not encrypted."""
        ...

    def registered(self, access_key: str, secret: str) -> Registered | None:
        """Whose a pair is, asked of the cloud with the pair itself; None for one that it does not take.

        Whatever the pair, few calls are made; of one that is not taken, one. Raises Unavailable.
        """
        ...


class Finding(NamedTuple):
    """Something that is broken, in words for the operator, and whether it has been mended."""

    what: str
    mended: bool


class Cloud(Protocol):
    """One configured cloud: makes sessions, and says what it cannot do."""

    @property
    def name(self) -> str: ...
    @property
    def remote(self) -> bool:
        """Whether a listing is a question over a wire: then as little as can be is asked, all at the same time."""
        ...

    @property
    def lacks(self) -> Mapping[Capability, str]:
        """What the cloud cannot do, each with the reason and what would help."""
        ...

    def session(self, tenant: str, secrets: Mapping[str, Any] = NO_SECRETS) -> Session:
        """A tenant's session; `secrets` are what the operator keeps for the tenant to sign in with."""
        ...

    @property
    def admits(self) -> bool:
        """Whether the cloud gives out credentials by itself, with which requests may be signed."""
        ...

    @property
    def realm(self) -> str:
        """Who gives out these credentials: clouds of one realm take the same ones, and have the same tenants."""
        ...

    def admit(self, request: SignedRequest) -> Admission | None:
        """Who signed a request, if it was rightly and with a credential that the cloud itself gave out."""
        ...

    @property
    def registrar(self) -> Registrar | None:
        """None where tenants may not register keys."""
        ...

    def health(self) -> Health: ...
    def mend(self) -> None:
        """Repair what a crash left half done. Called at start, and now and then; safe beside everything else."""
        ...

    def check(self, *, repair: bool = False, tenants: Tenants = NO_TENANTS) -> Iterable[Finding]:
        """What is not as it shall be: of the cloud's own storage, and of what it keeps for `tenants`.

        It is mended where it can be, if wanted. Safe beside everything else.
        """
        ...

    def clean(self, *, everything: bool = False) -> Iterable[str]:
        """Remove what the cloud keeps on this host and no record needs; with `everything`, the cloud with its records,
        after which this object is of no use. What was removed, in words for the operator.
        """
        ...

    def machines(self) -> Iterable[str]:
        """How each of its servers runs on this host, in words for the operator; none do of a cloud elsewhere."""
        ...

    def close(self) -> None:
        """Let go of connections. What runs in the cloud goes on."""
        ...
