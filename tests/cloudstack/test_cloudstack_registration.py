"""Owners of CloudStack's keys make them known themselves: signed with the pair, which CloudStack has to take."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.auth import SigV2Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from emulated_cloudstack import emulating
from emulators.cloudstack.server import Emulator
from emulators.cloudstack.world import CUT, Account
from house import House
from house import World as Sight
from raw import FORM, HOST, Answer, received

from isthmus.aws import registration
from isthmus.context import Place
from isthmus.providers.cloudstack import CloudStack, Options

REGISTER, REMOVE = "RegisterSecretKey", "RemoveSecretKey"
HERE = "127.0.0.1"
CLOUDS = {"stack": ("us-east-1a", "zone-1"), "stack-groups": ("us-east-1b", "zone-2")}


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with emulating(groups=(False, True), kinds=("Advanced", "Advanced")) as made:
        yield made


@pytest.fixture
def demo(emulator: Emulator) -> Account:
    return emulator.world.new_account("demo")


@pytest.fixture
def other(emulator: Emulator) -> Account:
    return emulator.world.new_account("other")


class Open(House):
    """An Isthmus over two clouds of one CloudStack, by whose administrator it has no keys."""

    def __init__(self, url: str, stack: Emulator, said: str) -> None:
        self.clouds: dict[str, CloudStack] = {}
        for name, (_, zone) in CLOUDS.items():
            options = Options(stack.url, security_groups=name != "stack", registration=said)
            self.clouds[name] = CloudStack(name, [zone], options, self.clouds.values())
        super().__init__(url)

    def new_world(self, **limits: Any) -> Sight:
        places = {ours: Place(ours, name, zone) for name, (ours, zone) in CLOUDS.items()}
        return replace(super().new_world(**limits), places=places, clouds=self.clouds)

    def ask(
        self,
        action: str,
        by: Account,
        told: Account | None = None,
        how: str = "v4",
        peer: str = HERE,
        headers: Mapping[str, str] | None = None,
        **more: str,
    ) -> Answer:
        """A form of ec2stack's with the pair `told`, signed by another if that is said."""
        told = told or by
        form = {"Action": action, "AWSAccessKeyId": told.api, "AWSSecretKey": told.secret, **more}
        signed = SIGN[how](by, form, dict(headers or {}))
        return Answer(self.front.handle(replace(received(signed), peer=peer)))

    def may(self, pair: Account) -> bool:
        """Whether requests that are signed with a pair are answered."""
        form = {"Action": "DescribeImages", "Version": "2016-11-15"}
        answer = Answer(self.front.handle(received(by_version_4(pair, form, {}))))
        assert answer.code in ("", "AuthFailure")
        return not answer.code and bool(answer.all("imageId"))

    def close(self) -> None:
        for one in self.clouds.values():
            one.close()
        self.store.close()


def by_version_4(by: Account, form: Mapping[str, str], headers: dict[str, str]) -> AWSRequest:
    made = AWSRequest("POST", f"http://{HOST}/", {"Content-Type": FORM, **headers}, urlencode(form))
    SigV4Auth(Credentials(by.api, by.secret), "ec2", "us-east-1").add_auth(made)
    return made


def by_version_2(by: Account, form: Mapping[str, str], headers: dict[str, str]) -> AWSRequest:
    """As clients of ec2stack signed all else: the AWSAccessKeyId is that of the signature."""
    made = AWSRequest("POST", f"http://{HOST}/", {"Content-Type": FORM, **headers}, dict(form))
    SigV2Auth(Credentials(by.api, by.secret)).add_auth(made)
    return made


def by_nobody(_: Account, form: Mapping[str, str], headers: dict[str, str]) -> AWSRequest:
    """As ec2stack's own ec2stack-register did."""
    return AWSRequest("POST", f"http://{HOST}/", {"Content-Type": FORM, **headers}, urlencode(form))


def in_url(by: Account, form: Mapping[str, str], _: dict[str, str]) -> AWSRequest:
    made = AWSRequest("GET", f"http://{HOST}/", params=dict(form))
    SigV2Auth(Credentials(by.api, by.secret)).add_auth(made)
    return made


SIGN = {
    "v4": by_version_4,
    "v2": by_version_2,
    "unsigned": by_nobody,
    "url": in_url,
}


@pytest.fixture
def build(emulator: Emulator, tmp_path: Path) -> Iterator[Any]:
    made: list[Open] = []

    def one(said: str = "encrypted") -> Open:
        made.append(Open(f"sqlite:///{tmp_path}/isthmus.db", emulator, said))
        return made[-1]

    yield one
    for each in made:
        each.close()


@pytest.fixture
def house(build: Any) -> Open:
    found: Open = build()
    return found


@pytest.mark.parametrize("how", ["v4", "v2"])
def test_a_pair_is_good_for_its_account_once_it_is_registered(house: Open, demo: Account, how: str) -> None:
    assert not house.may(demo)

    answer = house.ask(REGISTER, demo, how=how)

    assert (200, "Successfully Registered!") == (answer.status, answer.root.findtext("Message"))
    [account] = [one for one in house.store.accounts() if one.name == "demo"]
    assert (demo.api, account.id) == (answer.root.findtext("AWSAccessKeyId"), answer.root.findtext("accountId"))
    assert demo.secret not in answer.text
    assert (account.id, REGISTER) == (answer.response.account, answer.response.action)
    assert house.may(demo)


def test_it_is_a_login_at_all_clouds_of_the_cloudstack(house: Open, demo: Account) -> None:
    account = house.ask(REGISTER, demo).response.account

    for name in CLOUDS:
        tenant = house.store.tenant(account, name)
        assert tenant
        assert {demo.api: {"api_key": demo.api, "secret_key": demo.secret}} == tenant.logins
    zones = house.client(account=("", demo.api, demo.secret)).describe_availability_zones()["AvailabilityZones"]
    assert ["us-east-1a", "us-east-1b"] == [one["ZoneName"] for one in zones]


def test_registering_again_changes_nothing(house: Open, demo: Account) -> None:
    first, again = house.ask(REGISTER, demo), house.ask(REGISTER, demo)

    assert (200, first.response.account) == (again.status, again.response.account)
    assert 1 == len([one for one in house.store.credentials() if one.access_key == demo.api])


def test_what_is_kept_outlives_the_process(build: Any, demo: Account) -> None:
    build().ask(REGISTER, demo)

    assert build().may(demo)


def test_further_pairs_of_an_account_are_its_own(house: Open, emulator: Emulator, demo: Account) -> None:
    second = emulator.world.new_pair(demo)

    assert 1 == len({house.ask(REGISTER, one).response.account for one in (demo, second)})
    assert house.may(demo)
    assert house.may(second)


def test_pairs_that_are_registered_at_once_are_all_kept(house: Open, emulator: Emulator, demo: Account) -> None:
    pairs = [demo, *(emulator.world.new_pair(demo) for _ in range(registration.AT_ONCE - 1))]
    threads = [threading.Thread(target=house.ask, args=(REGISTER, pair)) for pair in pairs]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)

    [account] = [one for one in house.store.accounts() if one.name == "demo"]
    tenant = house.store.tenant(account.id, "stack")
    assert tenant
    assert {one.api for one in pairs} == set(tenant.logins)


def refused(house: Open, answer: Answer, pair: Account) -> None:
    assert (401, "AuthFailure") == (answer.status, answer.code)
    assert pair.secret not in answer.text
    assert pair.api not in [one.access_key for one in house.store.credentials()]


@pytest.mark.parametrize("how", ["v4", "v2"])
def test_a_pair_that_cloudstack_does_not_take_is_not_kept(
    house: Open, emulator: Emulator, demo: Account, how: str
) -> None:
    for pair in (replace(demo, secret="another-secret"), replace(demo, api="api-of-nobody")):
        emulator.world.asked.clear()
        refused(house, house.ask(REGISTER, pair, how=how), pair)
        assert 1 == sum(emulator.world.asked.values())


@pytest.mark.parametrize("what", ["user", "id"])
def test_a_pair_of_who_is_disabled_is_not_kept(house: Open, emulator: Emulator, demo: Account, what: str) -> None:
    house.ask(REGISTER, demo)
    house.ask(REMOVE, demo)
    emulator.world.disabled.add(getattr(demo, what))

    refused(house, house.ask(REGISTER, demo), demo)


def test_a_user_who_may_not_list_himself_is_not_known(house: Open, emulator: Emulator, demo: Account) -> None:
    emulator.world.denied.add(("User", "listusers"))

    refused(house, house.ask(REGISTER, demo), demo)


def test_anothers_pair_is_not_registered(house: Open, emulator: Emulator, demo: Account, other: Account) -> None:
    """Not even by who knows it, but signs with his own."""
    refused(house, house.ask(REGISTER, by=other, told=demo), demo)
    assert not emulator.world.asked


def test_a_signature_that_is_not_the_secrets_is_not_asked_for(house: Open, emulator: Emulator, demo: Account) -> None:
    for how in ("v4", "v2"):
        refused(house, house.ask(REGISTER, by=replace(demo, secret="another-secret"), told=demo, how=how), demo)
    assert not emulator.world.asked


@pytest.mark.parametrize(
    "wrong",
    [{"api": "short"}, {"api": "x" * 129}, {"api": "with/slash-and-more"}, {"secret": "s" * 256}, {"secret": "short"}],
)
def test_what_cannot_be_a_pair_is_not_asked_for(
    house: Open, emulator: Emulator, demo: Account, wrong: dict[str, str]
) -> None:
    pair = replace(demo, **wrong)

    assert house.ask(REGISTER, pair, how="v2").status in (400, 401)
    assert not emulator.world.asked
    assert pair.api not in [one.access_key for one in house.store.credentials()]


def test_a_key_that_isthmus_gave_out_is_not_taken_over(house: Open, emulator: Emulator, demo: Account) -> None:
    account, key, secret = house.account
    stolen = replace(demo, api=key)
    emulator.world.accounts[key] = stolen

    answer = house.ask(REGISTER, stolen)

    assert "AuthFailure" == answer.code
    kept = house.store.credential(key)
    assert kept
    assert (account, secret) == (kept.account, kept.secret)
    assert house.store.tenant(account, "stack") is None


def test_a_pair_that_is_kept_for_a_project_stays_the_projects(house: Open, emulator: Emulator, demo: Account) -> None:
    project = emulator.world.new_project("blue", demo)
    account = house.account[0]
    house.store.keep_login(account, "stack", project.id, demo.api, {"api_key": demo.api, "secret_key": demo.secret})
    house.store.import_credential(account, demo.api, demo.secret)

    answer = house.ask(REGISTER, demo)

    assert (200, account) == (answer.status, answer.response.account)
    assert project.id == house.store.tenant_of(account, "stack")
    assert not [one for one in house.store.accounts() if one.name == "demo"]


def test_a_tenant_that_was_unmapped_stays_so(house: Open, demo: Account) -> None:
    account = house.ask(REGISTER, demo).response.account
    house.ask(REMOVE, demo)
    for name in CLOUDS:
        house.store.end_tenant(account, name)

    refused(house, house.ask(REGISTER, demo), demo)


def test_an_unsigned_form_is_told_to_sign(house: Open, emulator: Emulator, demo: Account) -> None:
    answer = house.ask(REGISTER, demo, how="unsigned")

    assert "MissingAuthenticationToken" == answer.code
    assert "signed with the pair" in answer.message
    assert not emulator.world.asked


def test_a_secret_in_a_url_is_refused(house: Open, emulator: Emulator, demo: Account) -> None:
    for action in (REGISTER, REMOVE):
        answer = house.ask(action, demo, how="url")
        assert ("InvalidRequest", True) == (answer.code, "logged" in answer.message)
    assert not emulator.world.asked


@pytest.mark.parametrize(
    ("peer", "proxied", "encrypted"),
    [
        ("127.0.0.1", None, True),
        ("::1", None, True),
        ("::ffff:127.0.0.1", None, True),
        ("192.0.2.7", None, False),
        ("::ffff:192.0.2.7", None, False),
        ("", None, False),
        ("192.0.2.7", "https", True),
        ("127.0.0.1", "HTTPS", True),
        ("127.0.0.1", "http", False),
        ("127.0.0.1", "https, http", False),
        ("127.0.0.1", "", False),
    ],
)
@pytest.mark.parametrize("said", ["encrypted", "any"])
def test_a_secret_that_came_unencrypted_is_refused(
    build: Any, emulator: Emulator, demo: Account, said: str, peer: str, proxied: str | None, encrypted: bool
) -> None:
    house = build(said)
    answer = house.ask(
        REGISTER, demo, how="v2", peer=peer, headers={} if proxied is None else {"X-Forwarded-Proto": proxied}
    )

    if encrypted or said == "any":
        assert 200 == answer.status, answer.text
    else:
        assert ("InvalidRequest", True) == (answer.code, "not encrypted" in answer.message)
        assert not emulator.world.asked
        assert house.store.credential(demo.api) is None


def test_where_it_is_off_it_says_so(build: Any, emulator: Emulator, demo: Account) -> None:
    for action in (REGISTER, REMOVE):
        answer = build("off").ask(action, demo)
        assert ("UnsupportedOperation", True) == (answer.code, "registration" in answer.message)
    assert not emulator.world.asked


def test_no_more_are_tried_at_once_than_there_is_room_for(
    build: Any, emulator: Emulator, demo: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "AT_ONCE", 0)

    answer = build().ask(REGISTER, demo)

    assert (503, "RequestLimitExceeded") == (answer.status, answer.code)
    assert not emulator.world.asked


def test_a_cloud_that_is_away_says_nothing_of_a_pair(house: Open, emulator: Emulator, demo: Account) -> None:
    emulator.world.wrong_next("listUsers", CUT, CUT)

    answer = house.ask(REGISTER, demo)

    assert (503, "Unavailable") == (answer.status, answer.code)
    assert 200 == house.ask(REGISTER, demo).status


@pytest.mark.parametrize(
    ("more", "code"),
    [({"Filter.1.Name": "x"}, "UnknownParameter"), ({"Version": "1999-01-01"}, "NoSuchVersion")],
)
def test_what_is_no_registration_is_refused(house: Open, demo: Account, more: dict[str, str], code: str) -> None:
    assert code == house.ask(REGISTER, demo, **more).code


@pytest.mark.parametrize("ahead", [1000, -1000])
def test_an_old_request_is_refused(house: Open, demo: Account, ahead: float) -> None:
    house.clock.pass_by(ahead)

    assert "RequestExpired" == house.ask(REGISTER, demo).code


@pytest.mark.parametrize("how", ["v4", "v2"])
def test_a_pair_that_is_removed_is_forgotten(house: Open, demo: Account, how: str) -> None:
    account = house.ask(REGISTER, demo).response.account

    answer = house.ask(REMOVE, demo, how=how)

    assert (200, "Successfully removed!") == (answer.status, answer.root.findtext("Message"))
    assert not house.may(demo)
    assert house.store.credential(demo.api) is None
    tenant = house.store.tenant(account, "stack")
    assert (demo.id, {}) == (tenant and tenant.tenant, tenant and tenant.logins)
    assert account == house.ask(REGISTER, demo).response.account


def test_who_signs_a_removal_need_not_tell_his_secret(house: Open, demo: Account) -> None:
    house.ask(REGISTER, demo)
    signed = by_version_4(demo, {"Action": REMOVE, "AWSAccessKeyId": demo.api}, {})

    assert 200 == house.front.handle(replace(received(signed), peer="192.0.2.7")).status
    assert not house.may(demo)


def test_only_the_pair_itself_removes_it(house: Open, demo: Account, other: Account) -> None:
    house.ask(REGISTER, demo)
    house.ask(REGISTER, other)
    wrong = replace(demo, secret="another-secret")

    for by, told in ((wrong, wrong), (demo, wrong), (wrong, demo), (other, demo)):
        assert "AuthFailure" == house.ask(REMOVE, by=by, told=told).code
    assert house.may(demo)


def test_who_is_disabled_can_have_his_pair_forgotten(house: Open, emulator: Emulator, demo: Account) -> None:
    house.ask(REGISTER, demo)
    emulator.world.disabled.add(demo.user)

    assert 200 == house.ask(REMOVE, demo).status
    assert house.store.credential(demo.api) is None


def test_what_an_operator_gave_out_is_not_removed(house: Open) -> None:
    _, key, secret = house.account
    issued = Account("", "", "", "", key, secret)

    assert "OperationNotPermitted" == house.ask(REMOVE, issued).code
    assert house.store.credential(key)


def test_what_is_not_kept_cannot_be_removed(house: Open, demo: Account) -> None:
    assert "AuthFailure" == house.ask(REMOVE, demo).code
