"""Signatures: what real signers make is accepted, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace
from urllib.parse import parse_qsl, quote, urlencode

import pytest
from botocore.auth import SigV2Auth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import assume, given
from hypothesis import strategies as st
from libcloud.common.aws import AWSRequestSignerAlgorithmV2, AWSRequestSignerAlgorithmV4
from raw import received

from isthmus.aws.auth import claim
from isthmus.aws.errors import AwsError
from isthmus.aws.request import Request

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
HOST = "127.0.0.1:8788"
FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
PARAMS = {"Action": "DescribeInstances", "Version": "2016-11-15", "Filter.1.Value.1": "a b~c*é/+=&"}


def v4(method: str = "POST", path: str = "/", token: str | None = None, host: str = HOST) -> Request:
    data = urlencode(PARAMS) if method == "POST" else b""
    url = f"http://{host}{path}" + ("" if method == "POST" else "?" + urlencode(PARAMS, quote_via=quote))
    request = AWSRequest(method, url, dict(FORM) if method == "POST" else {}, data)
    SigV4Auth(Credentials(KEY, SECRET, token), "ec2", "us-east-1").add_auth(request)
    return received(request)


def presigned(method: str = "GET", token: str | None = None, expires: int = 60) -> Request:
    request = AWSRequest(method, f"http://{HOST}/", {}, {}, params=dict(PARAMS))
    SigV4QueryAuth(Credentials(KEY, SECRET, token), "ec2", "us-east-1", expires).add_auth(request)
    return received(request)


def v2(method: str = "POST", token: str | None = None) -> Request:
    given = {"data": dict(PARAMS)} if method == "POST" else {"params": dict(PARAMS)}
    request = AWSRequest(method, f"http://{HOST}/", dict(FORM) if method == "POST" else {}, **given)
    SigV2Auth(Credentials(KEY, SECRET, token)).add_auth(request)
    return received(request)


MADE = {
    "v4 post": lambda: v4(),
    "v4 get": lambda: v4("GET"),
    "v4 below a path": lambda: v4(path="/services/Eucalyptus/"),
    "v4 odd path": lambda: v4(path="/a%20b//./c/../~d%2F*"),
    "v4 with a session": lambda: v4(token="session"),
    "presigned get": lambda: presigned(),
    "presigned post": lambda: presigned("POST"),
    "presigned with a session": lambda: presigned(token="session"),
    "v2 post": lambda: v2(),
    "v2 get": lambda: v2("GET"),
    "v2 with a session": lambda: v2(token="session"),
}


@pytest.fixture(params=MADE, ids=lambda name: name.replace(" ", "-"))
def request_(request: pytest.FixtureRequest) -> Request:
    return MADE[request.param]()


def refused(request: Request) -> AwsError:
    with pytest.raises(AwsError) as refusal:
        claim(request)
    return refusal.value


def with_headers(request: Request, **headers: str) -> Request:
    return replace(request, headers={**request.headers, **{k.replace("_", "-"): v for k, v in headers.items()}})


def test_what_botocore_signs_is_verified(request_):
    made = claim(request_)

    assert made.access_key == KEY
    assert made.verify(SECRET)
    assert not made.verify(SECRET + "x")
    made.check_time(datetime.now(UTC))


def test_the_parameters_arrive_as_they_were_sent(request_):
    assert dict(PARAMS).items() <= dict(request_.params).items()


@pytest.mark.parametrize("make", [lambda: v4(token="t"), lambda: presigned(token="t"), lambda: v2(token="t")])
def test_a_session_token_is_part_of_the_claim(make):
    assert claim(make()).token == "t"


def test_a_client_may_sign_the_host_without_its_port():
    for request in (v4(host="127.0.0.1"), replace(v2(), headers={"host": HOST, **FORM})):
        assert claim(with_headers(request, host=HOST)).verify(SECRET)


def test_another_host_is_not_what_was_signed():
    for request in (v4(), v2(), presigned()):
        assert not claim(with_headers(request, host="evil:8788")).verify(SECRET)


def test_any_region_and_service_are_taken_as_the_client_names_them():
    request = AWSRequest("POST", f"http://{HOST}/", dict(FORM), urlencode(PARAMS))
    SigV4Auth(Credentials(KEY, SECRET), "127", "0").add_auth(request)
    made = claim(received(request))

    assert made.verify(SECRET)
    assert (made.scope.region, made.scope.service) == ("0", "127")


def boto2(monkeypatch: pytest.MonkeyPatch, method: str, version: str, params: dict[str, str]) -> Request:
    from boto.ec2.connection import EC2Connection
    from boto.regioninfo import RegionInfo

    monkeypatch.setenv("EC2_USE_SIGV4", "1" if version == "4" else "")
    region = RegionInfo(name="here", endpoint="127.0.0.1")
    connection = EC2Connection(KEY, SECRET, is_secure=False, port=8788, region=region)
    sent = connection.build_base_http_request(method, "/", "/", dict(params), {}, "", "127.0.0.1")
    sent.authorize(connection=connection)
    path, _, query = sent.path.partition("?")
    headers = {name.lower(): value for name, value in sent.headers.items()}
    body = sent.body if isinstance(sent.body, bytes) else sent.body.encode()
    return Request(method, path, query, {"host": HOST, **FORM, **headers}, body)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("version", ["2", "4"])
def test_what_boto_2_signs_is_verified(monkeypatch, method, version):
    made = claim(boto2(monkeypatch, method, version, PARAMS))

    assert made.verify(SECRET)
    assert not made.verify("other")


def libcloud_connection() -> SimpleNamespace:
    driver = SimpleNamespace(region_name="us-east-1")
    return SimpleNamespace(host="127.0.0.1", port=8788, secure=False, driver=driver, service_name="ec2")


def test_what_libcloud_signs_as_version_2_is_verified():
    signer = AWSRequestSignerAlgorithmV2(KEY, SECRET, "2016-11-15", libcloud_connection())
    params = signer.get_request_params(dict(PARAMS), path="/services/Cloud")

    assert claim(Request("GET", "/services/Cloud", urlencode(params), {"host": HOST})).verify(SECRET)


def test_what_libcloud_signs_as_version_4_is_verified():
    signer = AWSRequestSignerAlgorithmV4(KEY, SECRET, "2016-11-15", libcloud_connection())
    sent = {"Host": HOST, "Accept-Encoding": "gzip,deflate", "User-Agent": "libcloud/3.9.1 (x)"}
    params, headers = signer.get_request_headers(dict(PARAMS), sent)
    lower = {name.lower(): value for name, value in headers.items()}

    assert claim(Request("GET", "/", urlencode(params), lower)).verify(SECRET)


def test_sha1_is_verified_as_well():
    import base64
    import hmac

    query = (
        f"AWSAccessKeyId={KEY}&Action=A&SignatureMethod=HmacSHA1&SignatureVersion=2&Timestamp=2026-01-02T03%3A04%3A05"
    )
    signature = base64.b64encode(hmac.digest(SECRET.encode(), f"GET\nh\n/\n{query}".encode(), "sha1")).decode()
    made = claim(Request("GET", "/", f"{query}&Signature={quote(signature, safe='')}", {"host": "H"}))

    assert made.verify(SECRET)
    assert made.signed_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_commas_of_the_authorization_header_need_no_space_behind_them():
    request = v4()
    squeezed = request.headers["authorization"].replace(", ", ",")

    assert claim(with_headers(request, authorization=squeezed)).verify(SECRET)


@pytest.mark.parametrize("minutes", [-15, 0, 15])
def test_a_clock_may_be_off_by_fifteen_minutes(request_, minutes):
    made = claim(request_)
    if made.expires is None or minutes <= 0:
        made.check_time(made.signed_at + timedelta(minutes=minutes))


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_request_of_another_time_has_expired(request_, minutes):
    made = claim(request_)
    with pytest.raises(AwsError) as refusal:
        made.check_time(made.signed_at + timedelta(minutes=minutes))

    assert (refusal.value.code, refusal.value.status) == ("RequestExpired", 400)


def test_a_presigned_url_is_good_until_it_expires():
    made = claim(presigned(expires=604800))
    made.check_time(made.signed_at + timedelta(days=6))
    with pytest.raises(AwsError, match="RequestExpired"):
        made.check_time(made.signed_at + timedelta(days=7, seconds=1))


@pytest.mark.parametrize("expires", [0, -1, 604801, 10**12])
def test_a_presigned_url_lasts_a_week_at_most(expires):
    assert refused(presigned(expires=expires)).code == "InvalidParameterValue"


def test_version_2_may_say_when_it_expires():
    request = v2("GET")
    dated = replace(request, query=request.query.replace("Timestamp=", "Expires="))
    made = claim(dated)

    assert made.signed_at is None
    with pytest.raises(AwsError, match="RequestExpired"):
        made.check_time(made.expires + timedelta(seconds=1))
    both = replace(request, query=request.query + "&Expires=2030-01-01T00%3A00%3A00Z")
    assert refused(both).code == "InvalidParameterCombination"


def test_an_unsigned_request_is_refused():
    refusal = refused(Request("POST", "/", "", {"host": HOST}, urlencode(PARAMS).encode()))

    assert (refusal.code, refusal.status) == ("MissingAuthenticationToken", 403)


V4A = "AWS4-ECDSA-P256-SHA256 Credential=A/20260102/ec2/aws4_request, SignedHeaders=host, Signature=00"
FULL = "AWS4-HMAC-SHA256 Credential=A/20260102/r/s/aws4_request, SignedHeaders=host, Signature=00"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic dXNlcjpwYXNz",
        "AWS AKID:c2ln",
        V4A,
        FULL.replace("SignedHeaders=host, ", ""),
        FULL.replace("=host", "=x-amz-date"),
        FULL.replace("=host", "=host;host"),
        FULL.replace("=host", "=Host"),
        FULL.replace("aws4_request", "aws5_request"),
        FULL.replace("20260102", "20260103"),
        FULL.replace("/r/s/", "/s/"),
        FULL + ", Signature=01",
    ],
)
def test_a_malformed_authorization_is_an_incomplete_signature(header):
    request = Request("POST", "/", "", {"host": HOST, "x-amz-date": "20260102T030405Z", "authorization": header})

    assert refused(request).code == "IncompleteSignature"


@pytest.mark.parametrize(
    "stamp", ["", "2026-01-02T03:04:05Z", "20261302T030405Z", "20260102T030405", "00000102T000000Z"]
)
def test_a_malformed_date_is_an_incomplete_signature(stamp):
    assert refused(with_headers(v4(), x_amz_date=stamp)).code == "IncompleteSignature"


def test_versions_0_and_1_are_refused():
    for version in ("0", "1", ""):
        query = f"AWSAccessKeyId={KEY}&SignatureVersion={version}&Signature=x&Timestamp=2026-01-02T03%3A04%3A05Z"
        assert refused(Request("GET", "/", query, {"host": HOST})).code == "IncompleteSignature"


def test_a_request_signed_twice_is_refused():
    request = v4()
    assert refused(replace(request, query=presigned().query)).code == "IncompleteSignature"
    assert refused(replace(request, query="Signature=x")).code == "IncompleteSignature"


def test_a_session_token_beside_the_signature_is_refused():
    assert refused(with_headers(v4(), x_amz_security_token="stolen")).code == "IncompleteSignature"


def test_a_said_hash_must_be_that_of_the_body():
    request = AWSRequest("POST", f"http://{HOST}/", {**FORM, "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}, b"Action=A")
    SigV4Auth(Credentials(KEY, SECRET), "ec2", "us-east-1").add_auth(request)

    assert not claim(received(request)).verify(SECRET)


def test_a_presigned_url_takes_no_body_that_was_not_signed():
    request = presigned("POST")
    added = replace(request, body=b"InstanceId.1=i-1", headers={**request.headers, **FORM})

    assert not claim(added).verify(SECRET)


def test_a_parameter_beside_a_signed_form_is_noticed():
    assert not claim(replace(v2(), query="InstanceId.1=i-1")).verify(SECRET)
    assert not claim(replace(v4(), query="InstanceId.1=i-1")).verify(SECRET)


def mutated(draw: st.DrawFn, text: str) -> str:
    """The text with one letter or digit changed: a change that means something in any encoding."""
    places = [index for index, char in enumerate(text) if char.isascii() and char.isalnum()]
    index = draw(st.sampled_from(places))
    other = draw(st.sampled_from("abcdefXYZ0123456789").filter(lambda char: char != text[index]))
    return text[:index] + other + text[index + 1 :]


@cache
def signed_once(name: str) -> Request:
    """The same for every example: signatures of another second have other letters."""
    return MADE[name]()


@st.composite
def tampered(draw: st.DrawFn) -> Request:
    name = draw(st.sampled_from(sorted(MADE)))
    request = signed_once(name)
    parts = ["path+", "method"]
    parts += ["query"] if request.query else []
    parts += ["body"] if request.body else []
    parts += [header for header in request.headers if header in ("host", "authorization", "x-amz-date")]
    part = draw(st.sampled_from(parts))
    if part == "path+":
        return replace(request, path=request.path + draw(st.sampled_from(["x", "a/b", "%20"])))
    if part == "method":
        return replace(request, method="PUT")
    if part in ("query", "body"):
        before = request.query if part == "query" else request.body.decode()
        after = mutated(draw, before)
        # The same parameters in other spelling (%c3 for %C3) are the same request.
        assume(parse_qsl(after, True) != parse_qsl(before, True))
        return replace(request, query=after) if part == "query" else replace(request, body=after.encode())
    return with_headers(request, **{part.replace("-", "_"): mutated(draw, request.headers[part])})


@given(tampered())
def test_a_changed_request_is_not_verified(request_):
    try:
        made = claim(request_)
    except AwsError:
        return
    assert made.access_key != KEY or not made.verify(SECRET)


NAMES = ["authorization", "host", "x-amz-date", "date", "content-type", "x-amz-content-sha256", "x-amz-security-token"]
PIECES = [
    "AWS4-HMAC-SHA256 ",
    "Credential=",
    "A/20260102/r/s/aws4_request",
    ", ",
    ",",
    "SignedHeaders=",
    "host",
    ";",
    "Signature=",
    "20260102T030405Z",
    "Fri, 02 Jan 2026 03:04:05 GMT",
    "é",
    "\x00",
    "%",
    "=",
    "\ud800",
]
garbage = st.one_of(st.text(max_size=40), st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
QUERY = [
    "X-Amz-Algorithm=AWS4-HMAC-SHA256",
    "X-Amz-Credential=A/20260102/r/s/aws4_request",
    "X-Amz-Date=20260102T030405Z",
    "X-Amz-Expires=60",
    "X-Amz-SignedHeaders=host",
    "X-Amz-Signature=00",
    "AWSAccessKeyId=A",
    "Signature=x",
    "SignatureVersion=2",
    "SignatureMethod=HmacSHA256",
    "Timestamp=2026-01-02",
    "Expires=9999-12-31T23:59:59-23:59",
    "%zz",
    "a=%ff",
    "&&",
    "=",
    "é=1",
]


@given(
    method=st.sampled_from(["GET", "POST", "PUT", ""]),
    path=garbage.map(lambda text: "/" + text),
    query=st.one_of(garbage, st.lists(st.sampled_from(QUERY), max_size=9).map("&".join)),
    headers=st.dictionaries(st.sampled_from(NAMES), garbage),
    body=st.binary(max_size=60),
)
def test_garbage_is_refused_in_aws_words_or_not_verified(method, path, query, headers, body):
    try:
        made = claim(Request(method, path, query, headers, body))
        made.check_time(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    except AwsError as refusal:
        said = refusal.status
    else:
        said = 200 if made.verify(SECRET) else 401
    assert 400 <= said < 500


def test_a_claim_does_not_show_its_signature_or_token():
    shown = repr(claim(v4(token="hidden-token")))

    assert "hidden-token" not in shown
    assert claim(v4()).signature not in shown


def test_malformed_text_is_refused():
    for query in ("a=%zz", "a=%", "a=%ff", "%c3%28=1"):
        with pytest.raises(AwsError, match="MalformedQueryString"):
            _ = Request("GET", "/", query, {}).params


def test_a_flood_of_parameters_is_refused():
    with pytest.raises(AwsError, match="more than"):
        _ = Request("POST", "/", "", {}, b"a=1&" * 30_000).params
