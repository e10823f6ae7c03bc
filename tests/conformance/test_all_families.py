"""The rules R: what holds in every family."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from isthmus.errors import Fault, Invalid, NotFound, Unsupported
from isthmus.model import Direction, ImageDisk, Rule
from isthmus.providers import (
    AddressSpec,
    Capability,
    Cloud,
    FirewallSpec,
    ImageSpec,
    KeySpec,
    NetworkSpec,
    PortSpec,
    ServerSpec,
    SnapshotSpec,
    SubnetSpec,
    VolumeSpec,
)
from isthmus.quotas import QUOTAS

from .conftest import Base
from .kinds import KINDS, LACKING, SERVER, VERBS, Kind, Verb
from .kit import FAMILIES, Maker, Patience, default_subnet, missing, public_key, refused, word

BOOTS = pytest.mark.boots
BOOTED = pytest.param("server", marks=BOOTS)

ODD = ("", "no-such-thing", "../../etc/passwd", "a/b?c=d&e", "' OR 1=1 --", "nul\0nul", "кот-猫-🐈", "9" * 5000, "-1")


def applies(cloud: Cloud, session: Any, needs: tuple[str, ...]) -> None:
    if reason := missing(cloud, session, needs):
        pytest.skip(reason)


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest, cloud: Cloud, session: Any) -> Kind:
    """Every kind of thing but servers."""
    applies(cloud, session, KINDS[request.param].needs)
    return KINDS[request.param]


@pytest.fixture(params=[*sorted(KINDS), BOOTED])
def exists(request: pytest.FixtureRequest, cloud: Cloud, session: Any, made: Maker) -> tuple[Kind, Any]:
    """Something of every kind, with its kind; the server is the one that all tests share."""
    found = KINDS.get(request.param, SERVER)
    applies(cloud, session, found.needs)
    if found is SERVER:
        return found, request.getfixturevalue("base").first
    return found, found.make(made, word())


@pytest.fixture(params=[pytest.param(n, marks=BOOTS if VERBS[n].kind == "server" else ()) for n in sorted(VERBS)])
def verb(request: pytest.FixtureRequest, cloud: Cloud, session: Any) -> Verb:
    applies(cloud, session, VERBS[request.param].needs)
    return VERBS[request.param]


def listings(session: Any) -> list[Callable[[list[str]], Any]]:
    found = [*KINDS.values(), SERVER]
    there = [kind for kind in found if getattr(session, kind.needs[0]) is not None and kind.some is not None]
    return [lambda natives, some=kind.some: some(session, natives) for kind in there]  # type: ignore[misc]


def everything(session: Any) -> dict[str, Any]:
    """All that a tenant has, but for what the cloud counts by itself, and what is going since an earlier test."""
    found = {"server": SERVER, **KINDS}
    there = {name: one for name, one in found.items() if getattr(session, one.needs[0]) is not None}
    listed = {name: sorted(one.every(session), key=lambda item: item.native) for name, one in there.items()}
    return {name: [one for one in items if getattr(one, "state", "") != "deleting"] for name, items in listed.items()}


def test_a_list_leaves_out_what_does_not_exist(cloud: Cloud, session: Any) -> None:
    """R1"""
    for listing in listings(session):
        assert list(listing(["no-such-thing", "nor-this"])) == []


def test_a_list_of_natives_agrees_with_the_list_of_all(exists: tuple[Kind, Any], session: Any) -> None:
    """R2"""
    kind, thing = exists
    if kind.some is None:
        pytest.skip("this kind is only listed as a whole")

    [found] = kind.some(session, [thing.native, "no-such-thing", thing.native])

    assert [found.native] == [one.native for one in kind.every(session) if one.native == thing.native]


def test_a_ref_used_before_answers_what_was_made_then(
    exists: tuple[Kind, Any], session: Any, made: Maker, request: pytest.FixtureRequest
) -> None:
    """R3"""
    kind, thing = exists
    before = {one.native for one in kind.every(session)}

    if kind is SERVER:
        spec = replace(request.getfixturevalue("base").spec, name="another name")
        again = session.compute.create_server(spec)
    else:
        again = kind.make(made, thing.ref)

    assert thing.native == again.native
    listed = [one for one in kind.every(session) if one.ref == thing.ref]
    assert [thing.native] == [one.native for one in listed]
    assert before >= {one.native for one in listed}


@pytest.mark.parametrize("name", [*sorted(KINDS), BOOTED])
def test_creates_at_the_same_moment_make_one_thing(
    name: str, cloud: Cloud, session: Any, made: Maker, request: pytest.FixtureRequest
) -> None:
    """R4"""
    kind, ref = KINDS.get(name, SERVER), word()
    applies(cloud, session, kind.needs)

    if kind is SERVER:
        answers = request.getfixturevalue("doomed").answers
    else:
        # What it is made of is made first, and once.
        first: dict[str, Callable[[], Any]]
        first = {"snapshot": made.used, "image": made.snapshot, "subnet": made.network}
        base = first[name]() if name in first else None
        with ThreadPoolExecutor(8) as threads:
            answers = tuple(threads.map(lambda _: concurrent(name, made, ref, base), range(8)))
        assert len([one for one in kind.every(session) if one.ref == ref]) == 1

    assert len(answers) == 8
    assert len({answer.native for answer in answers}) == 1


def concurrent(name: str, made: Maker, ref: str, base: Any) -> Any:
    match name:
        case "snapshot":
            return made.snapshot(ref, base.native)
        case "image":
            return made.image(ref, disks=(ImageDisk("/dev/sda1", 1, base.native),), name=ref)
        case "subnet":
            return made.subnet(ref, base.native)
        case "port":
            return made.port(ref)
        case "firewall" | "key" | "network":
            return getattr(made, name)(ref, name=ref)
        case _:
            return getattr(made, name)(ref)


def test_the_ref_comes_back_from_the_list(exists: tuple[Kind, Any], session: Any) -> None:
    """R5"""
    kind, thing = exists

    assert [thing.ref] == [one.ref for one in kind.every(session) if one.native == thing.native]
    assert thing.ref


@pytest.mark.parametrize("name", [*sorted(KINDS), BOOTED])
def test_a_create_without_a_ref_is_invalid(
    name: str, cloud: Cloud, session: Any, made: Maker, plain: ServerSpec
) -> None:
    """R6"""
    applies(cloud, session, KINDS.get(name, SERVER).needs)
    creates: dict[str, Callable[[], Any]] = {
        "server": lambda: session.compute.create_server(replace(plain, ref="")),
        "volume": lambda: session.volumes.create_volume(VolumeSpec("", 1, made.zone)),
        "snapshot": lambda: session.volumes.create_snapshot(SnapshotSpec("", made.volume().native)),
        "image": lambda: session.images.create_image(
            ImageSpec("", word(), disks=(ImageDisk("/dev/sda1", 1, made.snapshot().native),))
        ),
        "network": lambda: session.networks.create_network(NetworkSpec("", word(), "10.77.0.0/16")),
        "subnet": lambda: session.networks.create_subnet(
            SubnetSpec("", word(), made.network().native, "10.77.1.0/24", made.zone)
        ),
        "port": lambda: session.ports.create_port(PortSpec("", default_subnet(session, made.zone))),
        "firewall": lambda: session.firewalls.create_firewall(FirewallSpec("", word(), "none")),
        "address": lambda: session.addresses.allocate_address(AddressSpec("")),
        "key": lambda: session.keys.import_key(KeySpec("", word(), public_key())),
    }

    with refused(Invalid, field="ref"):
        creates[name]()


def test_deleting_what_does_not_exist_succeeds(kind: Kind, session: Any, made: Maker, patience: Patience) -> None:
    """R7"""
    thing = kind.make(made, word())
    kind.delete(session, thing.native)
    kind.delete(session, thing.native)
    patience.gone(lambda: kind.every(session), thing.native)

    kind.delete(session, thing.native)
    kind.delete(session, "no-such-thing")


def test_a_verb_on_what_does_not_exist_is_not_found(verb: Verb, cloud: Cloud, session: Any) -> None:
    """R8"""
    with pytest.raises(NotFound):
        verb.call(session, "no-such-thing")


def test_lists_never_show_what_is_another_tenants(exists: tuple[Kind, Any], other: Any) -> None:
    """R9"""
    kind, thing = exists

    assert thing.native not in {one.native for one in kind.every(other)}
    if kind.some is not None:
        assert list(kind.some(other, [thing.native])) == []


def test_changing_what_is_another_tenants_is_not_found(
    verb: Verb, cloud: Cloud, session: Any, other: Any, made: Maker, request: pytest.FixtureRequest
) -> None:
    """R10"""
    kind = KINDS.get(verb.kind, SERVER)
    applies(cloud, session, kind.needs)
    native = request.getfixturevalue("running") if kind is SERVER else kind.make(made, word()).native
    before = everything(session)

    with pytest.raises(NotFound):
        verb.call(other, native)

    assert before == everything(session)


def test_deleting_what_is_another_tenants_changes_nothing(exists: tuple[Kind, Any], session: Any, other: Any) -> None:
    """R11"""
    kind, thing = exists
    before = everything(session)

    kind.delete(other, thing.native)

    assert before == everything(session)


@pytest.mark.parametrize(
    ("needs", "name"),
    [
        (("volumes",), "snapshot"),
        (("volumes",), "volume"),
        (("images", "volumes", Capability.IMAGE_OF_SNAPSHOT), "disk"),
        (("networks", Capability.NETWORKS), "network"),
        (("networks", "ports", Capability.PORTS), "port"),
        (("ports", Capability.PORTS, "addresses"), "address"),
        (("compute", "ports", Capability.PORTS, Capability.LAUNCH), "server-port"),
        (("firewalls", Capability.PEER_RULES), "peer"),
        (("compute", "firewalls", Capability.LAUNCH), "firewall"),
        (("compute", "keys", Capability.LAUNCH), "key"),
        (("compute", "networks", Capability.LAUNCH), "subnet"),
        (("compute", "images", "volumes", Capability.IMAGE_OF_SNAPSHOT, Capability.LAUNCH), "image"),
        (("volumes", Capability.VOLUME_COPY), "source"),
    ],
)
def test_a_spec_that_names_what_is_another_tenants_is_not_found(
    needs: tuple[str, ...], name: str, cloud: Cloud, session: Any, made: Maker, theirs: Maker, plain: ServerSpec
) -> None:
    """R12"""
    applies(cloud, session, needs)
    spec = replace(plain, ref=word())
    creates: dict[str, Callable[[], Any]] = {
        "snapshot": lambda: made.volume(snapshot=theirs.snapshot().native),
        "volume": lambda: made.snapshot(volume=theirs.volume().native),
        "source": lambda: made.volume(source=theirs.volume().native),
        "disk": lambda: made.image(disks=(ImageDisk("/dev/sda1", 1, theirs.snapshot().native),)),
        "network": lambda: made.subnet(network=theirs.network().native),
        "port": lambda: made.port(subnet=theirs.subnet().native),
        "address": lambda: session.addresses.associate_address(made.address().native, theirs.port().native),
        "server-port": lambda: made.server(replace(spec, ports=(theirs.port().native,))),
        "peer": lambda: session.firewalls.add_rules(
            made.firewall().native, [Rule(Direction.INGRESS, "tcp", 1, 2, peer=theirs.firewall().native)]
        ),
        "firewall": lambda: made.server(replace(spec, firewalls=(theirs.firewall().native,))),
        "key": lambda: made.server(replace(spec, key=theirs.key().native)),
        "subnet": lambda: made.server(replace(spec, subnet=default_subnet(theirs.session, spec.zone))),
        "image": lambda: made.server(replace(spec, image=theirs.image().native)),
    }

    with pytest.raises(NotFound):
        creates[name]()


def test_what_a_cloud_lacks_is_unsupported(cloud: Cloud, session: Any, plain: ServerSpec) -> None:
    """R13"""
    for lacking, reason in cloud.lacks.items():
        assert len(reason.split()) > 3, f"{lacking}: {reason}"
        family, call = LACKING.get(lacking, ("", None))
        # What is not in the table is a part of a verb, and seen by that verb's own rule.
        if call is not None and getattr(session, family) is not None:
            with pytest.raises(Unsupported):
                call(session, plain)


def test_two_sessions_of_a_tenant_see_the_same(cloud: Cloud, session: Any, patience: Patience, made: Maker) -> None:
    """R14"""
    again = cloud.session(patience.candidate.tenants[0])

    assert [getattr(session, name) is None for name in FAMILIES] == [getattr(again, name) is None for name in FAMILIES]
    assert everything(session) == everything(again)


@pytest.mark.parametrize("native", ODD, ids=lambda native: ascii(native)[:20])
def test_only_faults_leave(native: str, cloud: Cloud, session: Any) -> None:
    """R15"""
    for verb in VERBS.values():
        if not missing(cloud, session, verb.needs):
            with pytest.raises(Fault):
                verb.call(session, native)
    for kind in (*KINDS.values(), SERVER):
        if not missing(cloud, session, kind.needs):
            kind.delete(session, native)
    for listing in listings(session):
        assert list(listing([native])) == []


def test_all_times_are_aware_and_in_utc(exists: tuple[Kind, Any], session: Any) -> None:
    """R16"""
    kind, _ = exists
    for one in kind.every(session):
        for name in ("created", "started"):
            when = getattr(one, name, None)
            if isinstance(when, datetime):
                assert timedelta(0) == when.utcoffset()


def test_the_ref_of_what_is_gone_is_free(kind: Kind, session: Any, made: Maker, patience: Patience) -> None:
    """R17"""
    first = kind.make(made, word())
    kind.delete(session, first.native)
    patience.gone(lambda: kind.every(session), first.native)

    second = kind.make(made, first.ref)

    assert [second.native] == [one.native for one in kind.every(session) if one.ref == first.ref]


def test_mending_changes_nothing_where_nothing_is_broken(cloud: Cloud, session: Any, base: Base, running: str) -> None:
    """R18"""
    before = everything(session)

    cloud.mend()
    health = cloud.health()

    assert before == everything(session)
    assert all(isinstance(reason, str) for reason in health.degraded)


def test_natives_are_not_empty_and_given_once(exists: tuple[Kind, Any], session: Any, made: Maker) -> None:
    """R19"""
    kind, _ = exists
    natives = [one.native for one in kind.every(session)]

    assert "" not in natives
    assert len(natives) == len(set(natives))


def test_quotas_of_a_cloud_have_our_names(session: Any) -> None:
    """R20"""
    said = session.quotas()

    assert said.keys() <= QUOTAS.keys()
    assert all(isinstance(most, int) and most >= 0 for most in said.values())
