"""Instances of a placement group that are to be apart are in one affinity group of CloudStack's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from emulated_cloudstack import Isthmus


def launch(ec2: Any, group: str, count: int = 1) -> None:
    image = ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian"]}])["Images"][0]["ImageId"]
    asked = {"ImageId": image, "InstanceType": "Tiny", "Placement": {"GroupName": group}}
    ec2.run_instances(MinCount=count, MaxCount=count, **asked)


def groups(isthmus: Isthmus) -> list[list[str]]:
    """The names of the affinity groups of each machine."""
    machines = [item for _, item in isthmus.emulated.things["machine"].values()]
    return [[one["name"] for one in machine["affinitygroup"]] for machine in machines]


@pytest.mark.parametrize("asked", [{"Strategy": "spread"}, {"Strategy": "partition", "PartitionCount": 2}])
def test_instances_that_are_apart_are_in_one_affinity_group(isthmus: Isthmus, ec2: Any, asked: Any) -> None:
    known = ec2.create_placement_group(GroupName="apart", **asked)["PlacementGroup"]["GroupId"]

    launch(ec2, "apart", 2)
    launch(ec2, "apart")

    assert 3 * [[f"isthmus:{known}"]] == groups(isthmus)
    [made] = [item for _, item in isthmus.emulated.things["affinity"].values()]
    assert "host anti-affinity" == made["type"]


def test_a_cluster_is_in_none(isthmus: Isthmus, ec2: Any) -> None:
    ec2.create_placement_group(GroupName="near", Strategy="cluster")

    launch(ec2, "near")

    assert [[]] == groups(isthmus)


def test_launches_at_the_same_time_make_one_affinity_group(isthmus: Isthmus, ec2: Any) -> None:
    ec2.create_placement_group(GroupName="apart", Strategy="spread")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: launch(ec2, "apart"), range(4)))

    assert 1 == len(isthmus.emulated.things["affinity"])
    assert 4 == len(groups(isthmus))
