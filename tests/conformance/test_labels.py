"""The rules L: labels of things."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from isthmus.providers import Cloud

from .kinds import KINDS
from .kit import Maker, missing, word

pytestmark = pytest.mark.needs("labels")

NAMES = ("volume", "snapshot", "image", "network", "subnet", "firewall", "address")
NONE = "no-such-thing"


def labelled(session: Any, kind: str, native: str) -> dict[str, str]:
    return dict(session.labels.list_labels(kind).get(native, {}))


@pytest.fixture(params=[*NAMES, pytest.param("server", marks=pytest.mark.boots)])
def subject(request: pytest.FixtureRequest, cloud: Cloud, session: Any, made: Maker) -> tuple[str, Callable[[], str]]:
    """A kind that can have labels, and what makes such a thing; of servers there is the one that all tests share."""
    name = request.param
    if name not in session.labels.list_kinds():
        pytest.skip(f"{cloud.name} shows no labels with the kind {name}")
    if name == "server":
        running = request.getfixturevalue("running")
        return name, lambda: running
    if reason := missing(cloud, session, KINDS[name].needs):
        pytest.skip(reason)
    return name, lambda: str(KINDS[name].make(made, word()).native)


def test_a_thing_has_the_labels_that_it_was_given_last(subject: tuple[str, Callable[[], str]], session: Any) -> None:
    """L1"""
    kind, make = subject
    one = make()
    others = [] if kind == "server" else [make()]
    first = {"Name": "first", "team": "blue", "Case": "s"}

    session.labels.set_labels({kind: {one: first, **{each: {"Name": "other"} for each in others}}})
    assert first == labelled(session, kind, one)
    session.labels.set_labels({kind: {one: first}})
    assert first == labelled(session, kind, one)

    session.labels.set_labels({kind: {one: {"Name": "second", "team": "blue"}}})
    assert {"Name": "second", "team": "blue"} == labelled(session, kind, one)
    assert [{"Name": "other"} for _ in others] == [labelled(session, kind, other) for other in others]

    session.labels.set_labels({kind: {each: {} for each in (one, *others)}})
    assert [{}] * len([one, *others]) == [labelled(session, kind, each) for each in (one, *others)]


def test_what_is_not_the_tenants_own_gets_no_labels_and_the_others_do(
    session: Any, other: Any, made: Maker, theirs: Maker
) -> None:
    """L2"""
    own, strange = made.volume().native, theirs.volume().native

    session.labels.set_labels({"volume": {each: {"Name": "mine"} for each in (NONE, strange, own)}})

    assert {"Name": "mine"} == labelled(session, "volume", own)
    assert [{}, {}, {}] == [
        labelled(session, "volume", NONE),
        labelled(session, "volume", strange),
        labelled(other, "volume", strange),
    ]


def test_whatever_labels_can_be_does_not_fail(session: Any, made: Maker) -> None:
    """L3"""
    native = made.volume().native
    odd = {"empty": "", "n" * 128: "v" * 256, "кот 猫": "a b&c=d/é", "line": "a\nb", "Twice": "1", "twice": "2"}

    session.labels.set_labels({"volume": {native: {**odd, "plain": "yes"}}})

    assert "yes" == labelled(session, "volume", native)["plain"]
