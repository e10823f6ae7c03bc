"""Who signed, by Keystone: what it is asked, what is made of its answers, and how long they are believed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from keystoneauth1 import exceptions
from test_auth import HOST, KEY, SECRET, presigned, v2, v4

from isthmus import told
from isthmus.aws.auth import claim
from isthmus.aws.request import Request
from isthmus.errors import Unavailable
from isthmus.model import SignedRequest
from isthmus.providers.openstack import judged
from isthmus.providers.openstack.credentials import Credentials, told_of
from isthmus.providers.openstack.logins import Granted, Signed, Signings


def signed(request: Request) -> SignedRequest:
    return claim(request).signed()


class FakeKeystone:
    """Keystone as keystoneauth's session shows it: tokens of ours, credentials, and a log of what was asked."""

    def __init__(self) -> None:
        self.token = 1
        self.good = {"1"}
        self.away = False
        self.status: Mapping[str, int] = {}
        self.secrets = {KEY: SECRET}
        self.roles = ["member"]
        self.asked: list[str] = []
        self.granted = 0

    def get_token(self) -> str:
        return str(self.token)

    def invalidate(self) -> None:
        self.token += 1
        self.good = {str(self.token)}

    def request(self, url: str, method: str, *, json: Any, headers: Mapping[str, str], **_: Any) -> Any:
        what = url.removeprefix("http://keystone/v3/").partition("/")[0]
        self.asked.append(what)
        if self.away:
            raise exceptions.ConnectFailure("it is away")
        if what in self.status:
            return self.answer(self.status[what])
        if headers["X-Auth-Token"] not in self.good:
            return self.answer(401)
        return self.judge(json["credentials"]) if method == "POST" else self.tell(url.rpartition("/")[2])

    def judge(self, told: Mapping[str, Any]) -> Any:
        """It judges nothing but what we sign ourselves, or takes any signature of 64 digits."""
        if told["access"] not in self.secrets:
            return self.answer(404)
        if not self.roles:
            return self.answer(401)
        self.granted += 1
        body = {
            "user": {"id": "u", "name": "user", "domain": {"id": "default"}},
            "project": {"id": "p", "name": "blue", "domain": {"id": "default"}},
            "roles": [{"id": role, "name": role} for role in self.roles],
            "expires_at": "2999-01-01T00:00:00.000000Z",
            "issued_at": "2020-01-01T00:00:00.000000Z",
            "methods": ["ec2credential"],
            "catalog": [],
        }
        return self.answer(200, {"token": body}, {"X-Subject-Token": f"t{self.granted}"})

    def tell(self, known: str) -> Any:
        for access, secret in self.secrets.items():
            if hashlib.sha256(access.encode()).hexdigest() == known:
                blob = json.dumps({"access": access, "secret": secret})
                return self.answer(
                    200, {"credential": {"type": "ec2", "user_id": "u", "project_id": "p", "blob": blob}}
                )
        return self.answer(404)

    def answer(self, status: int, body: Any = None, headers: Any = ()) -> Any:
        return SimpleNamespace(status_code=status, json=lambda: body, headers=dict(headers))


@pytest.fixture
def keystone() -> FakeKeystone:
    return FakeKeystone()


def opened(keystone: Any, *, fetch: bool = False) -> Credentials:
    def sign_in(auth: Any) -> Signed:
        return Signed(SimpleNamespace(auth=auth), None, "public")  # type: ignore[arg-type]

    return Credentials(keystone, "http://keystone/v3", sign_in, Signings(), fetch=fetch)


@pytest.fixture
def validating(keystone: FakeKeystone) -> Credentials:
    return opened(keystone)


@pytest.fixture
def fetching(keystone: FakeKeystone) -> Credentials:
    return opened(keystone, fetch=True)


def test_a_signed_header_is_told_under_keystones_names():
    told = told_of(signed(v4("GET")))

    assert told
    assert told["headers"]["Authorization"].startswith(f"AWS4-HMAC-SHA256 Credential={KEY}/")
    assert told["headers"]["X-Amz-Date"].endswith("Z")
    assert told["headers"]["host"] == told["host"] == HOST
    assert (told["verb"], told["path"], told["params"]["Action"]) == ("GET", "/", "DescribeInstances")


@pytest.mark.parametrize("request_of", [v4, lambda: v4("GET"), lambda: presigned("GET"), v2, lambda: v2("GET")])
def test_what_keystone_judges_as_it_was_signed_is_told(request_of: Any) -> None:
    assert told_of(signed(request_of()))


def test_a_post_with_a_query_is_not_told():
    """Keystone leaves it out: whoever overhears a request could add to it."""
    assert told_of(signed(replace(v4("POST"), query="InstanceId.1=i-1"))) is None
    assert told_of(signed(presigned("POST"))) is None


def test_a_parameter_given_twice_is_not_told():
    request = v4("GET")

    assert told_of(signed(replace(request, query=request.query + "&Action=TerminateInstances"))) is None


def test_what_keystone_takes_for_another_signature_is_not_told():
    request = signed(v2())
    other = tuple((name, "HmacSHA1" if name == "SignatureMethod" else value) for name, value in request.params)
    strange = signed(v4())
    odd = strange.headers["authorization"].replace("us-east-1", "SignedHeaders=x")

    assert told_of(replace(request, params=other)) is None
    assert told_of(replace(request, host="[::1]:8788")) is None
    assert told_of(replace(strange, headers={**strange.headers, "authorization": odd})) is None


@pytest.fixture
def each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keystone is asked anew of each request."""
    monkeypatch.setattr(judged, "JUDGED_SECONDS", 0)


@pytest.mark.usefixtures("each_time")
def test_the_first_token_is_used(keystone, validating):
    first, second = (validating.admit(signed(v4())) for _ in range(2))

    assert ["ec2tokens", "ec2tokens"] == keystone.asked
    assert first == second
    assert ("p", "blue", "u") == (first[1].project, first[1].name, first[1].user)


@pytest.mark.parametrize("request_of", [v4, lambda: v4("GET"), lambda: presigned("GET"), v2])
def test_keystone_is_asked_once_of_a_request_that_is_sent_again(keystone, validating, request_of):
    request = signed(request_of())

    first, second = (validating.admit(request) for _ in range(2))

    assert ["ec2tokens"] == keystone.asked
    assert first == second


@pytest.mark.parametrize(
    "changes",
    [{"signature": "0" * 64}, {"method": "PUT"}, {"host": "other"}, {"path": "/x"}, {"body_hash": "0" * 64}],
    ids=lambda changes: next(iter(changes)),
)
def test_keystone_is_asked_of_a_request_that_differs_from_what_it_took(keystone, validating, changes):
    validating.admit(signed(v4()))

    validating.admit(replace(signed(v4()), **changes))

    assert ["ec2tokens", "ec2tokens"] == keystone.asked


def test_a_key_that_was_revoked_is_refused_once_the_seconds_are_over(keystone, validating, monkeypatch):
    validating.admit(signed(v4()))
    del keystone.secrets[KEY]
    assert validating.admit(signed(v4()))

    assert validating.admit(signed(v4("GET"))) is None
    monkeypatch.setattr(judged, "JUDGED_SECONDS", 0)
    assert validating.admit(signed(v4())) is None


def test_what_keystone_refused_is_asked_again(keystone, validating):
    secret = keystone.secrets.pop(KEY)
    assert validating.admit(signed(v4())) is None

    keystone.secrets[KEY] = secret
    assert validating.admit(signed(v4()))


def test_signatures_are_forgotten_once_they_count_no_longer(validating, monkeypatch):
    validating.admit(signed(v4()))
    assert 1 == len(validating._judged._known)

    monkeypatch.setattr(judged, "JUDGED_SECONDS", 0)
    validating.admit(signed(v4("GET")))

    assert 0 == len(validating._judged._known)


def test_so_many_signatures_are_remembered(keystone, validating, monkeypatch):
    monkeypatch.setattr(judged, "_MOST", 2)
    requests = [replace(signed(v4()), host=f"host-{number}") for number in range(3)]
    for request in requests:
        validating.admit(request)

    assert 2 == len(validating._judged._known)
    for request in (requests[2], requests[1], requests[0]):
        validating.admit(request)
    assert 4 == len(keystone.asked)


def test_a_token_that_a_service_refused_is_replaced(validating):
    signed_in, granted = validating.admit(signed(v4()))
    granted.invalidate()

    assert not signed_in.good
    assert validating.admit(signed(v4()))[1].auth_ref.auth_token == "t2"


@pytest.mark.usefixtures("each_time")
def test_other_roles_are_another_login(keystone, validating):
    validating.admit(signed(v4()))
    keystone.roles = ["reader"]

    assert frozenset(["reader"]) == validating.admit(signed(v4()))[1].roles


@pytest.mark.parametrize("status", [401, 403, 404])
def test_who_keystone_refuses_is_nobody(keystone, validating, status):
    keystone.status = {"ec2tokens": status}

    assert validating.admit(signed(v4())) is None


@pytest.mark.parametrize("fetch", [False, True])
@pytest.mark.parametrize("status", [0, 429, 500, 503])
def test_a_keystone_that_is_away_says_nothing_of_a_signature(keystone, fetch, status):
    keystone.away = not status
    keystone.status = dict.fromkeys(("ec2tokens", "credentials"), status) if status else {}

    with pytest.raises(Unavailable):
        opened(keystone, fetch=fetch).admit(signed(v4()))


@pytest.mark.parametrize("key", ["", "ab", "x" * 129, "a/b", "a b", "ü" * 20])
def test_what_is_no_key_of_keystones_is_not_asked_for(keystone, validating, fetching, key):
    for judge in (validating, fetching):
        assert judge.admit(replace(signed(v4()), access_key=key)) is None
    assert [] == keystone.asked


def test_our_own_token_is_renewed_when_it_is_refused(keystone, validating):
    keystone.good = set()

    assert validating.admit(signed(v4()))
    assert 2 == keystone.token
    assert ["ec2tokens", "ec2tokens"] == keystone.asked


def test_wrong_signatures_do_not_renew_our_token_again_and_again(keystone, validating):
    keystone.roles = []
    for _ in range(5):
        assert validating.admit(signed(v4())) is None

    assert 2 == keystone.token
    assert 6 == len(keystone.asked)


def test_a_fetched_secret_judges_until_it_is_forgotten(keystone, fetching, monkeypatch):
    for _ in range(3):
        assert fetching.admit(signed(v4()))
    assert ["credentials", "ec2tokens"] == keystone.asked

    del keystone.secrets[KEY]
    assert fetching.admit(signed(v4()))
    monkeypatch.setattr(told, "SECRET_SECONDS", 0)
    assert fetching.admit(signed(v4())) is None


@pytest.mark.parametrize("request_of", [v4, lambda: presigned("POST"), v2])
def test_a_fetched_secret_judges_all_kinds_of_signatures(fetching, request_of):
    assert fetching.admit(signed(request_of()))


def test_a_wrong_signature_is_refused_by_a_fetched_secret(keystone, fetching):
    keystone.secrets[KEY] = "another"

    assert fetching.admit(signed(v4())) is None
    assert fetching.admit(signed(v4())) is None
    assert ["credentials"] == keystone.asked


def test_a_changed_secret_is_fetched_anew_once_the_known_one_does_not_fit(keystone, fetching, monkeypatch):
    keystone.secrets[KEY] = "before"
    fetching.admit(signed(v4()))
    keystone.secrets[KEY] = SECRET
    assert fetching.admit(signed(v4())) is None

    monkeypatch.setattr(told, "ANEW_SECONDS", 0)

    assert fetching.admit(signed(v4()))


def test_a_user_who_is_disabled_is_refused_when_the_secret_is_fetched_anew(keystone, fetching, monkeypatch):
    assert fetching.admit(signed(v4()))
    keystone.roles = []
    monkeypatch.setattr(told, "SECRET_SECONDS", 0)

    assert fetching.admit(signed(v4())) is None
    monkeypatch.undo()
    assert fetching.admit(signed(v4())) is None


def test_fetched_secrets_are_not_kept_as_they_are(fetching):
    fetching.admit(signed(v4()))

    assert SECRET not in repr(vars(fetching._secrets))
    assert SECRET.encode() not in b"".join(one.locked for one in fetching._secrets._kept.values())


def test_a_role_that_is_missing_is_told(keystone, validating, fetching):
    assert "" == validating.missing() == fetching.missing()

    keystone.status = {"credentials": 403}
    assert "" == validating.missing()
    assert "the role admin" in fetching.missing()
    keystone.status = {"ec2tokens": 403}
    assert "the role service" in validating.missing()
    keystone.away = True
    assert "Keystone does not answer." == validating.missing()


def test_a_granted_token_ends(keystone):
    body = keystone.judge({"access": KEY}).json()
    body["token"]["expires_at"] = "2020-01-01T00:00:00.000000Z"

    assert not Granted("http://keystone/v3", body, "t").good
