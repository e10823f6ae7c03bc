"""The built-in catalogue of server sizes, under AWS's names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from isthmus.model import Flavor

_SIZES = {"large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32, "12xlarge": 48, "16xlarge": 64}
"""Virtual CPUs by the second half of a name, in the families that are all built alike."""

_PER_CPU = {
    "m5": 4096,
    "m5a": 4096,
    "m6i": 4096,
    "m7i": 4096,
    "c5a": 2048,
    "c6i": 2048,
    "c7i": 2048,
    "r5": 8192,
    "r5a": 8192,
    "r6i": 8192,
    "r7i": 8192,
}
"""MiB of memory for each virtual CPU, by family."""

_BURSTABLE = {"nano": 512, "micro": 1024, "small": 2048, "medium": 4096, "large": 8192}
"""MiB of memory by the second half of a name, in the t families."""

_ODD = {
    "t1.micro": (1, 627),
    "t2.nano": (1, 512),
    "t2.micro": (1, 1024),
    "t2.small": (1, 2048),
    "t2.medium": (2, 4096),
    "t2.large": (2, 8192),
    "t2.xlarge": (4, 16384),
    "t2.2xlarge": (8, 32768),
    "m1.small": (1, 1740),
    "m1.medium": (1, 3788),
    "m1.large": (2, 7680),
    "m1.xlarge": (4, 15360),
    "m2.xlarge": (2, 17510),
    "m2.2xlarge": (4, 35020),
    "m2.4xlarge": (8, 70041),
    "m3.medium": (1, 3840),
    "m3.large": (2, 7680),
    "m3.xlarge": (4, 15360),
    "m3.2xlarge": (8, 30720),
    "m4.large": (2, 8192),
    "m4.xlarge": (4, 16384),
    "m4.2xlarge": (8, 32768),
    "m4.4xlarge": (16, 65536),
    "c1.medium": (2, 1740),
    "c1.xlarge": (8, 7168),
    "c3.large": (2, 3840),
    "c3.xlarge": (4, 7680),
    "c3.2xlarge": (8, 15360),
    "c4.large": (2, 3840),
    "c4.xlarge": (4, 7680),
    "c4.2xlarge": (8, 15360),
    "c5.large": (2, 4096),
    "c5.xlarge": (4, 8192),
    "c5.2xlarge": (8, 16384),
    "c5.4xlarge": (16, 32768),
    "c5.9xlarge": (36, 73728),
}
"""Virtual CPUs and MiB of memory of those that follow no rule."""


def _all() -> Iterator[tuple[str, int, int]]:
    for name, (cpus, memory) in _ODD.items():
        yield name, cpus, memory
    for family in ("t3", "t3a"):
        for size, memory in _BURSTABLE.items():
            yield f"{family}.{size}", 2, memory
        yield f"{family}.xlarge", 4, 16384
        yield f"{family}.2xlarge", 8, 32768
    for family, memory in _PER_CPU.items():
        for size, cpus in _SIZES.items():
            yield f"{family}.{size}", cpus, cpus * memory


BUILT_IN: Mapping[str, Flavor] = {
    name: Flavor(native=name, name=name, cpus=cpus, memory=memory) for name, cpus, memory in _all()
}
