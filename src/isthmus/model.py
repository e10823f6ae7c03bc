"""The neutral nouns: what every cloud has and every front can say.

All are frozen. `native` is the cloud's own id. `ref` is the word that `create` was asked with and that the
cloud keeps; it is empty for what was made by other means. Sizes are GiB for disks and MiB for memory;
times are aware and in UTC. `owner` is a native tenant id; empty means the cloud itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from ipaddress import ip_network

from isthmus.errors import Invalid


class ServerState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DELETING = "deleting"
    DELETED = "deleted"
    ERROR = "error"


class VolumeState(StrEnum):
    CREATING = "creating"
    AVAILABLE = "available"
    IN_USE = "in-use"
    DELETING = "deleting"
    ERROR = "error"


class AttachmentState(StrEnum):
    ATTACHING = "attaching"
    ATTACHED = "attached"
    DETACHING = "detaching"


class SnapshotState(StrEnum):
    PENDING = "pending"
    COMPLETED = "completed"
    ERROR = "error"


class ImageState(StrEnum):
    PENDING = "pending"
    AVAILABLE = "available"
    ERROR = "error"


class ImageKind(StrEnum):
    MACHINE = "machine"
    KERNEL = "kernel"
    RAMDISK = "ramdisk"


class Direction(StrEnum):
    INGRESS = "ingress"
    EGRESS = "egress"


class Hop(StrEnum):
    """What a route leads to."""

    INTERNET = "internet"
    EGRESS = "egress"
    """The internet, for connections that begin inside."""
    NAT = "nat"
    PORT = "port"
    PEER = "peer"
    NOWHERE = "nowhere"
    """What it led to is gone: the traffic is dropped."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A place servers run in; `name` is the cloud's word for it."""

    name: str
    available: bool = True


@dataclass(frozen=True, slots=True)
class Flavor:
    """A size of server. `memory` in MiB, `disk` in GiB (0: as large as the image)."""

    native: str
    name: str
    cpus: int
    memory: int
    disk: int = 0
    architecture: str = "x86_64"


@dataclass(frozen=True, slots=True)
class Port:
    """A network interface: a server's, at `index`, or nobody's yet."""

    native: str
    mac: str
    address: str
    subnet: str
    network: str
    firewalls: tuple[str, ...] = ()
    index: int = 0
    source_check: bool = True
    """Whether traffic is dropped that is neither from nor for the port's own addresses."""
    ref: str = ""
    secondary: tuple[str, ...] = ()
    """Further private addresses."""
    server: str = ""
    since: datetime | None = None
    """When it was attached to the server."""
    delete_with_server: bool = False

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.address, *self.secondary)


@dataclass(frozen=True, slots=True)
class Server:
    native: str
    ref: str
    name: str
    state: ServerState
    zone: str
    flavor: str
    image: str
    created: datetime
    started: datetime
    """When the server was last started: EC2's launch time."""
    reason: str = ""
    """Why the state is what it is, where the cloud says so."""
    shut_down: bool = False
    """It is stopped because its guest shut itself down: neither the cloud nor a failure did it."""
    key: str = ""
    ports: tuple[Port, ...] = ()
    root_device: str = "/dev/sda1"
    local_root: bool = False
    """Its root disk is `local`."""
    kernel: str = ""
    ramdisk: str = ""
    architecture: str = "x86_64"
    platform: str = ""
    """`windows`, or empty."""
    volumes: tuple[str, ...] = ()
    """The volumes on it, by native id, where servers tell them: for when volumes themselves cannot be listed."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A volume on a server; `device` is the name that was asked for."""

    server: str
    device: str
    state: AttachmentState
    since: datetime
    """When attaching was asked for: EC2's attach time."""
    delete_with_server: bool = False


@dataclass(frozen=True, slots=True)
class Volume:
    native: str
    ref: str
    name: str
    state: VolumeState
    zone: str
    size: int
    type: str
    created: datetime
    snapshot: str = ""
    iops: int = 0
    encrypted: bool = False
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    native: str
    ref: str
    state: SnapshotState
    volume: str
    size: int
    created: datetime
    owner: str
    name: str = ""
    description: str = ""
    progress: int = 100
    """Percent."""
    encrypted: bool = False
    public: bool = False
    shared_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageDisk:
    """A disk that a server of this image gets. An empty `snapshot` is a blank disk."""

    device: str
    size: int
    snapshot: str = ""
    type: str = ""
    delete_with_server: bool = True
    local: bool = False
    """The server's own disk, no volume: it goes with the server. The root disk only."""


@dataclass(frozen=True, slots=True)
class Image:
    native: str
    ref: str
    name: str
    state: ImageState
    owner: str
    created: datetime
    kind: ImageKind = ImageKind.MACHINE
    description: str = ""
    architecture: str = "x86_64"
    platform: str = ""
    public: bool = False
    shared_with: tuple[str, ...] = ()
    root_device: str = "/dev/sda1"
    disks: tuple[ImageDisk, ...] = ()
    kernel: str = ""
    ramdisk: str = ""
    reason: str = ""

    @property
    def root(self) -> ImageDisk | None:
        return next((disk for disk in self.disks if disk.device == self.root_device), None)

    @property
    def local_root(self) -> bool:
        return self.root is not None and self.root.local


@dataclass(frozen=True, slots=True)
class Network:
    native: str
    ref: str
    name: str
    cidr: str
    default: bool = False
    more: tuple[str, ...] = ()
    """Further ranges."""
    outside: bool = False
    """Whether it was made by other means with a way to the internet, which all of its subnets take."""

    @property
    def ranges(self) -> tuple[str, ...]:
        return (self.cidr, *self.more)


@dataclass(frozen=True, slots=True)
class Route:
    """Where traffic for a range goes. `native` is the port, that of the NAT, or the other network of a peering."""

    destination: str
    hop: Hop
    native: str = ""


@dataclass(frozen=True, slots=True)
class AclRule:
    """One rule of a subnet's filter, which keeps no state: the first by number that fits decides.

    `protocol`, `low` and `high` are those of Rule.
    """

    number: int
    direction: Direction
    allow: bool
    protocol: str
    cidr: str
    low: int = -1
    high: int = -1


@dataclass(frozen=True, slots=True)
class SubnetWiring:
    """What holds for the traffic of one subnet, besides what stays within the network. No `acl` lets all pass."""

    subnet: str
    routes: tuple[Route, ...] = ()
    acl: tuple[AclRule, ...] | None = None


CLOUDS_OWN = "cloud"
"""Among name servers, that of the cloud itself."""


@dataclass(frozen=True, slots=True)
class Dhcp:
    """What servers are told when they ask for their address; what is empty is the cloud's own."""

    domain: str = ""
    name_servers: tuple[str, ...] = ()
    """Addresses, or CLOUDS_OWN beside others."""
    ntp_servers: tuple[str, ...] = ()
    netbios_servers: tuple[str, ...] = ()
    netbios_type: str = ""


@dataclass(frozen=True, slots=True)
class Wiring:
    """How a network is connected, as a whole: subnets by their native ids; those not named have no routes out."""

    internet: bool = False
    """Whether the network has a way to the internet for routes to use."""
    peers: tuple[str, ...] = ()
    """Native ids of the networks that it is connected with."""
    subnets: tuple[SubnetWiring, ...] = ()
    dhcp: Dhcp = Dhcp()
    resolver: bool = True
    """Whether the cloud's own name server answers."""


@dataclass(frozen=True, slots=True)
class Subnet:
    native: str
    ref: str
    name: str
    network: str
    cidr: str
    zone: str
    free: int
    """Addresses that can still be given out."""
    default: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One permission of a firewall: traffic of `protocol` with one peer.

    `protocol` is `tcp`, `udp`, `icmp`, `icmpv6`, an IP protocol number, or `-1` for all. `low` and `high` are
    ports (for ICMP: type and code, -1 for any). Exactly one of `cidr` and `peer` (a firewall's native id) is set.
    Two rules are the same if all but their descriptions are.
    """

    direction: Direction
    protocol: str
    low: int = -1
    high: int = -1
    cidr: str = ""
    peer: str = ""
    description: str = ""

    @property
    def key(self) -> tuple[str, str, int, int, str, str]:
        return (self.direction, self.protocol, self.low, self.high, self.cidr, self.peer)


def need_ref(ref: str, word: str) -> None:
    """Raises Invalid for a spec without a ref: `word` is what it is to become."""
    if not ref:
        raise Invalid(f"every {word} needs a ref", "ref")


WITH_PORTS = ("tcp", "udp")
"""The protocols whose `low` and `high` are ports."""
HIGHEST = {**dict.fromkeys(WITH_PORTS, 65535), "icmp": 255, "icmpv6": 255}
"""Protocol -> the largest value of `low` and `high`."""


def demand_rule(rule: Rule) -> None:
    """Raises Invalid for a rule that can be nowhere; whether there is such a peer is for its cloud to say."""
    number = rule.protocol.isascii() and rule.protocol.isdigit() and int(rule.protocol) < 256
    if rule.protocol not in HIGHEST and rule.protocol != "-1" and not number:
        raise Invalid(f"there is no protocol {rule.protocol!r}", "protocol")
    most = HIGHEST.get(rule.protocol, -1)
    least = 0 if rule.protocol in WITH_PORTS else -1
    if not (least <= rule.low <= most and least <= rule.high <= most):
        raise Invalid(f"{rule.low} to {rule.high} is no range of the protocol {rule.protocol}", "low")
    if rule.protocol in WITH_PORTS and rule.low > rule.high:
        raise Invalid(f"{rule.low} to {rule.high} is no range of ports", "low")
    if bool(rule.cidr) == bool(rule.peer):
        raise Invalid("a rule names either a range of addresses or a firewall", "cidr")
    if rule.cidr:
        try:
            ip_network(rule.cidr)
        except ValueError:
            raise Invalid(f"{rule.cidr!r} is not a range of addresses", "cidr") from None


@dataclass(frozen=True, slots=True)
class Firewall:
    native: str
    ref: str
    name: str
    description: str
    network: str
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Address:
    """A public address; `port` is the native id of the port that answers it at `private`, `server` that port's."""

    native: str
    ref: str
    address: str
    server: str = ""
    port: str = ""
    private: str = ""
    zone: str = ""
    """The only zone whose servers it can serve; empty: any."""


@dataclass(frozen=True, slots=True)
class Key:
    """An SSH public key, in the one-line form of OpenSSH; `public` is empty where a cloud does not tell it."""

    native: str
    ref: str
    name: str
    public: str
    created: datetime


def public_key(text: str) -> str:
    """An SSH public key on one line, without what is around it. Raises Invalid."""
    from cryptography.exceptions import UnsupportedAlgorithm  # slow, and not for every command
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    line = text.strip()
    try:
        if "\n" in line or "\r" in line:
            raise ValueError
        load_ssh_public_key(line.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise Invalid("this is not an SSH public key on one line", "public") from None
    return line


@dataclass(frozen=True, slots=True)
class Console:
    """The last of what a server printed on its serial console, at most 64 KiB."""

    output: bytes
    at: datetime


class Verdict(StrEnum):
    OK = "ok"
    INITIALIZING = "initializing"
    IMPAIRED = "impaired"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Condition:
    """How a running server is: the machine that it is, and the guest on it."""

    machine: Verdict
    guest: Verdict
    since: datetime | None = None
    """When it was first seen, or last was otherwise, if either is impaired."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What a running server has used since it was started."""

    at: datetime
    cpu_seconds: float
    disk_read_bytes: int
    disk_written_bytes: int
    disk_reads: int
    disk_writes: int


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What a request was signed over, for a cloud that knows signers by itself."""

    access_key: str
    signature: str
    method: str
    host: str
    """As it was sent, with the port."""
    path: str
    params: tuple[tuple[str, str], ...]
    """The signed ones: of the query, and for the signature's version 2 of the form. Without the signature."""
    headers: Mapping[str, str]
    """The signed ones by names in small letters, and `authorization` and `x-amz-date` of a signature in a header."""
    body_hash: str
    """SHA-256 of the body, in hexadecimal, or what stands for it; empty for the signature's version 2."""
    verify: Callable[[str], bool] = field(repr=False, compare=False)
    """Whether the request was signed with this secret."""
