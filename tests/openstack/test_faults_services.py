"""Services of a real OpenStack that are dead: what needs them is Unavailable, and nothing else is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

import pytest
import real_openstack
from botocore.exceptions import ClientError
from real_openstack import until
from stopping import stopped

from isthmus.errors import Unavailable
from isthmus.providers.openstack import OpenStack, Options, client

ZONE = "us-east-1a"
MOST = 55
"""Seconds in which a request is answered whatever is dead."""


def one(ec2: Any, instance: str) -> Any:
    [found] = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
    return found


def state(ec2: Any, instance: str) -> str:
    return str(one(ec2, instance)["State"]["Name"])


def volumes_on(ec2: Any, instance: str) -> list[str]:
    return [each["Ebs"]["VolumeId"] for each in one(ec2, instance)["BlockDeviceMappings"]]


def terminate(ec2: Any, instance: str) -> None:
    """Asked for again after a while: what Nova says to itself before all have connected again may be lost."""
    for _ in range(4):
        ec2.terminate_instances(InstanceIds=[instance])
        with suppress(AssertionError):
            return until(lambda: state(ec2, instance), "terminated", 30)
    raise AssertionError(f"{instance} is {state(ec2, instance)}, though asked four times to end")


@contextmanager
def soon() -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < MOST


def unavailable(call: Callable[..., Any], **asked: Any) -> None:
    with soon(), pytest.raises(ClientError) as refused:
        call(**asked)
    said = refused.value.response
    assert ("Unavailable", 503) == (said["Error"]["Code"], said["ResponseMetadata"]["HTTPStatusCode"])


def servers() -> list[Any]:
    """What Nova itself has of the project `demo`."""
    return list(real_openstack.connection("demo").compute.servers())


@pytest.fixture(scope="module")
def asked(ec2: Any) -> dict[str, Any]:
    return real_openstack.launch(ec2)


@pytest.fixture(scope="module")
def instance(ec2: Any, asked: dict[str, Any]) -> Iterator[str]:
    """A running instance with a tagged volume on it."""
    tags = [{"ResourceType": "volume", "Tags": [{"Key": "Name", "Value": "data"}]}]
    known = str(ec2.run_instances(**asked)["Instances"][0]["InstanceId"])
    volume = str(ec2.create_volume(AvailabilityZone=ZONE, Size=1, TagSpecifications=tags)["VolumeId"])
    try:
        until(lambda: state(ec2, known), "running")
        until(lambda: ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"], "available")
        ec2.attach_volume(InstanceId=known, VolumeId=volume, Device="/dev/sdf")
        until(lambda: one(ec2, known)["BlockDeviceMappings"][0]["Ebs"]["Status"], "attached")
        yield known
    finally:
        terminate(ec2, known)
        until(lambda: ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"], "available")
        ec2.delete_volume(VolumeId=volume)


def test_without_cinder_volumes_are_unknown_and_instances_are_told(isthmus, ec2, asked, instance):
    before = one(ec2, instance)
    [volume] = volumes_on(ec2, instance)

    with stopped("cinder-api"):
        with soon():
            assert [{"Ebs": {"VolumeId": volume}}] == one(ec2, instance)["BlockDeviceMappings"]
        with soon():
            ids = [
                each["InstanceId"] for held in ec2.describe_instances()["Reservations"] for each in held["Instances"]
            ]
        assert instance in ids
        unavailable(ec2.describe_volumes)
        unavailable(ec2.describe_volumes, VolumeIds=[volume])
        unavailable(ec2.create_volume, AvailabilityZone=ZONE, Size=1)
        unavailable(ec2.terminate_instances, InstanceIds=[instance])
        isthmus.mend()
        with soon():
            second = ec2.run_instances(**asked)["Instances"][0]["InstanceId"]

    terminate(ec2, second)
    assert before == one(ec2, instance)
    [found] = ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
    assert [{"Key": "Name", "Value": "data"}] == found["Tags"]


def test_without_nova_a_launch_can_be_tried_again(isthmus, ec2, asked, instance):
    token, before = str(uuid4()), len(servers())

    with stopped("nova-api"):
        unavailable(ec2.describe_instances)
        unavailable(ec2.describe_instances, InstanceIds=[instance])
        unavailable(ec2.stop_instances, InstanceIds=[instance])
        unavailable(ec2.run_instances, **asked, ClientToken=token)
        with soon():
            assert ec2.describe_vpcs()["Vpcs"]
        isthmus.mend()

    assert "running" == state(ec2, instance)
    known = ec2.run_instances(**asked, ClientToken=token)["Instances"][0]["InstanceId"]
    assert before + 1 == len(servers())
    until(lambda: state(ec2, known), "running")
    terminate(ec2, known)


def test_without_neutron_and_glance_what_needs_them_is_unavailable(isthmus, ec2, asked, instance):
    before = one(ec2, instance)

    with stopped("neutron-server", "glance-api"):
        unavailable(ec2.describe_vpcs)
        unavailable(ec2.describe_security_groups)
        unavailable(ec2.allocate_address, Domain="vpc")
        unavailable(ec2.describe_images)
        unavailable(ec2.describe_instances)
        unavailable(ec2.run_instances, **asked)
        with soon():
            ec2.describe_snapshots(OwnerIds=["self"])
        isthmus.mend()

    assert before == one(ec2, instance)


def test_without_keystone_nobody_new_gets_in(fronted, demo):
    cloud = OpenStack("openstack", ("nova",), Options("gateway", str(real_openstack.CLOUDS_YAML)))
    theirs = fronted(cloud).client(account=("", demo.access, demo.secret))

    with stopped("keystone"):
        unavailable(theirs.describe_vpcs)
        with soon(), pytest.raises(Unavailable):
            cloud.session(demo.tenant_id, real_openstack.login("demo"))
        with soon():
            assert cloud.health().degraded

    assert theirs.describe_vpcs()["Vpcs"]
    cloud.close()


def test_without_the_message_bus_a_launch_is_made_once(ec2, asked, monkeypatch):
    """Whether it runs is another matter: what Nova says to itself before all have connected again may be lost."""
    token, before = str(uuid4()), len(servers())
    monkeypatch.setattr(client, "READ_SECONDS", 8)

    with stopped("rabbitmq"):
        with soon(), suppress(ClientError):
            ec2.run_instances(**asked, ClientToken=token)
        with soon():
            ec2.describe_instances()

    known = ec2.run_instances(**asked, ClientToken=token)["Instances"][0]["InstanceId"]
    assert before + 1 == len(servers())
    terminate(ec2, known)
