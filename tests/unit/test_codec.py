"""What botocore and real clients write, as the codec reads it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from botocore.serialize import create_serializer
from hypothesis import given
from hypothesis import strategies as st
from modelled import OPERATIONS, SERVICES, SLOW, botocore_model, codec, values

from isthmus.aws.codec import split_generic
from isthmus.aws.errors import AwsError


def decode(operation: str, query: str) -> dict[str, Any]:
    return codec().decode(operation, parse_qsl(query, keep_blank_values=True))


def refused(operation: str, query: str) -> AwsError:
    with pytest.raises(AwsError) as refusal:
        decode(operation, query)
    assert refusal.value.status == 400
    return refusal.value


@pytest.mark.parametrize("first", [0, 1, 7])
def test_a_list_may_begin_at_any_number_and_have_gaps(first):
    query = urlencode({f"InstanceId.{first + 10}": "c", f"InstanceId.{first + 2}": "b", f"InstanceId.{first}": "a"})

    assert decode("DescribeInstances", query) == {"InstanceIds": ["a", "b", "c"]}


def test_the_models_own_name_of_a_list_is_known():
    assert decode("DescribeInstances", "InstanceIds.1=a") == {"InstanceIds": ["a"]}


def test_a_list_without_a_number_is_its_only_item():
    assert decode("DescribeInstances", "InstanceId=a") == {"InstanceIds": ["a"]}
    assert refused("DescribeInstances", "InstanceId=a&InstanceId.1=b").code == "InvalidParameterValue"


def test_an_empty_item_of_a_list_does_not_widen_a_describe():
    assert decode("DescribeInstances", "InstanceId.1=") == {"InstanceIds": [""]}
    assert decode("DescribeInstances", "InstanceId=") == {"InstanceIds": [""]}


def test_an_empty_parameter_is_absent():
    query = "ImageId=a&MinCount=1&MaxCount=1&SubnetId=&Placement.AvailabilityZone=&IamInstanceProfile.Name="

    assert decode("RunInstances", query) == {"ImageId": "a", "MinCount": 1, "MaxCount": 1}


def test_an_empty_tag_value_is_a_value():
    query = "ResourceId.0=i-1&Tag.0.Key=a&Tag.0.Value=&Tag.1.Key=b"

    assert decode("CreateTags", query) == {"Resources": ["i-1"], "Tags": [{"Key": "a", "Value": ""}, {"Key": "b"}]}


def test_an_empty_filter_value_is_a_value():
    found = decode("DescribeInstances", "Filter.1.Name=tag:a&Filter.1.Value.1=")

    assert found == {"Filters": [{"Name": "tag:a", "Values": [""]}]}


def test_an_attribute_can_be_emptied():
    assert decode("ModifyInstanceAttribute", "InstanceId=i&UserData.Value=")["UserData"] == {"Value": b""}


def test_boto_2_may_number_a_scalar():
    assert decode("GetConsoleOutput", "InstanceId.1=i-1") == {"InstanceId": "i-1"}
    assert refused("GetConsoleOutput", "InstanceId.1=i-1&InstanceId=i-2").code == "InvalidParameterValue"
    assert refused("GetConsoleOutput", "InstanceId.2=i-1").code == "UnknownParameter"
    assert refused("GetConsoleOutput", "InstanceId.1.1=i-1").code == "UnknownParameter"


def test_libcloud_spells_a_ramdisk_its_own_way():
    assert decode("RegisterImage", "Name=n&RamDiskId=ari-1") == {"Name": "n", "RamdiskId": "ari-1"}


@pytest.mark.parametrize("text", ["aGkgdGhlcmU=", "aGkg\ndGhlcmU=\n", "aGkgdGhlcmU", " aGkg\r\ndGhl cmU="])
def test_base64_is_read_leniently_and_kept_clean(text):
    pairs = [("MinCount", "1"), ("MaxCount", "1"), ("UserData", text)]

    assert codec().decode("RunInstances", pairs)["UserData"] == "aGkgdGhlcmU="
    key = codec().decode("ImportKeyPair", [("KeyName", "k"), ("PublicKeyMaterial", text)])
    assert key["PublicKeyMaterial"] == b"hi there"


@pytest.mark.parametrize("text", ["a", "!!!!", "aGk-", "é"])
def test_what_is_no_base64_is_refused(text):
    query = urlencode({"MinCount": 1, "MaxCount": 1, "UserData": text})

    assert refused("RunInstances", query).code == "InvalidUserData.Malformed"


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("TRUE", True), ("1", True), ("False", False), ("0", False)]
)
def test_booleans(text, value):
    assert decode("StopInstances", f"InstanceId.1=i&Force={text}")["Force"] is value


@pytest.mark.parametrize("text", ["yes", "2", " true", "tru"])
def test_what_is_no_boolean_is_refused(text):
    assert refused("StopInstances", f"InstanceId.1=i&Force={text}").code == "InvalidParameterValue"


@pytest.mark.parametrize("text", ["x", "1.5", "0x10", "1_000", "2147483648", "-2147483649", "9" * 40, "\uff11"])
def test_what_is_no_integer_is_refused(text):
    refusal = refused("DescribeInstances", urlencode({"MaxResults": text}))

    assert refusal.code == "InvalidParameterValue"
    assert text[:60] in refusal.message


@pytest.mark.parametrize("text", ["nan", "inf", "1e999", "1e", "x"])
def test_what_is_no_number_is_refused(text):
    query = f"InstanceRequirementsWithMetadata.InstanceRequirements.MemoryGiBPerVCpu.Min={text}"

    assert refused("GetSpotPlacementScores", f"TargetCapacity=1&{query}").code == "InvalidParameterValue"


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05.000Z",
        "2026-01-02T03:04:05",
        "2026-01-02T04:04:05+01:00",
        "1767323045",
        "1767323045.0",
    ],
)
def test_times(text):
    found = codec().decode("DescribeSpotPriceHistory", [("StartTime", text)])

    assert found == {"StartTime": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)}


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01T00:00:00Z", "1e99", "0001-01-01T00:00:00+23:00", "9" * 30])
def test_what_is_no_time_is_refused(text):
    assert refused("DescribeSpotPriceHistory", urlencode({"StartTime": text})).code == "InvalidParameterValue"


@pytest.mark.parametrize(
    "name",
    [
        "Nonsense",
        "InstanceId.x",
        "InstanceId.-1",
        "InstanceId.1.2",
        "Filter.1.Nonsense",
        "Filter.1.Value.1.2",
        "",
        ".",
        "a" * 9999,
    ],
)
def test_an_unknown_parameter_is_refused(name):
    refusal = refused("DescribeInstances", urlencode({name: "x"}))

    assert refusal.code == "UnknownParameter"
    assert refusal.message.startswith("The parameter ")
    assert len(refusal.message) < 200


def test_a_structure_takes_no_value_itself():
    assert refused("RunInstances", "MinCount=1&MaxCount=1&Placement=x").code == "InvalidParameterValue"


@pytest.mark.parametrize(
    "query", ["InstanceId.1=a&InstanceId.1=b", "InstanceId.1=a&InstanceId.01=b", "DryRun=1&DryRun=1"]
)
def test_a_parameter_given_twice_is_refused(query):
    assert refused("DescribeInstances", query).code == "InvalidParameterValue"


def test_what_is_required_is_asked_for_by_its_name_on_the_wire():
    refusal = refused("StopInstances", "")

    assert refusal.code == "MissingParameter"
    assert refusal.message == "The request must contain the parameter InstanceId"


def test_a_list_has_its_limit():
    def query(count: int) -> list[tuple[str, str]]:
        return [(f"InstanceId.{index}", "i") for index in range(count)]

    assert len(codec().decode("DescribeInstances", query(1000))["InstanceIds"]) == 1000
    with pytest.raises(AwsError, match="at most 1000"):
        codec().decode("DescribeInstances", query(10_000))


def test_deep_nesting_ends_with_the_model():
    assert refused("DescribeInstances", "Filter" + ".1.Filter" * 50 + "=x").code == "UnknownParameter"


@pytest.mark.parametrize("text", ["a\0b", "\x1b", "\x7f", "\ufffe", "\ud800", "x" * 70_000])
def test_values_that_no_answer_could_carry_are_refused(text):
    with pytest.raises(AwsError) as refusal:
        codec().decode("GetConsoleOutput", [("InstanceId", text)])
    assert refusal.value.code == "InvalidParameterValue"


def test_lines_and_tabs_are_text():
    assert (
        codec().decode("CreateSnapshot", [("VolumeId", "v"), ("Description", "a\tb\r\nc")])["Description"]
        == "a\tb\r\nc"
    )


def test_generic_parameters_are_set_apart():
    generic, own = split_generic([("Action", "A"), ("X-Amz-Date", "d"), ("Signature", "s"), ("InstanceId.1", "i")])

    assert generic == {"Action": "A", "X-Amz-Date": "d", "Signature": "s"}
    assert own == [("InstanceId.1", "i")]
    with pytest.raises(AwsError):
        split_generic([("Action", "A"), ("Action", "B")])


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, dict[str, Any]]:
    service = draw(st.sampled_from(["ec2", "ec2", "ec2", "sts"]))
    operation = draw(st.sampled_from(OPERATIONS[service]))
    shape = codec(service).operations[operation].input
    return service, operation, emptied(draw(values(service, shape))) if shape else {}


def emptied(value: Any) -> Any:
    """Without what the wire cannot tell from nothing."""
    if isinstance(value, dict):
        inner = {key: emptied(each) for key, each in value.items()}
        return {key: each for key, each in inner.items() if each not in ({}, [])}
    if isinstance(value, list):
        inner_list = [emptied(each) for each in value]
        return [each for each in inner_list if each != {}]
    return value


@SLOW
@given(requests())
def test_what_botocore_writes_is_read_as_it_was_meant(case):
    service, operation, params = case
    model = botocore_model(service).operation_model(operation)
    body = create_serializer(SERVICES[service], include_validation=False).serialize_to_request(params, model)["body"]
    sent = parse_qsl(urlencode(body), keep_blank_values=True)
    try:
        found = codec(service).decode(operation, sent)
    except AwsError as refusal:
        found = refusal.code
    assert found in (params, "MissingParameter")


NAMES = [
    "InstanceId",
    "Filter",
    "Value",
    "Name",
    "1",
    "0",
    "99999999999",
    "Tag",
    "Key",
    "BlockDeviceMapping",
    "Ebs",
    "",
    "é",
]
names = st.one_of(st.text(max_size=9), st.lists(st.sampled_from(NAMES), max_size=6).map(".".join))


@given(
    operation=st.sampled_from(
        ["DescribeInstances", "RunInstances", "CreateTags", "ImportKeyPair", "ModifyInstanceAttribute"]
    ),
    pairs=st.lists(st.tuples(names, st.text(st.characters(), max_size=9)), max_size=6),
)
def test_arbitrary_parameters_are_read_or_refused(operation, pairs):
    try:
        found = codec().decode(operation, pairs)
    except AwsError as refusal:
        found = refusal.status
    assert found == 400 or isinstance(found, dict)
