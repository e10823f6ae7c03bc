"""What is refused of EC2 Fleets, each with its code, and nothing is left of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from asking import instances, refusal, tagged
from fleeting import LONG_AGO, create, web


@pytest.fixture
def template(ec2, image):
    return web(ec2, image)


_AHEAD = datetime(2099, 1, 1, tzinfo=UTC)
_NEEDS = {"VCpuCount": {"Min": 1}, "MemoryMiB": {"Min": 1}}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"kind": "maintain"}, "UnsupportedOperation"),
        ({"Context": "x"}, "UnsupportedOperation"),
        ({"ValidFrom": _AHEAD}, "UnsupportedOperation"),
        ({"ValidUntil": LONG_AGO}, "InvalidParameterValue"),
        ({"ReplaceUnhealthyInstances": True}, "UnsupportedOperation"),
        ({"TerminateInstancesWithExpiration": True}, "UnsupportedOperation"),
        ({"ReservedCapacityOptions": {"ReservationTypes": ["x"]}}, "UnsupportedOperation"),
        ({"capacity": {"DefaultTargetCapacityType": "capacity-block"}}, "UnsupportedOperation"),
        ({"capacity": {"OnDemandTargetCapacity": 2}}, "InvalidParameterValue"),
        ({"capacity": {"TargetCapacityUnitType": "vcpu"}}, "InvalidParameterCombination"),
        ({"total": 0}, "InvalidParameterValue"),
        ({"total": 10_001}, "InvalidParameterValue"),
        ({"over": {"WeightedCapacity": 0.0}}, "InvalidParameterValue"),
        ({"over": {"MaxPrice": "cheap"}}, "InvalidParameterValue"),
        ({"over": {"AvailabilityZone": "us-east-1z"}}, "InvalidParameterValue"),
        (
            {"over": {"AvailabilityZone": "us-east-1a", "AvailabilityZoneId": "use1-az1"}},
            "InvalidParameterCombination",
        ),
        ({"over": {"SubnetId": "subnet-0123456789abcdef0"}}, "InvalidSubnetID.NotFound"),
        ({"over": {"ImageId": "ami-0123456789abcdef0"}}, "InvalidAMIID.NotFound"),
        ({"over": {"ImageId": "resolve:ssm:name"}}, "InvalidAMIID.Malformed"),
        ({"over": {"KeyName": "nobody's"}}, "InvalidKeyPair.NotFound"),
        ({"over": {"InstanceType": "t3.micro", "InstanceRequirements": _NEEDS}}, "InvalidParameterCombination"),
        (
            {"over": {"InstanceRequirements": {**_NEEDS, "VCpuCount": {"Min": 999}}}},
            "InvalidParameterValue",
        ),
        ({"kind": "request", "over": {"KeyName": "x"}}, "InvalidParameterCombination"),
        ({"kind": "request", "TagSpecifications": tagged("instance", a="b")}, "InvalidParameterCombination"),
        ({"kind": "request", "OnDemandOptions": {"SingleInstanceType": True}}, "InvalidParameterCombination"),
        ({"OnDemandOptions": {"MinTargetCapacity": 1}}, "InvalidParameterCombination"),
        ({"OnDemandOptions": {"AllocationStrategy": "dearest"}}, "InvalidParameterValue"),
        (
            {"OnDemandOptions": {"CapacityReservationOptions": {"UsageStrategy": "use-capacity-reservations-first"}}},
            "UnsupportedOperation",
        ),
        ({"SpotOptions": {"InstanceInterruptionBehavior": "stop"}}, "UnsupportedOperation"),
        (
            {"SpotOptions": {"MaintenanceStrategies": {"CapacityRebalance": {"ReplacementStrategy": "launch"}}}},
            "UnsupportedOperation",
        ),
        (
            {"SpotOptions": {"InstancePoolsToUseCount": 2, "AllocationStrategy": "diversified"}},
            "InvalidParameterCombination",
        ),
    ],
)
def test_a_refused_fleet_makes_nothing(house, ec2, template, asked, code):
    assert refusal(create_with, ec2=ec2, template=template, **asked) == code
    assert list(instances(ec2)) == []
    assert not house.store.view(house.account[0]).of_kind("fleet")


def create_with(ec2, template, over=None, **asked):
    return create(ec2, template, *([over] if over else []), **asked)


def test_a_template_must_be_named_with_its_version_and_fit_the_fleet(ec2, image):
    target = {"TotalTargetCapacity": 1}
    asked = {"Type": "instant", "TargetCapacitySpecification": target}
    spot = web(ec2, image, "spot", InstanceMarketOptions={"MarketType": "spot"})
    ec2.create_launch_template(LaunchTemplateName="typeless", LaunchTemplateData={"ImageId": image})
    for spec, code in [
        ({"LaunchTemplateName": "spot"}, "MissingParameter"),
        ({"LaunchTemplateId": spot, "Version": "1"}, "InvalidParameterCombination"),
        ({"LaunchTemplateName": "spot", "Version": "2"}, "InvalidLaunchTemplateId.VersionNotFound"),
        ({"LaunchTemplateName": "never", "Version": "1"}, "InvalidLaunchTemplateName.NotFoundException"),
        ({"LaunchTemplateName": "typeless", "Version": "1"}, "MissingParameter"),
        ({}, "MissingParameter"),
    ]:
        configs = [{"LaunchTemplateSpecification": spec}]
        assert refusal(ec2.create_fleet, LaunchTemplateConfigs=configs, **asked) == code, spec


def test_maintained_fleets_are_refused_with_the_reason(ec2):
    known = "fleet-0123456789abcdef0"

    assert refusal(ec2.modify_fleet, FleetId=known) == "UnsupportedOperation"
    assert refusal(ec2.describe_fleets, FleetIds=[known]) == "InvalidFleetId.NotFound"
    assert refusal(ec2.describe_fleet_instances, FleetId=known) == "InvalidFleetId.NotFound"
    assert refusal(ec2.describe_fleet_history, FleetId=known, StartTime=LONG_AGO) == "InvalidFleetId.NotFound"


def test_a_dry_run_makes_nothing(ec2, template):
    assert refusal(create, ec2=ec2, template=template, DryRun=True) == "DryRunOperation"
    assert list(instances(ec2)) == []
