"""A cloud whose volumes cannot be asked: they are unknown then, not absent, and nothing of them is forgotten."""

from __future__ import annotations

from dataclasses import replace

import pytest
from asking import instance, refusal

from isthmus.errors import Unavailable
from isthmus.providers.memory import Memory


class Dying(Memory):
    """Lists no volumes while it is `dead`; its servers tell what is on them, as far as they `tell`."""

    dead, tell = False, True

    def session(self, tenant, secrets=None):  # noqa: ARG002
        made = super().session(tenant)
        return replace(made, volumes=Dead(), compute=Telling(made)) if self.dead else made

    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        Telling.cloud = self


class Dead:
    def __getattr__(self, verb):
        def refuse(*given, **named):
            raise Unavailable("The cloud's volumes do not answer.")

        return refuse


class Telling:
    def __init__(self, session):
        self._session = session

    def __getattr__(self, verb):
        return getattr(self._session.compute, verb)

    def list_servers(self, natives=None):
        held = self._session.volumes.list_volumes()

        def on(server):
            return tuple(one.native for one in held if any(each.server == server for each in one.attachments))

        return [
            replace(one, volumes=on(one.native) if self.cloud.tell else ())
            for one in self._session.compute.list_servers(natives)
        ]


@pytest.fixture
def house(build, monkeypatch):
    monkeypatch.setattr("house.Memory", Dying)
    made = build()
    yield made
    made.cloud.dead = False


@pytest.fixture
def volume(ec2, launched):
    """A tagged volume on the instance."""
    made = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    ec2.create_tags(Resources=[made], Tags=[{"Key": "Name", "Value": "data"}])
    return made


@pytest.fixture
def attached(house, ec2, launched, volume):
    house.settle()
    zone = instance(ec2, launched)["Placement"]["AvailabilityZone"]
    assert zone == "us-east-1a"
    ec2.attach_volume(InstanceId=launched, VolumeId=volume, Device="/dev/sdf")
    house.settle()
    house.mend()
    return launched


def _volumes(item):
    return {one["Ebs"]["VolumeId"] for one in item["BlockDeviceMappings"]}


def test_instances_are_told_with_the_ids_of_their_volumes_alone(house, ec2, attached, volume):
    before = instance(ec2, attached)

    house.cloud.dead = True

    found = instance(ec2, attached)
    assert _volumes(before) == _volumes(found)
    assert volume in _volumes(found)
    assert [["VolumeId"]] * 2 == [list(one["Ebs"]) for one in found["BlockDeviceMappings"]]
    assert "running" == found["State"]["Name"]


def test_an_instance_whose_server_does_not_tell_is_told_without_volumes(house, ec2, attached):
    house.cloud.dead, house.cloud.tell = True, False

    assert [] == instance(ec2, attached)["BlockDeviceMappings"]


def test_volumes_themselves_are_unavailable(house, ec2, attached, volume):
    house.cloud.dead = True

    assert "Unavailable" == refusal(ec2.describe_volumes)
    assert "Unavailable" == refusal(ec2.describe_volumes, VolumeIds=[volume])
    assert "Unavailable" == refusal(ec2.create_volume, AvailabilityZone="us-east-1a", Size=1)


def test_what_goes_by_an_instances_volumes_is_unavailable(house, ec2, attached):
    house.cloud.dead = True

    by_device = [{"Name": "block-device-mapping.device-name", "Values": ["/dev/sdf"]}]
    assert "Unavailable" == refusal(ec2.describe_instances, Filters=by_device)
    asked = {"InstanceId": attached, "Attribute": "blockDeviceMapping"}
    assert "Unavailable" == refusal(ec2.describe_instance_attribute, **asked)
    keep = [{"DeviceName": "/dev/sdf", "Ebs": {"DeleteOnTermination": True}}]
    assert "Unavailable" == refusal(ec2.modify_instance_attribute, InstanceId=attached, BlockDeviceMappings=keep)
    assert "Unavailable" == refusal(ec2.create_image, InstanceId=attached, Name="without volumes")


def test_instances_are_stopped_and_started_all_the_same(house, ec2, attached):
    house.cloud.dead = True

    ec2.stop_instances(InstanceIds=[attached])
    house.settle()
    assert "stopped" == instance(ec2, attached)["State"]["Name"]
    ec2.start_instances(InstanceIds=[attached])
    house.settle()
    assert "running" == instance(ec2, attached)["State"]["Name"]


def test_mending_forgets_no_volume_that_nobody_can_see(house, ec2, attached, volume):
    before = instance(ec2, attached)["BlockDeviceMappings"]
    house.cloud.dead = True
    instance(ec2, attached)

    house.mend()
    house.settle()
    house.mend()

    house.cloud.dead = False
    assert before == instance(ec2, attached)["BlockDeviceMappings"]
    [found] = ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
    assert [{"Key": "Name", "Value": "data"}] == found["Tags"]


def test_a_volume_whose_record_does_not_say_which_it_is_yet_is_left_out(house, ec2, launched):
    house.cloud.dead = True

    assert [] == instance(ec2, launched)["BlockDeviceMappings"]
