from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import create_engine, text
from store_helpers import Opener, child

from isthmus.store import Record, Store, StoreError
from isthmus.store.accounts import Tenant


def test_an_account_has_twelve_digits_and_is_found_again(store: Store) -> None:
    made = store.create_account("ops")

    assert re.fullmatch(r"[1-9]\d{11}", made.id)
    assert [made] == store.accounts()
    assert made == store.account(made.id)
    assert made.name == "ops"


@pytest.mark.parametrize("known", ["", "1", "\0", "x" * 12, "\uff11" * 12])
def test_what_is_no_account_number_is_not_found(store: Store, known: str) -> None:
    assert store.account(known) is None


def test_a_new_credential_looks_like_one_and_is_found_again(store: Store, account: str) -> None:
    made = store.create_credential(account)

    assert re.fullmatch(r"[A-Z0-9]{20}", made.access_key)
    assert re.fullmatch(r"[A-Za-z0-9+/]{40}", made.secret)
    assert made == store.credential(made.access_key)
    [shown] = store.credentials(account)
    assert (made.access_key, account) == (shown.access_key, shown.account)
    assert [shown] == store.credentials()
    assert store.credentials("210987654321") == []


def test_a_secret_is_neither_shown_nor_stored_as_it_is(store: Store, account: str, url: str) -> None:
    made = store.create_credential(account)
    store.set_tenant(account, "cloud", "tenant", {"password": "hunter2"})
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = [*connection.execute(text("SELECT * FROM credentials, tenants")).one()]
    engine.dispose()

    stored = b"".join(bytes(cell) if isinstance(cell, bytes | memoryview) else str(cell).encode() for cell in rows)
    assert made.secret.encode() not in stored
    assert b"hunter2" not in stored
    assert made.secret not in repr(made)
    assert "hunter2" not in repr(store.tenant(account, "cloud"))


def test_an_imported_credential_keeps_its_key_and_secret(store: Store, account: str) -> None:
    store.import_credential(account, "demo:ops@example.org", "a secret with ümlauts")

    found = store.credential("demo:ops@example.org")
    assert found
    assert (account, "a secret with ümlauts") == (found.account, found.secret)


@pytest.mark.parametrize(
    ("account", "access_key", "secret"),
    [
        ("210987654321", "KEY", "secret"),
        ("mine", "", "secret"),
        ("mine", "KEY\0", "secret"),
        ("mine", "K" * 129, "secret"),
        ("mine", "TAKEN", "secret"),
        ("mine", "KEY", ""),
    ],
)
def test_an_import_that_cannot_be_is_refused(store: Store, account: str, access_key: str, secret: str) -> None:
    mine = store.create_account("mine").id
    store.import_credential(mine, "TAKEN", "before")

    with pytest.raises(StoreError):
        store.import_credential(mine if account == "mine" else account, access_key, secret)

    assert len(store.credentials()) == 1
    taken = store.credential("TAKEN")
    assert taken
    assert taken.secret == "before"


@pytest.mark.parametrize("access_key", ["", "UNKNOWN", "\0", "\ud800", "K" * 100_000, "' OR 1=1 --"])
def test_an_unknown_credential_is_not_found(store: Store, access_key: str) -> None:
    assert store.credential(access_key) is None
    assert not store.revoke(access_key)


def test_a_revoked_credential_is_refused_at_once(store: Store, account: str) -> None:
    made = store.create_credential(account)
    assert store.credential(made.access_key)

    assert store.revoke(made.access_key)

    assert store.credential(made.access_key) is None
    assert store.credentials() == []


def test_a_credential_of_another_process_is_known_at_once(opened: Opener) -> None:
    one, other = opened(), opened()
    account = one.create_account("shared").id
    assert other.credential("LATER") is None

    one.import_credential(account, "LATER", "secret")

    assert other.credential("LATER")


def test_a_secret_moved_to_another_access_key_is_not_given_out(store: Store, account: str, url: str) -> None:
    made = store.create_credential(account)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE credentials SET access_key = 'FORGED'"))
    engine.dispose()

    with pytest.raises(StoreError) as refused:
        store.credential("FORGED")

    assert made.secret not in str(refused.value)


def test_an_account_has_a_tenant_on_each_cloud(store: Store, account: str) -> None:
    assert store.tenant_of(account, "one") == ""
    store.set_tenant(account, "one", "first", {"password": "p"})
    store.set_tenant(account, "one", "second", {"password": "q", "domain": ["d"]})
    store.set_tenant(account, "two", "third")

    found = store.tenant(account, "one")
    assert found
    assert (found.tenant, found.settings) == ("second", {"password": "q", "domain": ["d"]})
    assert tuple(store.tenant_of(account, cloud) for cloud in ("one", "two", "three")) == ("second", "third", "")
    assert store.tenant(account, "three") is None


def test_an_access_key_can_have_a_login_of_its_own(store: Store, account: str) -> None:
    store.import_credential(account, "first", "s")
    for key in ("first", "second"):
        store.keep_login(account, "cloud", "tenant", key, {"secret": f"of {key}"})
    store.set_tenant(account, "other", "theirs", {"password": "p"})
    store.keep_login(account, "other", "theirs", "first", {"secret": "there"})

    def logins() -> list[object]:
        found = [store.tenant(account, cloud) for cloud in ("cloud", "other")]
        return [one.secrets(key) for one in found if one for key in ("first", "second", "third", "")]

    assert [{"secret": "of first"}, {"secret": "of second"}, {}, {"secret": "of first"}] == logins()[:4]
    assert [{"secret": "there"}, *[{"password": "p"}] * 3] == logins()[4:]
    store.set_tenant(account, "cloud", "tenant", {"password": "q"})
    assert [{"secret": "of first"}, {"secret": "of second"}, *[{"password": "q"}] * 2] == logins()[:4]
    assert store.revoke("first")
    assert [{"password": "q"}, {"secret": "of second"}] == logins()[:2]
    assert [{"password": "p"}] * 4 == logins()[4:]


def test_logins_that_are_kept_at_once_are_all_kept(store: Store, account: str) -> None:
    store.set_tenant(account, "cloud", "tenant", {"password": "p"})
    keys = [f"key-{number}" for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.keep_login(account, "cloud", "tenant", key, {"secret": key}), keys))

    found = store.tenant(account, "cloud")
    assert found
    assert ({"password": "p"}, {key: {"secret": key} for key in keys}) == (found.settings, found.logins)


def test_logins_end_with_the_tenant(store: Store, account: str) -> None:
    store.keep_login(account, "cloud", "tenant", "key", {"secret": "s"})
    with pytest.raises(StoreError, match="another tenant"):
        store.keep_login(account, "cloud", "another", "key", {"secret": "s"})
    store.set_tenant(account, "cloud", "another")

    found = store.tenant(account, "cloud")
    assert found
    assert ("another", {}) == (found.tenant, found.secrets("key"))
    assert "hidden" not in repr(Tenant(account, "cloud", "tenant", {"a": "hidden"}, {"key": {"a": "hidden"}}))


def test_a_login_of_an_unknown_account_or_of_anothers_tenant_is_refused(store: Store, account: str) -> None:
    store.set_tenant(account, "cloud", "tenant")
    for other in ("210987654321", store.create_account("other").id):
        with pytest.raises(StoreError):
            store.keep_login(other, "cloud", "tenant", "key", {"secret": "s"})
        assert "" == store.tenant_of(other, "cloud")


def test_an_unknown_account_has_no_tenant(store: Store) -> None:
    with pytest.raises(StoreError):
        store.set_tenant("210987654321", "cloud", "tenant")

    assert store.tenant_of("210987654321", "cloud") == ""


def test_a_setting_is_the_same_for_all_who_ask_at_the_same_time(store: Store, account: str, url: str) -> None:
    others = [child("setting", url, account, "page-tokens") for _ in range(3)]
    with ThreadPoolExecutor(4) as pool:
        mine = set(pool.map(lambda _: store.setting("page-tokens"), range(4)))

    theirs = {bytes.fromhex(other.communicate(timeout=60)[0]) for other in others}

    assert len(mine | theirs) == 1
    assert len(mine.pop()) == 32
    assert store.setting("page-tokens") != store.setting("other")


def test_a_tenant_leads_back_to_its_account(store):
    mapped, plain = store.create_account("mapped").id, store.create_account("plain").id
    store.set_tenant(mapped, "cloud", "project-1")

    assert mapped == store.account_of("cloud", "project-1")
    assert plain == store.account_of("cloud", plain)
    assert "" == store.account_of("cloud", mapped)
    assert "" == store.account_of("cloud", "nobody")


def test_a_tenant_gets_one_account_of_its_own(store: Store) -> None:
    made = store.account_for("cloud", "project-1", "blue")

    assert made == store.account_for("cloud", "project-1", "renamed meanwhile")
    assert ("project-1", made) == (store.tenant_of(made, "cloud"), store.account_of("cloud", "project-1"))
    assert [(made, "blue")] == [(one.id, one.name) for one in store.accounts()]
    assert made not in (store.account_for("other", "project-1", "blue"), store.account_for("cloud", "project-2", "b"))


def test_a_tenant_that_an_account_was_said_to_be_gets_no_other(store: Store, account: str) -> None:
    store.set_tenant(account, "cloud", "project-1")

    assert account == store.account_for("cloud", "project-1", "blue")
    assert [account] == [one.id for one in store.accounts()]


def test_a_tenant_has_no_second_account(store: Store, account: str) -> None:
    made = store.account_for("cloud", "project-1", "blue")

    with pytest.raises(StoreError, match=f"is the account {made} already"):
        store.set_tenant(account, "cloud", "project-1")

    assert store.tenant(account, "cloud") is None
    store.set_tenant(made, "cloud", "project-1", {"password": "p"})
    found = store.tenant(made, "cloud")
    assert found
    assert found.settings == {"password": "p"}


def test_a_tenant_gets_one_account_though_many_ask_at_once(opened: Opener) -> None:
    stores = [opened() for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda turn: stores[turn % 4].account_for("cloud", "project-1", "blue"), range(16)))

    assert [*made] == [one.id for one in stores[0].accounts()]


@pytest.mark.parametrize(("name", "shown"), [("a\nb\0", "a?b?"), ("n" * 500, "n" * 128), ("", "project-1")])
def test_an_account_is_named_in_what_can_be_shown(store: Store, name: str, shown: str) -> None:
    store.account_for("cloud", "project-1", name)

    assert [shown] == [one.name for one in store.accounts()]


def test_a_tenant_that_was_ended_is_nobody_until_it_is_said_whose_it_is(opened: Opener) -> None:
    store, other = opened(), opened()
    made = store.account_for("cloud", "project-1", "blue")
    store.set_tenant(made, "cloud", "project-1", {"password": "p"})
    store.set_tenant(made, "another", "project-1")

    assert "project-1" == store.end_tenant(made, "cloud")

    for one in (store, other):
        assert "" == one.account_for("cloud", "project-1", "blue") == one.account_of("cloud", "project-1")
        assert one.tenant(made, "cloud") is None
    assert [made] == [one.id for one in store.accounts()]
    assert made == store.account_for("another", "project-1", "blue")
    assert "" == store.end_tenant(made, "cloud") == store.end_tenant("210987654321", "cloud")
    store.set_tenant(made, "cloud", "project-1")
    assert made == store.account_for("cloud", "project-1", "blue")
    found = store.tenant(made, "cloud")
    assert found
    assert {} == found.settings


def test_a_tenant_of_several_clouds_is_one_account(opened: Opener) -> None:
    store, other = opened(), opened()
    made = store.account_for("cloud", "project-1", "blue", "second")

    for one in (store, other):
        assert made == one.account_for("second", "project-1", "blue", "cloud", "third")
        assert ["project-1"] * 3 == [one.tenant_of(made, cloud) for cloud in ("cloud", "second", "third")]
    assert [made] == [one.id for one in store.accounts()]


def test_a_tenant_stays_what_it_was_said_to_be_on_each_of_several_clouds(store: Store, account: str) -> None:
    made = store.account_for("cloud", "project-1", "blue")
    store.set_tenant(account, "taken", "project-1")
    store.set_tenant(made, "other", "project-2")
    store.set_tenant(made, "ended", "project-1")
    store.end_tenant(made, "ended")

    assert made == store.account_for("cloud", "project-1", "blue", "taken", "other", "ended")
    assert ["", "project-2", ""] == [store.tenant_of(made, one) for one in ("taken", "other", "ended")]
    assert account == store.account_of("taken", "project-1")
    store.end_tenant(made, "cloud")
    assert "" == store.account_for("cloud", "project-1", "blue", "ended", "new")
    assert {account, made} == {one.id for one in store.accounts()}


def test_a_tenant_that_was_ended_can_be_another_account_unless_its_ids_are_on_record(store: Store) -> None:
    for number, kept in enumerate((False, True)):
        tenant, other = f"project-{number}", store.create_account("other").id
        before = store.account_for("cloud", tenant, "blue")
        if kept:
            with store.change(before) as change:
                change.put(Record("vol-1", before, "volume", "cloud", "native", {}, datetime.now(UTC), None))
        store.end_tenant(before, "cloud")

        if kept:
            with pytest.raises(StoreError, match=f"was the account {before}"):
                store.set_tenant(other, "cloud", tenant)
        else:
            store.set_tenant(other, "cloud", tenant)

        assert ("" if kept else other) == store.account_for("cloud", tenant, "blue")
