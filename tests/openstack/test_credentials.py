"""Clients sign with the EC2 credentials that Keystone gave them; Isthmus itself knows none of these."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import real_openstack
from botocore.exceptions import ClientError
from house import House
from real_openstack import Keys

from isthmus import told
from isthmus.aws.front import Front
from isthmus.aws.request import Request
from isthmus.context import Place, World
from isthmus.providers.openstack import OpenStack, Options, credentials

SERVICE_USERS = {"validate": "gateway", "fetch": "admin"}


def opened(mode: str) -> OpenStack:
    options = Options(SERVICE_USERS[mode], str(real_openstack.CLOUDS_YAML), credentials=mode)
    return OpenStack("openstack", ("nova",), options)


def put_over(house: House, cloud: OpenStack) -> House:
    places = {"us-east-1a": Place("us-east-1a", "openstack", "nova")}
    house.front = Front(World("us-east-1", places, {"openstack": cloud}, house.store, house.clock))
    return house


@pytest.fixture(params=list(SERVICE_USERS))
def mode(request: Any) -> str:
    return str(request.param)


@pytest.fixture
def house(tmp_path: Path, mode: str) -> Iterator[House]:
    """The AWS front over the real OpenStack."""
    cloud, made = opened(mode), House(f"sqlite:///{tmp_path}/isthmus.db")
    yield put_over(made, cloud)
    made.store.close()
    cloud.close()


@pytest.fixture
def client(house: House) -> Callable[..., Any]:
    return lambda keys, service="ec2", **config: house.client(service, ("", keys.access, keys.secret), **config)


def account(client: Callable[..., Any], keys: Keys) -> str:
    return str(client(keys, "sts").get_caller_identity()["Account"])


def refusal(call: Callable[..., Any], **given: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**given)
    return str(caught.value.response["Error"]["Code"])


@contextmanager
def own_keys(name: str, keys: Keys) -> Iterator[tuple[Keys, Callable[[], object]]]:
    """New EC2 keys of a seeded user, and how to revoke them."""
    session = real_openstack.region(name).get_session()
    url = f"{real_openstack.auth_url()}/users/{keys.user_id}/credentials/OS-EC2"
    made = session.post(url, json={"tenant_id": keys.tenant_id}).json()["credential"]

    def revoke() -> object:
        return session.delete(f"{url}/{made['access']}", raise_exc=False)

    try:
        yield Keys(made["access"], made["secret"], keys.user_id, keys.tenant_id), revoke
    finally:
        revoke()


@pytest.mark.parametrize("version", ["v4", "v2"])
def test_keystones_keys_sign_requests(client, demo, version):
    ec2 = client(demo, signature_version=version)

    assert ec2.describe_regions()["Regions"][0]["RegionName"] == "us-east-1"
    assert ec2.describe_regions(RegionNames=["us-east-1"])["Regions"]


def test_networks_are_seen_with_the_signers_own_rights(client, demo, alt):
    seen = [{one["VpcId"] for one in client(keys).describe_vpcs()["Vpcs"]} for keys in (demo, alt)]

    assert all(seen)
    assert not seen[0] & seen[1]


@pytest.mark.parametrize("version", ["v4", "v2"])
def test_a_wrong_secret_is_refused(client, demo, alt, version):
    assert "AuthFailure" == refusal(
        client(replace(demo, secret=alt.secret), signature_version=version).describe_regions
    )


@pytest.mark.parametrize("access", ["0" * 32, "x" * 129, "no/key", "a"])
def test_an_unknown_key_is_refused(client, demo, access):
    assert "AuthFailure" == refusal(client(replace(demo, access=access)).describe_regions)


def test_each_project_is_an_account_that_bears_its_name(house, client, demo, alt):
    numbers = [account(client, keys) for keys in (demo, alt, demo)]

    assert numbers[0] == numbers[2] != numbers[1]
    assert ["demo", "alt"] == [house.store.account(number).name for number in numbers[:2]]


def test_another_process_finds_the_same_account(house, client, demo, mode):
    before = account(client, demo)
    other = opened(mode)
    put_over(house, other)

    assert before == account(client, demo)
    other.close()


def test_a_project_that_is_no_account_any_more_is_refused_until_it_is_one_again(house, client, demo, alt):
    number, ec2 = account(client, demo), client(demo)
    house.store.set_tenant(number, "openstack", demo.tenant_id, real_openstack.login("demo"))
    own = house.store.create_credential(number)
    by_own_key = house.client(account=(number, own.access_key, own.secret))
    seen = [{one["VpcId"] for one in each.describe_vpcs()["Vpcs"]} for each in (ec2, by_own_key)]

    house.store.end_tenant(number, "openstack")

    assert "AuthFailure" == refusal(ec2.describe_vpcs)
    assert "OperationNotPermitted" == refusal(by_own_key.describe_vpcs)
    assert number != account(client, alt)
    house.store.set_tenant(number, "openstack", demo.tenant_id)
    assert number == account(client, demo)
    assert seen == [{one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"]}] * 2


def _presigned(client: Callable[..., Any], keys: Keys, method: str) -> Request:
    url = client(keys).generate_presigned_url("describe_regions", HttpMethod=method)
    parts = urlsplit(url)
    return Request(method, parts.path, parts.query, {"host": parts.netloc}, b"")


def test_a_presigned_url_is_good(house, client, demo):
    request = _presigned(client, demo, "GET")

    assert 200 == house.front.handle(request).status
    more = replace(request, query=request.query + "&RegionName.1=us-east-1")
    assert 401 == house.front.handle(more).status


def test_keystone_does_not_judge_the_query_of_a_post(house, client, demo, mode):
    assert house.front.handle(_presigned(client, demo, "POST")).status == (401 if mode == "validate" else 200)


def test_a_query_that_was_not_signed_is_refused(house, client, demo):
    sent: list[Request] = []
    ec2 = client(demo)
    handle = house.front.handle
    house.front.handle = lambda request: sent.append(request) or handle(request)
    ec2.describe_regions()

    assert 401 == handle(replace(sent[0], query="RegionName.1=us-east-1")).status


def test_a_revoked_key_is_refused(client, demo, mode, monkeypatch):
    with own_keys("demo", demo) as (keys, revoke):
        assert account(client, keys) == account(client, demo)
        revoke()
        if mode == "fetch":
            monkeypatch.setattr(told, "SECRET_SECONDS", 0)

        assert "AuthFailure" == refusal(client(keys).describe_regions)


def test_a_token_that_was_revoked_meanwhile_is_replaced_by_the_next_signature(house, client, demo, mode):
    ec2 = client(demo)
    ec2.describe_vpcs()
    cloud = house.front._world.clouds["openstack"]
    signed = cloud._signings.latest(demo.tenant_id)
    admin = real_openstack.region("admin").get_session()
    token = signed.granted.auth_ref.auth_token
    admin.delete(f"{real_openstack.auth_url()}/auth/tokens", headers={"X-Subject-Token": token})
    signed.granted.invalidate()

    assert ec2.describe_vpcs()["Vpcs"]
    assert cloud._signings.latest(demo.tenant_id).granted.auth_ref.auth_token != token


def test_the_services_own_token_is_renewed(house, client, demo, alt, monkeypatch):
    account(client, demo)
    session = house.front._world.clouds["openstack"]._service.session
    session.delete(f"{real_openstack.auth_url()}/auth/tokens", headers={"X-Subject-Token": session.get_token()})
    monkeypatch.setattr(credentials, "_SURE_SECONDS", 0)

    assert account(client, alt)


def test_keys_of_isthmus_work_with_an_application_credential(house, client, demo):
    session = real_openstack.region("demo").get_session()
    url = f"{real_openstack.auth_url()}/users/{demo.user_id}/application_credentials"
    made = session.post(url, json={"application_credential": {"name": f"test-{uuid4()}"}}).json()
    secret = made["application_credential"]
    try:
        login = {"application_credential_id": secret["id"], "application_credential_secret": secret["secret"]}
        house.store.set_tenant(house.account[0], "openstack", demo.tenant_id, login)

        assert house.client().describe_vpcs()["Vpcs"]
        assert house.account[0] == account(client, demo)
    finally:
        session.delete(f"{url}/{secret['id']}")


def test_it_is_told_what_the_services_user_may_not(mode):
    cloud = opened(mode)
    assert () == cloud.health().degraded
    cloud.close()

    poor = OpenStack("openstack", ("nova",), Options("demo", str(real_openstack.CLOUDS_YAML), credentials=mode))
    assert "role" in poor.health().degraded[0]
    poor.close()
