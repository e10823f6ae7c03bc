"""What the codec writes, as botocore reads it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest
from botocore.parsers import create_parser
from hypothesis import given
from hypothesis import strategies as st
from modelled import OPERATIONS, SERVICES, SLOW, botocore_model, codec, values

from isthmus.aws.codec import Item

NEW = "2016-11-15"


def encode(operation: str, answer: dict[str, Any], version: str = NEW) -> str:
    return codec().encode(operation, answer, version=version, request_id="req-1").decode()


def parsed(operation: str, xml: bytes, service: str = "ec2") -> dict[str, Any]:
    shape = botocore_model(service).operation_model(operation).output_shape
    answer = create_parser(SERVICES[service]).parse({"body": xml, "headers": {}, "status_code": 200}, shape)
    answer.pop("ResponseMetadata")
    return answer


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
