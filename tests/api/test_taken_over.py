"""Ids that another gateway gave out, once they are on record: they name what they named, for every action."""

from __future__ import annotations

import pytest
from asking import instance, instances, machine_image, refusal

from isthmus.core.ids import Kind
from isthmus.providers import DiskSpec, ServerSpec, VolumeSpec
from isthmus.store import Record

SERVER, VOLUME = "i-0a1b2c3d", "vol-00000001"


@pytest.fixture
def old(house):
    """A server and a volume that were made by other means, under the ids of old."""
    session = house.cloud.session(house.account[0])
    image = next(one for one in session.images.list_images() if one.name == "isthmus-tiny")
    root = DiskSpec("root", image.root_device, 0, root=True)
    made = {
        (SERVER, Kind.SERVER): session.compute.create_server(
            ServerSpec("theirs", "theirs", image.native, "t3.micro", "us-east-1a", (root,))
        ),
        (VOLUME, Kind.VOLUME): session.volumes.create_volume(VolumeSpec("theirs", 1, "us-east-1a")),
    }
    house.settle()
    with house.store.change(house.account[0]) as change:
        for (known, kind), noun in made.items():
            change.put(Record(known, house.account[0], kind, "memory", noun.native, {}, house.clock(), None))
            change.tag([known], {"Name": known})


def test_they_are_listed_under_their_ids_with_their_tags(house, ec2, old):
    house.mend()

    assert [SERVER] == [one["InstanceId"] for one in instances(ec2, Filters=[{"Name": "tag:Name", "Values": [SERVER]}])]
    assert VOLUME in [one["VolumeId"] for one in ec2.describe_volumes()["Volumes"]]


def test_they_can_be_used(house, ec2, old):
    ec2.attach_volume(VolumeId=VOLUME, InstanceId=SERVER, Device="/dev/sdf")
    house.settle()
    ec2.stop_instances(InstanceIds=[SERVER])
    house.settle()

    assert "stopped" == instance(ec2, SERVER)["State"]["Name"]
    [volume] = ec2.describe_volumes(VolumeIds=[VOLUME])["Volumes"]
    assert SERVER == volume["Attachments"][0]["InstanceId"]
    ec2.terminate_instances(InstanceIds=[SERVER])
    house.settle()
    house.mend()
    assert "terminated" == instance(ec2, SERVER)["State"]["Name"]


IMAGE = "ami-00000005"


def test_a_public_image_has_its_id_of_old_for_every_account_from_then_on(build):
    house = build()
    before = {name: machine_image(house.client(account=house.new_account(name))) for name in ("second", "third")}
    image = next(
        one for one in house.cloud.session("x").images.list_images() if one.name == "isthmus-tiny" and one.public
    )

    assert house.store.let_all_know(IMAGE, Kind.IMAGE, "memory", image.native, house.clock())

    house.front = type(house.front)(house.new_world())
    house.store._views._common_until = 0
    for ec2 in (house.client(), house.client(account=house.new_account("fourth"))):
        assert IMAGE == machine_image(ec2)
        assert before["second"] == before["third"]
        assert "InvalidAMIID.NotFound" == refusal(ec2.describe_images, ImageIds=[before["second"]])
        ec2.create_tags(Resources=[IMAGE], Tags=[{"Key": "a", "Value": "b"}])
        made = ec2.run_instances(ImageId=IMAGE, InstanceType="t3.micro", MinCount=1, MaxCount=1)["Instances"]
        assert [IMAGE] == [one["ImageId"] for one in made]
        house.mend()
        assert [(IMAGE, [{"Key": "a", "Value": "b"}])] == [
            (one["ImageId"], one["Tags"]) for one in ec2.describe_images(ImageIds=[IMAGE])["Images"]
        ]
