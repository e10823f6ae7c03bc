"""Placement groups, and what they keep together or apart."""

from __future__ import annotations

import pytest
from asking import instance, refusal, tagged, tags, where

from isthmus.providers import Capability

ONE_HOST = {Capability.PLACEMENT: "there is one host, as in this test"}


def make(ec2, name="g", strategy="cluster", **asked):
    return ec2.create_placement_group(GroupName=name, Strategy=strategy, **asked)["PlacementGroup"]


def asked(image, count=1, zone="", **placement):
    """The parameters of a launch into a group."""
    where_ = {**placement, **({"AvailabilityZone": zone} if zone else {})}
    size = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": count, "MaxCount": count}
    return {**size, "Placement": where_}


def run(ec2, image, count=1, zone="", **placement):
    made = ec2.run_instances(**asked(image, count, zone, **placement))["Instances"]
    return [one["InstanceId"] for one in made]


@pytest.fixture
def one_host(house, monkeypatch):
    """The cloud of the test cannot keep servers apart."""
    monkeypatch.setattr(type(house.cloud), "lacks", ONE_HOST)


def test_a_group_is_what_was_asked_for(house, ec2):
    made = make(ec2, strategy="partition", PartitionCount=3, TagSpecifications=tagged("placement-group", a="b"))

    assert made["GroupId"].startswith("pg-")
    assert made == {
        "GroupName": "g",
        "GroupId": made["GroupId"],
        "State": "available",
        "Strategy": "partition",
        "PartitionCount": 3,
        "Tags": tags(a="b"),
        "GroupArn": f"arn:aws:ec2:us-east-1:{house.account[0]}:placement-group/g",
    }
    assert ec2.describe_placement_groups(GroupNames=["g"])["PlacementGroups"] == [made]
    assert ec2.describe_placement_groups(GroupIds=[made["GroupId"]])["PlacementGroups"] == [made]
    assert ec2.describe_placement_groups(Filters=where(strategy="partition"))["PlacementGroups"] == [made]


def test_what_was_not_said_has_awss_defaults(ec2):
    assert ec2.create_placement_group(GroupName="c")["PlacementGroup"]["Strategy"] == "cluster"
    assert make(ec2, "s", "spread")["SpreadLevel"] == "rack"
    assert make(ec2, "p", "partition")["PartitionCount"] == 2


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"GroupName": "g"}, "InvalidPlacementGroup.Duplicate"),
        ({"GroupName": ""}, "MissingParameter"),
        ({"GroupName": "x" * 256}, "InvalidParameterValue"),
        ({"GroupName": "x", "Strategy": "far"}, "InvalidParameterValue"),
        ({"GroupName": "x", "Strategy": "precision-time"}, "UnsupportedOperation"),
        ({"GroupName": "x", "Strategy": "spread", "PartitionCount": 2}, "InvalidParameterCombination"),
        ({"GroupName": "x", "Strategy": "partition", "PartitionCount": 8}, "InvalidParameterValue"),
        ({"GroupName": "x", "Strategy": "cluster", "SpreadLevel": "rack"}, "InvalidParameterCombination"),
        ({"GroupName": "x", "Strategy": "spread", "SpreadLevel": "host"}, "UnsupportedOperation"),
        ({"GroupName": "x", "ParentGroupId": "pg-0123456789abcdef0"}, "UnsupportedOperation"),
    ],
)
def test_what_aws_refuses_is_refused(ec2, said, code):
    make(ec2)

    assert refusal(ec2.create_placement_group, **said) == code


def test_an_instance_tells_its_group(house, ec2, image):
    made = make(ec2)
    [by_name] = run(ec2, image, GroupName="g")
    [by_id] = run(ec2, image, GroupId=made["GroupId"])

    house.settle()
    for known in (by_name, by_id):
        placement = instance(ec2, known)["Placement"]
        assert (placement["GroupName"], placement["GroupId"]) == ("g", made["GroupId"])
    found = ec2.describe_instances(Filters=where(placement_group_name="g"))["Reservations"]
    assert len(found) == 2


def test_a_group_in_use_stays_until_its_instances_are_terminated(house, ec2, image):
    make(ec2)
    launched = run(ec2, image, GroupName="g")

    assert refusal(ec2.delete_placement_group, GroupName="g") == "InvalidPlacementGroup.InUse"

    house.settle()
    ec2.terminate_instances(InstanceIds=launched)
    house.settle()
    ec2.delete_placement_group(GroupName="g")
    assert refusal(ec2.describe_placement_groups, GroupNames=["g"]) == "InvalidPlacementGroup.Unknown"
    assert instance(ec2, launched[0])["Placement"]["GroupName"] == "g"


@pytest.mark.parametrize(
    ("placement", "code"),
    [
        ({"GroupName": "nobody's"}, "InvalidPlacementGroup.Unknown"),
        ({"GroupId": "pg-0123456789abcdef0"}, "InvalidPlacementGroup.Unknown"),
        ({"GroupId": "pg-zebra"}, "InvalidPlacementGroupId.Malformed"),
        ({"GroupId": "pg-0123456789abcdef0", "GroupName": "g"}, "InvalidParameterCombination"),
        ({"GroupName": "g", "PartitionNumber": 1}, "InvalidParameterValue"),
    ],
)
def test_a_launch_into_no_such_group_is_refused(ec2, image, placement, code):
    make(ec2)

    assert refusal(ec2.run_instances, **asked(image, **placement)) == code
    assert refusal(ec2.delete_placement_group, GroupName="nobody's") == "InvalidPlacementGroup.Unknown"


def test_a_cluster_is_in_one_zone(ec2, image):
    make(ec2)
    run(ec2, image, zone="us-east-1b", GroupName="g")

    assert refusal(ec2.run_instances, **asked(image, zone="us-east-1a", GroupName="g")) == "InvalidParameterValue"
    assert run(ec2, image, count=2, zone="us-east-1b", GroupName="g")


def test_partitions_fill_evenly_unless_one_is_named(ec2, image):
    make(ec2, strategy="partition", PartitionCount=3)

    numbers = [instance(ec2, run(ec2, image, GroupName="g")[0])["Placement"]["PartitionNumber"] for _ in range(4)]
    [named] = run(ec2, image, GroupName="g", PartitionNumber=3)

    assert numbers == [1, 2, 3, 1]
    assert instance(ec2, named)["Placement"]["PartitionNumber"] == 3
    assert refusal(ec2.run_instances, **asked(image, GroupName="g", PartitionNumber=4)) == "InvalidParameterValue"


def test_one_host_holds_one_instance_of_a_spread_group(one_host, house, ec2, image):
    make(ec2, strategy="spread")

    assert refusal(ec2.run_instances, **asked(image, 2, GroupName="g")) == "UnsupportedOperation"
    launched = run(ec2, image, GroupName="g")
    assert refusal(ec2.run_instances, **asked(image, GroupName="g")) == "UnsupportedOperation"
    house.settle()
    ec2.terminate_instances(InstanceIds=launched)
    house.settle()
    assert run(ec2, image, GroupName="g")


def test_one_host_holds_one_partition(one_host, ec2, image):
    make(ec2, strategy="partition")

    first, second = run(ec2, image, GroupName="g"), run(ec2, image, 2, GroupName="g")

    assert {instance(ec2, one)["Placement"]["PartitionNumber"] for one in (*first, *second)} == {1}
    assert refusal(ec2.run_instances, **asked(image, GroupName="g", PartitionNumber=2)) == "UnsupportedOperation"


def test_a_spread_group_of_a_cloud_with_many_hosts_has_many_instances(ec2, image):
    make(ec2, strategy="spread")

    assert len(run(ec2, image, 3, GroupName="g")) == 3


def test_anothers_group_is_not_there(ec2, stranger, image):
    made = make(ec2)

    assert refusal(stranger.delete_placement_group, GroupName="g") == "InvalidPlacementGroup.Unknown"
    assert stranger.describe_placement_groups()["PlacementGroups"] == []
    assert refusal(stranger.run_instances, **asked(image, GroupId=made["GroupId"])) == "InvalidPlacementGroup.Unknown"
