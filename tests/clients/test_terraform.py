"""Terraform with the AWS provider 5.x, unmodified: made, changed in place and gone, with empty plans in between."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from served import Account, clean_environment, client, eventually

pytestmark = pytest.mark.clients

SETS = Path(__file__).with_name("terraform")
_PLACES = (Path("/opt"), Path("/usr/local"), Path("~/.terraform.d").expanduser())
_PROVIDER = "*/hashicorp/aws/5.*/*/terraform-provider-aws_v5*"
_STEP_SECONDS = 600

Terraform = Callable[..., str]


def mirror() -> Path:
    """The directory under which the AWS provider lies; the test is skipped where there is none."""
    if given := os.environ.get("TF_PLUGIN_MIRROR"):
        return Path(given)
    for place in _PLACES:
        for depth in ("", "*/", "*/*/", "*/*/*/"):
            if found := sorted(place.glob(depth + _PROVIDER)):
                return found[-1].parents[5]
    pytest.skip("Terraform's AWS provider 5.x is not on this machine: name its mirror in TF_PLUGIN_MIRROR")


@pytest.fixture
def use(account: Account, tmp_path: Path) -> Callable[[str], Terraform]:
    """Runs `terraform WORDS...` where `use` put a set, and answers what it said."""
    program = shutil.which("terraform")
    if not program:
        pytest.skip("terraform is not on PATH")
    providers = mirror()
    environ = clean_environment(
        AWS_ACCESS_KEY_ID=account.access_key,
        AWS_SECRET_ACCESS_KEY=account.secret,
        AWS_CONFIG_FILE=str(tmp_path / "no-config"),
        AWS_SHARED_CREDENTIALS_FILE=str(tmp_path / "no-credentials"),
        TF_IN_AUTOMATION="1",
        TF_INPUT="0",
        CHECKPOINT_DISABLE="1",
        TF_VAR_endpoint=account.endpoint,
    )

    def run(*words: str) -> str:
        done = subprocess.run(
            [program, *words], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=_STEP_SECONDS
        )
        assert 0 == done.returncode, f"terraform {words[0]}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def use(name: str) -> Terraform:
        for file in (SETS / "provider.tf", SETS / name / "main.tf"):
            shutil.copy(file, tmp_path)
        run("init", "-no-color", f"-plugin-dir={providers}")
        return run

    return use


def test_an_instance_and_all_that_belongs_to_it(use: Callable[[str], Terraform], account: Account) -> None:
    ec2, terraform = client(account), use("web")

    _apply(terraform)
    made = {name: one["value"] for name, one in json.loads(terraform("output", "-json")).items()}
    assert account.id == made["account"]
    assert _facts(ec2, made) == ["web-1", "t3.micro", "running", "/dev/sdh", (22, 80, 8000)]
    _plan_is_empty(terraform)

    _apply(terraform, "-var=v=2")
    assert _facts(ec2, made) == ["web-2", "t3.small", "running", "/dev/sdh", (22, 443, 8000)]
    _plan_is_empty(terraform, "-var=v=2")

    terraform("destroy", "-auto-approve", "-no-color", "-var=v=2")
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
    use: Callable[[str], Terraform], account: Account, name: str, variables: tuple[str, ...]
) -> None:
    """After each step there is nothing left to do."""
    terraform, ec2 = use(name), client(account)
    image = _image(ec2)
    for variable in variables:
        words = [word for word in (variable, f"-var=ami={image}" if name == "compute" else "") if word]
        _apply(terraform, *words)
        _plan_is_empty(terraform, *words)

    terraform("destroy", "-auto-approve", "-no-color", *words)

    assert _left(ec2) == []
    assert [one["IsDefault"] for one in ec2.describe_vpcs()["Vpcs"]] == [True]


def test_fleets_are_made_and_gone(use: Callable[[str], Terraform], account: Account) -> None:
    """The instances of one end with it, those of the other live on."""
    ec2, terraform = client(account), use("fleets")

    _apply(terraform)
    _plan_is_empty(terraform)
    terraform("destroy", "-auto-approve", "-no-color")

    left = eventually(lambda: _running(ec2), lambda found: len(found) == 3)
    ec2.terminate_instances(InstanceIds=left)
    eventually(lambda: _left(ec2), lambda left: left == [])


def _running(ec2: Any) -> Sequence[str]:
    found = ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])["Reservations"]
    return [one["InstanceId"] for made in found for one in made["Instances"]]


def _image(ec2: Any) -> str:
    found = ec2.describe_images(Filters=[{"Name": "name", "Values": ["amzn2-*"]}])["Images"]
    return str(found[0]["ImageId"])


def _apply(terraform: Terraform, *words: str) -> None:
    terraform("apply", "-auto-approve", "-no-color", *words)


def _plan_is_empty(terraform: Terraform, *words: str) -> None:
    terraform("plan", "-detailed-exitcode", "-no-color", *words)


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
