"""One whole story, on each database: nothing that an API call does depends on which one it is."""

from __future__ import annotations

import pytest
from asking import disks, instance, refusal, state, tagged, tags, where
from postgres import postgres  # noqa: F401 - a fixture


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """An empty database; for SQLite the usual one."""
    if request.param == "sqlite":
        yield ""
        return
    cluster = request.getfixturevalue("postgres")
    made = cluster.database()
    yield made
    cluster.drop(made)


@pytest.fixture
def house(url, build):
    return build(url=url)


def test_a_whole_story(house, ec2, stranger, image):
    key = ec2.create_key_pair(KeyName="mine", TagSpecifications=tagged("key-pair", of="story"))
    group = ec2.create_security_group(GroupName="web", Description="d")["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0")
    asked = {
        "ImageId": image,
        "InstanceType": "t3.micro",
        "MinCount": 1,
        "MaxCount": 1,
        "KeyName": "mine",
        "SecurityGroupIds": [group],
        "UserData": "#!/bin/sh\necho hello\n",
        "ClientToken": "story",
        "TagSpecifications": [*tagged("instance", Name="web"), *tagged("volume", Name="root")],
    }
    known = ec2.run_instances(**asked)["Instances"][0]["InstanceId"]
    assert ec2.run_instances(**asked)["Instances"][0]["InstanceId"] == known
    assert refusal(ec2.run_instances, **{**asked, "InstanceType": "m5.large"}) == "IdempotentParameterMismatch"
    house.settle()

    volume = ec2.create_volume(Size=2, AvailabilityZone="us-east-1a")["VolumeId"]
    house.settle()
    ec2.attach_volume(VolumeId=volume, InstanceId=known, Device="/dev/sdf")
    house.settle()
    snapshot = ec2.create_snapshot(VolumeId=volume, Description="s")["SnapshotId"]
    made = ec2.create_image(InstanceId=known, Name="golden")["ImageId"]
    address = ec2.allocate_address()["AllocationId"]
    ec2.associate_address(AllocationId=address, InstanceId=known)
    ec2.create_tags(
        Resources=[known, volume, snapshot, made, address], Tags=tags(story="whole", note="\u00e9\U0001f600")
    )
    ec2.delete_tags(Resources=[volume], Tags=[{"Key": "note"}])
    house.settle()
    house.mend()

    held = instance(ec2, known)
    assert (held["State"]["Name"], held["KeyName"]) == ("running", "mine")
    assert held["Tags"] == tags(Name="web", story="whole", note="\u00e9\U0001f600")
    assert [one["GroupId"] for one in held["SecurityGroups"]] == [group]
    assert held["PublicIpAddress"] == ec2.describe_addresses()["Addresses"][0]["PublicIp"]
    assert {device: one["Tags"] for device, one in disks(ec2, known).items()} == {
        "/dev/sda1": tags(Name="root"),
        "/dev/sdf": tags(story="whole"),
    }
    found = ec2.describe_tags(Filters=where(key="story"))["Tags"]
    assert {one["ResourceId"] for one in found} == {known, volume, snapshot, made, address}
    assert ec2.describe_key_pairs()["KeyPairs"][0]["KeyFingerprint"] == key["KeyFingerprint"]
    for call in (stranger.describe_instances, stranger.terminate_instances):
        assert refusal(call, InstanceIds=[known]) == "InvalidInstanceID.NotFound"

    twin = ec2.run_instances(ImageId=made, InstanceType="t3.micro", MinCount=1, MaxCount=1)["Instances"][0]
    house.settle()
    assert sorted(disks(ec2, twin["InstanceId"])) == ["/dev/sda1", "/dev/sdf"]
    pages = ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5})
    assert len([one for page in pages for one in page["Reservations"]]) == 2

    ec2.terminate_instances(InstanceIds=[known, twin["InstanceId"]])
    house.settle()
    assert {state(ec2, one) for one in (known, twin["InstanceId"])} == {"terminated"}
    ec2.release_address(AllocationId=address)
    ec2.deregister_image(ImageId=made, DeleteAssociatedSnapshots=True)
    ec2.delete_snapshot(SnapshotId=snapshot)
    for one in ec2.describe_volumes()["Volumes"]:
        ec2.delete_volume(VolumeId=one["VolumeId"])
    ec2.delete_security_group(GroupId=group)
    ec2.delete_key_pair(KeyName="mine")
    house.settle()
    house.mend()
    assert ec2.describe_volumes()["Volumes"] == []
    assert ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []
    assert {one["ResourceId"] for one in ec2.describe_tags()["Tags"]} == {known}
