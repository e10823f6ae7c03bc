"""A cloud that is asked over a wire: what a request needs is asked once, and for no more than that."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from asking import instance, refusal, tags

from isthmus.core.ids import Kind
from isthmus.providers.memory import Memory


class Remote(Memory):
    """Counts its listings: by family, verb, and how many natives were asked for (None: all)."""

    remote = True

    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        self.asked = Counter()

    def session(self, tenant, secrets=None):  # noqa: ARG002
        made = super().session(tenant)
        families = ("compute", "volumes", "networks", "firewalls", "addresses", "images", "ports", "keys")
        return replace(made, **{name: Counted(self.asked, getattr(made, name)) for name in families})


class Counted:
    def __init__(self, asked, family):
        self._asked = asked
        self._family = family

    def __getattr__(self, verb):
        method = getattr(self._family, verb)
        if not verb.startswith("list_"):
            return method

        def listed(natives=None, **named):
            self._asked[verb, None if natives is None else len(natives)] += 1
            return method(**named) if natives is None else method(natives)

        return listed


@pytest.fixture
def house(build, monkeypatch):
    monkeypatch.setattr("house.Memory", Remote)
    return build()


@pytest.fixture
def two(house, ec2, image):
    """Two running instances."""
    made = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=2, MaxCount=2)
    house.settle()
    house.cloud.asked.clear()
    return [one["InstanceId"] for one in made["Instances"]]


def test_an_instance_that_is_named_is_asked_for_alone(house, ec2, two):
    assert "running" == instance(ec2, two[0])["State"]["Name"]

    assert 1 == house.cloud.asked["list_servers", 1]
    assert 0 == house.cloud.asked["list_servers", None]
    assert {1} == set(house.cloud.asked.values()), house.cloud.asked


@pytest.mark.parametrize("name", ["instance-id", "tag:Name", "tag:Other"])
def test_an_instance_that_a_filter_names_is_asked_for_alone(house, ec2, two, name):
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    ec2.create_tags(Resources=[two[0], volume], Tags=tags(Name="n"))
    house.cloud.asked.clear()
    value = {"instance-id": two[0], "tag:Name": "n", "tag:Other": "n"}[name]

    found = ec2.describe_instances(Filters=[{"Name": name, "Values": [value]}])["Reservations"]

    expected = [] if name == "tag:Other" else two[:1]
    assert expected == [one["InstanceId"] for made in found for one in made["Instances"]]
    assert 0 == house.cloud.asked["list_servers", None]
    assert len(expected) == house.cloud.asked["list_servers", 1]


def test_what_an_instance_is_named_by_is_asked_for_once(house, ec2, two):
    before = instance(ec2, two[0])
    house.cloud.asked.clear()

    assert before == instance(ec2, two[0])

    named = {"list_images", "list_networks", "list_subnets", "list_flavors"}
    assert not named & {verb for verb, _ in house.cloud.asked}, house.cloud.asked


def test_all_instances_are_asked_for_once(house, ec2, two):
    assert 2 == len(ec2.describe_instances()["Reservations"][0]["Instances"])

    assert {1} == set(house.cloud.asked.values()), house.cloud.asked


def test_what_a_request_has_changed_it_sees(house, ec2, two):
    answer = ec2.stop_instances(InstanceIds=two)["StoppingInstances"]

    assert [("running", "stopping")] * 2 == [
        (one["PreviousState"]["Name"], one["CurrentState"]["Name"]) for one in answer
    ]
    assert "stopping" == instance(ec2, two[0])["State"]["Name"]


def test_a_terminated_instance_is_told_after_its_cloud_forgot_it(house, ec2, two):
    ec2.terminate_instances(InstanceIds=two)
    house.settle()

    assert "terminated" == instance(ec2, two[1])["State"]["Name"]


def test_an_instance_of_another_account_does_not_exist(stranger, two):
    assert "InvalidInstanceID.NotFound" == refusal(stranger.describe_instances, InstanceIds=two[:1])


def test_a_record_that_names_a_cloud_of_earlier_settings_does_no_harm(house, ec2, two):
    with house.store.change(house.account[0]) as change:
        known = change.view.of_kind(Kind.SERVER)[two[0]]
        change.put(replace(known, cloud="earlier", native="elsewhere"))

    assert "running" == instance(ec2, two[0])["State"]["Name"]
