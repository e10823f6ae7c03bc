"""Who the caller is, and what the account may have."""

from __future__ import annotations

from asking import refusal


def attributes(ec2, **asked):
    found = ec2.describe_account_attributes(**asked)["AccountAttributes"]
    return {one["AttributeName"]: [held["AttributeValue"] for held in one["AttributeValues"]] for one in found}


def test_the_caller_is_the_account_that_signed(house):
    number, access_key, _ = house.account
    answer = house.client("sts").get_caller_identity()

    assert answer["Account"] == number
    assert answer["Arn"] == f"arn:aws:iam::{number}:root"
    assert answer["UserId"] == number
    assert access_key not in str(answer)
    other = house.new_account("second")
    assert house.client("sts", account=other).get_caller_identity()["Account"] == other[0] != number


def test_an_account_has_its_limits(build):
    ec2 = build(instances=7, addresses=3).client()

    found = attributes(ec2)
    assert found["supported-platforms"] == ["VPC"]
    assert found["default-vpc"][0].startswith("vpc-")
    assert (found["max-instances"], found["max-elastic-ips"], found["vpc-max-elastic-ips"]) == (["7"], ["3"], ["3"])
    assert attributes(ec2, AttributeNames=["max-instances"]) == {"max-instances": ["7"]}
    assert refusal(ec2.describe_account_attributes, AttributeNames=["colour"]) == "InvalidParameterValue"


def test_limits_are_those_of_the_cloud_where_it_has_less(build):
    ec2 = build(instances=7, addresses=3, quota={"server": 5, "address": 9}).client()

    found = attributes(ec2)

    assert (found["max-instances"], found["max-elastic-ips"]) == (["5"], ["3"])
