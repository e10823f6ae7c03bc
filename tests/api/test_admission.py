"""Clouds that give out credentials themselves say who has signed, and each of their tenants is an account."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from house import House
from raw import FORM, HOST, Answer, Sender

from isthmus.aws.request import Request
from isthmus.context import Place
from isthmus.errors import Unavailable
from isthmus.flavors import BUILT_IN
from isthmus.model import SignedRequest
from isthmus.providers import Admission
from isthmus.providers.memory import Memory

BLUE, RED = ("", "blue-key", "blue-secret"), ("", "red-key", "red-secret")
REGIONS = b"Action=DescribeRegions&Version=2016-11-15"


class Admitting:
    """A cloud with credentials of its own: access key -> (secret, tenant)."""

    admits = True

    def __init__(self, cloud: Any) -> None:
        self.plain = self._cloud = cloud
        self.keys = {BLUE[1]: (BLUE[2], "project-blue"), RED[1]: (RED[2], "project-red")}
        self.asked: list[SignedRequest] = []
        self.opened: list[tuple[str, dict[str, Any]]] = []
        self.away = False

    def admit(self, request: SignedRequest) -> Admission | None:
        self.asked.append(request)
        if self.away:
            raise Unavailable("It does not answer.")
        secret, tenant = self.keys.get(request.access_key, ("", ""))
        if not tenant or not request.verify(secret):
            return None
        return Admission(tenant, tenant.removeprefix("project-"), self._cloud.session(tenant))

    def session(self, tenant: str, secrets: Any = ()) -> Any:
        self.opened.append((tenant, dict(secrets)))
        return self._cloud.session(tenant)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cloud, name)


@pytest.fixture
def house(build: Any) -> House:
    made: House = build()
    made.cloud = Admitting(made.cloud)
    made.world.clouds["memory"] = made.cloud  # type: ignore[index]
    made.store.set_tenant(made.account[0], "memory", "project-first")
    return made


@pytest.fixture
def blue(house: House) -> Sender:
    return Sender(house.front, BLUE)


def number(house: House, keys: tuple[str, str, str]) -> str:
    return str(house.client("sts", keys).get_caller_identity()["Account"])


def _says(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


def _presigned(house: House, method: str) -> Request:
    url = house.client(account=BLUE).generate_presigned_url("describe_regions", ExpiresIn=60, HttpMethod=method)
    parts = urlsplit(url)
    return Request(method, parts.path, parts.query, {"host": HOST}, b"")


def test_a_tenant_that_signs_is_an_account_that_bears_its_name(house):
    blue, red = number(house, BLUE), number(house, RED)

    assert blue == number(house, BLUE) != red
    assert ["blue", "red"] == [house.store.account(one).name for one in (blue, red)]
    assert ["project-blue", "project-red"] == [house.store.tenant_of(one, "memory") for one in (blue, red)]


def test_one_account_is_made_though_many_requests_are_the_first(house):
    with ThreadPoolExecutor(8) as pool:
        assert 1 == len(set(pool.map(lambda _: number(house, BLUE), range(8))))

    assert ["first", "blue"] == [one.name for one in house.store.accounts()]


def test_the_cloud_is_called_with_the_session_that_it_gave(house):
    vpc = house.client(account=BLUE).create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]

    assert [] == house.cloud.opened
    [made] = [one for one in house.cloud.session("project-blue").networks.list_networks() if not one.default]
    assert made.ref == vpc
    assert vpc in [one["VpcId"] for one in house.client(account=BLUE).describe_vpcs()["Vpcs"]]
    assert vpc not in [one["VpcId"] for one in house.client(account=RED).describe_vpcs()["Vpcs"]]


def test_an_account_that_the_operator_named_for_a_tenant_is_its_account(house):
    house.store.set_tenant(house.account[0], "memory", "project-blue")

    assert house.account[0] == number(house, BLUE)


def test_keys_of_isthmus_are_used_with_the_secrets_kept_for_their_tenant(house):
    house.store.set_tenant(house.account[0], "memory", "project-blue", {"password": "p"})

    house.client().describe_vpcs()

    assert [("project-blue", {"password": "p"})] == house.cloud.opened
    assert [] == house.cloud.asked


def test_a_key_with_a_login_of_its_own_is_used_with_it(house):
    account, key, _ = house.account
    house.store.keep_login(account, "memory", "project-first", key, {"password": "own"})
    other = house.store.create_credential(account)

    house.client().describe_vpcs()
    house.client(account=(account, other.access_key, other.secret)).describe_vpcs()

    assert [("project-first", {"password": "own"}), ("project-first", {})] == house.cloud.opened


@pytest.mark.parametrize("keys", [("", "blue-key", "wrong"), ("", "nobody", "blue-secret")])
def test_a_wrong_secret_and_an_unknown_key_are_told_alike(house, blue, keys):
    sender = replace(blue, account=keys)

    for answer in (sender.body(REGIONS), sender.v2("GET", "DescribeRegions"), sender.get("DescribeRegions")):
        assert _says(answer) == (401, "AuthFailure")
        assert answer.message == "AWS was not able to validate the provided access credentials"
    assert ["first"] == [one.name for one in house.store.accounts()]


def test_a_key_of_isthmus_stays_isthmus_own(house):
    """A tenant who gives himself somebody's access key gains nothing; nor does he learn whether it is one here."""
    _, access_key, _ = house.account
    house.cloud.keys[access_key] = ("mine", "project-red")

    assert _says(Sender(house.front, ("", access_key, "mine")).body(REGIONS)) == (401, "AuthFailure")
    assert 1 == len(house.cloud.asked)


def test_the_cloud_is_not_asked_about_old_requests(house, blue):
    request = blue.signed(AWSRequest("POST", f"http://{HOST}/", {"Content-Type": FORM}, REGIONS))
    house.clock.pass_by(1000)

    assert _says(blue.send(request)) == (400, "RequestExpired")
    assert [] == house.cloud.asked


def test_a_session_token_is_refused(house, blue):
    request = AWSRequest("POST", f"http://{HOST}/", {"Content-Type": FORM, "X-Amz-Security-Token": "t"}, REGIONS)

    assert _says(blue.send(blue.signed(request))) == (401, "AuthFailure")


@pytest.mark.parametrize("service", ["ec2", "sts"])
def test_a_cloud_that_is_away_is_worth_a_retry(house, blue, service):
    house.cloud.away = True

    assert _says(replace(blue, service=service).body(REGIONS)) == (503, "Unavailable")
    assert house.client().describe_regions()["Regions"]


def test_a_cloud_that_is_away_stands_not_in_the_way_of_another(house, blue):
    away = Admitting(house.cloud)
    away.away = True
    del house.world.clouds["memory"]
    house.world.clouds.update(away=away, memory=house.cloud)
    try:
        assert 200 == blue.body(REGIONS).status
        assert _says(replace(blue, account=("", "blue-key", "wrong")).body(REGIONS)) == (503, "Unavailable")
    finally:
        del house.world.clouds["away"]


@pytest.fixture
def two(house: House) -> Iterator[Admitting]:
    """A second cloud, which alone knows its tenants, behind an ordinary one."""
    other = Admitting(Memory("other", ("z",), tuple(BUILT_IN.values()), house.clock))
    house.world.clouds.update(memory=house.cloud.plain, other=other)
    house.world.places["us-east-1c"] = Place("us-east-1c", "other", "z")
    yield other
    del house.world.clouds["other"], house.world.places["us-east-1c"]
    house.world.memo.clear()


def zones(client: Any) -> dict[str, str]:
    return {one["ZoneName"]: one["ZoneId"] for one in client.describe_availability_zones()["AvailabilityZones"]}


def test_an_account_sees_only_clouds_that_it_is_somebody_on(house, two):
    assert {"us-east-1a": "use1-az1", "us-east-1b": "use1-az2"} == zones(house.client())
    assert "use1-az3" == zones(house.client(account=BLUE))["us-east-1c"]
    assert house.client().describe_instances()["Reservations"] == []
    assert [] == two.opened

    house.store.set_tenant(house.account[0], "other", "project-red")
    assert "us-east-1c" in zones(house.client())


def test_an_account_that_is_nobody_on_any_cloud_is_denied(house):
    nobody = house.new_account("nobody")

    answer = Sender(house.front, nobody)("DescribeInstances")

    assert _says(answer) == (400, "OperationNotPermitted")
    assert "is nobody on the cloud memory" in answer.message
    house.store.set_tenant(nobody[0], "memory", "project-nobody")
    assert 200 == Sender(house.front, nobody)("DescribeInstances").status


def test_what_is_signed_in_a_header_is_told(house, blue):
    query = AWSRequest("GET", f"http://{HOST}/?Action=DescribeRegions&Version=2016-11-15", {"X-Amz-Meta": " a   b "})
    blue.send(blue.signed(query))

    [told] = house.cloud.asked
    assert (("Action", "DescribeRegions"), ("Version", "2016-11-15")) == told.params
    assert ("GET", HOST, "/", "a b") == (told.method, told.host, told.path, told.headers["x-amz-meta"])
    assert told.headers["authorization"].endswith(f"Signature={told.signature}")
    assert told.headers["x-amz-date"].startswith(told.headers["authorization"].split("/")[1])
    assert "content-length" not in told.headers
    assert told.verify(BLUE[2])
    assert not told.verify(RED[2])
    assert BLUE[2] not in repr(told)


def test_the_form_of_a_post_is_told_by_its_hash(house, blue):
    blue.body(REGIONS)

    [told] = house.cloud.asked
    assert () == told.params
    signer = SigV4Auth(blue.credentials, "ec2", "us-east-1")
    assert told.body_hash == signer.payload(AWSRequest("POST", f"http://{HOST}/", {}, REGIONS))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_signed_in_a_url_is_told(house, blue, method):
    assert 200 == blue.send(_presigned(house, method)).status

    [told] = house.cloud.asked
    names = [name for name, _ in told.params]
    assert {"Action", "Version", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders"} < set(names)
    assert "X-Amz-Signature" not in names
    assert {"host": HOST} == told.headers


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_version_2_signs_is_told(house, blue, method):
    assert 200 == blue.v2(method, "DescribeRegions").status

    [told] = house.cloud.asked
    params = dict(told.params)
    assert ("DescribeRegions", "2", "HmacSHA256") == (
        params["Action"],
        params["SignatureVersion"],
        params["SignatureMethod"],
    )
    assert "Signature" not in params
    assert ({}, "") == (told.headers, told.body_hash)
