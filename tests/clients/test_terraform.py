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
from served import Account, clean_environment, client

pytestmark = pytest.mark.clients

SET = Path(__file__).with_name("terraform") / "main.tf"
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
def terraform(account: Account, tmp_path: Path) -> Terraform:
    """Runs `terraform WORDS...` on a copy of the set, and answers what it said."""
    program = shutil.which("terraform")
    if not program:
        pytest.skip("terraform is not on PATH")
    providers = mirror()
    shutil.copy(SET, tmp_path)
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

    run("init", "-no-color", f"-plugin-dir={providers}")
    return run


def test_an_instance_and_all_that_belongs_to_it(terraform: Terraform, account: Account) -> None:
    ec2 = client(account)

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


def _left(ec2: Any) -> Sequence[object]:
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
