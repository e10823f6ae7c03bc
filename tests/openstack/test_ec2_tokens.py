"""What the gateway rests on: Keystone itself checks the signatures of EC2 requests, for one who asks as a service."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import real_openstack
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from real_openstack import Keys

HOST = "ec2.example:8788"


def signed(keys: Keys) -> dict[str, Any]:
    """What Keystone has to be told of a request that was signed with `keys`."""
    request = AWSRequest("POST", f"http://{HOST}/", data="Action=DescribeInstances&Version=2016-11-15")
    signer = SigV4Auth(Credentials(keys.access, keys.secret), "ec2", "RegionOne")
    signer.add_auth(request)
    told = {
        "access": keys.access,
        "signature": request.headers["Authorization"].rpartition("Signature=")[2],
        "host": HOST,
        "verb": "POST",
        "path": "/",
        "params": {},
        "headers": {"Host": HOST, **request.headers},
        "body_hash": signer.payload(request),
    }
    return {"credentials": told}


def ask(session: Any, keys: Keys, **options: Any) -> Any:
    url = f"{real_openstack.auth_url()}/ec2tokens"
    return session.post(url, json=signed(keys), raise_exc=False, **options)


@pytest.mark.parametrize("name", ["demo", "alt"])
def test_a_service_is_told_whose_a_signature_is(gateway, name):
    keys = real_openstack.seeded(name)

    answer = ask(gateway, keys)

    assert 200 == answer.status_code
    token = answer.json()["token"]
    assert (keys.user_id, keys.tenant_id) == (token["user"]["id"], token["project"]["id"])
    assert answer.headers["X-Subject-Token"]


def test_nobody_is_told_whose_a_signature_is(gateway, demo):
    assert 401 == ask(gateway, demo, authenticated=False).status_code


def test_a_user_who_is_no_service_is_not_told_either(demo):
    session = real_openstack.region("demo").get_session()

    assert 403 == ask(session, demo).status_code


def test_a_wrong_signature_is_refused(gateway, demo, alt):
    assert 401 == ask(gateway, replace(demo, secret=alt.secret)).status_code
