"""Pages: every item that was there all along is given once, and a token is good for its own listing only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from asking import machine_image
from botocore.exceptions import ClientError
from least import SPECIFIC, served
from raw import Sender

from isthmus.aws.ec2 import ec2 as service

_SHOWN = frozenset({"DescribeVpcEndpointServices", "GetManagedPrefixListEntries"})
"""Their pages are shown in test_endpoints.py: of names beside what they name, and of what must be named."""
PAGED = [name for name in served("MaxResults") if name not in SPECIFIC | _SHOWN]
SIZE = 5


@pytest.fixture
def send(house: Any) -> Sender:
    return Sender(house.front, house.account)


def _keys(action: str, answer: Any) -> list[tuple[str, ...]]:
    """What tells the items of an answer apart."""
    if action == "DescribeInstances":
        return [
            (one["ReservationId"], each["InstanceId"]) for one in answer["Reservations"] for each in one["Instances"]
        ]
    output = service.codec.operations[action].output
    member = next(name for name, shape in output.members.items() if shape.type_name == "list")
    key = [name for name in service.actions[action].listing.key if not name.startswith("_")]
    return [tuple(item[name] for name in key) for item in answer[member]]


def _listed(ec2: Any, action: str) -> list[tuple[str, ...]]:
    return _keys(action, ec2._make_api_call(action, {}))


def _pages(ec2: Any, action: str, between: Callable[[], None], **asked: Any) -> Iterator[list[tuple[str, ...]]]:
    token: dict[str, str] = {}
    while True:
        answer = ec2._make_api_call(action, {"MaxResults": SIZE, **asked, **token})
        yield _keys(action, answer)
        if "NextToken" not in answer:
            return
        token = {"NextToken": answer["NextToken"]}
        between()


class Things:
    """One of everything, again and again."""

    def __init__(self, house: Any, ec2: Any, image: str) -> None:
        self._house, self._ec2, self._image = house, ec2, image
        self._made: list[dict[str, str]] = []
        self._numbers = count(1)
        self._group = ec2.create_security_group(GroupName="rules", Description="d")["GroupId"]
        self._source = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
        house.settle(6)

    def make(self) -> None:
        ec2, number = self._ec2, next(self._numbers)
        [instance] = ec2.run_instances(ImageId=self._image, InstanceType="t3.micro", MinCount=1, MaxCount=1)[
            "Instances"
        ]
        volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
        snapshot = ec2.create_snapshot(VolumeId=self._source)["SnapshotId"]
        self._house.settle(6)
        disks = [{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}]
        made = {
            "instance": instance["InstanceId"],
            "volume": volume,
            "image": ec2.register_image(Name=f"image {number}", RootDeviceName="/dev/sda1", BlockDeviceMappings=disks)[
                "ImageId"
            ],
            "snapshot": ec2.create_snapshot(VolumeId=self._source)["SnapshotId"],
            "group": ec2.create_security_group(GroupName=f"g{number}", Description="d")["GroupId"],
            "address": ec2.allocate_address()["AllocationId"],
            "port": str(number),
        }
        ec2.authorize_security_group_ingress(GroupId=self._group, **self._rule(made))
        ec2.create_tags(Resources=[volume], Tags=[{"Key": "k", "Value": "v"}])
        self._made.append(made)

    def drop(self) -> None:
        """Delete the oldest of those that are left."""
        ec2, old = self._ec2, self._made.pop(0)
        ec2.terminate_instances(InstanceIds=[old["instance"]])
        ec2.deregister_image(ImageId=old["image"])
        ec2.delete_volume(VolumeId=old["volume"])
        ec2.delete_snapshot(SnapshotId=old["snapshot"])
        ec2.delete_security_group(GroupId=old["group"])
        ec2.release_address(AllocationId=old["address"])
        ec2.revoke_security_group_ingress(GroupId=self._group, **self._rule(old))

    def _rule(self, made: dict[str, str]) -> dict[str, Any]:
        port = int(made["port"])
        return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "CidrIp": "0.0.0.0/0"}


@pytest.fixture
def things(house: Any, ec2: Any, image: str) -> Things:
    made = Things(house, ec2, image)
    for _ in range(14):
        made.make()
    house.settle(6)
    return made


@pytest.mark.parametrize("action", PAGED)
def test_what_is_there_all_along_is_listed_once_whatever_comes_and_goes(house, ec2, things, action):
    before = set(_listed(ec2, action))
    turns = iter(range(30))

    def between() -> None:
        """Long listings are walked to their end in peace: the clock may not run away from the client's own."""
        if next(turns, None) is None:
            return
        things.make()
        things.drop()
        house.settle(6)

    walked = Counter(key for page in _pages(ec2, action, between) for key in page)
    after = set(_listed(ec2, action))

    assert {key: times for key, times in walked.items() if times > 1} == {}
    assert before & after <= set(walked)


def test_pages_together_are_the_whole_in_the_same_order(ec2, things):
    for action in PAGED:
        pages = list(_pages(ec2, action, lambda: None))
        assert [key for page in pages for key in page] == _listed(ec2, action), action
        assert all(len(page) == SIZE for page in pages[:-1])
        assert len(pages[-1]) <= SIZE
        assert pages[-1] or len(pages) == 1


def test_a_filter_holds_on_all_pages(ec2, things):
    wanted = [{"Name": "volume-type", "Values": ["gp2"]}, {"Name": "tag:k", "Values": ["v"]}]
    pages = list(_pages(ec2, "DescribeVolumes", lambda: None, Filters=wanted))

    assert [len(page) for page in pages] == [5, 5, 4]


def test_no_token_is_given_where_there_is_no_more(send, ec2, image):
    for more in (4, 1):
        ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=more, MaxCount=more)
        answer = send("DescribeInstances", {"MaxResults": "5"})
        assert answer.all("nextToken") == []
    ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1)
    assert send("DescribeInstances", {"MaxResults": "5"}).all("nextToken")


def _token(send: Sender, action: str = "DescribeInstanceTypes", **params: str) -> str:
    [token] = send(action, {"MaxResults": "5", **params}).all("nextToken")
    return token


def test_a_token_goes_on_without_a_size(send):
    answer = send("DescribeInstanceTypes", {"NextToken": _token(send)})

    whole = send("DescribeInstanceTypes").all("instanceType")
    assert answer.all("instanceType") == whole[5:105]


@pytest.mark.parametrize("change", ["x{}", "{}x", "{}!", "", "{}{}", "a", "\u00e9", "....", "A" * 5000, " {}"])
def test_a_token_that_was_not_given_is_refused(send, change):
    token = change.format(*[_token(send)] * 2) or "0"

    answer = send("DescribeInstanceTypes", {"NextToken": token})

    assert (answer.status, answer.code) == (400, "InvalidNextToken")


def test_a_token_of_which_one_letter_is_another_is_refused(send):
    token = _token(send)

    for place in range(0, len(token) - 1, 3):
        other = "A" if token[place] != "A" else "B"
        answer = send("DescribeInstanceTypes", {"NextToken": token[:place] + other + token[place + 1 :]})
        assert (answer.status, answer.code) == (400, "InvalidNextToken")


def test_a_token_is_for_the_same_question_of_the_same_account(house, send):
    token = _token(send)
    others = [
        replace(send, account=house.new_account("second"))("DescribeInstanceTypes", {"NextToken": token}),
        send("DescribeInstanceTypes", {"NextToken": token, "IncludeUnsupportedInRegion": "true"}),
        *(send(action, {"NextToken": token}) for action in PAGED if action != "DescribeInstanceTypes"),
    ]

    for answer in others:
        assert (answer.status, answer.code) == (400, "InvalidNextToken")


def test_a_listing_goes_on_behind_the_same_item_with_other_filters(ec2, things):
    known = [one["VolumeId"] for one in ec2.describe_volumes()["Volumes"]]
    token = ec2.describe_volumes(MaxResults=SIZE)["NextToken"]

    wanted = {"Name": "volume-id", "Values": [known[0], known[-1]]}
    rest = ec2.describe_volumes(NextToken=token, Filters=[wanted])["Volumes"]

    assert [one["VolumeId"] for one in rest] == known[-1:]


def test_a_token_is_good_in_another_process(house, send):
    front = type(house.front)(house.new_world())

    answer = replace(send, front=front)("DescribeInstanceTypes", {"NextToken": _token(send)})

    assert answer.status == 200


def test_a_token_says_nothing_that_can_be_read_as_another_accounts(house, send):
    assert house.account[1] not in _token(send)


@pytest.mark.parametrize("action", PAGED)
def test_the_size_of_a_page_is_within_the_models_bounds(send, action):
    bounds = service.codec.operations[action].input.members["MaxResults"].metadata
    least, most = int(bounds.get("min", service.actions[action].listing.least)), int(bounds.get("max", 0))

    for size in (least, most or 100_000):
        assert send(action, {"MaxResults": str(size)}).status == 200
    for size in (least - 1, -1, -(2**31), *([most + 1, 2**31 - 1] if most else [])):
        answer = send(action, {"MaxResults": str(size)})
        assert (answer.status, answer.code) == (400, "InvalidParameterValue")
    for size in ("five", "5.0", str(2**31), "9" * 400, "5 "):
        assert send(action, {"MaxResults": size}).status == 400


@pytest.mark.parametrize("action", [name for name in PAGED if service.actions[name].listing.exclusive])
def test_ids_and_a_size_do_not_go_together(send, action):
    ids = service.actions[action].listing.exclusive
    one = "t3.micro" if ids == "InstanceTypes" else "x-01234567"

    answer = send(action, {f"{ids}.1": one, "MaxResults": "5"})

    assert answer.status == 400
    assert answer.code == "InvalidParameterCombination" or answer.code.endswith(".Malformed")


def test_a_page_holds_a_thousand_at_most(build):
    house = build(instances=2000)
    ec2 = house.client()
    image = machine_image(ec2)
    for _ in range(11):
        ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=100, MaxCount=100)

    pages = [
        _keys("DescribeInstances", page) for page in ec2.get_paginator("describe_instances").paginate(MaxResults=5000)
    ]

    assert [len(page) for page in pages] == [1000, 100]


def test_botocores_own_paginator_walks_all(ec2, things):
    pages = ec2.get_paginator("describe_volumes").paginate(PaginationConfig={"PageSize": 5})

    found = [one["VolumeId"] for page in pages for one in page["Volumes"]]
    assert found == [one["VolumeId"] for one in ec2.describe_volumes()["Volumes"]]
    with pytest.raises(ClientError, match="InvalidNextToken"):
        ec2.describe_volumes(NextToken="made-up")
