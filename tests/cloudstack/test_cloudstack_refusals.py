"""What CloudStack refuses, in EC2's codes: who is asked to do what about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from emulated_cloudstack import fronted
from emulators.cloudstack.world import Refusal


def refused(call: Any, **params: Any) -> tuple[str, int, str]:
    """The code, the HTTP status and the text."""
    with pytest.raises(ClientError) as failed:
        call(**params)
    said = failed.value.response
    return said["Error"]["Code"], said["ResponseMetadata"]["HTTPStatusCode"], said["Error"]["Message"]


@pytest.mark.parametrize(
    ("code", "text", "told"),
    [
        (401, "unable to verify user credentials and/or request signature", ("AuthFailure", 401)),
        (401, "The given command 'createVolume' either does not exist, is not available for user.", "unauthorized"),
        (432, "The API [createVolume] does not exist or is not available for the account x.", "unauthorized"),
        (
            432,
            "The given command 'createVolume' either does not exist or is not available for the user",
            "unauthorized",
        ),
        (432, "This api is only available when api.throttling.enabled = true.", ("UnsupportedOperation", 400)),
        (431, "Unable to execute API command createvolume due to missing parameter size", ("MissingParameter", 400)),
        (430, "Unable to execute API command createvolume due to missing parameter size", ("MissingParameter", 400)),
        (431, "Unable to execute API command createvolume due to invalid value", ("InvalidParameterValue", 400)),
        (
            429,
            "The given user has reached his/her account api limit, please retry after 60000 ms.",
            ("RequestLimitExceeded", 503),
        ),
        (532, "Maximum number of resources of type 'volume' exceeded", ("VolumeLimitExceeded", 400)),
        (533, "Insufficient capacity", ("InsufficientVolumeCapacity", 500)),
    ],
)
def test_a_refusal_has_the_code_of_ec2s_that_says_whose_it_is_to_mend(
    isthmus: Any, ec2: Any, code: int, text: str, told: Any
) -> None:
    isthmus.emulated.wrong_next("createVolume", Refusal(code, text))

    said = refused(ec2.create_volume, AvailabilityZone="us-east-1a", Size=1)

    assert said[:2] == (("UnauthorizedOperation", 403) if told == "unauthorized" else told)


def test_a_right_that_a_role_lacks_is_told_with_cloudstacks_own_words(isthmus: Any, ec2: Any) -> None:
    isthmus.emulated.denied.add(("User", "createsecuritygroup"))

    code, _, text = refused(ec2.create_security_group, GroupName="g", Description="d")

    assert "UnauthorizedOperation" == code
    assert "createSecurityGroup" in text


def test_an_instance_that_may_not_be_expunged_is_neither_gone_nor_anothers(tmp_path: Path) -> None:
    with fronted(tmp_path, groups=False) as isthmus:
        ec2 = isthmus.client()
        image = ec2.describe_images()["Images"][0]["ImageId"]
        [launched] = ec2.run_instances(ImageId=image, InstanceType="Tiny", MinCount=1, MaxCount=1)["Instances"]
        isthmus.wait(ec2, launched["InstanceId"], "running")
        isthmus.emulated.users_expunge = False

        code, _, text = refused(ec2.terminate_instances, InstanceIds=[launched["InstanceId"]])

        assert ("UnauthorizedOperation", True) == (code, "Admin" in text)
        isthmus.wait(ec2, launched["InstanceId"], "running")
