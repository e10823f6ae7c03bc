"""What is asked again with the same token is answered again, and done once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from raw import Sender

from isthmus.aws.front import Front
from isthmus.context import World
from isthmus.store import Store


@pytest.fixture
def asked(image: str) -> dict[str, Any]:
    return {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, "ClientToken": "token"}


def _instances(ec2: Any) -> list[str]:
    return [one["InstanceId"] for held in ec2.describe_instances()["Reservations"] for one in held["Instances"]]


def _said(answer: Any) -> Any:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def test_the_same_request_has_the_same_answer(ec2, asked):
    first, second = ec2.run_instances(**asked), ec2.run_instances(**asked)

    assert _said(first) == _said(second)
    assert first["ResponseMetadata"]["RequestId"] != second["ResponseMetadata"]["RequestId"]
    assert _instances(ec2) == [first["Instances"][0]["InstanceId"]]


def test_the_answer_is_that_of_the_first_time_whatever_came_after(house, ec2, asked):
    first = ec2.run_instances(**asked)
    house.settle()
    ec2.terminate_instances(InstanceIds=_instances(ec2))

    assert _said(ec2.run_instances(**asked)) == _said(first)


def test_tags_are_a_part_of_the_request(ec2, asked):
    ec2.run_instances(**asked)
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}]

    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        ec2.run_instances(**asked, TagSpecifications=tags)


@pytest.mark.parametrize("other", [{"MaxCount": 2}, {"InstanceType": "t3.small"}, {"UserData": "x"}])
def test_another_request_with_the_same_token_is_refused(ec2, asked, other):
    ec2.run_instances(**asked)

    with pytest.raises(ClientError) as refused:
        ec2.run_instances(**{**asked, **other})

    assert refused.value.response["Error"]["Code"] == "IdempotentParameterMismatch"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert len(_instances(ec2)) == 1


def test_without_a_token_each_request_is_a_new_one(ec2, asked):
    asked.pop("ClientToken")
    for _ in range(2):
        ec2.run_instances(**asked)

    assert len(_instances(ec2)) == 2


def test_the_same_at_the_same_time_is_done_once(ec2, asked):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: _said(ec2.run_instances(**asked)), range(8)))

    assert all(answer == answers[0] for answer in answers)
    assert len(_instances(ec2)) == 1


def test_different_requests_with_one_token_at_the_same_time_are_one_or_refused(ec2, asked):
    def launch(count: int) -> str:
        try:
            return str(len(ec2.run_instances(**{**asked, "MaxCount": count})["Instances"]))
        except ClientError as error:
            return str(error.response["Error"]["Code"])

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(launch, [1, 2, 3, 1, 2, 3]))

    done = set(answers) - {"IdempotentParameterMismatch"}
    assert len(done) == 1
    assert len(_instances(ec2)) == int(done.pop())


def _another_process(house: Any, tmp_path: Any) -> tuple[Store, Front]:
    """What another process would have: the same database and cloud, and nothing else."""
    store = Store.open(f"sqlite:///{tmp_path}/isthmus-0.db", b"k" * 32)
    world = World(house.world.region, house.world.places, house.world.clouds, store, house.clock)
    return store, Front(world)


def test_a_token_outlives_its_process(house, ec2, asked, tmp_path):
    first = ec2.run_instances(**asked)
    store, house.front = _another_process(house, tmp_path)

    try:
        assert _said(ec2.run_instances(**asked)) == _said(first)
        with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
            ec2.run_instances(**{**asked, "MaxCount": 2})
        assert len(_instances(ec2)) == 1
    finally:
        store.close()


def test_processes_see_each_others_changes_at_once(house, image, tmp_path):
    store, front = _another_process(house, tmp_path)
    senders = [Sender(house.front, house.account), Sender(front, house.account)]
    wanted = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": "1", "MaxCount": "1"}

    try:
        for turn in range(6):
            here, there = senders[turn % 2], senders[1 - turn % 2]
            [made] = here("RunInstances", wanted).all("instanceId")
            assert there("DescribeInstances", {"InstanceId.1": made}).all("reservationId")
            assert made in there("DescribeInstances").all("instanceId")
            here("CreateTags", {"ResourceId.1": made, "Tag.1.Key": "turn", "Tag.1.Value": str(turn)})
            tagged = there("DescribeInstances", {"Filter.1.Name": "tag:turn", "Filter.1.Value.1": str(turn)})
            assert tagged.all("instanceId") == [made]
            here("TerminateInstances", {"InstanceId.1": made})
            assert there("DescribeInstances", {"InstanceId.1": made}).root.findtext(".//instanceState/name") in (
                "shutting-down",
                "terminated",
            )
    finally:
        store.close()


def test_threads_see_their_own_changes_at_once(house, image):
    wanted = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": "1", "MaxCount": "1"}

    def use(_: int) -> None:
        send = Sender(house.front, house.account)
        for _ in range(6):
            [made] = send("RunInstances", wanted).all("instanceId")
            assert made in send("DescribeInstances").all("instanceId")
            send("CreateTags", {"ResourceId.1": made, "Tag.1.Key": "k", "Tag.1.Value": made})
            found = send("DescribeInstances", {"Filter.1.Name": "tag:k", "Filter.1.Value.1": made})
            assert found.all("instanceId") == [made]

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(use, range(6)))


def test_a_token_is_an_accounts_own(house, ec2, stranger, asked):
    mine, theirs = ec2.run_instances(**asked), stranger.run_instances(**asked)

    assert mine["Instances"][0]["InstanceId"] != theirs["Instances"][0]["InstanceId"]
    assert len(_instances(ec2)) == len(_instances(stranger)) == 1


def test_a_token_is_for_one_action(ec2, asked):
    ec2.run_instances(**asked)
    made = [
        ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, ClientToken=asked["ClientToken"])["VolumeId"]
        for _ in range(2)
    ]

    assert made[0] == made[1]


def test_a_refused_request_leaves_its_token_for_the_corrected_one(ec2, asked):
    with pytest.raises(ClientError, match="InvalidAMIID.NotFound"):
        ec2.run_instances(**{**asked, "ImageId": "ami-0123456789abcdef0"})

    assert ec2.run_instances(**asked)["Instances"]


@pytest.mark.parametrize("token", ["t" * 65, "t" * 5000])
def test_a_token_has_64_characters_at_most(ec2, asked, token):
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        ec2.run_instances(**{**asked, "ClientToken": token})


def test_the_token_is_shown_on_the_instance(ec2, asked):
    ec2.run_instances(**asked)
    [held] = ec2.describe_instances(Filters=[{"Name": "client-token", "Values": ["token"]}])["Reservations"]

    assert held["Instances"][0]["ClientToken"] == "token"
