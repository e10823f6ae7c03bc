"""The rules F: firewalls and their rules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from isthmus.errors import Conflict, Denied, Invalid, NotFound
from isthmus.model import Direction, Firewall, Rule
from isthmus.providers import Capability

from .conftest import Base
from .kit import Maker, Patience, refused, word

pytestmark = pytest.mark.needs("firewalls")
PEERS = pytest.mark.needs(Capability.PEER_RULES)

SSH = Rule(Direction.INGRESS, "tcp", 22, 22, cidr="192.0.2.0/24", description="ssh from the office")
PING = Rule(Direction.INGRESS, "icmp", cidr="0.0.0.0/0")
DNS = Rule(Direction.INGRESS, "udp", 53, 53, cidr="198.51.100.7/32")


def firewall_of(session: Any, native: str) -> Firewall:
    [found] = [one for one in session.firewalls.list_firewalls() if one.native == native]
    return found  # type: ignore[no-any-return]


def default_of(session: Any) -> Firewall:
    default = (
        "" if session.networks is None else next(one.native for one in session.networks.list_networks() if one.default)
    )
    named = [one for one in session.firewalls.list_firewalls() if one.name == "default"]
    [found] = [one for one in named if one.network == default or not default]
    return found  # type: ignore[no-any-return]


def incoming(firewall: Firewall) -> set[tuple[Any, ...]]:
    return {rule.key for rule in firewall.rules if rule.direction is Direction.INGRESS}


def lets_all_out(firewall: Firewall) -> bool:
    keys = {rule.key[1:] for rule in firewall.rules if rule.direction is Direction.EGRESS}
    return ("-1", -1, -1, "0.0.0.0/0", "") in keys


def test_the_default_firewall_cannot_be_deleted(session: Any) -> None:
    """F1"""
    default = default_of(session)

    with pytest.raises(Denied):
        session.firewalls.delete_firewall(default.native)

    assert default == default_of(session)


@PEERS
@pytest.mark.needs(Capability.DEFAULT_MEMBERS)
def test_the_default_firewall_lets_in_its_members_and_lets_out_all(session: Any) -> None:
    """F2"""
    default = default_of(session)

    assert {("ingress", "-1", -1, -1, "", default.native)} == incoming(default)
    assert lets_all_out(default)


def test_a_new_firewall_lets_in_nothing_and_lets_out_all(made: Maker) -> None:
    """F3"""
    firewall = made.firewall(description="a description")

    assert set() == incoming(firewall)
    assert lets_all_out(firewall)
    assert firewall.description == "a description"


def test_a_name_is_given_once_in_a_network(made: Maker, theirs: Maker) -> None:
    """F4"""
    first = made.firewall()

    with refused(Conflict, code="duplicate", kind="firewall"):
        made.firewall(name=first.name)
    with refused(Conflict, code="duplicate", kind="firewall"):
        made.firewall(name="default")

    assert first.name == theirs.firewall(name=first.name).name


def test_added_rules_are_listed_with_their_descriptions(session: Any, made: Maker) -> None:
    """F5"""
    native = made.firewall().native

    session.firewalls.add_rules(native, [SSH, PING])
    session.firewalls.add_rules(native, [DNS])

    firewall = firewall_of(session, native)
    assert {SSH.key, PING.key, DNS.key} == incoming(firewall)
    assert [rule.description for rule in firewall.rules if rule.key == SSH.key] == ["ssh from the office"]


@pytest.mark.parametrize(
    "rules",
    [[DNS, SSH], [DNS, replace(SSH, description="another")], [DNS, PING, replace(PING, description="again")]],
    ids=["there", "described", "twice"],
)
def test_a_rule_is_added_once(rules: list[Rule], session: Any, made: Maker) -> None:
    """F6"""
    native = made.firewall().native
    session.firewalls.add_rules(native, [SSH])

    with refused(Conflict, code="duplicate", kind="rule"):
        session.firewalls.add_rules(native, rules)

    assert {SSH.key} == incoming(firewall_of(session, native))


def test_removed_rules_are_gone_whatever_their_descriptions(session: Any, made: Maker) -> None:
    """F7"""
    native = made.firewall().native
    session.firewalls.add_rules(native, [SSH, PING, DNS])

    session.firewalls.remove_rules(native, [replace(SSH, description=""), DNS])

    assert {PING.key} == incoming(firewall_of(session, native))


def test_a_rule_that_is_not_there_cannot_be_removed(session: Any, made: Maker) -> None:
    """F8"""
    native = made.firewall().native
    session.firewalls.add_rules(native, [SSH])

    with refused(NotFound, kind="rule"):
        session.firewalls.remove_rules(native, [SSH, PING])

    assert {SSH.key} == incoming(firewall_of(session, native))


WRONG = {
    "protocol": replace(SSH, protocol="carrier-pigeon"),
    "number": replace(SSH, protocol="256", low=-1, high=-1),
    "order": replace(SSH, low=23),
    "range": replace(SSH, high=65536),
    "negative": replace(SSH, low=-1),
    "cidr": replace(SSH, cidr="192.0.2.1/24"),
    "text": replace(SSH, cidr="the office"),
    "neither": replace(SSH, cidr=""),
    "both": replace(SSH, peer="no-such-firewall"),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_a_rule_that_cannot_be_is_invalid(name: str, session: Any, made: Maker) -> None:
    """F9"""
    native = made.firewall().native

    with pytest.raises(Invalid):
        session.firewalls.add_rules(native, [DNS, WRONG[name]])

    assert set() == incoming(firewall_of(session, native))


@PEERS
def test_a_rule_names_a_firewall_that_exists(session: Any, made: Maker) -> None:
    """F10"""
    two, one = made.firewall().native, made.firewall().native
    peers = [replace(SSH, cidr="", peer=peer) for peer in (one, two)]

    session.firewalls.add_rules(one, peers)
    with refused(NotFound, kind="firewall"):
        session.firewalls.add_rules(one, [replace(SSH, cidr="", peer="no-such-firewall")])

    assert {rule.key for rule in peers} == incoming(firewall_of(session, one))


@PEERS
def test_a_firewall_that_anothers_rule_names_cannot_be_deleted(session: Any, made: Maker) -> None:
    """F11"""
    named, naming = made.firewall().native, made.firewall().native
    session.firewalls.add_rules(naming, [replace(SSH, cidr="", peer=named)])

    with refused(Conflict, code="in-use", kind="firewall"):
        session.firewalls.delete_firewall(named)

    assert firewall_of(session, named)


def test_a_firewall_that_a_server_uses_cannot_be_deleted(base: Base, running: str, session: Any) -> None:
    """F12"""
    [native] = base.spec.firewalls

    with refused(Conflict, code="in-use", kind="firewall"):
        session.firewalls.delete_firewall(native)

    assert firewall_of(session, native)


@PEERS
def test_a_deleted_firewall_is_gone(session: Any, made: Maker, patience: Patience) -> None:
    """F13"""
    native = made.firewall().native
    session.firewalls.add_rules(native, [replace(SSH, cidr="", peer=native)])

    session.firewalls.delete_firewall(native)

    patience.gone(lambda: session.firewalls.list_firewalls(), native)


@pytest.mark.needs(Capability.EGRESS_RULES)
def test_outgoing_rules_are_as_incoming_ones(session: Any, made: Maker) -> None:
    """F14"""
    firewall = made.firewall(name=word())
    out = replace(SSH, direction=Direction.EGRESS)

    session.firewalls.add_rules(firewall.native, [SSH, out])
    assert {SSH.key, out.key} <= {rule.key for rule in firewall_of(session, firewall.native).rules}

    session.firewalls.remove_rules(firewall.native, firewall.rules)
    assert {SSH.key, out.key} == {rule.key for rule in firewall_of(session, firewall.native).rules}


def test_a_listing_that_is_not_placed_has_the_same_firewalls(session: Any, made: Maker) -> None:
    """F15"""
    made.firewall()

    placed = {one.native: one for one in session.firewalls.list_firewalls()}
    seen = {one.native: one for one in session.firewalls.list_firewalls(placed=False)}

    assert placed.keys() == seen.keys()
    for native, one in placed.items():
        assert seen[native] in (one, replace(one, network=""))
