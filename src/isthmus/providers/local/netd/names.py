"""Names and numbers that the kernel knows things by: made of native ids alone, so that they are found again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

METADATA = "169.254.169.254"
RESOLVER = "169.254.169.253"
ANOTHER = "another daemon of these networks runs"
"""What a daemon says that is started while there is one."""
EDGE = "edge"
"""A network's link to the edge, in the network's namespace; also the edge's own name."""
SLIRP = "slirp"
HOST = "host"
NEAR, FAR = "06:00:00:00:00:01", "06:00:00:00:00:02"
"""The two ends of a link. Each link is alone with its ends, so all may have the same addresses."""
GATEWAY = "06:00:00:00:00:03"
"""What guests see of their router."""

# Next hops on a link: only the kernel's own words for what is meant, of a range that no host on earth has.
INTERNET = "240.0.0.1"
EGRESS = "240.0.0.2"
PEER = "240.0.0.3"
DOWN = "240.0.0.4"
"""From the edge, or the host, to a network."""
_NATS = int(IPv4Address("241.0.0.0"))
_LINKS = int(IPv4Address("242.0.0.0"))
SLIRP_RANGE = "240.1.0.0/24"


def short(native: str) -> str:
    return hashlib.sha256(native.encode()).hexdigest()[:11]


def numbers(natives: Iterable[str]) -> dict[str, int]:
    """A number of its own below 2^24 for each: that of its hash but where two meet."""
    found: dict[str, int] = {}
    taken: set[int] = set()
    for native in sorted(set(natives)):
        number = int.from_bytes(hashlib.sha256(native.encode()).digest()[:3], "big")
        while number in taken or not number:
            number = (number + 1) % (1 << 24)
        taken.add(number)
        found[native] = number
    return found


def table(number: int) -> int:
    """A subnet's table of routes, and the mark of what comes from its guests."""
    return 1 << 24 | number


def nat_mark(number: int) -> int:
    """The mark of connections that a NAT has translated."""
    return 2 << 24 | number


def nat_hop(number: int) -> str:
    return str(IPv4Address(_NATS + number))


def link_address(number: int) -> str:
    """What a network's traffic comes from at the edge when it has no public address."""
    return str(IPv4Address(_LINKS + number))


def peer_link(native: str) -> str:
    """The link to another network."""
    return f"peer{short(native)}"


def edge_link(native: str) -> str:
    """A network's link, in the edge's namespace."""
    return f"net{short(native)}"


def router(cidr: str) -> str:
    return str(IPv4Network(cidr)[1])


def name_server(cidr: str) -> str:
    return str(IPv4Network(cidr)[2])
