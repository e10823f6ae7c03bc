"""Ranges of addresses as requests give them."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network

from isthmus.aws.errors import AwsError

LARGEST, SMALLEST = 16, 28
"""The prefixes of the largest and the smallest range of a VPC or subnet."""


def block(text: str, code: str) -> IPv4Network:
    """The range of a VPC or subnet, as EC2 has it: without host bits. Raises AwsError with the code for its size."""
    found = cidr(text)
    if not isinstance(found, IPv4Network) or not LARGEST <= found.prefixlen <= SMALLEST:
        raise AwsError(code, f"The CIDR '{text[:64]}' is invalid.")
    return found


def cidr(text: str, *, version: int = 0) -> IPv4Network | IPv6Network:
    """A range without host bits. Raises AwsError for what is none, or not of this version of IP."""
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        found = None
    if found is None or "/" not in text or version not in (0, found.version):
        reason = f"Value ({text[:64]}) for parameter cidrBlock is invalid. This is not a valid CIDR block."
        raise AwsError("InvalidParameterValue", reason)
    return found
