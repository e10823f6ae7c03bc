"""OpenStack's suite of EC2 tests over an emulated CloudStack: what does not pass is what docs/tempest.md lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tempest_suite
from emulated_cloudstack import serving_users
from served import Account, client

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(not tempest_suite.PYTHON.exists(), reason="OpenStack's suite is not installed: make clients"),
]
WORKERS = 4


@pytest.mark.parametrize(("cloud", "groups"), [("cloudstack", False), ("cloudstack-groups", True)])
def test_what_does_not_pass_is_listed_with_the_reason(cloud: str, groups: bool, tmp_path: Path) -> None:
    with serving_users(tmp_path, groups=groups, users=WORKERS, job_seconds=0.4) as accounts:
        machines = {account: _machines(account, public=not groups) for account in accounts}
        found = tempest_suite.run(machines, tmp_path, interval=0, timeout=20)
    assert len(found) == 181
    tempest_suite.judge(cloud, found)


def _machines(account: Account, *, public: bool) -> tempest_suite.Machines:
    """The operator's image, and one of a snapshot."""
    ec2 = client(account)
    [image] = ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian"]}])["Images"]
    launched = ec2.run_instances(ImageId=image["ImageId"], InstanceType="Tiny", MinCount=1, MaxCount=1)
    made = launched["Instances"][0]["InstanceId"]
    _until(ec2.get_waiter("instance_running"), InstanceIds=[made])
    snapped = ec2.create_image(InstanceId=made, Name="of-a-snapshot")["ImageId"]
    _until(ec2.get_waiter("image_available"), ImageIds=[snapped])
    ec2.terminate_instances(InstanceIds=[made])
    _until(ec2.get_waiter("instance_terminated"), InstanceIds=[made])
    return tempest_suite.Machines(image["ImageId"], snapped, "Tiny", "Medium", public=public)


def _until(waiter: Any, **said: Any) -> None:
    waiter.wait(**said, WaiterConfig={"Delay": 1})
