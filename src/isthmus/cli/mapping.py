"""Which of AWS's names fit a cloud's own sizes: proposals for an operator to look through."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from isthmus.flavors import BUILT_IN
from isthmus.model import Flavor

FAMILIES = ("t3", "t2", "m5", "c5", "r5", "m4", "c4", "m3", "c3", "t3a", "m1", "c1", "m2")
"""Families of instance types, the most usual ones first; others are not proposed."""
FAR = 0.75
"""From how far on a size is another one: halves of two's powers, added up for memory and, twice, for processors."""
VOLUME_TYPES = ("gp3", "gp2", "st1", "sc1", "standard")
VOLUME_TYPES_WITH_IOPS = ("io2", "io1")


def instance_types(sizes: Sequence[Flavor]) -> Mapping[str, str]:
    """Names of instance types, each with the name of the size that comes nearest; a size has one at most."""
    known = {name: one for name, one in BUILT_IN.items() if _family(name) in FAMILIES}
    pairs = sorted(
        (round(far, 3), FAMILIES.index(_family(name)), size.cpus, size.memory, name, size.name)
        for size in sizes
        for name, one in known.items()
        if (far := _far(size, one)) < FAR
    )
    found: dict[str, str] = {}
    for *_, name, size_name in pairs:
        if name not in found and size_name not in found.values():
            found[name] = size_name
    order = {one.name: (one.cpus, one.memory, one.name) for one in sizes}
    return dict(sorted(found.items(), key=lambda pair: order[pair[1]]))


def volume_types(names: Sequence[str], with_iops: Sequence[str] = ()) -> Mapping[str, str]:
    """Names of volume types, each with a kind of disk whose size can be chosen; `with_iops`: and its IOPS."""
    found = dict(zip(VOLUME_TYPES, names, strict=False))
    return {**found, **dict(zip(VOLUME_TYPES_WITH_IOPS, with_iops, strict=False))}


def _family(name: str) -> str:
    return name.partition(".")[0]


def _far(size: Flavor, one: Flavor) -> float:
    return abs(math.log2(size.memory / one.memory)) + 2 * abs(math.log2(size.cpus / one.cpus))
