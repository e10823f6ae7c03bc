"""Filters, from outside: every documented one of every served listing is taken, and no other."""

from __future__ import annotations

import time
from typing import Any

import pytest
from least import SPECIFIC, served
from raw import Sender

from isthmus.aws.ec2 import ec2 as service
from isthmus.aws.filters import names
from isthmus.aws.filters.names import TAG

LISTINGS = [
    name
    for name in served("Filters")
    if name not in SPECIFIC
    and service.actions[name].listing
    and service.codec.operations[name].input.members["Filters"].location == "Filter"
]
"""Those that spell the parameter `Filter.1`, as nearly all do."""


@pytest.fixture
def send(house: Any) -> Sender:
    return Sender(house.front, house.account)


@pytest.fixture
def furnished(house: Any, ec2: Any, launched: str) -> str:
    """One of everything; the instance's id."""
    tags = [{"Key": "Name", "Value": "web-1"}]
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    house.settle()
    ec2.create_snapshot(VolumeId=volume)
    ec2.create_tags(Resources=[launched, volume], Tags=tags)
    group = ec2.create_security_group(GroupName="g", Description="d")["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=1, ToPort=2, CidrIp="10.0.0.0/8")
    ec2.create_key_pair(KeyName="k")
    address = ec2.allocate_address()["AllocationId"]
    ec2.associate_address(AllocationId=address, InstanceId=launched)
    house.settle()
    return launched


def _filtered(name: str, *values: str) -> dict[str, str]:
    return {"Filter.1.Name": name, **{f"Filter.1.Value.{number}": one for number, one in enumerate(values, 1)}}


@pytest.mark.parametrize("action", LISTINGS)
def test_every_documented_filter_is_taken(send, furnished, action):
    for name in sorted(names(service.codec, action)):
        name = "tag:Name" if name == TAG else name
        for value in ("*", "no such thing", "true", "5", "2026-01-01T00:00:00.000Z", "tcp"):
            answer = send(action, _filtered(name, value))
            assert (name, answer.status, answer.code) == (name, 200, "")


@pytest.mark.parametrize("action", LISTINGS)
def test_what_no_filter_can_match_is_an_empty_list(send, furnished, action):
    for name in names(service.codec, action):
        answer = send(action, _filtered("tag:Name" if name == TAG else name, "no such thing"))
        assert (name, len(list(answer.root.iter("item")))) == (name, 0)


@pytest.mark.parametrize("action", LISTINGS)
def test_an_unknown_filter_is_refused(send, furnished, action):
    for name in ("no-such-filter", "Name", "tags", "tag:", "", "x" * 300, "tag", "\u00e9", "__class__", "a.b.c.d"):
        if name in names(service.codec, action) or (name == "tag:" and TAG in names(service.codec, action)):
            continue
        answer = send(action, _filtered(name, "x"))
        assert (name, answer.status, answer.code) == (name, 400, "InvalidParameterValue")


@pytest.mark.parametrize("action", LISTINGS)
def test_a_filter_has_values(send, action):
    name = sorted(names(service.codec, action))[0]

    assert send(action, {"Filter.1.Name": name}).status == 400
    assert send(action, {"Filter.1.Value.1": "x"}).status == 400


@pytest.mark.parametrize(
    ("value", "matches"),
    [
        ("web-1", True),
        ("web-*", True),
        ("*1", True),
        ("w*b*1", True),
        ("web-?", True),
        ("web-1?", False),
        ("*", True),
        ("WEB-1", False),
        ("web-[0-9]", False),
        ("web", False),
        (r"web-\*", False),
        (".*", False),
        ("", False),
    ],
)
def test_a_star_stands_for_anything_and_a_question_mark_for_one_letter(send, furnished, value, matches):
    found = send("DescribeInstances", _filtered("tag:Name", value)).all("instanceId")

    assert (furnished in found) is matches


def test_values_are_alternatives_and_filters_add_up(send, furnished):
    both = {**_filtered("tag:Name", "x", "web-1"), "Filter.2.Name": "instance-state-name"}

    assert send("DescribeInstances", {**both, "Filter.2.Value.1": "running"}).all("instanceId")[:1] == [furnished]
    assert send("DescribeInstances", {**both, "Filter.2.Value.1": "stopped"}).all("instanceId") == []


def test_ids_and_filters_add_up(send, furnished):
    ids = {"InstanceId.1": furnished}

    assert send("DescribeInstances", {**ids, **_filtered("tag:Name", "other")}).all("instanceId") == []
    assert furnished in send("DescribeInstances", {**ids, **_filtered("tag:Name", "web-1")}).all("instanceId")


def test_a_request_has_50_filters_and_a_filter_200_values_at_most(send):
    many = {f"Filter.{number}.Name": "state" for number in range(51)}
    values = {f"Filter.{number}.Value.1": "available" for number in range(51)}

    assert send("DescribeVpcs", {**many, **values}).code == "FilterLimitExceeded"
    assert send("DescribeVpcs", _filtered("state", *["x"] * 201)).code == "FilterLimitExceeded"
    assert send("DescribeVpcs", _filtered("state", *["x"] * 199, "available")).all("vpcId")


def _seconds(send: Sender, value: str) -> float:
    def once() -> float:
        begun = time.perf_counter()
        assert send("DescribeVolumes", _filtered("tag:long", value)).status == 200
        return time.perf_counter() - begun

    return min(once() for _ in range(5))


@pytest.mark.parametrize(
    "pattern", ["*a" * 120 + "b", "a*" * 120 + "b", "*" * 250 + "b", "?*" * 120 + "b", "*a?" * 80 + "b"]
)
def test_no_pattern_is_slow(send, ec2, pattern):
    for _ in range(3):
        volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
        ec2.create_tags(Resources=[volume], Tags=[{"Key": "long", "Value": "a" * 256}])

    simple, hard = _seconds(send, "a*b"), _seconds(send, pattern)

    assert hard < 30 * simple
