"""Instances through a real botocore client."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError


def _one(ec2: Any, instance: str) -> Any:
    [reservation] = ec2.describe_instances(InstanceIds=[instance])["Reservations"]
    [found] = reservation["Instances"]
    return found


def _state(ec2: Any, instance: str) -> str:
    return str(_one(ec2, instance)["State"]["Name"])


def launch(house: Any, ec2: Any) -> str:
    """A running instance of the house."""
    images = ec2.describe_images(Filters=[{"Name": "image-type", "Values": ["machine"]}])["Images"]
    made = ec2.run_instances(ImageId=images[0]["ImageId"], InstanceType="t3.micro", MinCount=1, MaxCount=1)
    house.settle()
    return str(made["Instances"][0]["InstanceId"])


def test_a_launched_instance_is_pending_and_then_running(house, ec2, image):
    made = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1)["Instances"][0]

    assert made["State"]["Name"] == "pending"
    assert _state(ec2, made["InstanceId"]) == "pending"
    house.settle()
    assert _state(ec2, made["InstanceId"]) == "running"


def test_a_stopped_instance_is_listed_as_stopping(ec2, launched):
    ec2.stop_instances(InstanceIds=[launched])

    assert _state(ec2, launched) == "stopping"


def test_a_terminated_instance_stays_visible_for_as_long_as_configured(build):
    house = build(terminated_visible=timedelta(minutes=5))
    ec2 = house.client()
    launched = launch(house, ec2)
    ec2.terminate_instances(InstanceIds=[launched])
    assert _state(ec2, launched) == "shutting-down"
    house.settle()
    assert _state(ec2, launched) == "terminated"
    house.settle(310)
    with pytest.raises(ClientError, match="InvalidInstanceID.NotFound"):
        ec2.describe_instances(InstanceIds=[launched])


def test_a_launch_of_many_is_one_reservation(ec2, image):
    made = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=3, MaxCount=3)

    [reservation] = ec2.describe_instances()["Reservations"]
    assert made["ReservationId"] == reservation["ReservationId"]
    assert sorted(one["AmiLaunchIndex"] for one in reservation["Instances"]) == [0, 1, 2]
