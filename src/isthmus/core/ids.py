"""The ids that clients see.

`mint()` makes one for what we create: it is also the `ref` the cloud keeps, so the cloud itself says which id a
thing has. `adopt()` derives one for what was there before, the same in every process.
"""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum

from isthmus.context import Seed


class Kind(StrEnum):
    """The kinds of things with ids; the words are those of `Fault.kind` and of records."""

    SERVER = "server"
    VOLUME = "volume"
    SNAPSHOT = "snapshot"
    IMAGE = "image"
    KERNEL = "kernel"
    RAMDISK = "ramdisk"
    NETWORK = "network"
    SUBNET = "subnet"
    PORT = "port"
    ATTACHED_PORT = "attached-port"
    FIREWALL = "firewall"
    RULE = "rule"
    ADDRESS = "address"
    ASSOCIATION = "association"
    KEY = "key"
    RESERVATION = "reservation"
    TEMPLATE = "launch-template"
    PLACEMENT = "placement-group"
    CAPACITY = "capacity-reservation"
    SPOT = "spot-request"
    FLEET = "fleet"
    PROFILE = "profile-association"
    RANGE = "range"
    ROUTE_TABLE = "route-table"
    ROUTE_ASSOCIATION = "route-association"
    GATEWAY = "internet-gateway"
    EGRESS_GATEWAY = "egress-gateway"
    NAT = "nat-gateway"
    ACL = "acl"
    ACL_ASSOCIATION = "acl-association"
    DHCP = "dhcp-options"
    PEERING = "peering"
    ENDPOINT = "endpoint"
    PREFIXES = "prefix-list"
    VPN_GATEWAY = "vpn-gateway"
    CUSTOMER_GATEWAY = "customer-gateway"
    VPN_CONNECTION = "vpn-connection"


PREFIX = {
    Kind.SERVER: "i",
    Kind.PROFILE: "iip-assoc",
    Kind.VOLUME: "vol",
    Kind.SNAPSHOT: "snap",
    Kind.IMAGE: "ami",
    Kind.KERNEL: "aki",
    Kind.RAMDISK: "ari",
    Kind.NETWORK: "vpc",
    Kind.SUBNET: "subnet",
    Kind.PORT: "eni",
    Kind.ATTACHED_PORT: "eni-attach",
    Kind.FIREWALL: "sg",
    Kind.RULE: "sgr",
    Kind.ADDRESS: "eipalloc",
    Kind.ASSOCIATION: "eipassoc",
    Kind.KEY: "key",
    Kind.RESERVATION: "r",
    Kind.TEMPLATE: "lt",
    Kind.PLACEMENT: "pg",
    Kind.CAPACITY: "cr",
    Kind.SPOT: "sir",
    Kind.FLEET: "fleet",
    Kind.RANGE: "vpc-cidr-assoc",
    Kind.ROUTE_TABLE: "rtb",
    Kind.ROUTE_ASSOCIATION: "rtbassoc",
    Kind.GATEWAY: "igw",
    Kind.EGRESS_GATEWAY: "eigw",
    Kind.NAT: "nat",
    Kind.ACL: "acl",
    Kind.ACL_ASSOCIATION: "aclassoc",
    Kind.DHCP: "dopt",
    Kind.PEERING: "pcx",
    Kind.ENDPOINT: "vpce",
    Kind.PREFIXES: "pl",
    Kind.VPN_GATEWAY: "vgw",
    Kind.CUSTOMER_GATEWAY: "cgw",
    Kind.VPN_CONNECTION: "vpn",
}

_MINTED = re.compile(r"[a-z-]{1,20}-[0-9a-f]{17}")
_DIGITS = 17


def mint(kind: Kind, seed: Seed) -> str:
    """A new id: the kind's prefix and 17 random hexadecimal digits."""
    return f"{PREFIX[kind]}-{seed.hex(_DIGITS)}"


def adopt(kind: Kind, cloud: str, native: str) -> str:
    """The id of a thing that carries none of ours: a hash of where it is and what it is called there."""
    digest = hashlib.sha256(f"{kind}\n{cloud}\n{native}".encode()).hexdigest()
    return f"{PREFIX[kind]}-{digest[:_DIGITS]}"


def minted(kind: Kind, ref: str) -> bool:
    """Whether a ref is an id of this kind that `mint` could have made."""
    return ref.startswith(PREFIX[kind] + "-") and _MINTED.fullmatch(ref) is not None
