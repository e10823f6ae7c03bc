"""Who signed with CloudStack's own keys: what an administrator's keys find out, and for how long it is believed."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest
from emulators.cloudstack.world import DOMAIN, Account, Refusal, World

from isthmus import told
from isthmus.errors import Denied, Unavailable
from isthmus.model import SignedRequest
from isthmus.providers.cloudstack.client import Client, Wire
from isthmus.providers.cloudstack.credentials import Credentials, owner
from isthmus.providers.cloudstack.signing import Keys


@pytest.fixture
def admin(cloud: World) -> Account:
    return cloud.new_account("root", "Admin")


@pytest.fixture
def credentials(wire: Wire, admin: Account) -> Credentials:
    return Credentials(wire, keys(admin))


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that was told is believed a second time."""
    monkeypatch.setattr(told, "SECRET_SECONDS", 0)


def keys(account: Account) -> Keys:
    return Keys(account.api, account.secret)


def signed(by: Account) -> SignedRequest:
    return SignedRequest(by.api, "", "POST", "here", "/", (), {}, "", verify=lambda secret: secret == by.secret)


def test_a_pair_of_a_user_is_admitted_for_the_users_account(credentials: Credentials, account: Account) -> None:
    whose = (account.user, account.id, "demo", DOMAIN, "")
    assert (whose, keys(account)) == credentials.admit(signed(account))
    assert (whose, keys(account)) == credentials.latest(account.id)


def test_what_was_told_is_believed_for_a_while(cloud: World, credentials: Credentials, account: Account) -> None:
    for _ in range(3):
        assert credentials.admit(signed(account))

    assert {"getUser": 1, "getUserKeys": 1, "listAccounts": 1} == dict(cloud.asked)


def test_a_wrong_secret_admits_nobody(credentials: Credentials, account: Account) -> None:
    assert credentials.admit(signed(replace(account, secret="another"))) is None
    assert credentials.admit(signed(account))


@pytest.mark.parametrize(
    "api", ["api-0123456789abcdef", "short", "with/slash-and-more", "", "x" * 256, "AKIA 0123456789"]
)
def test_an_unknown_key_admits_nobody(credentials: Credentials, account: Account, api: str) -> None:
    assert credentials.admit(signed(replace(account, api=api))) is None


def test_what_is_no_key_is_not_asked_for(cloud: World, credentials: Credentials, account: Account) -> None:
    credentials.admit(signed(replace(account, api="with/slash-and-more")))

    assert not cloud.asked


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("what", ["user", "id"])
def test_who_is_disabled_is_refused(cloud: World, credentials: Credentials, account: Account, what: str) -> None:
    assert credentials.admit(signed(account))
    cloud.disabled.add(getattr(account, what))

    assert credentials.admit(signed(account)) is None


@pytest.mark.usefixtures("at_once")
def test_withdrawn_keys_are_refused(cloud: World, credentials: Credentials, account: Account) -> None:
    assert credentials.admit(signed(account))
    del cloud.accounts[account.api]

    assert credentials.admit(signed(account)) is None


def test_each_of_several_pairs_of_a_user_is_admitted(cloud: World, credentials: Credentials, account: Account) -> None:
    second = cloud.new_pair(account)

    for pair in (account, second):
        found = credentials.admit(signed(pair))
        assert found
        assert (account.id, keys(pair)) == (found.owner.tenant, found.keys)
        assert found == credentials.latest(account.id)


def test_a_role_that_may_not_ask_for_its_account_is_admitted_all_the_same(
    cloud: World, credentials: Credentials, account: Account
) -> None:
    cloud.denied.add(("User", "listaccounts"))

    assert credentials.admit(signed(account))


def test_without_an_administrator_nobody_is_admitted(cloud: World, wire: Wire, account: Account) -> None:
    alone = Credentials(wire, None)

    assert alone.admit(signed(account)) is None
    assert "" == alone.missing()
    assert not cloud.asked


@pytest.mark.parametrize("command", ["getUser", "getUserKeys"])
@pytest.mark.parametrize("fault", [Refusal(401, "unable to verify user credentials"), Refusal(503, "later")])
def test_a_cloud_that_does_not_tell_says_nothing_of_a_signature(
    cloud: World, credentials: Credentials, account: Account, command: str, fault: Refusal
) -> None:
    cloud.wrong_next(command, fault)

    with pytest.raises(Unavailable):
        credentials.admit(signed(account))
    assert credentials.admit(signed(account))


def test_it_is_told_what_the_administrators_keys_lack(
    cloud: World, wire: Wire, admin: Account, account: Account
) -> None:
    assert "" == Credentials(wire, keys(admin)).missing()
    assert "do getUser." in Credentials(wire, keys(account)).missing()
    assert "does not take" in Credentials(wire, Keys(admin.api, "wrong")).missing()
    cloud.denied.add(("Admin", "getuserkeys"))
    assert "do getUserKeys." in Credentials(wire, keys(admin)).missing()


def test_secrets_are_neither_kept_as_they_are_nor_logged(
    credentials: Credentials, account: Account, admin: Account, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    found = credentials.admit(signed(account))

    kept = credentials._secrets._kept
    assert account.secret.encode() not in b"".join(one.locked for one in kept.values())
    for secret in (account.secret, admin.secret):
        assert secret not in repr((found, vars(credentials), kept, caplog.text))


@pytest.mark.parametrize("role", ["User", "Admin", "DomainAdmin"])
def test_whose_a_pair_is(cloud: World, wire: Wire, account: Account, role: str) -> None:
    one = cloud.new_account("who", role)
    second = cloud.new_pair(one)

    for pair in (one, second):
        found: Any = owner(Client(wire, keys(pair)), pair.api)
        assert (one.user, one.id, "who", DOMAIN, "") == found


def test_a_pair_that_is_none_is_nobodys(wire: Wire, account: Account) -> None:
    with pytest.raises(Denied, match="does not take"):
        owner(Client(wire, Keys(account.api, "wrong")), account.api)
