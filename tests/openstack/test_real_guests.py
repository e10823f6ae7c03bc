"""Guests that really boot, in an OpenStack whose metadata agent asks us (`make test-openstack COMPUTE=libvirt`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import real_openstack
from served import Account, client, eventually, serving

ASKED = 8789
"""The port at which the agent asks, as scripts/test-openstack says."""
NOVA = "http://127.0.0.1:8775"
BOOT_SECONDS = 240.0


@pytest.fixture(scope="module")
def ec2(demo: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if (mode := real_openstack.compute()) != "libvirt":
        pytest.skip(
            f"servers of this OpenStack do not boot, it is in the mode {mode} (make test-openstack COMPUTE=libvirt)"
        )
    place = tmp_path_factory.mktemp("guests")
    agents = f"metadata_nova = '{NOVA}'\nmetadata_listen = '127.0.0.1:{ASKED}'\n"
    agents += f"metadata_secret = '{real_openstack.metadata_secret()}'\n"
    (place / "isthmus.toml").write_text(real_openstack.settings(agents))
    with serving(place / "state", "--config", str(place / "isthmus.toml")) as served:
        yield client(Account("", demo.access, demo.secret, served.endpoint))


def test_a_guest_reads_its_id_runs_its_user_data_and_gets_a_disk(ec2, demo):
    script = "#!/bin/sh\necho user data says $((6 * 7))\n"
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    [made] = ec2.run_instances(**real_openstack.launch(ec2), UserData=script)["Instances"]
    known = {"InstanceIds": [made["InstanceId"]]}
    try:
        ec2.get_waiter("instance_running").wait(**known, WaiterConfig={"Delay": 1, "MaxAttempts": 240})

        def console() -> str:
            return str(ec2.get_console_output(InstanceId=made["InstanceId"], Latest=True).get("Output", ""))

        text = eventually(console, lambda said: "login:" in said, seconds=BOOT_SECONDS)

        assert f"tiny: instance-id {made['InstanceId']}" in text
        assert "user data says 42" in text
        assert made["PrivateIpAddress"] in text

        native = real_openstack.server_at("demo", made["PrivateIpAddress"])
        told = real_openstack.as_agent(
            f"127.0.0.1:{ASKED}",
            "/openstack/latest/meta_data.json",
            native,
            demo.tenant_id,
            real_openstack.metadata_secret(),
        )
        assert native == told.json()["uuid"]

        ec2.attach_volume(VolumeId=volume, InstanceId=made["InstanceId"], Device="/dev/sdf")
        eventually(console, lambda said: "vdb" in said, seconds=60.0)
    finally:
        ec2.terminate_instances(**known)
        ec2.get_waiter("instance_terminated").wait(**known, WaiterConfig={"Delay": 1, "MaxAttempts": 240})
        ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        ec2.delete_volume(VolumeId=volume)
