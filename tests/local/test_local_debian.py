"""A Debian with cloud-init: it boots from its own disk, sees by itself that this is EC2, and does what user data say.

The image is built once, and kept in the cache; building takes minutes, and so does the boot where it is emulated.
"""

from __future__ import annotations

import fcntl
import re
import subprocess
from pathlib import Path

import pytest
from served import Account, client, end_machines, eventually, serving
from service import isthmus

from . import debian

pytestmark = pytest.mark.qemu
BOOT_SECONDS = 900.0
"""Not what it takes, but when it is given up."""
USER_DATA = """\
#!/bin/sh
exec >/dev/ttyS0 2>&1
echo "CLOUD $(cloud-init query v1.platform) $(cloud-init query v1.cloud_name)"
echo "INSTANCE $(cloud-init query v1.instance_id) $(hostname)"
echo "ADDRESS $(hostname -I) DISK $(df -m --output=size / | tail -n 1)"
echo "NAMED $(ls /dev/disk/by-id/ | tr '\\n' ' ') END"
"""


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if reason := debian.missing():
        pytest.skip(f"NOT TESTED: {reason}")
    with (tmp_path_factory.getbasetemp().parent / "debian.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not debian.cached().exists():
            try:
                debian.build(debian.cached(), tmp_path_factory.mktemp("debian"))
            except subprocess.CalledProcessError as error:
                if "apt-get" in error.cmd[0]:
                    pytest.skip(f"NOT TESTED: Debian's packages cannot be had: {error}")
                raise
    return debian.cached()


def console(account: Account, instance: str) -> str:
    return str(client(account).get_console_output(InstanceId=instance).get("Output", ""))


def test_cloud_init_finds_ec2_by_itself_and_runs_its_user_data(image: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    try:
        with serving(state, "--cloud", "local") as served:
            account = served.new_account("debian")
            imported = isthmus("image", "import", str(image), "--name", "debian", state=state)
            assert imported.returncode == 0, imported.stderr
            ec2 = client(account, read_timeout=60)
            [found] = re.findall(r"ami-\w+", imported.stdout)[:1]
            eventually(
                lambda: ec2.describe_images(ImageIds=[found])["Images"][0]["State"], lambda said: said == "available"
            )
            mapping = {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 4}}
            [made] = ec2.run_instances(
                ImageId=found,
                InstanceType="t3.small",
                MinCount=1,
                MaxCount=1,
                UserData=USER_DATA,
                BlockDeviceMappings=[mapping],
            )["Instances"]
            said = eventually(
                lambda: console(account, made["InstanceId"]), lambda text: " END" in text, seconds=BOOT_SECONDS
            )
            [volume] = ec2.describe_volumes()["Volumes"]
            eventually(
                lambda: ec2.describe_instance_status()["InstanceStatuses"][0]["InstanceStatus"]["Status"],
                lambda status: status == "ok",
            )
            ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
    finally:
        end_machines(state)
    assert "CLOUD ec2 aws" in said
    host = made["PrivateDnsName"].split(".")[0]
    assert f"INSTANCE {made['InstanceId']} {host}" in said
    assert f"ADDRESS {made['PrivateIpAddress']} " in said
    assert f"virtio-{volume['VolumeId'].replace('-', '')}" in said
