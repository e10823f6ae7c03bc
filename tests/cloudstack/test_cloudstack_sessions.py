"""Who may have a session of a CloudStack, and what it says of the account and of the cloud."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from emulated_cloudstack import secrets_of
from emulators.cloudstack.server import Emulator
from emulators.cloudstack.world import Account, World

from isthmus import config, opening
from isthmus.errors import Denied, Unavailable
from isthmus.model import SignedRequest
from isthmus.providers.cloudstack import CloudStack, Keys, Options


@pytest.fixture
def opened(emulator: Emulator) -> Iterator[Callable[..., CloudStack]]:
    """Opens a cloud on the emulator, with other options perhaps."""
    made: list[CloudStack] = []

    def opening(**changes: Any) -> CloudStack:
        made.append(CloudStack("stack", ("zone-1",), replace(Options(emulator.url), **changes)))
        return made[-1]

    yield opening
    for one in made:
        one.close()


def test_an_account_signs_in_with_its_own_keys_alone(
    opened: Callable[..., CloudStack], account: Account, stranger: Account, cloud: World
) -> None:
    stack = opened()

    assert "zone-1" == stack.session(account.id, secrets_of(account)).compute.list_zones()[0].name
    with pytest.raises(Unavailable, match="no keys"):
        stack.session(account.id).compute.list_servers()
    for secrets in ({"api_key": account.api}, secrets_of(stranger), {**secrets_of(account), "secret_key": "x"}):
        with pytest.raises(Denied):
            stack.session(account.id, secrets)


def test_with_an_administrator_work_goes_on_with_the_keys_that_were_signed_with_last(
    opened: Callable[..., CloudStack], account: Account, cloud: World
) -> None:
    root = cloud.new_account("root", "Admin")
    stack = opened(admin=Keys(root.api, root.secret))
    request = SignedRequest(account.api, "", "GET", "h", "/", (), {}, "", lambda secret: secret == account.secret)
    with pytest.raises(Unavailable, match="lately"):
        stack.session(account.id).compute.list_zones()

    admitted = stack.admit(request)

    assert admitted
    assert (account.id, "demo") == admitted[:2]
    for session in (admitted.session, stack.session(account.id)):
        assert "zone-1" == session.compute.list_zones()[0].name
    assert ({"url": stack.options.url, "credentials": "of all users"}, ()) == (
        stack.health().details,
        stack.health().degraded,
    )
    cloud.denied.add(("Admin", "getuser"))
    assert "getUser" in stack.health().degraded[0]


def test_secrets_are_not_kept_as_they_are(opened: Callable[..., CloudStack], account: Account) -> None:
    stack = opened()
    stack.session(account.id, secrets_of(account))

    assert account.secret not in repr(vars(stack)) + repr(vars(stack._credentials))


def test_whose_keys_these_are_is_asked_once(opened: Callable[..., CloudStack], account: Account, cloud: World) -> None:
    stack = opened()
    for _ in range(3):
        stack.session(account.id, secrets_of(account))

    assert 1 == cloud.asked["listUsers"]


def test_limits_of_the_account_are_its_quotas(opened: Callable[..., CloudStack], account: Account) -> None:
    assert {"instances": 20} == opened().session(account.id, secrets_of(account)).quotas()


def test_zones_of_the_other_kind_are_told_from_the_settings(
    opened: Callable[..., CloudStack], account: Account
) -> None:
    with pytest.raises(Unavailable, match="zone-1 has no security groups"):
        opened(security_groups=True).session(account.id, secrets_of(account)).compute.list_zones()


def test_flavors_have_the_names_of_the_settings(opened: Callable[..., CloudStack], account: Account) -> None:
    session = opened(flavors={"t3.micro": "Tiny"}).session(account.id, secrets_of(account))

    assert {"t3.micro": (1, 512), "Medium": (2, 4096)} == {
        one.name: (one.cpus, one.memory) for one in session.compute.list_flavors()
    }


def test_templates_are_images_once_each(opened: Callable[..., CloudStack], account: Account) -> None:
    found = opened().session(account.id, secrets_of(account)).images.list_images()

    assert ["community", "debian"] == sorted(one.name for one in found)
    assert {2} == {one.disks[0].size for one in found}


def test_health_says_whether_the_cloud_answers(opened: Callable[..., CloudStack]) -> None:
    assert () == opened().health().degraded
    assert opened(url="http://127.0.0.1:9/client/api").health().degraded


def test_a_cloud_of_the_settings_is_opened(emulator: Emulator, account: Account, tmp_path: Path) -> None:
    file = tmp_path / "isthmus.toml"
    file.write_text(
        f'[clouds.stack]\nkind = "cloudstack"\nurl = "{emulator.url}"\nzones = {{ us-east-1a = "zone-1" }}\n'
        'timeout = 5\nflavors = { "t3.micro" = "Tiny" }\n'
    )
    settings = config.load(file, environ={})
    [cloud] = opening.open_clouds(settings, lambda: datetime.now(UTC)).values()

    assert cloud.session(account.id, secrets_of(account)).compute is not None
    cloud.close()
