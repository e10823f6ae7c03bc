"""Tags given with the request that makes a thing."""

from __future__ import annotations

from typing import Any

import pytest
from least import everything, least, served
from raw import Sender

from isthmus.aws.ec2 import ec2 as service


@pytest.fixture
def send(house: Any) -> Sender:
    return Sender(house.front, house.account)


def _tagged(kind: str, *tags: tuple[str, str], number: int = 1) -> dict[str, str]:
    prefix = f"TagSpecification.{number}"
    said = {f"{prefix}.ResourceType": kind}
    for count, (key, value) in enumerate(tags, 1):
        said |= {f"{prefix}.Tag.{count}.Key": key, f"{prefix}.Tag.{count}.Value": value}
    return said


def _wire(action: str) -> str:
    """What the model calls TagSpecifications on the wire: with an s for some actions."""
    member = service.codec.operations[action].input.members["TagSpecifications"]
    spelt = member.query or member.location or member.name
    return spelt[0].upper() + spelt[1:]


VOLUME = {"AvailabilityZone": "us-east-1a", "Size": "1"}


def test_every_action_that_knows_tags_makes_something_to_put_them_on():
    for action in served("TagSpecifications"):
        assert service.actions[action].makes, action


def test_tags_for_what_an_action_does_not_make_are_refused(house, send):
    before = everything(house)

    for action in served("TagSpecifications"):
        tagged = {
            name.replace("TagSpecification", _wire(action)): value
            for name, value in _tagged("dedicated-host", ("a", "b")).items()
        }
        answer = send(action, {**least(action), **tagged})
        assert (action, answer.status, answer.code) == (action, 400, "InvalidParameterValue")

    assert everything(house) == before


def test_an_instance_and_its_volumes_get_their_own_tags(ec2, image):
    ec2.run_instances(
        ImageId=image,
        InstanceType="t3.micro",
        MinCount=2,
        MaxCount=2,
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "is", "Value": "instance"}]},
            {"ResourceType": "volume", "Tags": [{"Key": "is", "Value": "volume"}]},
        ],
    )

    told = {(tag["ResourceType"], tag["Value"]) for tag in ec2.describe_tags()["Tags"]}
    assert told == {("instance", "instance"), ("volume", "volume")}
    for held in ec2.describe_instances()["Reservations"][0]["Instances"]:
        assert held["Tags"] == [{"Key": "is", "Value": "instance"}]


BAD = {
    "no type": ({"TagSpecification.1.Tag.1.Key": "a"}, "InvalidParameterValue"),
    "another type": (_tagged("instance", ("a", "b")), "InvalidParameterValue"),
    "an unknown type": (_tagged("thing", ("a", "b")), "InvalidParameterValue"),
    "a type twice": ({**_tagged("volume", ("a", "b")), **_tagged("volume", number=2)}, "InvalidParameterValue"),
    "no key": ({"TagSpecification.1.ResourceType": "volume", "TagSpecification.1.Tag.1.Value": "b"}, ""),
    "an empty key": (_tagged("volume", ("", "b")), "InvalidParameterValue"),
    "a long key": (_tagged("volume", ("k" * 129, "b")), "InvalidParameterValue"),
    "a long value": (_tagged("volume", ("k", "v" * 257)), "InvalidParameterValue"),
    "a reserved key": (_tagged("volume", ("aws:x", "b")), "InvalidParameterValue"),
    "a key reserved in capitals": (_tagged("volume", ("AWS:x", "b")), "InvalidParameterValue"),
    "a key twice": (_tagged("volume", ("a", "b"), ("a", "c")), "InvalidParameterValue"),
    "51 keys": (_tagged("volume", *((f"k{n}", "") for n in range(51))), "TagLimitExceeded"),
}


@pytest.mark.parametrize("name", BAD, ids=lambda name: name.replace(" ", "-"))
def test_bad_tags_are_refused_and_nothing_is_made(house, send, name):
    tags, code = BAD[name]
    before = everything(house)

    answer = send("CreateVolume", {**VOLUME, **tags})

    assert answer.status == 400, answer.text
    assert answer.code == code or not code
    assert everything(house) == before


@pytest.mark.parametrize(("key", "value"), [("k" * 128, "v" * 256), ("a b/ü€\U0001f600", ""), ("a", "<&>\"'")])
def test_good_tags_are_kept_as_they_are(send, ec2, key, value):
    answer = send("CreateVolume", {**VOLUME, **_tagged("volume", (key, value))})

    assert answer.status == 200, answer.text
    [volume] = ec2.describe_volumes()["Volumes"]
    assert volume["Tags"] == [{"Key": key, "Value": value}]


def test_fifty_tags_are_not_too_many(send, ec2):
    tags = [(f"k{number:02}", str(number)) for number in range(50)]
    answer = send("CreateVolume", {**VOLUME, **_tagged("volume", *tags)})

    assert answer.status == 200
    assert len(ec2.describe_volumes()["Volumes"][0]["Tags"]) == 50


def test_a_specification_without_tags_tags_nothing(send, ec2):
    assert send("CreateVolume", {**VOLUME, **_tagged("volume")}).status == 200
    assert ec2.describe_tags()["Tags"] == []
