"""An OpenStack among the settings."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from test_config import loaded, refusal

from isthmus import opening
from isthmus.config import ConfigError

OPENSTACK = "[clouds.private]\nkind = 'openstack'\n"
LOGIN = "auth_url = 'http://127.0.0.1:1/v3'\nusername = 'isthmus'\nproject = 'service'\n"


def openstack(tmp_path: Path, text: str) -> Any:
    settings = loaded(tmp_path, OPENSTACK + text)
    return opening.open_clouds(settings, lambda: datetime.now(UTC))["private"]


def test_an_openstack_has_a_login_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hidden\n")
    cloud = openstack(tmp_path, LOGIN + f"password_file = '{tmp_path}/password'\nuser_domain = 'ops'")

    assert cloud.options.auth == {
        "auth_url": "http://127.0.0.1:1/v3",
        "username": "isthmus",
        "password": "hidden",
        "project_name": "service",
        "user_domain_name": "ops",
        "project_domain_name": "Default",
    }
    assert cloud.zones == ("nova",)
    assert "hidden" not in repr(cloud.options)


def test_metadata_agents_are_answered_with_a_secret_alone(tmp_path: Path) -> None:
    listen = LOGIN + "password = 'p'\nmetadata_listen = '127.0.0.1:8789'\n"
    (tmp_path / "empty").write_text("\n")
    for said in ("", f"metadata_secret_file = '{tmp_path}/empty'"):
        with pytest.raises(ConfigError, match="private.*needs metadata_secret_file"):
            opening.metadata_agents(loaded(tmp_path, OPENSTACK + listen + said))
    (tmp_path / "secret").write_text("hidden\n")

    settings = loaded(tmp_path, OPENSTACK + listen + f"metadata_secret_file = '{tmp_path}/secret'")

    agents = opening.metadata_agents(settings)["private"]
    assert (str(agents.listen), agents.secret, agents.nova) == ("127.0.0.1:8789", b"hidden", "")
    assert "hidden" not in repr(agents)
    assert opening.metadata_agents(loaded(tmp_path, OPENSTACK + LOGIN + "password = 'p'")) == {}


def test_an_openstack_that_is_away_is_degraded(tmp_path: Path) -> None:
    degraded = openstack(tmp_path, LOGIN + "password = 'p'").health().degraded

    assert degraded == ("Keystone does not answer.",)


def test_an_openstack_is_what_it_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "clouds.yaml").write_text(
        "clouds: {ours: {auth: {auth_url: 'http://127.0.0.1:1/v3', username: u, password: p, project_name: x}}}"
    )
    cloud = openstack(
        tmp_path,
        f"cloud = 'ours'\nclouds_yaml = '{tmp_path}/clouds.yaml'\nusername = 'v'\nregion = 'R'\n"
        "interface = 'internal'\nexternal_network = 'public'\nverify = false\ncredentials = 'fetch'\n"
        "zones = {a = 'nova', b = 'other'}\n"
        "flavors = { 't3.micro' = 'm1.micro' }",
    )

    said = cloud.options
    assert (said.region, said.interface, said.external_network, said.verify) == ("R", "internal", "public", False)
    assert (said.credentials, said.flavors, cloud.zones) == ("fetch", {"t3.micro": "m1.micro"}, ("nova", "other"))
    assert cloud._service.config.config["auth"] == {
        "auth_url": "http://127.0.0.1:1/v3",
        "username": "v",
        "user_domain_name": "Default",
        "password": "p",
        "project_name": "x",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "auth_url is missing: say the service's own login, or name an entry of clouds.yaml"),
        (LOGIN, "password_file is missing"),
        (LOGIN + "password = 'p'\ncredentials = 'trust'", "must be one of validate, fetch"),
        (LOGIN + "password = 'p'\nauth_url2 = 'x'", "Did you mean 'auth_url'?"),
        ("auth_url = 'keystone'", "must be a URL"),
    ],
)
def test_an_openstack_that_cannot_be_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, OPENSTACK + text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LOGIN + "password_file = '/nowhere'", "/nowhere: cannot be read"),
        ("cloud = 'nobody'\nclouds_yaml = '/nowhere'", "The cloud 'private' cannot be opened"),
    ],
)
def test_an_openstack_that_cannot_be_opened_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        openstack(tmp_path, text)


def test_without_openstacks_sdk_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("isthmus.providers.openstack")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "openstack", None)

    with pytest.raises(ConfigError, match=r"pip install 'isthmus\[openstack\]'"):
        openstack(tmp_path, LOGIN + "password = 'p'")
