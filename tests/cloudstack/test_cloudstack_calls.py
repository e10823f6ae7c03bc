"""How often CloudStack is asked for an action of EC2: never once for each thing of a listing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from emulated_cloudstack import Isthmus, fronted

LOOKS = "queryAsyncJobResult"
GROUPED, UNGROUPED = "security groups", "VPCs"


@pytest.fixture(params=[GROUPED, UNGROUPED])
def isthmus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Isthmus]:
    with fronted(tmp_path, groups=request.param == GROUPED) as made:
        yield made


class Calls:
    """What CloudStack is asked by one call of a client, but for looks at jobs."""

    def __init__(self, isthmus: Isthmus) -> None:
        self._asked = isthmus.emulated.asked
        self.ec2 = isthmus.client()

    def of(self, action: str, **params: Any) -> tuple[Any, Counter[str]]:
        self._asked.clear()
        answer = getattr(self.ec2, action)(**params)
        return answer, Counter({name: count for name, count in self._asked.items() if name != LOOKS})


@pytest.fixture
def calls(isthmus: Isthmus) -> Calls:
    return Calls(isthmus)


FIREWALL = ("createEgressFirewallRule", "deleteEgressFirewallRule")
"""Lets out what an instance of the default network sends, and ends that."""
LISTS_OF_A_LOOK = 7
"""What is read to find out whether the default network's filters are as they shall be."""


def changes(asked: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in asked.items() if not name.startswith("list") and name not in FIREWALL}


def firewall(asked: Counter[str]) -> int:
    return sum(asked[name] for name in FIREWALL)


def launch(calls: Calls, count: int, **params: Any) -> tuple[list[str], Counter[str]]:
    [image, *_] = calls.ec2.describe_images()["Images"]
    said = {"ImageId": image["ImageId"], "InstanceType": "Tiny", "MinCount": count, "MaxCount": count}
    made, asked = calls.of("run_instances", **said, **params)
    return [one["InstanceId"] for one in made["Instances"]], asked


def test_a_launch_is_one_deployment_for_each_instance(calls: Calls, isthmus: Isthmus) -> None:
    """Before each it is looked up whether it was made, and after it what it is; all else is read once or twice.

    Without CloudStack's groups the filters are looked at as well, before and after a change: by one of those who launch
    for all that wait.
    """
    ids, asked = launch(calls, 4)

    assert 4 == len(ids)
    assert {"deployVirtualMachine": 4} == changes(asked)
    assert asked["listServiceOfferings"] <= 1
    grouped = isthmus.emulated.with_groups
    assert firewall(asked) == (0 if grouped else 4)
    looks = asked["listFirewallRules"]
    assert looks <= 2 * 4
    assert asked.total() - firewall(asked) - LISTS_OF_A_LOOK * looks - 3 * 4 <= (16 if grouped else 30), asked


def test_a_launch_with_another_disk_makes_attaches_and_starts(calls: Calls) -> None:
    disk = {"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 1, "DeleteOnTermination": True}}
    _, asked = launch(calls, 1, BlockDeviceMappings=[disk])

    once = dict.fromkeys(("createVolume", "deployVirtualMachine", "attachVolume", "startVirtualMachine"), 1)
    assert once == changes(asked)


@pytest.mark.parametrize("count", [1, 12])
def test_instances_are_listed_by_three_or_four_calls(count: int, calls: Calls, isthmus: Isthmus) -> None:
    ids, _ = launch(calls, count)
    calls.ec2.describe_instances()

    _, asked = calls.of("describe_instances")
    _, of_some = calls.of("describe_instances", InstanceIds=ids)

    of_kind = ("listSecurityGroups",) if isthmus.emulated.with_groups else ("listPublicIpAddresses", "listTags")
    assert dict.fromkeys(("listVirtualMachines", "listVolumes", *of_kind), 1) == asked
    assert of_some.total() <= (4 if isthmus.emulated.with_groups else 5), of_some
    assert all(one["State"]["Name"] in ("pending", "running") for one in instances(calls))


def test_volumes_and_interfaces_are_listed_by_few_calls(calls: Calls, isthmus: Isthmus) -> None:
    launch(calls, 5)
    calls.ec2.describe_instances()

    for action in ("describe_volumes", "describe_network_interfaces", "describe_instance_status"):
        _, asked = calls.of(action)
        assert asked.total() <= (4 if isthmus.emulated.with_groups else 5), (action, asked)
        assert max(asked.values()) == 1, (action, asked)


def test_instances_are_stopped_started_and_ended_once_each(calls: Calls, isthmus: Isthmus) -> None:
    ids, _ = launch(calls, 2)
    isthmus.real.settle()

    for action, command in (("stop", "stop"), ("start", "start"), ("reboot", "reboot"), ("terminate", "destroy")):
        _, asked = calls.of(f"{action}_instances", InstanceIds=ids)
        isthmus.real.settle()
        assert {f"{command}VirtualMachine": 2} == changes(asked)

    assert {"terminated"} == {one["State"]["Name"] for one in instances(calls)}


def test_what_another_account_has_is_not_found(calls: Calls, isthmus: Isthmus) -> None:
    [known], _ = launch(calls, 1)
    stranger = isthmus.client(account=isthmus.other)

    assert [] == stranger.describe_instances()["Reservations"]
    for action in ("start", "stop", "reboot", "terminate", "describe"):
        with pytest.raises(stranger.exceptions.ClientError, match=r"InvalidInstanceID\.NotFound"):
            getattr(stranger, f"{action}_instances")(InstanceIds=[known])


def instances(calls: Calls) -> list[Any]:
    return [one for each in calls.ec2.describe_instances()["Reservations"] for one in each["Instances"]]
