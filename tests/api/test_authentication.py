"""Who may ask: real signers are believed, and everybody else is told why not, in the words clients know."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError
from raw import FORM, HOST, Answer, Sender, received

from isthmus.aws.request import Request

REGIONS = b"Action=DescribeRegions&Version=2016-11-15"
WHO = b"Action=GetCallerIdentity&Version=2011-06-15"


@pytest.fixture
def send(house: Any) -> Sender:
    return Sender(house.front, house.account)


@pytest.fixture
def sts(send: Sender) -> Sender:
    return replace(send, service="sts")


def _says(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


def _post(body: bytes = REGIONS, **headers: str) -> Request:
    return Request("POST", "/", "", {"host": HOST, "content-type": FORM, **headers}, body)


def _signed(send: Sender, body: bytes = REGIONS, **headers: str) -> Request:
    """A good request of this moment."""
    return send.signed(AWSRequest("POST", f"http://{HOST}/", {"Content-Type": FORM, **headers}, body))


def _changed(request: Request, name: str, old: str, new: str) -> Request:
    value = request.headers[name]
    assert old in value
    return replace(request, headers={**request.headers, name: value.replace(old, new)})


@pytest.mark.parametrize("version", ["v4", "v2"])
def test_what_botocore_signs_is_accepted(house, version):
    ec2 = house.client(signature_version=version)

    assert ec2.describe_regions()["Regions"][0]["RegionName"] == "us-east-1"


def test_who_has_signed_is_who_is_asked_for(house):
    second = house.new_account("second")

    for account in (house.account, second):
        assert house.client("sts", account).get_caller_identity()["Account"] == account[0]


def _presigned(house: Any, method: str, seconds: int = 60) -> Request:
    url = house.client().generate_presigned_url("describe_regions", ExpiresIn=seconds, HttpMethod=method)
    parts = urlsplit(url)
    return Request(method, parts.path, parts.query, {"host": HOST}, b"")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_presigned_url_is_good_until_it_expires(house, send, method):
    request = _presigned(house, method)

    assert send.send(request).all("regionName") == ["us-east-1"]
    assert send.send(request).status == 200
    house.clock.pass_by(61)
    assert _says(send.send(request)) == (400, "RequestExpired")


def test_a_presigned_url_is_good_for_its_method_only(house, send):
    assert _says(send.send(replace(_presigned(house, "GET"), method="POST"))) == (401, "AuthFailure")


def test_a_presigned_url_may_not_say_more_than_was_signed(house, send):
    request = _presigned(house, "GET")

    assert _says(send.send(replace(request, query=request.query + "&RegionName.1=us-east-1"))) == (401, "AuthFailure")
    assert _says(send.send(replace(request, method="POST", body=b"DryRun=true"))) == (401, "AuthFailure")


@pytest.mark.parametrize(("seconds", "status"), [(0, 400), (604_800, 200), (604_801, 400)])
def test_a_presigned_url_lives_for_a_week_at_most(house, send, seconds, status):
    assert send.send(_presigned(house, "GET", seconds)).status == status


def test_a_wrong_key_and_a_wrong_signature_are_told_alike_by_ec2(send):
    number, key, secret = send.account
    unknown = replace(send, account=(number, "AKIAAAAAAAAAAAAAAAAA", secret))
    wrong = replace(send, account=(number, key, secret + "x"))

    for answer in (unknown("DescribeRegions"), wrong("DescribeRegions"), wrong.v2("GET", "DescribeRegions")):
        assert _says(answer) == (401, "AuthFailure")
        assert answer.message == "AWS was not able to validate the provided access credentials"


def test_a_wrong_key_and_a_wrong_signature_are_told_apart_by_sts(sts):
    number, key, secret = sts.account
    unknown = replace(sts, account=(number, "AKIAAAAAAAAAAAAAAAAA", secret))
    wrong = replace(sts, account=(number, key, secret + "x"))

    assert _says(unknown.body(WHO)) == (403, "InvalidClientTokenId")
    assert _says(wrong.body(WHO)) == (403, "SignatureDoesNotMatch")


def test_a_revoked_key_is_refused_at_once(house, send):
    assert send("DescribeRegions").status == 200

    house.store.revoke(send.account[1])

    assert _says(send("DescribeRegions")) == (401, "AuthFailure")


def test_a_session_token_is_refused(house):
    import boto3

    _, key, secret = house.account
    ec2 = boto3.Session(key, secret, "token", region_name="us-east-1").client("ec2", endpoint_url=f"http://{HOST}")
    ec2.meta.events.register("before-send", house.send)

    with pytest.raises(ClientError, match="AuthFailure"):
        ec2.describe_regions()


@pytest.mark.parametrize("off", [-901, 901])
@pytest.mark.parametrize("service", ["ec2", "sts"])
def test_a_clock_that_is_off_by_more_than_a_quarter_of_an_hour_is_refused(house, send, service, off):
    house.clock.pass_by(-off)

    answer = replace(send, service=service).body(WHO if service == "sts" else REGIONS)

    assert _says(answer) == (400, "RequestExpired")
    assert answer.message.startswith("Request has expired. Timestamp date is ")


@pytest.mark.parametrize("off", [-880, 880])
def test_a_clock_that_is_off_by_less_is_good_enough(house, send, off):
    house.clock.pass_by(-off)

    assert send("DescribeRegions").status == 200
    assert send.v2("POST", "DescribeRegions").status == 200


@pytest.mark.parametrize("off", [-901, 901])
def test_an_old_signature_of_version_2_is_refused(house, send, off):
    house.clock.pass_by(-off)

    assert _says(send.v2("GET", "DescribeRegions")) == (400, "RequestExpired")


@pytest.mark.parametrize("body", [REGIONS, WHO, b"", b"Action=NoSuchAction"])
def test_what_is_not_signed_is_refused(send, body):
    assert _says(send.send(_post(body))) == (403, "MissingAuthenticationToken")


@pytest.mark.parametrize("version", ["0", "1", "3", "", "2.0"])
def test_other_versions_of_the_signature_are_refused(send, version):
    said = f"&AWSAccessKeyId={send.account[1]}&SignatureMethod=HmacSHA1&SignatureVersion={version}"
    body = REGIONS + (said + "&Timestamp=2026-01-01T00:00:00Z&Signature=abc").encode()

    assert _says(send.send(_post(body))) == (400, "IncompleteSignature")


def test_version_4a_is_refused(send):
    request = _changed(_signed(send), "authorization", "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")

    assert _says(send.send(request)) == (400, "IncompleteSignature")
    query = "X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256&X-Amz-Signature=0"
    assert _says(send.send(Request("GET", "/", query, {"host": HOST}, b""))) == (400, "IncompleteSignature")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic dXNlcjpwYXNz",
        "Bearer x",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=a",
        "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=c",
        "AWS4-HMAC-SHA256 Credential=a/20260101/r/s/aws4_request, SignedHeaders=host, Signature=",
        "AWS4-HMAC-SHA256 Credential=a/20260101/r/s/aws4_request, SignedHeaders=Host, Signature=c",
        "AWS4-HMAC-SHA256 " + "Credential=a," * 1000,
        "\x00\xff",
    ],
)
def test_an_authorization_that_is_none_is_incomplete(send, header):
    answer = send.send(_post(authorization=header, **{"x-amz-date": "20260101T000000Z"}))

    assert _says(answer) == (400, "IncompleteSignature")


@pytest.mark.parametrize("name", ["Credential=", "SignedHeaders=", "Signature="])
def test_each_part_of_an_authorization_is_needed(send, name):
    assert _says(send.send(_changed(_signed(send), "authorization", name, "X" + name))) == (400, "IncompleteSignature")


def test_the_date_is_needed(send):
    request = _signed(send)
    headers = {name: value for name, value in request.headers.items() if name != "x-amz-date"}

    assert _says(send.send(replace(request, headers=headers))) == (400, "IncompleteSignature")
    for date in ("yesterday", "20260101", "99991399T000000Z", "２０２６0101T000000Z"):  # noqa: RUF001
        told = replace(request, headers={**headers, "x-amz-date": date})
        assert _says(send.send(told)) == (400, "IncompleteSignature")


def test_a_date_header_will_do(send):
    request = AWSRequest("POST", f"http://{HOST}/", {"Content-Type": FORM}, REGIONS)
    request.headers["Date"] = format_datetime(datetime.now(UTC), usegmt=True)
    SigV4Auth(send.credentials, "ec2", "us-east-1").add_auth(request)

    assert "X-Amz-Date" not in request.headers
    assert send.send(received(request)).status == 200


@pytest.mark.parametrize(
    "change",
    [
        {"body": REGIONS + b"&RegionName.1=us-east-1"},
        {"query": "RegionName.1=us-east-1"},
        {"path": "/services/Cloud"},
        {"method": "PUT"},
        {"body": b""},
    ],
    ids=str,
)
def test_what_was_changed_on_its_way_is_refused(send, change):
    answer = send.send(replace(_signed(send), **change))

    assert answer.status in (401, 400)
    assert answer.code in ("AuthFailure", "MissingAction")


def test_an_action_in_the_query_that_was_not_signed_is_refused(send):
    request = replace(_signed(send, b"Version=2016-11-15"), query="Action=DescribeRegions")

    assert _says(send.send(request)) == (401, "AuthFailure")


def test_a_request_signed_in_two_ways_is_refused(send):
    request = replace(_signed(send), query="X-Amz-Signature=abc")

    assert _says(send.send(request)) == (400, "IncompleteSignature")


@pytest.mark.parametrize("path", ["/", "/services/Cloud", "/services/Cloud/", "/services/Eucalyptus"])
@pytest.mark.parametrize("body", [REGIONS, WHO])
def test_ec2_and_sts_are_served_at_the_paths_of_all_clients(send, path, body):
    service = "ec2" if body is REGIONS else "sts"

    assert replace(send, service=service).body(body, path).status == 200


@pytest.mark.parametrize("path", ["/nothing", "/services", "/services/Cloud/x", "/%00", "/latest/meta-data"])
def test_there_is_nothing_at_other_paths(send, path):
    answer = send.body(REGIONS, path)

    assert (answer.status, answer.root.tag) == (404, "Response")


@pytest.mark.parametrize("service", ["sts", "127", "undefined"])
def test_sts_is_found_by_its_version_where_the_scope_says_nothing(send, service):
    answer = replace(send, service=service).body(WHO)

    assert answer.root.tag == "GetCallerIdentityResponse"
    assert answer.all("Account") == [send.account[0]]


def test_an_action_of_ec2_is_not_one_of_sts(sts):
    assert _says(sts.body(REGIONS)) == (400, "InvalidAction")


@pytest.mark.parametrize("service", ["autoscaling", "elasticloadbalancing", "iam", "monitoring", "cloudformation"])
def test_another_services_action_is_not_taken_for_ec2s_of_the_same_name(send, service):
    answer = replace(send, service=service)("DescribeTags", version="2011-01-01")

    assert _says(answer) == (400, "InvalidAction")
    assert service in answer.message


def test_an_error_of_ec2_has_ec2s_form(send):
    answer = send("DescribeInstances", {"InstanceId.1": "i-0123456789abcdef0"})

    assert answer.text == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>InvalidInstanceID.NotFound</Code>'
        "<Message>The instance ID 'i-0123456789abcdef0' does not exist</Message></Error></Errors>"
        f"<RequestID>{answer.response.request_id}</RequestID></Response>"
    )


def test_an_error_of_sts_has_the_form_of_the_query_protocol(sts):
    answer = replace(sts, account=("", "AKIAAAAAAAAAAAAAAAAA", "x")).body(WHO)

    assert answer.text == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        "<Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid.</Message>"
        f"</Error><RequestId>{answer.response.request_id}</RequestId></ErrorResponse>"
    )


def test_what_is_not_signed_is_refused_in_the_form_of_its_service(send):
    assert send.send(_post(WHO)).root.tag == "ErrorResponse"
    assert send.send(_post(REGIONS)).root.tag == "Response"


def test_every_answer_has_a_request_id_of_its_own(send, sts):
    answers = [send("DescribeRegions"), send("DescribeRegions"), send("Nothing"), sts.body(WHO), send.send(_post())]

    ids = [answer.request_id for answer in answers]
    assert len(set(ids)) == len(ids)
    assert ids == [answer.response.request_id for answer in answers]


def test_the_request_id_is_what_botocore_shows(ec2):
    told = ec2.describe_regions()["ResponseMetadata"]
    with pytest.raises(ClientError) as refused:
        ec2.describe_regions(RegionNames=["nowhere"])

    assert told["RequestId"] == told["HTTPHeaders"]["x-amzn-requestid"]
    told = refused.value.response["ResponseMetadata"]
    assert told["RequestId"] == told["HTTPHeaders"]["x-amzn-requestid"]


def test_a_refusal_says_neither_the_secret_nor_the_right_signature(send):
    number, key, secret = send.account
    right = _signed(send).headers["authorization"].rpartition("=")[2]

    for service in ("ec2", "sts"):
        answer = replace(send, service=service, account=(number, key, "wrong")).body(WHO)
        assert secret not in answer.text
        assert right not in answer.text


def test_a_request_may_be_repeated_within_its_time(house, send):
    request = _signed(send)

    assert [send.send(request).status for _ in range(2)] == [200, 200]
    house.clock.pass_by(timedelta(minutes=16).total_seconds())
    assert _says(send.send(request)) == (400, "RequestExpired")
