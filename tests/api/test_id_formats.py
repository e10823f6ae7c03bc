"""Ids are long everywhere."""

from __future__ import annotations

import pytest
from asking import refusal


def test_ids_of_every_kind_are_long(house, ec2):
    formats = ec2.describe_id_format()["Statuses"]

    assert {one["UseLongIds"] for one in formats} == {True}
    assert {"instance", "reservation", "snapshot", "volume", "vpc", "image"} <= {one["Resource"] for one in formats}
    root = f"arn:aws:iam::{house.account[0]}:root"
    assert ec2.describe_identity_id_format(PrincipalArn=root)["Statuses"] == formats
    assert ec2.describe_identity_id_format(PrincipalArn="all")["Statuses"] == formats
    assert ec2.describe_aggregate_id_format()["UseLongIdsAggregated"] is True
    assert {one["Resource"] for one in ec2.describe_aggregate_id_format()["Statuses"]} == {
        one["Resource"] for one in formats
    }


def test_one_kind_can_be_asked_for(ec2):
    assert [one["Resource"] for one in ec2.describe_id_format(Resource="volume")["Statuses"]] == ["volume"]
    assert refusal(ec2.describe_id_format, Resource="spaceship") == "InvalidParameterValue"
    assert refusal(ec2.describe_principal_id_format, Resources=["spaceship"]) == "InvalidParameterValue"


def test_nobody_has_a_format_of_their_own(ec2):
    assert ec2.describe_principal_id_format(Resources=["volume"])["Principals"] == []
    assert refusal(ec2.modify_id_format, Resource="volume", UseLongIds=True) == "UnsupportedOperation"


@pytest.mark.parametrize("arn", ["x", "arn:aws:iam::999999999999:root", "arn:aws:s3:::bucket"])
def test_a_principal_is_of_the_account(ec2, arn):
    assert refusal(ec2.describe_identity_id_format, PrincipalArn=arn) == "InvalidParameterValue"
