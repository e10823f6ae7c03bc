"""Questions that many tests ask of a client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError


def refusal(call: Callable[..., Any], **asked: Any) -> str:
    """The code with which a call is refused."""
    with pytest.raises(ClientError) as refused:
        call(**asked)
    return str(refused.value.response["Error"]["Code"])


def machine_image(ec2: Any) -> str:
    """A machine image of the cloud's own, with a kernel and a ramdisk."""
    [found] = ec2.describe_images(Owners=["amazon"], Filters=where(name="isthmus-tiny"))["Images"]
    return str(found["ImageId"])


def instances(ec2: Any, **asked: Any) -> Iterator[Any]:
    for reservation in ec2.describe_instances(**asked)["Reservations"]:
        yield from reservation["Instances"]


def instance(ec2: Any, known: str) -> Any:
    [found] = instances(ec2, InstanceIds=[known])
    return found


def state(ec2: Any, known: str) -> str:
    return str(instance(ec2, known)["State"]["Name"])


def attribute(ec2: Any, known: str, name: str) -> Any:
    """An attribute of an instance: what stands in the only other member of the answer."""
    answer = ec2.describe_instance_attribute(InstanceId=known, Attribute=name)
    [said] = [value for key, value in answer.items() if key not in ("InstanceId", "ResponseMetadata")]
    return said


def volume(ec2: Any, known: str) -> Any:
    [found] = ec2.describe_volumes(VolumeIds=[known])["Volumes"]
    return found


def disks(ec2: Any, known: str) -> dict[str, Any]:
    """The volumes of an instance, by device."""
    held = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [known]}])["Volumes"]
    return {one["Attachments"][0]["Device"]: one for one in held}


def where(**names: str | list[str]) -> list[dict[str, Any]]:
    """Filters, with `_` for `-`, and `__` for `.`."""
    return [
        {"Name": name.replace("__", ".").replace("_", "-"), "Values": [said] if isinstance(said, str) else said}
        for name, said in names.items()
    ]


def tags(**pairs: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


def tagged(kind: str, /, **pairs: str) -> list[dict[str, Any]]:
    """A TagSpecification."""
    return [{"ResourceType": kind, "Tags": tags(**pairs)}]
