"""An offering whose size is chosen at each launch is as many instance types as the settings name for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from emulated_cloudstack import Isthmus, fronted

from isthmus.flavors import BUILT_IN

NAMES = {"t3.small": "Any Size", "t3.medium": "Any Size", "huge": "Any Size", "t3.micro": "Tiny"}


@pytest.fixture(params=[None, 2000], ids=["any speed", "one speed"])
def isthmus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Isthmus]:
    with fronted(tmp_path, groups=True, flavors=NAMES, sizes=BUILT_IN) as made:
        offered = made.emulated.service_offerings
        any_size = {"id": str(uuid4()), "name": "Any Size", "iscustomized": True, "cpuspeed": request.param}
        offered.append({name: value for name, value in {**offered[0], **any_size}.items() if value is not None})
        for name in ("cpunumber", "memory"):
            del offered[-1][name]
        yield made


def launch(ec2: Any, name: str) -> str:
    image = ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian"]}])["Images"][0]["ImageId"]
    [made] = ec2.run_instances(ImageId=image, InstanceType=name, MinCount=1, MaxCount=1)["Instances"]
    assert name == made["InstanceType"]
    return str(made["InstanceId"])


def sizes(isthmus: Isthmus) -> list[tuple[str, int, int]]:
    machines = [item for _, item in isthmus.emulated.things["machine"].values()]
    return [(one["serviceofferingname"], one["cpunumber"], one["memory"]) for one in machines]


def test_such_types_have_awss_sizes(ec2: Any) -> None:
    found = {one["InstanceType"]: one for one in ec2.describe_instance_types()["InstanceTypes"]}

    assert {"t3.micro", "Medium", "t3.small", "t3.medium"} == found.keys()
    assert (2, 4096) == (
        found["t3.medium"]["VCpuInfo"]["DefaultVCpus"],
        found["t3.medium"]["MemoryInfo"]["SizeInMiB"],
    )


def test_a_machine_has_the_size_of_its_type(isthmus: Isthmus, ec2: Any) -> None:
    for name in ("t3.small", "t3.medium", "t3.micro"):
        launch(ec2, name)

    assert [("Any Size", 2, 2048), ("Any Size", 2, 4096), ("Tiny", 1, 512)] == sizes(isthmus)
    with pytest.raises(ClientError, match="InstanceType"):
        launch(ec2, "Any Size")


def test_a_type_is_changed_to_another_size_of_the_same_offering(isthmus: Isthmus, ec2: Any) -> None:
    instance = launch(ec2, "t3.small")

    isthmus.wait(ec2, instance, "running")
    ec2.stop_instances(InstanceIds=[instance])
    isthmus.wait(ec2, instance, "stopped")

    ec2.modify_instance_attribute(InstanceId=instance, InstanceType={"Value": "t3.medium"})

    assert [("Any Size", 2, 4096)] == sizes(isthmus)
    [found] = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
    assert "t3.medium" == found["InstanceType"]
