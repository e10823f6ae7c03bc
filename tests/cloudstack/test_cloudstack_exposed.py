"""Subnets whose filters were there before Isthmus came: their operator is told, and nobody's traffic is cut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cs
import pytest
from emulated_cloudstack import TENANTS, Emulated, secrets_of
from emulators.cloudstack.world import Account, Item

from isthmus.model import Direction, Rule
from isthmus.providers import NO_SECRETS
from isthmus.providers.cloudstack import CloudStack, Keys, Options

FIRST, SECOND = TENANTS


@pytest.fixture(params=[False, True], ids=["account", "project"])
def stack(request: pytest.FixtureRequest) -> Iterator[Emulated]:
    """Both tenants have a subnet of other means' making; with a project the second one's user is in it."""
    made = Emulated("stack", groups=False, project=request.param)
    yield made
    made.close()


@pytest.fixture
def users(stack: Emulated) -> list[Account]:
    known = {one.id: one for one in stack.emulator.world.accounts.values()}
    return [known.get(FIRST, known[SECOND]), known[SECOND]]


@pytest.fixture
def tiers(stack: Emulated, users: list[Account]) -> list[Item]:
    project = {"projectid": FIRST} if users[0] == users[1] else {}
    return [open_tier(stack, users[0], "one", **project), open_tier(stack, users[1], "two")]


def open_tier(stack: Emulated, account: Account, name: str, **more: str) -> Item:
    """As another client makes one that lets all pass."""
    world = stack.emulator.world
    them = cs.CloudStack(
        stack.emulator.url, account.api, account.secret, method="post", poll_interval=0.01, fetch_result=True
    )
    zone, [offering] = world.zones[0]["id"], world.vpc_offerings
    about = {"displaytext": name, "cidr": "10.5.0.0/16", "zoneid": zone, "vpcofferingid": offering["id"], **more}
    vpc = them.createVPC(name=f"vpc-{name}", **about)["vpc"]
    tier = next(one["id"] for one in world.network_offerings if one["forvpc"])
    lists = {one["name"]: one["id"] for one in world.acl_lists}
    asked = {"vpcid": vpc["id"], "gateway": "10.5.1.1", "netmask": "255.255.255.0", "zoneid": zone, **more}
    made = them.createNetwork(name=name, networkofferingid=tier, aclid=lists["default_allow"], **asked)
    return made["network"]  # type: ignore[no-any-return]


def told(cloud: Any, **secrets: Any) -> list[str]:
    """What is said of the two tenants, by the keys that are kept for them if any are."""
    found = list(cloud.check(tenants={FIRST: secrets.get("first", NO_SECRETS), SECOND: secrets.get("second", {})}))
    assert not any(one.mended for one in found)
    return [one.what for one in found]


def test_a_subnet_that_its_groups_do_not_filter_is_told_until_something_changes_there(
    stack: Emulated, users: list[Account], tiers: list[Item]
) -> None:
    keys = secrets_of(users[0])
    [first] = told(stack, first=keys)
    assert "the subnet one of the VPC vpc-one" in first
    assert "default_allow" in first

    session = stack.session(FIRST)
    session.networks.list_networks(), session.networks.list_subnets(), session.firewalls.list_firewalls()
    assert [first] == told(stack, first=keys)
    group = next(one for one in session.firewalls.list_firewalls() if one.network == tiers[0]["vpcid"])
    session.firewalls.add_rules(group.native, [Rule(Direction.INGRESS, "tcp", 22, 22, cidr="192.0.2.0/24")])

    assert [] == told(stack, first=keys)


@pytest.fixture
def administered(stack: Emulated) -> Iterator[CloudStack]:
    root = stack.emulator.world.new_account("root", "Admin")
    made = CloudStack("stack", ["zone-1"], Options(stack.emulator.url, admin=Keys(root.api, root.secret)))
    yield made
    made.close()


def test_an_administrators_keys_tell_of_all_tenants_whose_own_are_not_kept(
    administered: CloudStack, tiers: list[Item]
) -> None:
    assert ["subnet one", "subnet two"] == sorted(what[4:14] for what in told(administered))
    assert [] == list(administered.check(tenants={}))


def test_without_any_keys_nothing_can_be_told(stack: Emulated, tiers: list[Item]) -> None:
    assert [] == told(stack)


def test_what_cannot_be_looked_at_is_told(stack: Emulated, users: list[Account], tiers: list[Item]) -> None:
    wrong = {"api_key": users[0].api, "secret_key": "wrong"}

    [first] = told(stack, first=wrong)

    assert "cannot be looked at" in first
    assert users[0].secret not in first
