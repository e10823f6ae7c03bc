"""The names that a listing may be filtered by, as the texts of the model tell them."""

from __future__ import annotations

import html
import re
from types import MappingProxyType

from isthmus.aws.codec import Codec

TAG = "tag:<key>"

UNDOCUMENTED = MappingProxyType(
    {
        "DescribeAddresses": frozenset({"domain"}),
        "DescribeImportImageTasks": frozenset({"task-state"}),
        "DescribeInstances": frozenset({"group-id", "group-name"}),
        "DescribeTags": frozenset({"tag-key", "tag-value"}),
        "DescribeSubnets": frozenset({"availabilityZone", "cidr", "cidrBlock", "defaultForAz"}),
        "DescribeVpcs": frozenset({"cidr-block", "cidrBlock", "dhcpOptionsId", "isDefault"}),
    }
)
"""Names that clients use, and that earlier texts of the API had."""

_PIECE = re.compile(r"<(/?)[uo]l>|<li>\s*(?:<p>)?\s*(?:<code>([^<]+)</code>|([a-z][a-z0-9.:-]*)\s+[-\u2013]\s)")


def documented(text: str) -> frozenset[str]:
    """The names in one text: the first word of each item of its outermost list."""
    names: set[str] = set()
    depth = 0
    for piece in _PIECE.finditer(text):
        closing, code, bare = piece.groups()
        name = html.unescape(code or bare or "").strip()
        if not name:
            depth += -1 if closing else 1
        elif depth <= 1:
            names.add(TAG if name == "tag" or name.startswith("tag:") else name)
    return frozenset(names)


def names(codec: Codec, operation: str) -> frozenset[str]:
    """All names that a listing knows, `tag:<key>` standing for every tag; empty if it documents none."""
    shape = codec.operations[operation].input
    text = codec.model.filter_texts.get(shape.name, "") if shape else ""
    return documented(text) | UNDOCUMENTED.get(operation, frozenset())
