"""What CloudStack tells as it told it before is neither parsed nor joined again."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from emulated_cloudstack import TENANTS, Isthmus, launched

from isthmus.context import Context
from isthmus.core import firewalls, instances
from isthmus.providers.cloudstack.seen import Parsed


def test_an_answer_of_the_same_bytes_is_the_very_same_object() -> None:
    made, answers = Parsed(), iter(({"n": 1}, {"n": 2}, {"n": 3}))

    def parse() -> Any:
        return next(answers)

    first = made.of("asked", b"one", parse)
    assert first is made.of("asked", b"one", parse)
    assert {"n": 2} == made.of("other", b"one", parse)
    assert {"n": 3} == made.of("asked", b"two", parse)


def test_answers_that_were_asked_for_last_are_kept_up_to_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Parsed, "MOST", 10)
    made = Parsed()
    old, new = made.of("old", b"x" * 5, list), made.of("new", b"x" * 5, list)
    assert old is made.of("old", b"x" * 5, list)

    made.of("more", b"x" * 5, list)

    assert old is made.of("old", b"x" * 5, list)
    assert new is not made.of("new", b"x" * 5, list)
    assert made.of("long", b"x" * 11, list) is not made.of("long", b"x" * 11, list)


def test_instances_that_did_not_change_are_not_joined_again(isthmus: Isthmus) -> None:
    """Security groups, addresses and servers are made anew of each request's answers, and equal."""
    session = isthmus.real.session(TENANTS[0])
    launched(isthmus.real, session)
    isthmus.client().describe_instances()

    first, second = (Context(isthmus.account[0], isthmus.world) for _ in range(2))
    assert firewalls.seen(first) is firewalls.seen(second)
    before = instances.index(first)
    assert before.ordered
    assert before is instances.index(Context(isthmus.account[0], isthmus.world))

    launched(isthmus.real, session)
    assert len(before.ordered) + 1 == len(instances.index(Context(isthmus.account[0], isthmus.world)).ordered)


def test_a_page_for_which_servers_are_not_asked_for_comes_after_one_for_which_they_are(isthmus: Isthmus) -> None:
    ec2 = isthmus.client()
    zone = ec2.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
    made = [ec2.create_volume(Size=1, AvailabilityZone=zone)["VolumeId"] for _ in range(6)]
    ec2.describe_instances()
    asked = {"Filters": [{"Name": "volume-id", "Values": made}], "MaxResults": 5}

    first = ec2.describe_volumes(**asked)
    second = ec2.describe_volumes(**asked, NextToken=first["NextToken"])

    assert set(made) == {one["VolumeId"] for page in (first, second) for one in page["Volumes"]}


def test_whatever_part_of_the_instances_was_asked_for_the_next_listing_has_all(isthmus: Isthmus) -> None:
    ec2, chance = isthmus.client(), random.Random(1)
    [image] = ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian"]}])["Images"]
    made = ec2.run_instances(ImageId=image["ImageId"], InstanceType="Tiny", MinCount=8, MaxCount=8)["Instances"]
    ids = [one["InstanceId"] for one in made]
    isthmus.real.settle()

    for _ in range(20):
        some = chance.sample(ids, chance.randint(1, 8))
        assert dict.fromkeys(ids, "running") == states(ec2)
        assert dict.fromkeys(some, "running") == states(ec2, "instance-id", *some)
        assert {} == states(ec2, "tag:none", "none")

    ec2.terminate_instances(InstanceIds=ids[:1])
    isthmus.real.settle()
    assert {"terminated": 1, "running": 7} == Counter(states(ec2).values())


def states(ec2: Any, name: str = "", *values: str) -> dict[str, str]:
    found = ec2.describe_instances(Filters=[{"Name": name, "Values": values}] if name else [])["Reservations"]
    return {one["InstanceId"]: one["State"]["Name"] for each in found for one in each["Instances"]}
