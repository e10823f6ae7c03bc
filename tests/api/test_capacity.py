"""Capacity reservations: what an account means to launch, and what of it is launched."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asking import refusal, tagged, tags, where

ASKED = {
    "InstanceType": "t3.micro",
    "InstancePlatform": "Linux/UNIX",
    "AvailabilityZone": "us-east-1a",
    "InstanceCount": 2,
}


def make(ec2, **asked):
    return ec2.create_capacity_reservation(**{**ASKED, **asked})["CapacityReservation"]


def told(ec2, known):
    [found] = ec2.describe_capacity_reservations(CapacityReservationIds=[known])["CapacityReservations"]
    return found


def available(ec2, known):
    return told(ec2, known)["AvailableInstanceCount"]


def test_a_reservation_is_active_at_once(house, ec2):
    made = make(ec2, TagSpecifications=tagged("capacity-reservation", a="b"))

    assert made["CapacityReservationId"].startswith("cr-")
    assert (made["State"], made["EndDateType"], made["InstanceMatchCriteria"]) == ("active", "unlimited", "open")
    assert (made["TotalInstanceCount"], made["AvailableInstanceCount"]) == (2, 2)
    assert (made["AvailabilityZoneId"], made["OwnerId"]) == ("use1-az1", house.account[0])
    assert made["Tags"] == tags(a="b")
    assert told(ec2, made["CapacityReservationId"]) == made
    found = ec2.describe_capacity_reservations(Filters=where(instance_type="t3.micro", state="active"))
    assert found["CapacityReservations"] == [made]


def test_instances_use_the_oldest_reservation_that_matches(house, ec2, image):
    first = make(ec2)["CapacityReservationId"]
    house.settle(1)
    second = make(ec2)["CapacityReservationId"]
    elsewhere = make(ec2, AvailabilityZone="us-east-1b")["CapacityReservationId"]
    launch = {"ImageId": image, "InstanceType": "t3.micro", "Placement": {"AvailabilityZone": "us-east-1a"}}

    made = ec2.run_instances(**launch, MinCount=3, MaxCount=3)["Instances"]

    assert [available(ec2, one) for one in (first, second, elsewhere)] == [0, 1, 2]
    house.settle()
    ec2.stop_instances(InstanceIds=[one["InstanceId"] for one in made])
    house.settle()
    assert [available(ec2, one) for one in (first, second, elsewhere)] == [2, 2, 2]


def test_a_cancelled_reservation_is_shown_for_a_while(build):
    house = build(terminated_visible=timedelta(minutes=1))
    ec2 = house.client()
    known = make(ec2)["CapacityReservationId"]

    assert ec2.cancel_capacity_reservation(CapacityReservationId=known)["Return"]

    found = told(ec2, known)
    assert (found["State"], found["TotalInstanceCount"], found["AvailableInstanceCount"]) == ("cancelled", 0, 0)
    assert refusal(ec2.cancel_capacity_reservation, CapacityReservationId=known) == "IncorrectState"
    house.settle(61)
    code = "InvalidCapacityReservationId.NotFound"
    assert refusal(ec2.describe_capacity_reservations, CapacityReservationIds=[known]) == code
    make(ec2)
    assert known not in house.store.view(house.account[0]).records


def test_a_reservation_with_an_end_expires(house, ec2):
    made = make(ec2, EndDate=house.clock() + timedelta(minutes=5))

    assert (made["State"], made["EndDateType"]) == ("active", "limited")
    house.settle(301)
    assert told(ec2, made["CapacityReservationId"])["State"] == "expired"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"InstanceType": "q9.huge"}, "InvalidParameterValue"),
        ({"InstanceCount": 0}, "InvalidParameterValue"),
        ({"AvailabilityZone": ""}, "MissingParameter"),
        ({"AvailabilityZone": "us-east-1z"}, "InvalidParameterValue"),
        ({"InstancePlatform": "SUSE Linux"}, "UnsupportedOperation"),
        ({"Tenancy": "dedicated"}, "UnsupportedOperation"),
        ({"InstanceMatchCriteria": "targeted"}, "UnsupportedOperation"),
        ({"EndDateType": "limited"}, "InvalidParameterCombination"),
        ({"EndDate": "2020-01-01T00:00:00Z"}, "InvalidParameterValue"),
    ],
)
def test_a_reservation_that_cannot_be_is_refused(ec2, asked, code):
    assert refusal(ec2.create_capacity_reservation, **{**ASKED, **asked}) == code


def test_anothers_reservation_is_not_there(ec2, stranger):
    known = make(ec2)["CapacityReservationId"]
    code = "InvalidCapacityReservationId.NotFound"

    assert refusal(stranger.cancel_capacity_reservation, CapacityReservationId=known) == code
    assert refusal(stranger.create_tags, Resources=[known], Tags=tags(a="b")) == code
    assert refusal(ec2.cancel_capacity_reservation, CapacityReservationId="cr-x") == (
        "InvalidCapacityReservationId.Malformed"
    )
