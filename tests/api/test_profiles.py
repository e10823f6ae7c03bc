"""Instance profiles: which one an instance is said to have."""

from __future__ import annotations

import pytest
from asking import instance, refusal, where

NOBODY = "iip-assoc-0123456789abcdef0"


@pytest.fixture
def boss(house):
    return f"arn:aws:iam::{house.account[0]}:instance-profile/boss"


def listed(ec2, **asked):
    return ec2.describe_iam_instance_profile_associations(**asked)["IamInstanceProfileAssociations"]


def test_an_instance_has_the_profile_it_is_given(ec2, launched, boss):
    assert "IamInstanceProfile" not in instance(ec2, launched)
    answer = ec2.associate_iam_instance_profile(InstanceId=launched, IamInstanceProfile={"Name": "boss"})

    made = answer["IamInstanceProfileAssociation"]
    assert (made["State"], made["InstanceId"], made["IamInstanceProfile"]["Arn"]) == ("associating", launched, boss)
    [found] = listed(ec2, AssociationIds=[made["AssociationId"]])
    assert found == {**made, "State": "associated"}
    assert instance(ec2, launched)["IamInstanceProfile"] == made["IamInstanceProfile"]
    asked = {"InstanceId": launched, "IamInstanceProfile": {"Name": "other"}}
    assert refusal(ec2.associate_iam_instance_profile, **asked) == "IncorrectState"


def test_a_profile_is_replaced_under_another_id(ec2, launched, boss):
    asked = {"InstanceId": launched, "IamInstanceProfile": {"Name": "clerk"}}
    first = ec2.associate_iam_instance_profile(**asked)["IamInstanceProfileAssociation"]["AssociationId"]
    asked = {"AssociationId": first, "IamInstanceProfile": {"Arn": boss}}
    second = ec2.replace_iam_instance_profile_association(**asked)["IamInstanceProfileAssociation"]

    assert second["AssociationId"] != first
    assert [one["AssociationId"] for one in listed(ec2)] == [second["AssociationId"]]
    assert instance(ec2, launched)["IamInstanceProfile"]["Arn"] == boss
    assert refusal(ec2.disassociate_iam_instance_profile, AssociationId=first) == "InvalidAssociationID.NotFound"


def test_a_profile_is_taken_away(ec2, launched):
    asked = {"InstanceId": launched, "IamInstanceProfile": {"Name": "boss"}}
    made = ec2.associate_iam_instance_profile(**asked)["IamInstanceProfileAssociation"]["AssociationId"]

    answer = ec2.disassociate_iam_instance_profile(AssociationId=made)["IamInstanceProfileAssociation"]

    assert (answer["State"], answer["AssociationId"]) == ("disassociating", made)
    assert listed(ec2) == []
    assert "IamInstanceProfile" not in instance(ec2, launched)


def test_an_instance_can_be_launched_with_a_profile(house, ec2, image, boss):
    asked = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 2, "MaxCount": 2}
    made = ec2.run_instances(IamInstanceProfile={"Arn": boss}, **asked)["Instances"]
    assert {one["IamInstanceProfile"]["Arn"] for one in made} == {boss}
    house.settle()

    found = listed(ec2, Filters=where(state="associated"))
    assert {one["InstanceId"] for one in found} == {one["InstanceId"] for one in made}
    [one] = listed(ec2, Filters=where(instance_id=made[0]["InstanceId"]))
    filters = [{"Name": "iam-instance-profile.arn", "Values": [boss]}]
    assert len(ec2.describe_instances(Filters=filters)["Reservations"][0]["Instances"]) == 2
    ec2.disassociate_iam_instance_profile(AssociationId=one["AssociationId"])
    assert len(listed(ec2)) == 1


def test_an_association_goes_with_its_instance(house, ec2, launched):
    ec2.associate_iam_instance_profile(InstanceId=launched, IamInstanceProfile={"Name": "boss"})
    ec2.terminate_instances(InstanceIds=[launched])
    house.settle()

    assert listed(ec2) == []
    asked = {"InstanceId": launched, "IamInstanceProfile": {"Name": "boss"}}
    assert refusal(ec2.associate_iam_instance_profile, **asked) in ("IncorrectState", "IncorrectInstanceState")


@pytest.mark.parametrize(
    ("profile", "code"),
    [
        ({}, "MissingParameter"),
        ({"Name": "a", "Arn": "b"}, "InvalidParameterCombination"),
        ({"Name": "a b"}, "InvalidParameterValue"),
        ({"Arn": "arn:aws:iam::999999999999:instance-profile/boss"}, "InvalidParameterValue"),
        ({"Arn": "arn:aws:iam::instance-profile"}, "InvalidParameterValue"),
    ],
)
def test_a_profile_that_makes_no_sense_is_refused(ec2, launched, profile, code):
    asked = {"InstanceId": launched, "IamInstanceProfile": profile}
    assert refusal(ec2.associate_iam_instance_profile, **asked) == code
    assert listed(ec2) == []


def test_a_strangers_association_is_not_there(ec2, stranger, launched):
    asked = {"InstanceId": launched, "IamInstanceProfile": {"Name": "boss"}}
    assert refusal(stranger.associate_iam_instance_profile, **asked) == "InvalidInstanceID.NotFound"
    made = ec2.associate_iam_instance_profile(**asked)["IamInstanceProfileAssociation"]["AssociationId"]
    for known in (made, NOBODY):
        assert refusal(stranger.disassociate_iam_instance_profile, AssociationId=known).endswith("NotFound")
        asked = {"AssociationIds": [known]}
        assert refusal(stranger.describe_iam_instance_profile_associations, **asked).endswith("NotFound")
    assert len(listed(ec2)) == 1
