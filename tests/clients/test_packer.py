"""Packer's builder `amazon-ebs`, unmodified: images of an instance that it only starts, and of one that it changes."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import Account, clean_environment, client, end_machines, eventually, serving, tiny_image

from isthmus.providers.local.forwards import LIFT

pytestmark = pytest.mark.clients

TEMPLATE = Path(__file__).with_name("packer") / "image.json"
MARK = "made by Packer"
_BUILD_SECONDS = 300


@pytest.fixture(scope="module")
def packer() -> str:
    """The program; the test is skipped where there is none, or one without the builder."""
    program = shutil.which("packer")
    if not program:
        pytest.skip("packer is not on PATH (Debian 12: apt-get install packer)")
    told = subprocess.run([program, "validate", "-syntax-only", TEMPLATE], capture_output=True, text=True, check=False)
    if told.returncode:
        pytest.skip(f"this Packer has no amazon-ebs of its own (1.6 has): {told.stdout.strip()}")
    return program


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Account]:
    """An account of the embedded cloud."""
    if missing := [name for name in ("qemu-system-x86_64", "qemu-img", "ssh") if not shutil.which(name)]:
        pytest.skip(f"not installed: {', '.join(missing)} (apt-get install qemu-system-x86 qemu-utils openssh-client)")
    state = tmp_path / "state"
    try:
        with serving(state, "--cloud", "local") as served:
            account = served.new_account("packer")
            if not client(account).describe_images(Filters=[{"Name": "name", "Values": ["isthmus-tiny"]}])["Images"]:
                pytest.skip("the tiny image has not been built: make image")
            yield account
    finally:
        end_machines(state)


def test_an_image_is_made_of_an_instance_that_is_only_started(packer: str, quick: Account, tmp_path: Path) -> None:
    ec2, source = client(quick), tiny_image(quick)

    made = _build(packer, quick, tmp_path, "silent", f"-var=ami={source}", "-var=name=silent")

    [image] = ec2.describe_images(ImageIds=[made], Owners=["self"])["Images"]
    assert ["silent", MARK, "available"] == [image["Name"], image["Description"], image["State"]]
    assert [{"Key": "Base", "Value": source}] == image["Tags"]
    disks = {one["DeviceName"]: one["Ebs"]["SnapshotId"] for one in image["BlockDeviceMappings"]}
    assert {image["RootDeviceName"], "/dev/sdf"} == set(disks)
    snapshots = ec2.describe_snapshots(SnapshotIds=list(disks.values()))["Snapshots"]
    assert all({"Key": "Kept", "Value": "for the image"} in one["Tags"] for one in snapshots)
    assert [] == _left(ec2)


@pytest.mark.qemu
def test_what_a_provisioner_writes_by_ssh_is_in_the_image(packer: str, embedded: Account, tmp_path: Path) -> None:
    ec2 = client(embedded)
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    group = ec2.create_security_group(GroupName="ssh", Description="lets ssh in")["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0")
    where = (f"-var=subnet={subnet}", f"-var=group={group}", f"-var=port={_port()}")

    made = _build(packer, embedded, tmp_path, "spoken", f"-var=ami={tiny_image(embedded)}", "-var=name=spoken", *where)

    assert [] == _left(ec2)
    script = '#!/bin/sh\necho "The file says: $(cat /root/mark)."\n'
    [launched] = ec2.run_instances(ImageId=made, InstanceType="t2.nano", MinCount=1, MaxCount=1, UserData=script)[
        "Instances"
    ]
    console = eventually(lambda: _console(ec2, launched["InstanceId"]), lambda text: "tiny: ready" in text, 120)
    assert f"The file says: {MARK}." in console
    ec2.terminate_instances(InstanceIds=[launched["InstanceId"]])


def _build(program: str, account: Account, place: Path, name: str, *words: str) -> str:
    """The id of the image that a builder of the template makes."""
    environ = clean_environment(
        HOME=str(place),
        CHECKPOINT_DISABLE="1",
        PACKER_CACHE_DIR=str(place / "cache"),
        AWS_POLL_DELAY_SECONDS="1",
        AWS_MAX_ATTEMPTS="200",
    )
    keys = (f"-var=access_key={account.access_key}", f"-var=secret_key={account.secret}")
    told = (*keys, f"-var=endpoint={account.endpoint}", *words)
    done = subprocess.run(
        [program, "build", "-machine-readable", f"-only={name}", *told, TEMPLATE],
        cwd=place, env=environ, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False,
    )  # fmt: skip
    assert 0 == done.returncode, f"{done.stdout}\n{done.stderr}"
    [line] = [line for line in done.stdout.splitlines() if ",artifact,0,id," in line]
    return line.rpartition(":")[2]


def _left(ec2: Any) -> list[str]:
    """What a build leaves behind beside its image."""
    groups = [one["GroupName"] for one in ec2.describe_security_groups()["SecurityGroups"]]
    instances = [one for made in ec2.describe_instances()["Reservations"] for one in made["Instances"]]
    return [
        *(one["InstanceId"] for one in instances if one["State"]["Name"] not in ("shutting-down", "terminated")),
        *(one["KeyName"] for one in ec2.describe_key_pairs()["KeyPairs"]),
        *(name for name in groups if name not in ("default", "ssh")),
        *(one["VolumeId"] for one in ec2.describe_volumes()["Volumes"]),
        *(one["AllocationId"] for one in ec2.describe_addresses()["Addresses"]),
    ]


def _console(ec2: Any, instance: str) -> str:
    return str(ec2.get_console_output(InstanceId=instance).get("Output", ""))


def _port() -> int:
    """Where the embedded cloud offers its guests' port 22: this user may not listen on it, or another does."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.13.255.254", 22))
        except OSError:
            return 22 + LIFT
    return 22
