"""Which instance type and which volume type is proposed for a cloud's own sizes."""

from __future__ import annotations

import pytest

from isthmus.cli.mapping import FAMILIES, instance_types, volume_types
from isthmus.flavors import BUILT_IN
from isthmus.model import Flavor


def size(name: str, cpus: int, memory: int) -> Flavor:
    return Flavor(name, name, cpus, memory)


@pytest.mark.parametrize(
    ("cpus", "memory", "name"),
    [
        (1, 512, "t2.nano"),
        (1, 1024, "t2.micro"),
        (1, 2000, "t2.small"),
        (2, 4096, "t3.medium"),
        (4, 16384, "t3.xlarge"),
        (4, 8192, "c5.xlarge"),
        (8, 65536, "r5.2xlarge"),
        (1, 1800, "m1.small"),
    ],
)
def test_the_nearest_type_is_proposed_and_of_several_the_most_usual(cpus: int, memory: int, name: str) -> None:
    assert {name: "Mine"} == instance_types([size("Mine", cpus, memory)])


def test_each_size_has_one_type_and_each_type_one_size() -> None:
    sizes = [size(f"s{number}", 2, 4096) for number in range(3)] + [size("Big", 8, 32768)]

    found = instance_types(sizes)

    assert {one.name for one in sizes} == set(found.values())
    assert all((BUILT_IN[name].cpus, BUILT_IN[name].memory) == (2, 4096) for name in list(found)[:3])


def test_what_is_near_no_type_keeps_its_own_name() -> None:
    assert {} == instance_types([size("Odd", 1, 65536), size("Huge", 200, 2 << 20)])


def test_all_families_are_there() -> None:
    assert set(FAMILIES) <= {name.partition(".")[0] for name in BUILT_IN}


def test_disks_of_a_size_of_ones_own_are_volume_types() -> None:
    assert {} == volume_types([])
    assert {"gp3": "Custom", "gp2": "Slow", "io2": "Fast"} == volume_types(["Custom", "Slow"], ["Fast"])
