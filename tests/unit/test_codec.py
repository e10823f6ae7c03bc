"""The codec against botocore's own serializer and parser, and against what real clients send."""

from __future__ import annotations

import base64
import string
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlencode
from xml.etree import ElementTree

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isthmus.aws.codec import Codec, Item, Shape, split_generic
from isthmus.aws.codec.decode import BASE64_TEXT
from isthmus.aws.errors import AwsError
from isthmus.aws.sts import sts

SERVICES = {"ec2": "ec2", "sts": "query"}
NEW = "2016-11-15"


@cache
def codec(service: str = "ec2") -> Codec:
    return Codec(service)


@cache
def botocore_model(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"))


def decode(operation: str, query: str) -> dict[str, Any]:
    return codec().decode(operation, parse_qsl(query, keep_blank_values=True))


def refused(operation: str, query: str) -> AwsError:
    with pytest.raises(AwsError) as refusal:
        decode(operation, query)
    assert refusal.value.status == 400
    return refusal.value


def encode(operation: str, answer: dict[str, Any], version: str = NEW) -> str:
    return codec().encode(operation, answer, version=version, request_id="req-1").decode()


def parsed(operation: str, xml: bytes, service: str = "ec2") -> dict[str, Any]:
    shape = botocore_model(service).operation_model(operation).output_shape
    answer = create_parser(SERVICES[service]).parse({"body": xml, "headers": {}, "status_code": 200}, shape)
    answer.pop("ResponseMetadata")
    return answer


# --- what a request says


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


# --- requests that botocore writes


TEXT = st.text(string.ascii_letters + string.digits + " &<>=+%/é\n", max_size=12)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "blob": st.binary(max_size=9),
    "boolean": st.booleans(),
    "double": st.floats(-1e9, 1e9),
    "float": st.floats(-1e9, 1e9),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "string": TEXT,
    "timestamp": st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)).map(
        lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
    ),
}


@st.composite
def values(draw: st.DrawFn, service: str, shape: Shape, name: str = "", depth: int = 5) -> Any:
    """A value of a shape: not empty, since an empty value is as good as none on this wire."""
    model = codec(service)
    if shape.element is not None:
        element = model.shape(shape.element.shape)
        return draw(st.lists(values(service, element, name, depth - 1), min_size=1, max_size=2))
    if shape.type == "structure":
        optional = (
            draw(st.sets(st.sampled_from(sorted(shape.members)), max_size=4)) if shape.members and depth > 0 else set()
        )
        chosen = sorted(optional | shape.required)
        members = {key: draw(values(service, model.shape(shape.members[key].shape), key, depth - 1)) for key in chosen}
        return {key: value for key, value in members.items() if value not in ({}, [{}], [{}, {}], "", b"")}
    if name in BASE64_TEXT or (shape.name, name) == ("UserData", "Data"):
        return base64.b64encode(draw(st.binary(min_size=1, max_size=9))).decode()
    return draw(SCALARS[shape.type].filter(lambda value: value not in ("", b"")))


def emptied(value: Any) -> Any:
    """Without what the wire cannot tell from nothing."""
    if isinstance(value, dict):
        inner = {key: emptied(each) for key, each in value.items()}
        return {key: each for key, each in inner.items() if each not in ({}, [])}
    if isinstance(value, list):
        inner_list = [emptied(each) for each in value]
        return [each for each in inner_list if each != {}]
    return value


# Of sts only what is served: its model has maps, which EC2's protocol does not know.
OPERATIONS = {"ec2": sorted(codec("ec2").operations), "sts": sorted(sts.actions)}


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, dict[str, Any]]:
    service = draw(st.sampled_from(["ec2", "ec2", "ec2", "sts"]))
    operation = draw(st.sampled_from(OPERATIONS[service]))
    shape = codec(service).operations[operation].input
    return service, operation, emptied(draw(values(service, shape))) if shape else {}


SLOW = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


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


# --- answers


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, str, dict[str, Any]]:
    service = draw(st.sampled_from(["ec2", "ec2", "ec2", "sts"]))
    known = codec(service).operations
    operation = draw(st.sampled_from([name for name in OPERATIONS[service] if known[name].output]))
    return service, operation, draw(values(service, known[operation].output))


@SLOW
@given(answers())
def test_botocore_reads_an_answer_as_it_was_given(case):
    service, operation, answer = case
    xml = codec(service).encode(operation, answer, version=NEW, request_id="r")
    found = parsed(operation, xml, service)
    if "Return" in found and "Return" not in answer:
        assert found.pop("Return") in (True, "true")  # in some answers it is text

    assert trimmed(found) == trimmed(answer)


def trimmed(value: Any) -> Any:
    """botocore's parser takes no notice of white space only, and makes empty lists of empty structures."""
    if isinstance(value, dict):
        inner = {key: trimmed(each) for key, each in value.items()}
        return {key: each for key, each in inner.items() if each not in ({}, [], [{}], "")}
    if isinstance(value, list):
        return [trimmed(each) for each in value]
    return value.strip() if isinstance(value, str) else value


@pytest.mark.parametrize("version", ["2010-08-31", "2014-10-01", NEW])
def test_the_requested_version_is_echoed_with_a_slash(version):
    assert f'xmlns="http://ec2.amazonaws.com/doc/{version}/"' in encode("DescribeRegions", {"Regions": []}, version)


def test_the_form_of_an_answer():
    found = encode("DescribeRegions", {"Regions": [{"RegionName": "a&b", "Endpoint": None}]})

    assert found == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<DescribeRegionsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>req-1</requestId>'
        "<regionInfo><item><regionName>a&amp;b</regionName></item></regionInfo></DescribeRegionsResponse>"
    )


@pytest.mark.parametrize("operation", ["ReleaseAddress", "RebootInstances", "DeleteSecurityGroup", "DeleteVolume"])
def test_what_answers_nothing_answers_true(operation):
    assert encode(operation, {}).count("<return>true</return>") == 1


def test_a_return_is_as_the_action_says():
    found = encode("AuthorizeSecurityGroupIngress", {"Return": False})

    assert "<return>false</return>" in found
    assert "true" not in found


def test_an_empty_list_is_an_empty_element_and_none_is_left_out():
    found = encode("DescribeInstances", {"Reservations": [], "NextToken": None})

    assert "<reservationSet/>" in found
    assert "nextToken" not in found


def test_times_have_milliseconds_and_a_z():
    moment = datetime.fromisoformat("2026-01-02T04:04:05.006007+01:00")

    assert ">2026-01-02T03:04:05.006Z<" in encode("DescribeVolumes", {"Volumes": [{"CreateTime": moment}]})


def test_hidden_members_are_not_shown():
    found = encode("DescribeVolumes", {"Volumes": [{"VolumeId": "v", "_OwnerId": "secret"}]})

    assert "secret" not in found


def test_an_unknown_member_is_a_mistake():
    with pytest.raises(KeyError, match="Volume has no member Nonsense"):
        encode("DescribeVolumes", {"Volumes": [{"Nonsense": 1}]})


def test_old_clients_do_not_see_the_cidr_sets_of_a_vpc():
    vpc = Item(
        {"VpcId": "vpc-1", "CidrBlockAssociationSet": [{"CidrBlock": "10.0.0.0/8"}], "Ipv6CidrBlockAssociationSet": []}
    )
    answer = {"Vpcs": [vpc]}

    for _ in range(2):
        assert "idrBlockAssociationSet" not in encode("DescribeVpcs", answer, "2015-10-01")
        assert "cidrBlockAssociationSet" in encode("DescribeVpcs", answer, NEW)


def test_an_item_is_written_once():
    item = Item({"VolumeId": "vol-1", "Tags": [{"Key": "a", "Value": "<"}]})
    first = encode("DescribeVolumes", {"Volumes": [item]})
    item["VolumeId"] = "changed"

    assert encode("DescribeVolumes", {"Volumes": [item]}) == first
    assert encode("DescribeVolumes", {"Volumes": [dict(item)]}) != first


@given(st.text(st.characters()))
def test_any_text_makes_an_xml_that_parses(text):
    root = ElementTree.fromstring(encode("DescribeVolumes", {"Volumes": [{"VolumeId": text}]}))
    [found] = [element for element in root.iter() if element.tag.endswith("volumeId")]

    assert len(found.text or "") == len(text)


def test_errors_of_ec2():
    found = codec().error("InvalidInstanceID.NotFound", "The instance ID '<i>' does not exist", "req-1").decode()

    assert found.endswith(
        "<Response><Errors><Error><Code>InvalidInstanceID.NotFound</Code>"
        "<Message>The instance ID '&lt;i&gt;' does not exist</Message></Error></Errors>"
        "<RequestID>req-1</RequestID></Response>"
    )


def test_errors_of_the_query_protocol():
    found = codec("sts").error("SignatureDoesNotMatch", "No.", "req-1").decode()

    assert '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>' in found
    assert "<RequestId>req-1</RequestId></ErrorResponse>" in found


def test_the_caller_identity():
    answer = {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:root", "UserId": "u"}
    xml = codec("sts").encode("GetCallerIdentity", answer, version="2011-06-15", request_id="req-1")

    assert parsed("GetCallerIdentity", xml, "sts") == answer
    assert b"<GetCallerIdentityResult>" in xml
    assert b"<ResponseMetadata><RequestId>req-1</RequestId></ResponseMetadata>" in xml


def test_an_answer_is_checked_against_the_model():
    good = {"Volumes": [{"VolumeId": "v", "State": "in-use", "Size": 1, "CreateTime": datetime.now(UTC), "_Hidden": 1}]}
    bad = {
        "Volumes": [{"VolumeId": 7, "State": "lost", "Size": True, "CreateTime": datetime(2026, 1, 1), "Nope": 1}, 5]
    }

    assert codec().validate("DescribeVolumes", good) == []
    assert codec().validate("DescribeVolumes", bad) == [
        "DescribeVolumes.Volumes[0].VolumeId: int is no string",
        "DescribeVolumes.Volumes[0].State: 'lost' is none of VolumeState's values",
        "DescribeVolumes.Volumes[0].Size: bool is no integer",
        "DescribeVolumes.Volumes[0].CreateTime: a time without a zone",
        "DescribeVolumes.Volumes[0].Nope: Volume has no such member",
        "DescribeVolumes.Volumes[1]: int is no structure",
    ]


@SLOW
@given(answers())
def test_what_fits_the_model_is_not_complained_about(case):
    service, operation, answer = case
    wrong = [each for each in codec(service).validate(operation, answer) if "'s values" not in each]

    assert [each for each in wrong if "is required" not in each] == []


def test_the_operations_are_those_of_the_model():
    known = codec().operations

    assert len(known) > 700
    assert "RunInstances" in known
    assert "Nonsense" not in known
    assert known["RunInstances"].has_member("ClientToken")
    assert not known["StopInstances"].has_member("ClientToken")
    assert set(known) == set(botocore_model("ec2").operation_names)
