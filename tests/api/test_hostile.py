"""Whatever comes, signed or not: an error that clients can read, at once, and nothing half done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote_plus

import pytest
from botocore.awsrequest import AWSRequest
from house import House
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from least import everything, least
from raw import FORM, HOST, Answer, Sender

from isthmus.aws.codec import Shape
from isthmus.aws.ec2 import ec2 as service
from isthmus.aws.request import Request

_DEEPEST = 6


def _leaves(action: str) -> Iterator[tuple[str, str]]:
    """All scalar parameters of an action, with their types."""
    if shape := service.codec.operations[action].input:
        yield from _within(shape, "", 0)


def _within(shape: Shape, path: str, depth: int) -> Iterator[tuple[str, str]]:
    members = [shape.element] if shape.element else shape.members.values()
    for member in members:
        here = f"{path}.{member.name or 1}".lstrip(".")
        if member.type_name not in ("structure", "list"):
            yield here, member.type_name
        elif depth < _DEEPEST:
            yield from _within(service.codec.shape(member.shape), here, depth + 1)


LEAVES = [(action, *leaf) for action in sorted(service.actions) for leaf in _leaves(action)]


@pytest.fixture
def send(house: Any) -> Sender:
    return Sender(house.front, house.account)


def _readable(answer: Answer) -> None:
    """An answer of EC2's, for which nobody will try again."""
    assert answer.status < 500, answer.text
    assert answer.request_id == answer.response.request_id
    if answer.status != 200:
        assert answer.root.tag == "Response", answer.text
        assert answer.code
        assert answer.message


def _refused(answer: Answer) -> None:
    _readable(answer)
    assert answer.status != 200, answer.text


HUGE = "9" * 5000
RAW = {
    "nothing": b"",
    "no action": b"Version=2016-11-15",
    "an empty action": b"Action=&Version=2016-11-15",
    "two actions": b"Action=RunInstances&Action=DescribeRegions&Version=2016-11-15",
    "two versions": b"Action=DescribeRegions&Version=2016-11-15&Version=2016-11-15",
    "an odd action": b"Action=%3Cscript%3E&Version=2016-11-15",
    "an endless action": b"Action=" + b"A" * 100_000 + b"&Version=2016-11-15",
    "an action with a NUL": b"Action=DescribeRegions%00&Version=2016-11-15",
    "a dunder": b"Action=__class__&Version=2016-11-15",
    "an endless version": b"Action=DescribeRegions&Version=" + b"2" * 100_000,
    "a version of letters": b"Action=DescribeRegions&Version=%F0%9F%92%A5",
    "half an escape": b"Action=DescribeRegions&Version=2016-11-15&A=%",
    "a bad escape": b"Action=DescribeRegions&Version=2016-11-15&A=%zz",
    "no UTF-8": b"Action=DescribeRegions&Version=2016-11-15&RegionName.1=%FF%FE",
    "raw bytes": b"Action=DescribeRegions&Version=2016-11-15&RegionName.1=\xff\xfe",
    "a surrogate": b"Action=DescribeRegions&Version=2016-11-15&RegionName.1=%ED%A0%80",
    "an overlong NUL": b"Action=DescribeRegions&Version=2016-11-15&RegionName.1=%C0%80",
    "a NUL": b"Action=DescribeRegions&Version=2016-11-15&RegionName.1=us-east-1%00",
    "a NUL in a name": b"Action=DescribeRegions&Version=2016-11-15&RegionName%00.1=x",
    "nothing but ampersands": b"&" * 100_000,
    "nothing but equal signs": b"=" * 100_000,
    "a nameless value": b"Action=DescribeRegions&Version=2016-11-15&=x",
    "JSON": b'{"Action": "DescribeRegions"}',
    "XML": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "binary": bytes(range(256)) * 16,
    "the same twice": b"Action=DescribeRegions&Version=2016-11-15&RegionName.1=us-east-1&RegionName.1=us-east-1",
    "the same by two names": b"Action=DescribeRegions&Version=2016-11-15&RegionName.1=here&RegionNames.1=there",
    "a value for a list and one of its items": b"Action=DescribeRegions&Version=2016-11-15&RegionName=a&RegionName.1=b",
}


@pytest.mark.parametrize("name", RAW, ids=lambda name: name.replace(" ", "-"))
def test_a_body_that_makes_no_sense_is_refused(house, send, name):
    before = everything(house)

    _refused(send.body(RAW[name]))

    assert everything(house) == before


NAMES = [
    "Filter." + "1." * 200 + "Name",
    "Filter" + ".1" * 5000,
    "Filter.1.Value.1.1",
    "Filter.1.Name.Name",
    "Filter.-1.Name",
    "Filter.1e3.Name",
    "Filter.９.Name",  # noqa: RUF001
    "Filter.99999999999999999999.Name",
    "Filter.. .Name",
    ".Filter.1.Name",
    "Filter.1.",
    ".",
    "..",
    "." * 10_000,
    "a" * 100_000,
    "Filter.1.__class__",
    "Filter[0].Name",
    "InstanceId.1\n",
    "\u202e",
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name[:24]))
def test_a_parameter_that_makes_no_sense_is_refused(send, name):
    answer = send("DescribeInstances", {name: "x"})

    _refused(answer)
    assert len(answer.text) < 1000


def test_lists_are_bounded(house, send):
    before = everything(house)
    for action, name in [
        ("DescribeInstances", "InstanceId"),
        ("TerminateInstances", "InstanceId"),
        ("DescribeVolumes", "VolumeId"),
        ("CreateTags", "ResourceId"),
        ("DescribeRegions", "RegionName"),
    ]:
        many = [(f"{name}.{number}", f"i-{number:08x}") for number in range(10_000)]
        _refused(send(action, many))
    _refused(send("DescribeInstances", [(f"Filter.{n}.Name", "instance-id") for n in range(10_000)]))
    _refused(send("DescribeInstances", [(f"Filter.1.Value.{n}", "x") for n in range(10_000)]))
    _refused(send("DescribeInstances", [(f"Nothing.{n}", "x") for n in range(50_000)]))
    rules = [(f"IpPermissions.{n}.IpRanges.1.CidrIp", "0.0.0.0/0") for n in range(10_000)]
    _refused(send("AuthorizeSecurityGroupIngress", [("GroupName", "default"), *rules]))

    assert everything(house) == before


def test_an_index_may_be_large_and_costs_nothing(send):
    answer = send("DescribeInstances", {"InstanceId.999999999": "i-01234567"})

    assert answer.code == "InvalidInstanceID.NotFound"


@pytest.mark.parametrize("kind", ["integer", "long", "boolean", "timestamp", "double", "float", "blob"])
def test_a_value_of_the_wrong_type_is_refused_wherever_it_is(house, send, kind):
    wrong = {
        "boolean": ("yes", "2", "truee", HUGE),
        "timestamp": ("yesterday", "2026-13-01", "2026-01-01T25:00:00Z", HUGE, "nan"),
        "blob": ("*", "a" * 5, "\u00e9"),
    }
    before = everything(house)
    for action, leaf, found in LEAVES:
        if found != kind:
            continue
        for value in wrong.get(kind, ("one", "1x", "0x1", "1.5.2", "--1", "1 2", "\u0661", HUGE, "inf", "nan")):
            answer = send(action, {**least(action), leaf: value})
            assert (action, leaf, value[:9], answer.status) == (action, leaf, value[:9], 400)
            _refused(answer)
    assert everything(house) == before


STRINGS = [
    "\0",
    "a\x01b",
    "'\"<>&;--",
    "../../etc/passwd",
    "\U0001f4a5" * 50,
    "x" * 70_000,
    "-1",
    HUGE,
    "${7*7}",
    " ",
    "\ufffe",
]


@pytest.mark.parametrize("value", STRINGS, ids=lambda value: repr(value[:12]))
def test_no_text_anywhere_is_our_mistake(house, send, value):
    """Each scalar of each served action in turn, beside the least that the action needs."""
    for action, leaf, _ in LEAVES:
        before = everything(house)
        answer = send(action, {**least(action), leaf: value})
        _readable(answer)
        if answer.status != 200:
            assert everything(house) == before, (action, leaf)


NUMBERS = ["0", "-1", "2147483647", "-2147483648", "2147483648", "9223372036854775807", "9223372036854775808"]


@pytest.mark.parametrize("value", NUMBERS)
def test_no_number_anywhere_is_our_mistake(house, send, image, value):
    for action, leaf, kind in LEAVES:
        if kind in ("integer", "long", "double", "float", "timestamp"):
            base = _LAUNCH | {"ImageId": image} if action == "RunInstances" else least(action)
            before = everything(house)
            answer = send(action, {**base, leaf: value})
            _readable(answer)
            if answer.status != 200:
                assert everything(house) == before, (action, leaf)


_LAUNCH = {"InstanceType": "t3.micro", "MinCount": "1", "MaxCount": "1"}


@pytest.mark.parametrize(
    "bad",
    [
        {"MinCount": "2"},
        {"MaxCount": "100000"},
        {"InstanceType": "t3.enormous"},
        {"KeyName": "none"},
        {"SecurityGroupId.1": "sg-01234567"},
        {"SubnetId": "subnet-01234567"},
        {"Placement.AvailabilityZone": "mars-1a"},
        {"BlockDeviceMapping.1.DeviceName": "/dev/sdb", "BlockDeviceMapping.1.Ebs.SnapshotId": "snap-01234567"},
        {"BlockDeviceMapping.1.DeviceName": "/dev/sdb", "BlockDeviceMapping.1.Ebs.VolumeSize": "-5"},
        {"PrivateIpAddress": "999.1.1.1"},
        {"PrivateIpAddress": "8.8.8.8"},
        {"UserData": "QUFB" * 20_000},
        {"TagSpecification.1.ResourceType": "instance", "TagSpecification.1.Tag.1.Key": "aws:x"},
    ],
    ids=lambda bad: ",".join(bad),
)
def test_a_launch_that_is_refused_leaves_nothing_behind(house, send, image, bad):
    before = everything(house)

    _refused(send("RunInstances", {**_LAUNCH, "ImageId": image, **bad}))

    assert everything(house) == before


HEADERS: list[dict[str, str]] = [
    {"content-type": "application/json"},
    {"content-type": "multipart/form-data; boundary=x"},
    {"content-type": "\xff\xfe;;;=;"},
    {"content-type": ""},
    {"content-encoding": "gzip"},
    {"content-encoding": "x" * 10_000},
    {"host": ""},
    {"host": "\x00"},
    {"host": "a" * 10_000 + ":99999999999"},
    {"host": "[::1]:8788"},
    {"authorization": "AWS4-HMAC-SHA256 " + "a" * 100_000},
    {"authorization": "AWS4-HMAC-SHA256 Credential=//////aws4_request,SignedHeaders=host,Signature=0"},
    {"authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/\x00/\xff/aws4_request,SignedHeaders=host,Signature=0"},
    {
        "authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/r/s/aws4_request,SignedHeaders="
        + "a;" * 9999
        + "host,Signature=0"
    },
    {"x-amz-date": "\x00"},
    {"x-amz-date": "20261301T000000Z"},
    {"x-amz-date": HUGE},
    {"x-amz-security-token": "\xff"},
    {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"},
    {"x-amz-content-sha256": "\x00"},
    {"date": "Thu, 99 Foo 0000 99:99:99 GMT"},
    {f"x-{number}": "y" for number in range(5000)},
]


@pytest.mark.parametrize("headers", HEADERS, ids=lambda one: next(iter(one)))
def test_headers_are_never_our_mistake(send, headers):
    good = send.signed(
        AWSRequest("POST", f"http://{HOST}/", {"Content-Type": FORM}, b"Action=DescribeRegions&Version=2016-11-15")
    )

    _readable(send.send(replace(good, headers={**good.headers, **headers})))
    _refused(send.send(Request("POST", "/", "", headers, good.body)))


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "OPTIONS", "", "\x00", "G" * 9999])
def test_methods_are_never_our_mistake(send, method):
    _refused(send.send(Request(method, "/", "Action=DescribeRegions", {}, b"")))


@pytest.mark.parametrize(
    "query", ["%", "%00", "&&&", "=", "X-Amz-Signature", "X-Amz-Algorithm=x&" * 999, "\xff", "é", "€"]
)
def test_queries_are_never_our_mistake(send, query):
    _refused(send.send(Request("GET", "/", query, {"host": HOST}, b"")))


def _texts() -> st.SearchStrategy[str]:
    odd = st.sampled_from(
        [*STRINGS[:5], *NUMBERS, "true", "i-01234567", "t3.micro", "aGk=", "*", "us-east-1a", "default"]
    )
    return st.one_of(st.text(max_size=40), odd)


_ACTIONS = st.sampled_from(sorted(service.actions))


@st.composite
def _requests(draw: st.DrawFn) -> tuple[str, list[tuple[str, str]]]:
    """An action with parameters that it knows, and now and then one that it does not, with any values."""
    action = draw(_ACTIONS)
    known = [leaf for name, leaf, _ in LEAVES if name == action]
    names = st.one_of(*([st.sampled_from(known)] if known else []), st.text(max_size=30))
    base = list(least(action).items()) if draw(st.booleans()) else []
    return action, [*base, *draw(st.lists(st.tuples(names, _texts()), max_size=6))]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(f"sqlite:///{tmp_path_factory.mktemp('hostile')}/store.db")
    yield house
    house.store.close()


_MANY = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@_MANY
@given(_requests())
def test_any_parameters_get_an_answer(shared, asked):
    action, pairs = asked
    before = everything(shared)

    answer = Sender(shared.front, shared.account).body(
        _encoded([("Action", action), ("Version", "2016-11-15"), *pairs])
    )

    _readable(answer)
    if answer.status != 200:
        assert everything(shared) == before


@_MANY
@given(st.binary(max_size=300))
def test_any_bytes_get_an_answer(shared, body):
    _refused(Sender(shared.front, shared.account).body(body))


@_MANY
@given(st.binary(max_size=200), st.sampled_from(["=", "%", "&", ".1=", "\xff"]))
def test_any_bytes_behind_a_good_request_get_an_answer(shared, body, between):
    good = b"Action=DescribeInstances&Version=2016-11-15&"

    _readable(Sender(shared.front, shared.account).body(good + between.encode("latin-1") + body))


@_MANY
@given(
    st.dictionaries(
        st.sampled_from(["authorization", "x-amz-date", "host", "content-type", "date", "x-amz-security-token"]),
        st.text(st.characters(max_codepoint=255), max_size=80),
    ),
    st.text(st.characters(max_codepoint=255), max_size=60),
    st.text(st.characters(max_codepoint=255), max_size=20),
)
def test_any_unsigned_request_gets_an_answer(shared, headers, query, path):
    _refused(Sender(shared.front, shared.account).send(Request("GET", path, query, headers, b"")))


def _encoded(pairs: list[tuple[str, str]]) -> bytes:
    return "&".join(
        f"{quote_plus(name, errors='surrogatepass')}={quote_plus(value, errors='surrogatepass')}"
        for name, value in pairs
    ).encode()
