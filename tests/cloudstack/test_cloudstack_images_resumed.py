"""Images of instances whose making broke off."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from emulated_cloudstack import Isthmus
from emulators.cloudstack.world import CUT


def test_an_image_goes_on_with_the_snapshot_that_is_still_being_taken_for_it(isthmus: Isthmus, ec2: Any) -> None:
    instance = running(isthmus, ec2)
    isthmus.emulated.job_seconds = 0.5
    isthmus.emulated.wrong_next("createSnapshot", CUT)
    with pytest.raises(ClientError, match="Unavailable"):
        ec2.create_image(InstanceId=instance, Name="an image")

    made = ec2.create_image(InstanceId=instance, Name="an image")["ImageId"]

    [snapshot] = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    [image] = ec2.describe_images(ImageIds=[made])["Images"]
    assert snapshot["SnapshotId"] == image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]


def test_another_image_has_a_snapshot_of_its_own(isthmus: Isthmus, ec2: Any) -> None:
    instance = running(isthmus, ec2)
    isthmus.emulated.wrong_next("createSnapshot", CUT)
    with pytest.raises(ClientError, match="Unavailable"):
        ec2.create_image(InstanceId=instance, Name="an image")

    ec2.create_image(InstanceId=instance, Name="another image")

    assert 2 == len(ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"])


def running(isthmus: Isthmus, ec2: Any) -> str:
    image = ec2.describe_images()["Images"][0]["ImageId"]
    [made] = ec2.run_instances(ImageId=image, InstanceType="Tiny", MinCount=1, MaxCount=1)["Instances"]
    isthmus.wait(ec2, made["InstanceId"], "running")
    return str(made["InstanceId"])
