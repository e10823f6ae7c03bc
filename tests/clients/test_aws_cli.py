"""The AWS command line (version 1) as a user runs it: unmodified, in a process of its own, with its own files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aws_cli import Aws, CliError, runner
from served import Account, client, eventually

pytestmark = pytest.mark.clients


@pytest.fixture
def aws(account: Account, tmp_path: Path) -> Aws:
    return runner(account, tmp_path)


def test_the_whole_life_of_an_instance(aws: Aws, account: Account, image: str, tmp_path: Path) -> None:
    key = aws("ec2", "create-key-pair", "--key-name", "mine", "--key-type", "ed25519")
    assert "-----BEGIN OPENSSH PRIVATE KEY-----" in key["KeyMaterial"]

    group = aws("ec2", "create-security-group", "--group-name", "web", "--description", "for the web")["GroupId"]
    opened = aws(
        "ec2", "authorize-security-group-ingress", "--group-id", group,
        "--protocol", "tcp", "--port", "22", "--cidr", "0.0.0.0/0",
    )  # fmt: skip
    assert [True, 22] == [opened["Return"], opened["SecurityGroupRules"][0]["FromPort"]]

    (tmp_path / "hello.sh").write_text("#!/bin/sh\necho hello\n")
    made = aws(
        "ec2", "run-instances", "--image-id", image, "--instance-type", "t3.micro", "--key-name", "mine",
        "--security-group-ids", group, "--user-data", "file://hello.sh",
        "--tag-specifications", "ResourceType=instance,Tags=[{Key=Name,Value=first}]",
        "--block-device-mappings", "DeviceName=/dev/sdf,Ebs={VolumeSize=1,DeleteOnTermination=true}",
    )["Instances"][0]  # fmt: skip
    instance = made["InstanceId"]
    _settled(account, instance, "running")
    aws("ec2", "wait", "instance-running", "--instance-ids", instance)

    [found] = aws("ec2", "describe-instances", "--filters", "Name=tag:Name,Values=fir*")["Reservations"]
    assert [instance] == [one["InstanceId"] for one in found["Instances"]]
    assert "IyEvYmluL3NoCmVjaG8gaGVsbG8K" == _attribute(aws, instance, "userData")["UserData"]["Value"]
    assert "first\n" == aws(
        "ec2", "describe-instances", "--instance-ids", instance, "--output", "text",
        "--query", "Reservations[].Instances[].Tags[?Key=='Name'].Value",
    )  # fmt: skip
    console = aws("ec2", "get-console-output", "--instance-id", instance, "--output", "text")
    assert instance in console
    aws("ec2", "wait", "instance-status-ok", "--instance-ids", instance)

    assert "" == aws("ec2", "reboot-instances", "--instance-ids", instance)
    aws("ec2", "stop-instances", "--instance-ids", instance)
    _settled(account, instance, "stopped")
    aws("ec2", "wait", "instance-stopped", "--instance-ids", instance)
    aws("ec2", "modify-instance-attribute", "--instance-id", instance, "--instance-type", "t3.small")
    aws("ec2", "start-instances", "--instance-ids", instance)
    _settled(account, instance, "running")
    assert "t3.small" == _attribute(aws, instance, "instanceType")["InstanceType"]["Value"]

    ended = aws("ec2", "terminate-instances", "--instance-ids", instance)["TerminatingInstances"][0]
    assert "running" == ended["PreviousState"]["Name"]
    _settled(account, instance, "terminated")
    aws("ec2", "wait", "instance-terminated", "--instance-ids", instance)
    aws("ec2", "delete-security-group", "--group-id", group)
    aws("ec2", "delete-key-pair", "--key-name", "mine")


def test_volumes_snapshots_images_and_addresses(aws: Aws, account: Account, image: str) -> None:
    made = aws("ec2", "run-instances", "--image-id", image, "--instance-type", "t3.micro")["Instances"][0]
    instance, zone = made["InstanceId"], made["Placement"]["AvailabilityZone"]
    volume = aws("ec2", "create-volume", "--availability-zone", zone, "--size", "1")["VolumeId"]
    _settled(account, instance, "running")
    aws("ec2", "wait", "volume-available", "--volume-ids", volume)
    aws("ec2", "attach-volume", "--volume-id", volume, "--instance-id", instance, "--device", "/dev/sdg")
    eventually(lambda: _volume(account, volume)["Attachments"][0]["State"], lambda state: state == "attached")
    aws("ec2", "wait", "volume-in-use", "--volume-ids", volume)

    snapshot = aws("ec2", "create-snapshot", "--volume-id", volume, "--description", "as it was")["SnapshotId"]
    copy = aws("ec2", "create-image", "--instance-id", instance, "--name", "copied", "--no-reboot")["ImageId"]
    eventually(lambda: _image(account, copy)["State"], lambda state: state == "available")
    aws("ec2", "wait", "image-available", "--image-ids", copy)
    aws("ec2", "wait", "snapshot-completed", "--snapshot-ids", snapshot)
    [listed] = aws("ec2", "describe-images", "--owners", "self")["Images"]
    assert {"/dev/sda1", "/dev/sdg"} == {one["DeviceName"] for one in listed["BlockDeviceMappings"]}

    address = aws("ec2", "allocate-address")
    held = aws(
        "ec2", "associate-address", "--allocation-id", address["AllocationId"], "--instance-id", instance
    )["AssociationId"]  # fmt: skip
    [seen] = aws("ec2", "describe-addresses", "--public-ips", address["PublicIp"])["Addresses"]
    assert [instance, held] == [seen["InstanceId"], seen["AssociationId"]]
    aws("ec2", "disassociate-address", "--association-id", held)
    aws("ec2", "release-address", "--allocation-id", address["AllocationId"])

    aws("ec2", "detach-volume", "--volume-id", volume)
    eventually(lambda: _volume(account, volume)["State"], lambda state: state == "available")
    aws("ec2", "delete-volume", "--volume-id", volume)
    aws("ec2", "wait", "volume-deleted", "--volume-ids", volume)
    aws("ec2", "deregister-image", "--image-id", copy)
    for one in aws("ec2", "describe-snapshots", "--owner-ids", "self")["Snapshots"]:
        aws("ec2", "delete-snapshot", "--snapshot-id", one["SnapshotId"])
    aws("ec2", "terminate-instances", "--instance-ids", instance)


@pytest.mark.parametrize(
    "words",
    [
        ("describe-regions",),
        ("describe-availability-zones",),
        ("describe-instance-types", "--instance-types", "t3.micro"),
        ("describe-vpcs", "--filters", "Name=is-default,Values=true"),
        ("describe-subnets",),
        ("describe-account-attributes",),
        ("describe-security-groups", "--group-names", "default"),
    ],
    ids=lambda words: str(words[0]),
)
def test_listings_that_are_never_empty(aws: Aws, words: tuple[str, ...]) -> None:
    [(_, listed)] = aws("ec2", *words).items()

    assert listed


def test_the_caller_is_known(aws: Aws, account: Account) -> None:
    assert account.id == aws("sts", "get-caller-identity")["Account"]


def test_pages_are_walked(aws: Aws) -> None:
    with ThreadPoolExecutor(2) as several:
        list(several.map(lambda number: aws("ec2", "create-key-pair", "--key-name", f"key-{number}"), range(7)))

    types = aws("ec2", "describe-instance-types", "--page-size", "5", "--query", "InstanceTypes[].InstanceType")
    assert len(types) == len(set(types)) > 5
    assert 7 == len(aws("ec2", "describe-key-pairs")["KeyPairs"])


def test_errors_come_with_their_codes(aws: Aws, image: str) -> None:
    with pytest.raises(CliError, match=r"\(InvalidInstanceID\.NotFound\)"):
        aws("ec2", "describe-instances", "--instance-ids", "i-0123456789abcdef0")
    with pytest.raises(CliError, match=r"\(DryRunOperation\)"):
        aws("ec2", "run-instances", "--image-id", image, "--instance-type", "t3.micro", "--dry-run")
    with pytest.raises(CliError, match=r"\(UnsupportedOperation\)|\(InvalidAction\)"):
        aws("ec2", "create-transit-gateway")


def _attribute(aws: Aws, instance: str, name: str) -> Any:
    return aws("ec2", "describe-instance-attribute", "--instance-id", instance, "--attribute", name)


def _settled(account: Account, instance: str, state: str) -> None:
    """Wait by a fast client, as the command line's own waiters ask every 15 seconds."""
    ec2 = client(account)
    eventually(
        lambda: ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["State"]["Name"],
        lambda found: found == state,
    )


def _volume(account: Account, volume: str) -> Any:
    return client(account).describe_volumes(VolumeIds=[volume])["Volumes"][0]


def _image(account: Account, image: str) -> Any:
    return client(account).describe_images(ImageIds=[image])["Images"][0]
