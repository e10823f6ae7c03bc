"""Terraform with the AWS provider 5.x, unmodified: made, changed in place and gone, with empty plans in between."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from served import Account, client, eventually
from terraform import Terraform, apply, destroy, plan_is_empty, runner

pytestmark = pytest.mark.clients

Use = Callable[[str], Terraform]


@pytest.fixture
def use(account: Account, tmp_path: Path) -> Use:
    return lambda name: runner(account, tmp_path, name)


def test_an_instance_and_all_that_belongs_to_it(use: Use, account: Account) -> None:
    ec2, terraform = client(account), use("web")

    apply(terraform)
    made = {name: one["value"] for name, one in json.loads(terraform("output", "-json")).items()}
    assert account.id == made["account"]
    assert _facts(ec2, made) == ["web-1", "t3.micro", "running", "/dev/sdh", (22, 80, 8000)]
    plan_is_empty(terraform)

    apply(terraform, "-var=v=2")
    assert _facts(ec2, made) == ["web-2", "t3.small", "running", "/dev/sdh", (22, 443, 8000)]
    plan_is_empty(terraform, "-var=v=2")

    destroy(terraform, "-var=v=2")
    assert _left(ec2) == []


@pytest.mark.parametrize(
    ("name", "variables"),
    [
        ("network", ("-var=v=1", "-var=v=2")),
        ("compute", ("-var=v=1", "-var=v=2")),
        ("data", ("",)),
    ],
)
def test_a_set_is_made_changed_in_place_and_gone(
    use: Use, account: Account, name: str, variables: tuple[str, ...]
) -> None:
    """After each step there is nothing left to do."""
    terraform, ec2 = use(name), client(account)
    image = _image(ec2)
    for variable in variables:
        words = [word for word in (variable, f"-var=ami={image}" if name == "compute" else "") if word]
        apply(terraform, *words)
        plan_is_empty(terraform, *words)

    destroy(terraform, *words)

    assert _left(ec2) == []
    assert [one["IsDefault"] for one in ec2.describe_vpcs()["Vpcs"]] == [True]


def test_fleets_are_made_and_gone(use: Use, account: Account) -> None:
    """The instances of one end with it, those of the other live on."""
    ec2, terraform = client(account), use("fleets")

    apply(terraform)
    plan_is_empty(terraform)
    destroy(terraform)

    left = eventually(lambda: _running(ec2), lambda found: len(found) == 3)
    ec2.terminate_instances(InstanceIds=left)
    eventually(lambda: _left(ec2), lambda left: left == [])


def _running(ec2: Any) -> Sequence[str]:
    found = ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])["Reservations"]
    return [one["InstanceId"] for made in found for one in made["Instances"]]


def _image(ec2: Any) -> str:
    found = ec2.describe_images(Filters=[{"Name": "name", "Values": ["amzn2-*"]}])["Images"]
    return str(found[0]["ImageId"])


def _facts(ec2: Any, made: dict[str, str]) -> Sequence[object]:
    """What the API says of what Terraform made."""
    [instance] = ec2.describe_instances(InstanceIds=[made["instance"]])["Reservations"][0]["Instances"]
    [group] = ec2.describe_security_groups(GroupIds=[instance["SecurityGroups"][0]["GroupId"]])["SecurityGroups"]
    [volume] = ec2.describe_volumes(Filters=[{"Name": "tag:Owner", "Values": ["tests"]}])["Volumes"]
    assert made["address"] == instance["PublicIpAddress"]
    return [
        next(tag["Value"] for tag in instance["Tags"] if tag["Key"] == "Name"),
        instance["InstanceType"],
        instance["State"]["Name"],
        volume["Attachments"][0]["Device"],
        tuple(sorted(rule["FromPort"] for rule in group["IpPermissions"])),
    ]


def _left(ec2: Any) -> Sequence[Any]:
    """What is left, beside what every account has and what is only remembered."""
    reservations = ec2.describe_instances()["Reservations"]
    instances = [one for made in reservations for one in made["Instances"] if one["State"]["Name"] != "terminated"]
    groups = [one for one in ec2.describe_security_groups()["SecurityGroups"] if one["GroupName"] != "default"]
    volumes = ec2.describe_volumes()["Volumes"]
    return [
        *instances,
        *groups,
        *volumes,
        *ec2.describe_addresses()["Addresses"],
        *ec2.describe_key_pairs()["KeyPairs"],
    ]
