"""Guests that really boot, in an OpenStack whose metadata agent asks us (`make test-openstack COMPUTE=libvirt`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import real_openstack
from served import Account, client, eventually, serving

ASKED = 8789
"""The port at which the agent asks, as scripts/test-openstack says."""
BOOT_SECONDS = 240.0


@pytest.fixture(scope="module")
def ec2(demo: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if (mode := real_openstack.compute()) != "libvirt":
        pytest.skip(
            f"servers of this OpenStack do not boot, it is in the mode {mode} (make test-openstack COMPUTE=libvirt)"
        )
    place = tmp_path_factory.mktemp("guests")
    (place / "isthmus.toml").write_text(
        "[clouds.private]\nkind = 'openstack'\nzones = { us-east-1a = 'nova' }\n"
        f"cloud = 'gateway'\nclouds_yaml = '{real_openstack.CLOUDS_YAML}'\n"
        f"metadata_listen = '127.0.0.1:{ASKED}'\nmetadata_secret = '{real_openstack.metadata_secret()}'\n"
    )
    with serving(place / "state", "--config", str(place / "isthmus.toml")) as served:
        yield client(Account("", demo.access, demo.secret, served.endpoint))


def test_a_guest_reads_its_id_and_runs_its_user_data(ec2):
    [image] = ec2.describe_images(Filters=[{"Name": "name", "Values": ["tiny"]}])["Images"]
    script = "#!/bin/sh\necho user data says $((6 * 7))\n"
    data = {"ImageId": image["ImageId"], "InstanceType": "m1.nano", "UserData": script}
    [made] = ec2.run_instances(**data, MinCount=1, MaxCount=1)["Instances"]
    known = {"InstanceIds": [made["InstanceId"]]}
    try:
        ec2.get_waiter("instance_running").wait(**known, WaiterConfig={"Delay": 1, "MaxAttempts": 240})

        def console() -> str:
            return str(ec2.get_console_output(InstanceId=made["InstanceId"], Latest=True).get("Output", ""))

        text = eventually(console, lambda said: "login:" in said, seconds=BOOT_SECONDS)

        assert f"tiny: instance-id {made['InstanceId']}" in text
        assert "user data says 42" in text
        assert made["PrivateIpAddress"] in text
    finally:
        ec2.terminate_instances(**known)
        ec2.get_waiter("instance_terminated").wait(**known, WaiterConfig={"Delay": 1, "MaxAttempts": 240})
