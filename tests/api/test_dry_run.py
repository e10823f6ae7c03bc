"""A dry run says whether the request would do, and does nothing."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from least import everything, least, served
from raw import Sender


@pytest.fixture
def send(house: Any) -> Sender:
    return Sender(house.front, house.account)


def test_every_served_action_can_be_tried(house, send):
    before = everything(house)

    for action in served("DryRun"):
        answer = send(action, {**least(action), "DryRun": "true"})
        assert (action, answer.status, answer.code) == (action, 412, "DryRunOperation")
        assert answer.message == "Request would have succeeded, but DryRun flag is set."

    assert everything(house) == before


def test_a_trial_needs_what_the_request_needs(house, send):
    for action in served("DryRun"):
        for name in least(action):
            params = {key: value for key, value in least(action).items() if key != name}
            answer = send(action, {**params, "DryRun": "true"})
            if name.count(".") < 2:
                assert (action, name, answer.status, answer.code) == (action, name, 400, "MissingParameter")


def test_a_trial_with_a_malformed_id_or_an_unknown_parameter_would_not_do(send):
    assert send("StopInstances", {"InstanceId.1": "i-xyz", "DryRun": "true"}).code == "InvalidInstanceID.Malformed"
    assert send("StopInstances", {"InstanceId.1": "i-01234567", "No": "1", "DryRun": "true"}).code == "UnknownParameter"


def test_what_is_not_supported_would_not_do_either(send):
    answer = send("StopInstances", {"InstanceId.1": "i-01234567", "Hibernate": "true", "DryRun": "true"})

    assert (answer.status, answer.code) == (400, "UnsupportedOperation")


def test_no_trial_is_the_real_thing(ec2, launched):
    assert ec2.stop_instances(InstanceIds=[launched], DryRun=False)["StoppingInstances"]


def test_botocore_sees_the_code_that_tools_wait_for(ec2, launched):
    with pytest.raises(ClientError) as refused:
        ec2.terminate_instances(InstanceIds=[launched], DryRun=True)

    assert refused.value.response["Error"]["Code"] == "DryRunOperation"
    [held] = ec2.describe_instances()["Reservations"]
    assert held["Instances"][0]["State"]["Name"] == "running"


def test_a_trial_leaves_its_token_free(ec2, image):
    asked: dict[str, Any] = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "ClientToken": "t"}
    with pytest.raises(ClientError, match="DryRunOperation"):
        ec2.run_instances(**asked, MaxCount=2, DryRun=True)

    assert len(ec2.run_instances(**asked, MaxCount=1)["Instances"]) == 1
