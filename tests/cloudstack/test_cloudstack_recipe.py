"""The classic recipe through a served Isthmus, with a CloudStack user's keys as they are: AWS's command line, boto3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_cli import Aws, CliError, runner
from emulated_cloudstack import emulating
from emulators.cloudstack.server import Emulator
from emulators.cloudstack.world import Account
from served import Account as Client
from served import Served, client, eventually, serving

pytestmark = pytest.mark.clients


@pytest.fixture
def groups() -> bool:
    """Whether the zone has security groups."""
    return True


@pytest.fixture
def stack(groups: bool) -> Iterator[Emulator]:
    with emulating(groups=groups) as made:
        made.world.job_seconds = 0.1
        yield made


@pytest.fixture
def served(stack: Emulator, groups: bool, tmp_path: Path) -> Iterator[Served]:
    """An Isthmus that was given an administrator's keys."""
    root = stack.world.new_account("root", "Admin")
    (tmp_path / "root.secret").write_text(root.secret)
    (tmp_path / "isthmus.toml").write_text(
        f'[clouds.stack]\nkind = "cloudstack"\nurl = "{stack.url}"\nzones = {{ us-east-1a = "zone-1" }}\n'
        f'security_groups = {str(groups).lower()}\napi_key = "{root.api}"\nsecret_key_file = "{tmp_path}/root.secret"\n'
        'flavors = { "m1.small" = "Tiny" }\n'
    )
    with serving(tmp_path / "state", "--config", str(tmp_path / "isthmus.toml")) as made:
        yield made


def of(by: Account, served: Served) -> Client:
    return Client("", by.api, by.secret, served.endpoint)


@pytest.fixture
def demo(stack: Emulator, served: Served) -> Client:
    """A CloudStack user's pair, of which Isthmus was told nothing."""
    return of(stack.world.new_account("demo"), served)


@pytest.fixture
def aws(demo: Client, tmp_path: Path) -> Aws:
    place = tmp_path / "aws"
    place.mkdir()
    return runner(demo, place)


def state(by: Client, instance: str) -> str:
    [found] = client(by).describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
    return str(found["State"]["Name"])


def test_the_command_line_follows_the_classic_recipe(aws: Aws, demo: Client, stack: Emulator, served: Served) -> None:
    [zone] = aws("ec2", "describe-availability-zones")["AvailabilityZones"]
    assert ("us-east-1a", "available") == (zone["ZoneName"], zone["State"])
    [image] = aws("ec2", "describe-images", "--filters", "Name=name,Values=debian")["Images"]
    key = aws("ec2", "create-key-pair", "--key-name", "mine")
    assert "PRIVATE KEY" in key["KeyMaterial"]
    group = aws("ec2", "create-security-group", "--group-name", "web", "--description", "for the web")["GroupId"]
    aws(
        "ec2", "authorize-security-group-ingress", "--group-id", group,
        "--protocol", "tcp", "--port", "22", "--cidr", "0.0.0.0/0",
    )  # fmt: skip

    made = aws(
        "ec2", "run-instances", "--image-id", image["ImageId"], "--instance-type", "m1.small", "--key-name", "mine",
        "--security-group-ids", group, "--placement", "AvailabilityZone=us-east-1a",
        "--tag-specifications", "ResourceType=instance,Tags=[{Key=Name,Value=first}]",
    )["Instances"][0]  # fmt: skip
    instance = made["InstanceId"]
    eventually(lambda: state(demo, instance), lambda said: said == "running")
    [found] = aws("ec2", "describe-instances", "--filters", "Name=tag:Name,Values=first")["Reservations"]
    [told] = found["Instances"]
    assert (instance, "m1.small", "mine", [group]) == (
        told["InstanceId"],
        told["InstanceType"],
        told["KeyName"],
        [one["GroupId"] for one in told["SecurityGroups"]],
    )
    assert aws("sts", "get-caller-identity")["Account"] == found["OwnerId"]

    aws("ec2", "terminate-instances", "--instance-ids", instance)
    eventually(lambda: state(demo, instance), lambda said: said == "terminated")
    aws("ec2", "delete-key-pair", "--key-name", "mine")

    owned = [item for _, item in stack.world.things["machine"].values()]
    assert ["Destroyed"] == [one["state"] for one in owned]
    assert demo.secret not in "".join(served.log)


def test_a_secret_that_is_wrong_is_refused(demo: Client, tmp_path: Path) -> None:
    wrong = Client("", demo.access_key, "wrong", demo.endpoint)

    with pytest.raises(CliError, match="AuthFailure"):
        runner(wrong, tmp_path)("ec2", "describe-regions")


@pytest.mark.parametrize(("groups", "version"), [(True, "v4"), (True, "v2"), (False, "v4")])
def test_boto3_launches_and_terminates(demo: Client, version: str) -> None:
    ec2: Any = client(demo, signature_version=version)
    image = ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian"]}])["Images"][0]["ImageId"]
    said = {"ImageId": image, "InstanceType": "m1.small", "MinCount": 1, "MaxCount": 1, "ClientToken": "once"}

    first, again = (ec2.run_instances(**said)["Instances"][0]["InstanceId"] for _ in range(2))

    assert first == again
    eventually(lambda: state(demo, first), lambda said: said == "running")
    ec2.terminate_instances(InstanceIds=[first])
    eventually(lambda: state(demo, first), lambda said: said == "terminated")


def test_accounts_see_nothing_of_each_other(demo: Client, stack: Emulator, served: Served) -> None:
    other = of(stack.world.new_account("alt"), served)
    client(demo).create_key_pair(KeyName="theirs")

    assert [] == client(other).describe_key_pairs()["KeyPairs"]
    numbers = {client(one, "sts").get_caller_identity()["Account"] for one in (demo, other)}
    assert 2 == len(numbers)
