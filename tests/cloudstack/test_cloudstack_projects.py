"""A project of CloudStack as a tenant: its things are its own, whichever of its users signs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import cs
import pytest
from emulated_cloudstack import TENANTS, Emulated, secrets_of
from emulators.cloudstack.server import Emulator
from emulators.cloudstack.world import Account

from isthmus.errors import Denied
from isthmus.model import Direction, Rule
from isthmus.providers import FirewallSpec, VolumeSpec
from isthmus.providers.cloudstack import Keys

PROJECT, MEMBER = TENANTS


@pytest.fixture(params=[True, False], ids=["security groups", "VPCs"])
def stack(request: pytest.FixtureRequest) -> Iterator[Emulated]:
    """A project, and an account that is in it."""
    made = Emulated("stack", groups=request.param, project=True)
    yield made
    made.close()


@pytest.fixture
def session(stack: Emulated) -> Any:
    return stack.session(PROJECT)


@pytest.fixture
def volume(session: Any) -> Any:
    return session.volumes.create_volume(VolumeSpec(f"vol-{uuid4().hex[:17]}", 1, "zone-1"))


def account_of(stack: Emulated, name: str) -> Account:
    return next(one for one in stack.emulator.world.accounts.values() if one.name == name)


def users_own(stack: Emulated, account: Account) -> Any:
    """Another's client, with a user's keys."""
    return cs.CloudStack(
        endpoint=stack.emulator.url, key=account.api, secret=account.secret, method="post", poll_interval=0.01
    )


def test_what_is_made_for_a_project_is_the_projects_in_cloudstack(stack: Emulated, volume: Any) -> None:
    them = users_own(stack, account_of(stack, "conformance-b"))

    assert {} == them.listVolumes()
    [found] = them.listVolumes(projectid=PROJECT, fetch_list=True)
    assert (volume.native, PROJECT, None) == (found["id"], found["projectid"], found.get("account"))


def test_the_users_own_things_are_not_the_projects(stack: Emulated, session: Any, volume: Any) -> None:
    own = stack.session(MEMBER)
    mine = own.volumes.create_volume(VolumeSpec("vol-own", 1, "zone-1"))

    assert [volume.native] == [one.native for one in session.volumes.list_volumes()]
    assert [mine.native] == [one.native for one in own.volumes.list_volumes([mine.native, volume.native])]
    own.volumes.delete_volume(volume.native)
    session.volumes.delete_volume(mine.native)
    assert [volume.native] == [one.native for one in session.volumes.list_volumes()]
    assert [mine.native] == [one.native for one in own.volumes.list_volumes()]


def test_each_user_of_a_project_signs_for_it(stack: Emulated, volume: Any) -> None:
    outsider = account_of(stack, "conformance-a")
    with pytest.raises(Denied, match="not in this project"):
        stack._cloud.session(PROJECT, secrets_of(outsider))

    stack.emulator.world.projects[PROJECT].members.add(outsider.id)

    found = stack._cloud.session(PROJECT, secrets_of(outsider)).volumes.list_volumes()
    assert [volume.native] == [one.native for one in found]


def test_who_is_no_longer_in_a_project_can_do_nothing_there(stack: Emulated, session: Any, volume: Any) -> None:
    stack.emulator.world.projects[PROJECT].members.clear()

    with pytest.raises(Denied):
        session.volumes.list_volumes()
    with pytest.raises(Denied):
        session.volumes.create_volume(VolumeSpec("vol-late", 1, "zone-1"))


def test_a_project_that_is_none_is_nobodys(stack: Emulated) -> None:
    member = account_of(stack, "conformance-b")
    for known in (str(uuid4()), "no project"):
        with pytest.raises(Denied):
            stack._cloud.session(known, secrets_of(member))


def test_whether_a_user_is_in_a_project_is_asked_once(stack: Emulated) -> None:
    for _ in range(3):
        stack.session(PROJECT)

    assert 1 == stack.emulator.world.asked["listProjects"]


def test_an_administrators_keys_sign_a_users_requests_for_the_users_account(stack: Emulated, session: Any) -> None:
    member = account_of(stack, "conformance-b")
    root = stack.emulator.world.new_account("root", "Admin")

    found = stack._cloud._credentials.owner(Keys(member.api, member.secret))

    assert (MEMBER, "") == (found.tenant, found.project)
    assert PROJECT == stack._cloud.session(PROJECT, secrets_of(root))._tenant.native


def test_limits_of_the_project_are_its_quotas(session: Any) -> None:
    assert {"instances": 30} == session.quotas()


def test_groups_of_a_project_name_each_other(stack: Emulated, session: Any) -> None:
    if session.firewalls is None:
        return
    [default] = session.firewalls.list_firewalls()
    made = session.firewalls.create_firewall(FirewallSpec("sg-1", "own", "d", default.network))

    session.firewalls.add_rules(made.native, [Rule(Direction.INGRESS, "tcp", 22, 22, peer=default.native)])

    found = {one.native: one for one in session.firewalls.list_firewalls()}
    assert [default.native] == [one.peer for one in found[made.native].rules if one.direction is Direction.INGRESS]


def test_a_project_is_created_and_accounts_are_added(emulator: Emulator, account: Account, stranger: Account) -> None:
    """The emulator's own, by another's client."""
    users = [
        cs.CloudStack(endpoint=emulator.url, key=one.api, secret=one.secret, method="post", poll_interval=0.01)
        for one in (account, stranger)
    ]
    made = users[0].createProject(name="blue", fetch_result=True)["project"]

    with pytest.raises(cs.CloudStackException, match="unauthorised") as refused:
        users[1].listVolumes(projectid=made["id"])
    assert (531, {}) == (refused.value.error["errorcode"], users[1].listProjects())
    users[0].addAccountToProject(projectid=made["id"], account=stranger.name, fetch_result=True)
    assert {} == users[1].listVolumes(projectid=made["id"])
    assert ["blue"] == [one["name"] for one in users[1].listProjects(fetch_list=True)]
