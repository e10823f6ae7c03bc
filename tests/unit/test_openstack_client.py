"""A service of OpenStack that does not answer."""

from __future__ import annotations

import re
from typing import Any

import pytest
from keystoneauth1 import exceptions

from isthmus import retry
from isthmus.errors import Denied, Throttled, Unauthorized, Unavailable
from isthmus.providers.openstack.client import Client, refuse


class Dead:
    def __init__(self) -> None:
        self.asked = 0

    def request(self, *_: Any, **__: Any) -> Any:
        self.asked += 1
        raise exceptions.ConnectFailure


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch) -> Dead:
    monkeypatch.setattr(retry, "PAUSE_SECONDS", 0)
    return Dead()


def client(dead: Dead) -> Client:
    return Client("project", lambda _: dead)  # type: ignore[arg-type, return-value]


def unavailable(one: Client, verb: str, *given: Any) -> None:
    with pytest.raises(Unavailable):
        getattr(one, verb)("compute", *given)


def test_a_read_is_tried_twice_and_a_write_once(dead: Dead) -> None:
    unavailable(client(dead), "get", "/servers")
    assert 2 == dead.asked

    unavailable(client(dead), "post", "/servers", {})
    assert 3 == dead.asked


def test_a_read_that_took_long_is_not_tried_again(dead: Dead, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "RETRY_SECONDS", -1)

    unavailable(client(dead), "get", "/servers")

    assert 1 == dead.asked


def test_a_request_waits_for_a_silent_service_once(dead: Dead) -> None:
    one = client(dead).once()
    for path in ("/servers", "/servers", "/flavors"):
        unavailable(one, "get", path)
    assert 2 == dead.asked

    one.again()
    unavailable(one, "get", "/servers")
    assert 4 == dead.asked


def test_a_service_that_takes_no_more_requests_throttles() -> None:
    with pytest.raises(Throttled):
        refuse(429, "Too many requests", "server", "")


@pytest.mark.parametrize(
    "text",
    [
        "Policy doesn't allow os_compute_api:servers:create to be performed.",
        "(rule:create_network and rule:create_network:shared) is disallowed by policy",
        "You are not authorized to complete publicize_image action.",
    ],
)
def test_what_a_role_lacks_the_right_to_is_not_authorized(text: str) -> None:
    with pytest.raises(Unauthorized, match=re.escape(text)):
        refuse(403, text, "server", "")


def test_what_nobody_may_do_is_denied() -> None:
    with pytest.raises(Denied) as refused:
        refuse(403, "Image 1 is protected and cannot be deleted.", "image", "1")
    assert not isinstance(refused.value, Unauthorized)
