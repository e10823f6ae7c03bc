"""Filters: names from the model, values by EC2's rules, on the items as they are rendered."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import cache
from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.aws import filters
from isthmus.aws.codec import Codec, Item
from isthmus.aws.errors import AwsError
from isthmus.aws.filters.exceptions import EXCEPTIONS
from isthmus.aws.filters.paths import item_shape, path_of, shape_at
from isthmus.aws.filters.patterns import any_of, glob

LISTINGS = [
    "DescribeAddresses",
    "DescribeAvailabilityZones",
    "DescribeImages",
    "DescribeInstanceCreditSpecifications",
    "DescribeInstanceStatus",
    "DescribeInstanceTypes",
    "DescribeInstances",
    "DescribeInternetGateways",
    "DescribeKeyPairs",
    "DescribeLaunchTemplates",
    "DescribeNetworkAcls",
    "DescribeNetworkInterfaces",
    "DescribeRegions",
    "DescribeRouteTables",
    "DescribeSecurityGroupRules",
    "DescribeSecurityGroups",
    "DescribeSnapshots",
    "DescribeSubnets",
    "DescribeTags",
    "DescribeVolumes",
    "DescribeVpcs",
]

INSTANCE = Item(
    {
        "InstanceId": "i-1",
        "State": {"Code": 16, "Name": "running"},
        "LaunchTime": datetime(2026, 1, 2, 3, 4, 5, 6000, tzinfo=UTC),
        "EbsOptimized": False,
        "Placement": {"AvailabilityZone": "us-east-1a"},
        "SecurityGroups": [{"GroupId": "sg-1", "GroupName": "one"}, {"GroupId": "sg-2", "GroupName": "two"}],
        "BlockDeviceMappings": [
            {"DeviceName": "/dev/sda1", "Ebs": {"VolumeId": "vol-1", "DeleteOnTermination": True}},
            {"DeviceName": "/dev/sdb", "Ebs": {"VolumeId": "vol-2", "DeleteOnTermination": False}},
        ],
        "NetworkInterfaces": [{"PrivateIpAddresses": [{"Primary": True, "Association": {"PublicIp": "1.2.3.4"}}]}],
        "PublicDnsName": "host.example",
        "Tags": [{"Key": "Name", "Value": "web*1"}, {"Key": "empty", "Value": ""}],
        "_ReservationId": "r-1",
        "_OwnerId": "123456789012",
    }
)


@cache
def ec2() -> Codec:
    return Codec("ec2")


def passes(name: str, *values: str, operation: str = "DescribeInstances", item: dict = INSTANCE) -> bool:
    return filters.matcher(ec2(), operation, [{"Name": name, "Values": list(values)}])(item)


def refused(*wanted: dict, operation: str = "DescribeInstances") -> AwsError:
    with pytest.raises(AwsError) as refusal:
        filters.matcher(ec2(), operation, wanted)
    return refusal.value


@pytest.mark.parametrize("operation", LISTINGS)
def test_every_documented_filter_is_somewhere_in_the_item(operation):
    shape = item_shape(ec2(), operation)
    found = filters.names(ec2(), operation)
    lost = [name for name in found if not name.startswith("tag") and path_of(ec2(), shape, name) is None]

    assert found
    assert lost == []


def test_every_exception_names_members_of_the_model():
    for shape, known in EXCEPTIONS.items():
        for path in known.values():
            seen = tuple(takewhile(lambda name: not name.startswith("_"), path))
            assert shape_at(ec2(), shape, seen)


def test_names_are_read_from_most_listings():
    with_filters = [
        name for name, text in ec2().model.filter_texts.items() if "<li>" in text and name.startswith("Describe")
    ]
    for name in with_filters:
        assert filters.names(ec2(), name.removesuffix("Request")), name


def test_nested_lists_of_values_are_no_names():
    assert "informational" not in filters.names(ec2(), "DescribeImages")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("instance-id", "i-1"),
        ("instance-state-name", "run*"),
        ("instance-state-code", "16"),
        ("launch-time", "2026-01-02T03:04:05.006Z"),
        ("launch-time", "2026-01-02T*"),
        ("ebs-optimized", "false"),
        ("availability-zone", "us-east-1?"),
        ("group-id", "sg-2"),
        ("instance.group-name", "one"),
        ("block-device-mapping.volume-id", "vol-2"),
        ("block-device-mapping.delete-on-termination", "true"),
        ("network-interface.addresses.association.public-ip", "1.2.3.4"),
        ("network-interface.addresses.primary", "true"),
        ("dns-name", "host.example"),
        ("tag:Name", "web*"),
        ("tag:Name", r"web\*1"),
        ("tag:empty", ""),
        ("tag-key", "Name"),
        ("tag-value", "web?1"),
        ("reservation-id", "r-1"),
        ("owner-id", "123456789012"),
    ],
)
def test_an_instance_is_found_by(name, value):
    assert passes(name, value)
    assert passes(name, "nothing", value)
    assert not passes(name, value + "x")


def test_values_are_case_sensitive():
    assert not passes("instance-state-name", "Running")
    assert not passes("ebs-optimized", "False")


def test_what_is_absent_matches_nothing():
    assert not passes("kernel-id", "*")
    assert not passes("tag:Other", "*")


def test_values_are_ored_and_filters_anded():
    both = [{"Name": "instance-id", "Values": ["i-0", "i-1"]}, {"Name": "group-id", "Values": ["sg-1"]}]
    [found] = filters.apply(ec2(), "DescribeInstances", both, [INSTANCE, {**INSTANCE, "InstanceId": "i-2"}])

    assert found is INSTANCE
    assert not filters.matcher(ec2(), "DescribeInstances", [*both, {"Name": "image-id", "Values": ["x"]}])(INSTANCE)


def test_tags_are_found_by_their_own_key():
    tag = {"Key": "Name", "Value": "web", "ResourceId": "i-1", "ResourceType": "instance"}
    for name, value in [("tag:Name", "w*"), ("key", "Name"), ("value", "web"), ("resource-type", "instance")]:
        assert passes(name, value, operation="DescribeTags", item=tag)
    assert not passes("tag:Other", "web", operation="DescribeTags", item=tag)


def test_rules_of_a_group_are_found_by_direction():
    rule = {"IpProtocol": "tcp", "FromPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    group = {"GroupId": "sg-1", "IpPermissions": [rule], "IpPermissionsEgress": []}
    where = {"operation": "DescribeSecurityGroups", "item": group}

    assert passes("ip-permission.cidr", "10.*", **where)
    assert passes("ip-permission.from-port", "22", **where)
    assert not passes("egress.ip-permission.cidr", "10.*", **where)


@pytest.mark.parametrize("name", ["isDefault", "is-default"])
def test_a_vpc_is_found_by_both_spellings(name):
    assert passes(name, "true", operation="DescribeVpcs", item={"IsDefault": True})


@pytest.mark.parametrize("name", ["", "nonsense", "Instance-Id", "tag", "state", "_OwnerId", "x" * 999, "a..b", "."])
def test_an_unknown_filter_is_refused(name):
    refusal = refused({"Name": name, "Values": ["x"]})

    assert (refusal.code, refusal.status) == ("InvalidParameterValue", 400)
    assert len(refusal.message) < 200


def test_a_filter_without_values_or_name_is_refused():
    assert refused({"Name": "instance-id"}).code == "InvalidParameterValue"
    assert refused({"Values": ["x"]}).code == "InvalidParameterValue"


def test_too_many_filters_or_values_are_refused():
    one = {"Name": "instance-id", "Values": ["x"]}

    assert refused({**one, "Values": ["x"] * 201}).code == "FilterLimitExceeded"
    assert refused(*[one] * 51).code == "FilterLimitExceeded"


def test_hostile_patterns_take_no_time():
    start = time.perf_counter()
    for pattern in ("*a" * 120 + "b", "*" * 250 + "b", "*?a" * 80 + "b", "?*" * 120 + "b"):
        assert not glob(pattern)("a" * 5000)
    assert time.perf_counter() - start < 1


def naive(pattern: str, text: str) -> bool:
    """The rules, as they are told."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return naive(pattern[1:], text) or (bool(text) and naive(pattern, text[1:]))
    escaped = pattern[0] == "\\" and pattern[1:2] in ("*", "?", "\\") and len(pattern) > 1
    if escaped:
        pattern = pattern[1:]
    return (
        bool(text) and (text[0] == pattern[0] or (pattern[0] == "?" and not escaped)) and naive(pattern[1:], text[1:])
    )


@given(pattern=st.text("ab*?\\\n.[", max_size=8), text=st.text("ab*?\\\n.[", max_size=8))
def test_patterns_match_as_the_rules_say(pattern, text):
    assert any_of([pattern])(text) == naive(pattern, text)


@given(st.lists(st.text(max_size=5), min_size=1, max_size=4), st.text(max_size=5))
def test_any_text_may_be_a_value(values, text):
    assert any_of(values)(text) == any(naive(value, text) for value in values)
