"""`isthmus serve` in front of a real OpenStack, killed in a launch or its end: nothing is lost, doubled or left."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
import real_openstack
from botocore.exceptions import BotoCoreError, ClientError
from service import Service, serving, wait

SECONDS = 120


def ports(cloud: Any) -> set[str]:
    owned = cloud.network.ports(project_id=cloud.current_project_id)
    return {one.id for one in owned if not one.device_owner.startswith("network:")}


def servers(cloud: Any) -> set[str]:
    return {one.id for one in cloud.compute.servers() if one.status not in ("DELETED", "SOFT_DELETED")}


def states(ec2: Any, ids: list[str]) -> set[str]:
    found = ec2.describe_instances(InstanceIds=ids)["Reservations"]
    return {one["State"]["Name"] for made in found for one in made["Instances"]}


def cut_off(service: Service, ask: Callable[[], object], begun: Callable[[], bool]) -> None:
    """Ask for something, and kill the service as soon as that has begun."""

    def asked() -> None:
        with suppress(BotoCoreError, ClientError):
            ask()

    cut = threading.Thread(target=asked)
    cut.start()
    wait(begun, "it to begin", SECONDS)
    service.process.kill()
    cut.join()


@pytest.mark.parametrize("look", [ports, servers])
def test_a_launch_that_is_cut_off_is_made_once(look: Callable[[Any], set[str]], tmp_path, config, demo):
    """Killed as soon as the first thing of it can be seen."""
    cloud, token, words = real_openstack.connection("demo"), str(uuid4()), ("--config", str(config))
    before = servers(cloud), ports(cloud)
    seen = look(cloud)

    def launch(service: Service) -> list[str]:
        ec2 = real_openstack.signed_by(service, demo, read_timeout=SECONDS)
        asked = {**real_openstack.launch(ec2), "MinCount": 2, "MaxCount": 2}
        return [one["InstanceId"] for one in ec2.run_instances(**asked, ClientToken=token)["Instances"]]

    with serving(tmp_path / "state", *words) as first:
        cut_off(first, lambda: launch(first), lambda: bool(look(cloud) - seen))

    with serving(tmp_path / "state", *words) as again:
        made = launch(again)
        assert 2 == len(set(made))
        assert 2 == len(servers(cloud) - before[0]) == len(ports(cloud) - before[1])
        ec2 = real_openstack.signed_by(again, demo)
        ec2.terminate_instances(InstanceIds=made)
        wait(lambda: (servers(cloud), ports(cloud)) == before, "all to be gone", SECONDS)


@pytest.mark.parametrize("answered", [False, True], ids=["unanswered", "answered"])
def test_a_termination_that_is_cut_off_leaves_nothing(answered: bool, tmp_path, config, demo):
    """Killed as Nova is told of the first server, or with the answer: nothing has ended until the ports are gone."""
    cloud, words = real_openstack.connection("demo"), ("--config", str(config))
    before = servers(cloud), ports(cloud)

    def going() -> bool:
        ours = [one for one in cloud.compute.servers() if one.id not in before[0]]
        return len(ours) < len(made) or any(one.task_state == "deleting" for one in ours)

    with serving(tmp_path / "state", *words) as first:
        ec2 = real_openstack.signed_by(first, demo, read_timeout=SECONDS)
        asked = {**real_openstack.launch(ec2), "MinCount": 3, "MaxCount": 3}
        made = [one["InstanceId"] for one in ec2.run_instances(**asked)["Instances"]]
        wait(lambda: states(ec2, made) == {"running"}, "three instances to run", SECONDS)
        if answered:
            ended = ec2.terminate_instances(InstanceIds=made)["TerminatingInstances"]
            assert {"shutting-down"} == {one["CurrentState"]["Name"] for one in ended}
            first.process.kill()
        else:
            cut_off(first, lambda: ec2.terminate_instances(InstanceIds=made), going)

    if answered:
        wait(lambda: servers(cloud) == before[0], "Nova to forget them", SECONDS)
        assert len(made) == len(ports(cloud) - before[1])
    with serving(tmp_path / "state", *words) as again:
        ec2 = real_openstack.signed_by(again, demo, read_timeout=SECONDS)
        if answered:
            assert {"shutting-down"} == states(ec2, made)
        else:
            ec2.terminate_instances(InstanceIds=made)
        wait(lambda: states(ec2, made) == {"terminated"}, "all to be gone", SECONDS)
        assert (servers(cloud), ports(cloud)) == before
