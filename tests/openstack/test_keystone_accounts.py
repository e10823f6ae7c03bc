"""`isthmus serve` in front of a real OpenStack, as its operator sets it up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import real_openstack
from real_openstack import Keys, signed_by
from service import Service, isthmus, serving


@pytest.fixture
def service(tmp_path: Path, config: Path) -> Iterator[Service]:
    with serving(tmp_path / "state", "--config", str(config)) as running:
        yield running


@pytest.fixture
def login() -> Iterator[Callable[[Keys], str]]:
    """An application credential as the command `openstack` writes it."""
    session, made = real_openstack.region("demo").get_session(), []

    def make(keys: Keys) -> str:
        url = f"{real_openstack.auth_url()}/users/{keys.user_id}/application_credentials"
        asked = {"application_credential": {"name": f"test-{uuid4()}"}}
        found = session.post(url, json=asked).json()["application_credential"]
        made.append(f"{url}/{found['id']}")
        return "".join(f'application_credential_{name}="{found[name]}"\n' for name in ("id", "name", "secret"))

    yield make
    for url in made:
        session.delete(url)


def test_each_projects_keys_see_its_networks(service, demo, alt):
    seen = [{one["VpcId"] for one in signed_by(service, keys).describe_vpcs()["Vpcs"]} for keys in (demo, alt)]

    assert all(seen)
    assert not seen[0] & seen[1]
    assert "ok" in service.get("/health").body


def test_keys_of_isthmus_work_once_the_accounts_login_is_kept(tmp_path, config, service, login, demo):
    words = ("account", "tenant", "default", "private", demo.tenant_id, "--config", str(config), "--secrets", "-")

    done = isthmus(*words, state=tmp_path / "state", text=login(demo))

    assert 0 == done.returncode, done.stderr
    default = [{"Name": "is-default", "Values": ["true"]}]
    seen = [client.describe_vpcs(Filters=default)["Vpcs"] for client in (service.client(), signed_by(service, demo))]
    assert seen[0] == seen[1] != []
    assert seen[0][0]["OwnerId"] == service.client("sts").get_caller_identity()["Account"]


def test_a_login_of_another_project_is_refused(tmp_path, config, login, demo, alt):
    isthmus("account", "create", "default", state=tmp_path / "state")
    words = ("account", "tenant", "default", "private", alt.tenant_id, "--config", str(config), "--secrets", "-")

    for text, said in ((login(demo), "one of another project"), (login(demo).replace("secret=", "secret=x"), "take")):
        done = isthmus(*words, state=tmp_path / "state", text=text)
        assert (done.returncode, said in done.stderr) == (1, True), done.stderr
