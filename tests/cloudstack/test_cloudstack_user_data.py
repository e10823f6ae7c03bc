"""User data that is changed is changed in CloudStack, from where guests read it."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from botocore.exceptions import ClientError
from emulated_cloudstack import Isthmus


@pytest.fixture
def instance(isthmus: Isthmus, ec2: Any) -> str:
    """One that is stopped."""
    [image, *_] = ec2.describe_images()["Images"]
    asked = {"ImageId": image["ImageId"], "InstanceType": "Tiny", "MinCount": 1, "MaxCount": 1, "UserData": "first"}
    known = str(ec2.run_instances(**asked)["Instances"][0]["InstanceId"])
    isthmus.wait(ec2, known, "running")
    ec2.stop_instances(InstanceIds=[known])
    isthmus.wait(ec2, known, "stopped")
    return known


def kept(isthmus: Isthmus) -> bytes:
    """What guests read of the only machine."""
    [text] = isthmus.emulated.user_data.values()
    return base64.b64decode(text)


def shown(ec2: Any, instance: str) -> bytes:
    told = ec2.describe_instance_attribute(InstanceId=instance, Attribute="userData")["UserData"]
    return base64.b64decode(told.get("Value", ""))


def test_changed_user_data_is_what_guests_read(isthmus: Isthmus, ec2: Any, instance: str) -> None:
    assert b"first" == kept(isthmus)

    isthmus.emulated.asked.clear()
    ec2.modify_instance_attribute(InstanceId=instance, UserData={"Value": b"second"})

    assert (b"second", b"second") == (kept(isthmus), shown(ec2, instance))
    assert 1 == isthmus.emulated.asked["updateVirtualMachine"]


def test_emptied_user_data_is_an_empty_line_for_guests(isthmus: Isthmus, ec2: Any, instance: str) -> None:
    ec2.modify_instance_attribute(InstanceId=instance, UserData={"Value": b""})

    assert (b"\n", b"") == (kept(isthmus), shown(ec2, instance))


def test_what_cloudstack_refuses_is_not_shown_either(isthmus: Isthmus, ec2: Any, instance: str) -> None:
    [machine] = [one for _, one in isthmus.emulated.things["machine"].values()]
    machine["state"] = "Running"

    with pytest.raises(ClientError, match="IncorrectInstanceState"):
        ec2.modify_instance_attribute(InstanceId=instance, UserData={"Value": b"second"})

    assert (b"first", b"first") == (kept(isthmus), shown(ec2, instance))
