"""`isthmus serve` in front of a real OpenStack, killed in the middle of a launch: nothing is lost, doubled or left."""

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

    def cut_off(service: Service) -> None:
        with suppress(BotoCoreError, ClientError):
            launch(service)

    with serving(tmp_path / "state", *words) as first:
        cut = threading.Thread(target=cut_off, args=(first,))
        cut.start()
        wait(lambda: look(cloud) - seen, "the first of a launch", SECONDS)
        first.process.kill()
        cut.join()

    with serving(tmp_path / "state", *words) as again:
        made = launch(again)
        assert 2 == len(set(made))
        assert 2 == len(servers(cloud) - before[0]) == len(ports(cloud) - before[1])
        ec2 = real_openstack.signed_by(again, demo)
        ec2.terminate_instances(InstanceIds=made)
        wait(lambda: (servers(cloud), ports(cloud)) == before, "all to be gone", SECONDS)
