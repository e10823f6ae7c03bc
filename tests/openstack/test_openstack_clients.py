"""Unmodified clients with a project's own EC2 credentials, against `isthmus serve` in front of a real OpenStack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import aws_cli
import pytest
import real_openstack
import terraform
from real_openstack import until
from served import Account, client, serving
from things import things

NAMES = {
    "t2.micro": "m1.nano",
    "t3.micro": "m1.nano",
    "t3.small": "m1.micro",
    "isthmus-tiny*": "tiny",
    "amzn2-ami-hvm-*-x86_64-gp2": "tiny",
}
"""What the Terraform sets name, and what this cloud has of it."""
CANNOT = {
    "network": {
        "aws_network_acl": "Neutron has no network ACLs",
        "aws_vpc_peering_connection": "Neutron has no peering",
        "aws_vpc_dhcp_options": "Neutron has DHCP options of ports alone",
        "aws_vpc_dhcp_options_association": "Neutron has DHCP options of ports alone",
    },
    "compute": {},
    "data": {},
}
"""What a set cannot have here: docs/openstack.md says so as well."""


@pytest.fixture(scope="module")
def demo_account(demo: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """The project `demo`, by the keys that Keystone gave it."""
    place = tmp_path_factory.mktemp("served")
    (place / "isthmus.toml").write_text(real_openstack.settings())
    with serving(place / "state", "--config", str(place / "isthmus.toml")) as served:
        yield Account("", demo.access, demo.secret, served.endpoint)


@pytest.fixture
def name(demo_account: Account) -> Iterator[str]:
    """The name of what a test makes; if it fails half way, what is left goes."""
    ec2 = client(demo_account)
    name = f"recipe-{uuid4().hex[:8]}"
    yield name
    wanted = [{"Name": "tag:Name", "Values": [name]}]
    for made in ec2.describe_instances(Filters=wanted)["Reservations"]:
        known = [one["InstanceId"] for one in made["Instances"]]
        ec2.terminate_instances(InstanceIds=known)
        ec2.get_waiter("instance_terminated").wait(InstanceIds=known, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
    for address in ec2.describe_addresses(Filters=wanted)["Addresses"]:
        ec2.release_address(AllocationId=address["AllocationId"])
    for group in ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [name]}])["SecurityGroups"]:
        ec2.delete_security_group(GroupId=group["GroupId"])
    ec2.delete_key_pair(KeyName=name)


@pytest.fixture(scope="module")
def volume_image(demo_account: Account) -> Iterator[str]:
    """One that Terraform describes the root device of: it does so for none that is the server's own disk."""
    ec2 = client(demo_account)
    image, snapshot, volume = real_openstack.image_of_a_volume(ec2, "of-a-volume", "/dev/sda1")
    yield image
    ec2.deregister_image(ImageId=image)
    ec2.delete_snapshot(SnapshotId=snapshot)
    ec2.delete_volume(VolumeId=volume)


def test_the_classic_recipe_of_the_aws_command_line(demo_account, name, tmp_path):
    aws = aws_cli.runner(demo_account, tmp_path)
    [zone] = [one["ZoneName"] for one in aws("ec2", "describe-availability-zones")["AvailabilityZones"]]
    [image] = aws("ec2", "describe-images", "--filters", "Name=name,Values=tiny")["Images"]
    key = aws("ec2", "create-key-pair", "--key-name", name, "--key-type", "ed25519")
    assert "PRIVATE KEY" in key["KeyMaterial"]
    group = aws("ec2", "create-security-group", "--group-name", name, "--description", "d")["GroupId"]
    aws(
        "ec2", "authorize-security-group-ingress", "--group-id", group,
        "--protocol", "tcp", "--port", "22", "--cidr", "0.0.0.0/0",
    )  # fmt: skip
    [made] = aws(
        "ec2", "run-instances", "--image-id", image["ImageId"], "--instance-type", "m1.nano", "--key-name", name,
        "--security-group-ids", group, "--user-data", "#!/bin/sh",
        "--tag-specifications", tags("instance", name),
    )["Instances"]  # fmt: skip
    instance = made["InstanceId"]
    aws("ec2", "wait", "instance-running", "--instance-ids", instance)
    address = aws("ec2", "allocate-address", "--tag-specifications", tags("elastic-ip", name))
    held = aws("ec2", "associate-address", "--allocation-id", address["AllocationId"], "--instance-id", instance)
    [told] = aws("ec2", "describe-instances", "--filters", f"Name=tag:Name,Values={name}")["Reservations"]
    assert [(instance, address["PublicIp"], zone)] == [
        (one["InstanceId"], one["PublicIpAddress"], one["Placement"]["AvailabilityZone"]) for one in told["Instances"]
    ]
    assert instance == aws("ec2", "get-console-output", "--instance-id", instance)["InstanceId"]

    volume = aws("ec2", "create-volume", "--availability-zone", zone, "--size", "1")["VolumeId"]
    aws("ec2", "wait", "volume-available", "--volume-ids", volume)
    aws("ec2", "attach-volume", "--volume-id", volume, "--instance-id", instance, "--device", "/dev/sdf")
    aws("ec2", "wait", "volume-in-use", "--volume-ids", volume)
    aws("ec2", "detach-volume", "--volume-id", volume)
    aws("ec2", "wait", "volume-available", "--volume-ids", volume)
    aws("ec2", "delete-volume", "--volume-id", volume)
    aws("ec2", "wait", "volume-deleted", "--volume-ids", volume)

    aws("ec2", "disassociate-address", "--association-id", held["AssociationId"])
    aws("ec2", "release-address", "--allocation-id", address["AllocationId"])
    aws("ec2", "terminate-instances", "--instance-ids", instance)
    aws("ec2", "wait", "instance-terminated", "--instance-ids", instance)
    aws("ec2", "delete-security-group", "--group-id", group)
    aws("ec2", "delete-key-pair", "--key-name", name)


def test_terraform_makes_changes_and_removes_an_instance_and_all_that_belongs_to_it(demo_account, tmp_path):
    """After each step there is nothing left to do."""
    run = terraform.runner(demo_account, tmp_path, "web", _here)
    try:
        terraform.apply(run)
        terraform.plan_is_empty(run)
        made = {name: one["value"] for name, one in json.loads(run("output", "-json")).items()}
        assert ("web-1", "m1.nano", made["address"]) == _facts(demo_account, made["instance"])

        terraform.apply(run, "-var=v=2")
        terraform.plan_is_empty(run, "-var=v=2")
        assert ("web-2", "m1.micro", made["address"]) == _facts(demo_account, made["instance"])
    finally:
        terraform.destroy(run, "-var=v=2")
    assert [] == client(demo_account).describe_addresses()["Addresses"]


@pytest.mark.parametrize(("name", "versions"), [("network", "12"), ("compute", "12"), ("data", "1")])
def test_a_set_of_terraform_is_made_changed_in_place_and_gone(demo_account, volume_image, tmp_path, name, versions):
    """After each step there is nothing left to do."""
    before = things(demo_account)
    run = terraform.runner(demo_account, tmp_path, name, lambda text: _here(terraform.without(text, CANNOT[name])))
    words: list[str] = []
    try:
        for version in versions:
            words = [f"-var=v={version}"] if len(versions) > 1 else []
            words += [f"-var=ami={volume_image}"] if name == "compute" else []
            terraform.apply(run, *words)
            terraform.plan_is_empty(run, *words)
    finally:
        terraform.destroy(run, *words)
    until(lambda: things(demo_account), before)


def tags(kind: str, name: str) -> str:
    return f"ResourceType={kind},Tags=[{{Key=Name,Value={name}}}]"


def _here(text: str) -> str:
    return terraform.renamed(text, NAMES)


def _facts(account: Account, instance: str) -> tuple[str, str, str]:
    [found] = client(account).describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
    name = next(tag["Value"] for tag in found["Tags"] if tag["Key"] == "Name")
    return name, found["InstanceType"], found["PublicIpAddress"]
