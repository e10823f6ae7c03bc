"""Root disks that are taken off their instances."""

from __future__ import annotations

from typing import Any

from emulated_cloudstack import Isthmus


def test_a_root_disk_keeps_its_id_off_its_instance_and_on_it_again(isthmus: Isthmus, ec2: Any) -> None:
    image = ec2.describe_images()["Images"][0]["ImageId"]
    [made] = ec2.run_instances(ImageId=image, InstanceType="Tiny", MinCount=1, MaxCount=1)["Instances"]
    instance = made["InstanceId"]
    isthmus.wait(ec2, instance, "running")
    [before] = ec2.describe_volumes()["Volumes"]
    volume, device = before["VolumeId"], before["Attachments"][0]["Device"]
    ec2.stop_instances(InstanceIds=[instance])
    isthmus.wait(ec2, instance, "stopped")

    for _ in range(2):
        ec2.detach_volume(VolumeId=volume)
        isthmus.real.settle()
        [off] = ec2.describe_volumes()["Volumes"]
        ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device=device)
        isthmus.real.settle()
        [on] = ec2.describe_volumes()["Volumes"]

        assert (volume, "available", before["VolumeType"]) == (off["VolumeId"], off["State"], off["VolumeType"])
        assert (volume, device) == (on["VolumeId"], on["Attachments"][0]["Device"])
