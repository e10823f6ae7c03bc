"""Where instance types are offered, and which of them meet requirements."""

from __future__ import annotations

import pytest
from asking import refusal, where

SMALL = {"VCpuCount": {"Min": 1, "Max": 2}, "MemoryMiB": {"Min": 1, "Max": 4096}}


def offered(ec2, **asked):
    found = ec2.describe_instance_type_offerings(**asked)["InstanceTypeOfferings"]
    return [(one["InstanceType"], one["Location"]) for one in found]


def meeting(ec2, virtualization="hvm", architecture="x86_64", **wanted):
    found = ec2.get_instance_types_from_instance_requirements(
        ArchitectureTypes=[architecture],
        VirtualizationTypes=[virtualization],
        InstanceRequirements={**SMALL, **wanted},
    )["InstanceTypes"]
    return {one["InstanceType"] for one in found}


def test_types_are_offered_in_the_region_and_in_each_zone(ec2):
    one = where(instance_type="t3.micro")

    assert offered(ec2, Filters=one) == [("t3.micro", "us-east-1")]
    zones = [("t3.micro", "us-east-1a"), ("t3.micro", "us-east-1b")]
    assert offered(ec2, LocationType="availability-zone", Filters=one) == zones
    ids = [("t3.micro", "use1-az1"), ("t3.micro", "use1-az2")]
    assert offered(ec2, LocationType="availability-zone-id", Filters=one) == ids
    assert offered(ec2, LocationType="outpost") == []
    assert refusal(ec2.describe_instance_type_offerings, LocationType="moon") == "InvalidParameterValue"


def test_types_meet_counts_of_processors_and_memory(ec2):
    found = meeting(ec2)

    assert "c5.large" in found
    assert not {"m5.large", "c5.xlarge", "t3.micro"} & found


@pytest.mark.parametrize(
    ("wanted", "there", "absent"),
    [
        ({"BurstablePerformance": "included"}, {"t3.micro", "c5.large"}, {"m5.large"}),
        ({"BurstablePerformance": "required"}, {"t3.micro"}, {"c5.large"}),
        ({"InstanceGenerations": ["previous"]}, {"m1.small"}, {"c5.large"}),
        ({"InstanceGenerations": ["current"]}, {"c5.large"}, {"m1.small"}),
        ({"AllowedInstanceTypes": ["c5*"]}, {"c5.large"}, {"m1.small"}),
        ({"ExcludedInstanceTypes": ["c5.*"]}, {"c6i.large"}, {"c5.large"}),
        ({"MemoryGiBPerVCpu": {"Min": 3}}, {"m1.medium"}, {"c5.large"}),
        ({"MemoryMiB": {"Min": 8192}}, {"m5.large"}, {"c5.large"}),
    ],
)
def test_types_meet_what_else_is_required(ec2, wanted, there, absent):
    found = meeting(ec2, **wanted)

    assert there <= found
    assert not absent & found


@pytest.mark.parametrize(
    "wanted",
    [
        {"BareMetal": "required"},
        {"LocalStorage": "required"},
        {"AcceleratorCount": {"Min": 1}},
        {"AcceleratorTypes": ["gpu"]},
        {"NetworkInterfaceCount": {"Min": 16}},
        {"RequireHibernateSupport": True},
        {"TotalLocalStorageGB": {"Min": 1.5}},
        {"virtualization": "paravirtual"},
        {"architecture": "arm64"},
    ],
)
def test_nothing_has_what_a_private_cloud_has_not(ec2, wanted):
    assert meeting(ec2, **wanted) == set()


def test_what_cannot_be_told_is_refused(ec2):
    asked = {"ArchitectureTypes": ["x86_64"], "VirtualizationTypes": ["hvm"]}
    call = ec2.get_instance_types_from_instance_requirements

    unknown = {**SMALL, "CpuManufacturers": ["intel"]}
    both = {**SMALL, "AllowedInstanceTypes": ["a*"], "ExcludedInstanceTypes": ["b*"]}
    assert refusal(call, **asked, InstanceRequirements=unknown) == "UnsupportedOperation"
    assert refusal(call, **asked, InstanceRequirements=both) == "InvalidParameterCombination"
