"""Metadata of servers of a real OpenStack, asked for as Neutron's agents do."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import real_openstack
from served import Account, client, eventually, serving

SECRET = "shared with the agents"


@pytest.fixture(scope="module")
def listening() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture(scope="module")
def ec2(demo: Any, listening: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of the project `demo`, of a service that answers metadata agents."""
    place = tmp_path_factory.mktemp("metadata")
    agents = f"metadata_listen = '{listening}'\nmetadata_secret = '{SECRET}'\n"
    (place / "isthmus.toml").write_text(real_openstack.settings(agents))
    with serving(place / "state", "--config", str(place / "isthmus.toml")) as served:
        yield client(Account("", demo.access, demo.secret, served.endpoint))


@pytest.fixture
def ask(listening: str) -> Callable[..., httpx.Response]:
    def ask(path: str, native: str, tenant: str, secret: str = SECRET) -> httpx.Response:
        return real_openstack.as_agent(listening, path, native, tenant, secret)

    return ask


def test_a_server_reads_the_id_of_the_api_and_its_user_data(ec2, ask, demo, alt):
    asked = real_openstack.launch(ec2)
    [made] = ec2.run_instances(**asked, UserData="#!/bin/sh\necho hello\n")["Instances"]
    known = {"InstanceIds": [made["InstanceId"]]}
    try:
        ec2.get_waiter("instance_running").wait(**known, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
        native = real_openstack.server_at("demo", made["PrivateIpAddress"])

        told = eventually(lambda: ask("/latest/meta-data/instance-id", native, demo.tenant_id), seconds=30)

        assert (200, made["InstanceId"]) == (told.status_code, told.text)
        assert "#!/bin/sh\necho hello\n" == ask("/latest/user-data", native, demo.tenant_id).text
        assert asked["ImageId"] == ask("/latest/meta-data/ami-id", native, demo.tenant_id).text
        address = ask("/2009-04-04/meta-data/local-ipv4", native, demo.tenant_id).text
        assert made["PrivateIpAddress"] == address
        for path in ("/latest/meta-data/instance-id", "/openstack/latest/meta_data.json"):
            assert 404 == ask(path, native, alt.tenant_id).status_code
        assert 403 == ask("/latest/meta-data/instance-id", native, demo.tenant_id, "another").status_code
    finally:
        ec2.terminate_instances(**known)
        ec2.get_waiter("instance_terminated").wait(**known, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
