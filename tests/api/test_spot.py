"""Spot requests: fulfilled at once from ordinary capacity, free of charge, never interrupted."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from asking import instance, refusal, tagged, tags, where


def request(ec2, image, count=1, **asked):
    spec = {"ImageId": image, "InstanceType": "t3.micro"}
    return ec2.request_spot_instances(InstanceCount=count, LaunchSpecification=spec, **asked)["SpotInstanceRequests"]


def told(ec2, known):
    [found] = ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[known])["SpotInstanceRequests"]
    return found


def test_a_request_is_fulfilled_at_once(house, ec2, image):
    [made] = request(ec2, image, SpotPrice="0.05", TagSpecifications=tagged("spot-instances-request", a="b"))

    house.settle()
    known = made["SpotInstanceRequestId"]
    found = told(ec2, known)
    assert known.startswith("sir-")
    assert (found["State"], found["Status"]["Code"], found["Type"]) == ("active", "fulfilled", "one-time")
    assert (found["SpotPrice"], found["Tags"]) == ("0.050000", tags(a="b"))
    assert (found["LaunchSpecification"]["ImageId"], found["LaunchSpecification"]["InstanceType"]) == (
        image,
        "t3.micro",
    )
    launched = instance(ec2, found["InstanceId"])
    assert (launched["InstanceLifecycle"], launched["SpotInstanceRequestId"]) == ("spot", known)
    assert launched["State"]["Name"] == "running"
    assert "Tags" not in launched


def test_the_waiter_for_spot_requests_is_content(ec2, image):
    [made] = request(ec2, image)

    ec2.get_waiter("spot_instance_request_fulfilled").wait(SpotInstanceRequestIds=[made["SpotInstanceRequestId"]])


def test_each_instance_has_a_request_of_its_own(ec2, image):
    made = request(ec2, image, 3)

    assert len({one["SpotInstanceRequestId"] for one in made}) == len({one["InstanceId"] for one in made}) == 3
    assert len(ec2.describe_spot_instance_requests()["SpotInstanceRequests"]) == 3
    found = ec2.describe_spot_instance_requests(Filters=where(instance_id=made[0]["InstanceId"]))
    assert [one["SpotInstanceRequestId"] for one in found["SpotInstanceRequests"]] == [made[0]["SpotInstanceRequestId"]]


def test_a_cancelled_request_leaves_its_instance_running(house, ec2, image):
    [made] = request(ec2, image)
    house.settle()
    known = made["SpotInstanceRequestId"]

    answer = ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[known])["CancelledSpotInstanceRequests"]

    assert answer == [{"SpotInstanceRequestId": known, "State": "cancelled"}]
    found = told(ec2, known)
    assert (found["State"], found["Status"]["Code"]) == ("cancelled", "request-canceled-and-instance-running")
    assert instance(ec2, made["InstanceId"])["State"]["Name"] == "running"


def test_the_request_of_a_terminated_instance_is_closed(house, ec2, image):
    [made] = request(ec2, image)
    house.settle()
    ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
    house.settle()

    found = told(ec2, made["SpotInstanceRequestId"])
    assert (found["State"], found["Status"]["Code"]) == ("closed", "instance-terminated-by-user")


def test_run_instances_takes_market_options(ec2, image):
    end = datetime(2040, 1, 1, tzinfo=UTC)
    options = {"MaxPrice": "1", "SpotInstanceType": "persistent", "InstanceInterruptionBehavior": "stop"}
    [launched] = ec2.run_instances(
        ImageId=image,
        InstanceType="t3.micro",
        MinCount=1,
        MaxCount=1,
        InstanceMarketOptions={"MarketType": "spot", "SpotOptions": {**options, "ValidUntil": end}},
        TagSpecifications=[*tagged("spot-instances-request", of="spot"), *tagged("instance", of="instance")],
    )["Instances"]

    found = told(ec2, launched["SpotInstanceRequestId"])
    assert (found["Type"], found["InstanceInterruptionBehavior"], found["ValidUntil"]) == ("persistent", "stop", end)
    assert found["Tags"] == tags(of="spot")
    assert instance(ec2, launched["InstanceId"])["Tags"] == tags(of="instance")


def test_an_instance_on_demand_is_no_spot_instance(ec2, image):
    asked = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    [made] = ec2.run_instances(**asked, InstanceMarketOptions={"MarketType": "on-demand"})["Instances"]

    assert "InstanceLifecycle" not in instance(ec2, made["InstanceId"])
    assert ec2.describe_spot_instance_requests()["SpotInstanceRequests"] == []


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"SpotPrice": "cheap"}, "InvalidParameterValue"),
        ({"SpotPrice": "-1"}, "InvalidParameterValue"),
        ({"InstanceCount": 0}, "InvalidParameterValue"),
        ({"Type": "never"}, "InvalidParameterValue"),
        ({"BlockDurationMinutes": 60}, "UnsupportedOperation"),
        ({"ValidFrom": datetime(2040, 1, 1, tzinfo=UTC)}, "UnsupportedOperation"),
        ({"InstanceInterruptionBehavior": "hibernate"}, "UnsupportedOperation"),
        ({"InstanceInterruptionBehavior": "stop"}, "InvalidParameterCombination"),
        ({"LaunchSpecification": {}}, "MissingParameter"),
        ({"LaunchSpecification": {"ImageId": "ami-0123456789abcdef0"}}, "InvalidAMIID.NotFound"),
    ],
)
def test_a_refused_request_makes_nothing(ec2, image, asked, code):
    spec = {"ImageId": image, "InstanceType": "t3.micro"}

    assert refusal(ec2.request_spot_instances, **{"LaunchSpecification": spec, **asked}) == code
    assert ec2.describe_instances()["Reservations"] == []


def test_a_request_that_is_not_there_is_not_found(ec2, stranger, image):
    [made] = request(ec2, image)
    known = [made["SpotInstanceRequestId"]]
    code = "InvalidSpotInstanceRequestID.NotFound"

    assert refusal(stranger.describe_spot_instance_requests, SpotInstanceRequestIds=known) == code
    assert refusal(stranger.cancel_spot_instance_requests, SpotInstanceRequestIds=known) == code
    assert refusal(stranger.create_tags, Resources=known, Tags=tags(a="b")) == code


def test_everything_is_free(ec2):
    found = ec2.describe_spot_price_history(
        InstanceTypes=["t3.micro"], ProductDescriptions=["Linux/UNIX"], AvailabilityZone="us-east-1b"
    )["SpotPriceHistory"]

    assert [(one["SpotPrice"], one["AvailabilityZone"]) for one in found] == [("0.000000", "us-east-1b")]
    assert refusal(ec2.describe_spot_price_history, AvailabilityZone="us-east-1z") == "InvalidParameterValue"
