"""Tokens of a real Keystone that end before their time: another one is got, at the latest by the next request."""

from __future__ import annotations

from typing import Any

import pytest
import real_openstack
from botocore.exceptions import ClientError

from isthmus.errors import Denied
from isthmus.providers.openstack import OpenStack, Options


def revoke(session: Any) -> None:
    """End a session's token, which no service has seen yet: those remember what they have seen."""
    admin = real_openstack.region("admin").get_session()
    url = f"{real_openstack.auth_url()}/auth/tokens"
    assert 204 == admin.delete(url, headers={"X-Subject-Token": session.get_token()}).status_code


@pytest.fixture
def cloud() -> Any:
    made = OpenStack("openstack", ("nova",), Options("gateway", str(real_openstack.CLOUDS_YAML)))
    yield made
    made.close()


def test_a_login_whose_token_was_revoked_gets_another_one(cloud, demo):
    session = cloud.session(demo.tenant_id, real_openstack.login("demo"))
    [signed] = cloud._signings._known.values()
    revoke(signed._session)

    assert session.networks.list_networks()
    assert session.compute.list_flavors()
    assert session.volumes.list_volumes() is not None


def test_a_login_that_is_no_longer_taken_is_denied(cloud, demo):
    """A password that was changed, or an application credential that was withdrawn."""
    secrets = {**real_openstack.login("demo"), "password": "another"}

    with pytest.raises(Denied):
        cloud.session(demo.tenant_id, secrets)


def test_a_signers_token_that_was_revoked_is_another_one_with_the_next_request(fronted, cloud, demo):
    theirs = fronted(cloud).client(account=("", demo.access, demo.secret))
    theirs.describe_regions()
    [signed] = cloud._signings._known.values()
    revoke(signed._session)

    with pytest.raises(ClientError) as refused:
        theirs.describe_volumes()
    assert "Unavailable" == refused.value.response["Error"]["Code"]

    theirs.describe_volumes()
