"""Placement groups as server groups of a real Nova: it has one host, and so no room for a second server of a group."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import real_openstack
from real_openstack import until


@pytest.fixture
def group(ec2: Any) -> Iterator[str]:
    """The name of a group that spreads its instances."""
    name = f"spread-{uuid4().hex[:8]}"
    ec2.create_placement_group(GroupName=name, Strategy="spread")
    try:
        yield name
    finally:
        ec2.delete_placement_group(GroupName=name)


@pytest.fixture
def run(ec2: Any) -> Iterator[Any]:
    """Launches instances, which end with the test."""
    made: list[str] = []

    def launch(count: int = 1, **more: Any) -> list[str]:
        asked = {**real_openstack.launch(ec2), "MinCount": count, "MaxCount": count, **more}
        ids = [one["InstanceId"] for one in ec2.run_instances(**asked)["Instances"]]
        made.extend(ids)
        return ids

    yield launch
    _end(ec2, made)


def test_instances_of_a_spread_group_share_no_host(ec2: Any, group: str, run: Any) -> None:
    within = {"Placement": {"GroupName": group}}
    [first] = run(**within)
    until(lambda: _state(ec2, first), "running")

    [second], [other] = run(**within), run()

    until(lambda: _state(ec2, other), "running")
    until(lambda: _state(ec2, second), "terminated")
    assert "Server.InternalError: No valid host was found" in _instance(ec2, second)["StateReason"]["Message"]

    _end(ec2, [first, second])
    [third] = run(**within)
    until(lambda: _state(ec2, third), "running")


def test_a_server_group_goes_with_its_last_server(ec2: Any, group: str, run: Any) -> None:
    ids = run(2, Placement={"GroupName": group})
    [made] = _groups(ec2, group)
    assert ("anti-affinity", 2) == (made["policies"][0], len(made["members"]))

    ec2.terminate_instances(InstanceIds=ids[:1])
    assert len(_groups(ec2, group)) == 1

    _end(ec2, ids)
    assert _groups(ec2, group) == []


def _groups(ec2: Any, name: str) -> list[Any]:
    """Nova's server groups of a placement group."""
    [found] = ec2.describe_placement_groups(GroupNames=[name])["PlacementGroups"]
    listed = real_openstack.connection("demo").compute.get("/os-server-groups", microversion="2.53").json()
    return [one for one in listed["server_groups"] if one["name"] == f"isthmus:{found['GroupId']}"]


def _instance(ec2: Any, known: str) -> Any:
    return ec2.describe_instances(InstanceIds=[known])["Reservations"][0]["Instances"][0]


def _state(ec2: Any, known: str) -> str:
    return str(_instance(ec2, known)["State"]["Name"])


def _end(ec2: Any, ids: list[str]) -> None:
    if ids:
        ec2.terminate_instances(InstanceIds=ids)
    for one in ids:
        until(lambda one=one: _state(ec2, one), "terminated")
