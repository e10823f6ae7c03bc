"""Protocols and ports as EC2's rules name them."""

from __future__ import annotations

from isthmus.aws.errors import AwsError

NUMBERS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": "-1"}
WITH_PORTS = frozenset({"tcp", "udp"})
ICMP = frozenset({"icmp", "icmpv6"})


def named(said: str) -> str:
    """A protocol by name or number, in one spelling."""
    return NUMBERS.get(said.lower(), said.lower())


def number(protocol: str) -> str:
    """The number of a protocol that `named` gave."""
    return next((known for known, name in NUMBERS.items() if name == protocol and known != "all"), protocol)


def ports(said: str, low: int | None, high: int | None) -> tuple[str, int, int]:
    """A protocol with its ports, or ICMP type and code; -1 for any. Raises AwsError for what cannot be."""
    protocol = named(said)
    if protocol in WITH_PORTS:
        if low is None or high is None:
            raise AwsError("MissingParameter", f"Missing port range for protocol {protocol}")
        if not 0 <= low <= high <= 65535:
            raise AwsError("InvalidParameterValue", f"Invalid TCP/UDP port range ({low}:{high})")
        return protocol, low, high
    if protocol in ICMP:
        low, high = -1 if low is None else low, -1 if high is None else high
        if not (-1 <= low <= 255 and -1 <= high <= 255):
            raise AwsError("InvalidParameterValue", f"Invalid ICMP type or code ({low}:{high})")
        return protocol, low, high
    if protocol == "-1" or (protocol.isascii() and protocol.isdigit() and 0 <= int(protocol) <= 255):
        return protocol, -1, -1
    raise AwsError("InvalidParameterValue", f"Invalid IP protocol: {said!r}")
