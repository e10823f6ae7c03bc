"""Whether the emulator is a CloudStack: Ansible's modules for it make things, find all made, and take them away."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from emulators.cloudstack.world import Account
from playbooks import MISSING, PLAYBOOK, play

HERE = Path(__file__).parent / "ansible"

pytestmark = pytest.mark.skipif(not PLAYBOOK.exists(), reason=MISSING)


def test_a_machine_is_made_once_and_taken_away(grouped: Any, tmp_path: Path) -> None:
    world = grouped.world
    offered = {
        "template": world.templates[0]["name"],
        "offering": world.service_offerings[0]["name"],
        "disk": next(one["name"] for one in world.disk_offerings if one["iscustomized"]),
    }
    demand_made_once(grouped, "machine.yml", offered, tmp_path)


def test_a_vpc_is_made_once_and_taken_away(emulator: Any, tmp_path: Path) -> None:
    offering = next(one["name"] for one in emulator.world.network_offerings if one["forvpc"])
    demand_made_once(emulator, "network.yml", {"offering": offering}, tmp_path)


def demand_made_once(emulator: Any, playbook: str, more: Mapping[str, Any], place: Path) -> None:
    world = emulator.world
    account = world.new_account("demo")
    said = {"zone": world.zones[0]["name"], **more}

    def run(*, present: bool, expunged: bool = False) -> int:
        counts = play(
            HERE / playbook,
            {**said, "present": present, "expunged": expunged},
            place,
            CLOUDSTACK_ENDPOINT=emulator.url,
            CLOUDSTACK_KEY=account.api,
            CLOUDSTACK_SECRET=account.secret,
            CLOUDSTACK_METHOD="post",
        )
        return counts["changed"]

    assert run(present=True) >= 4
    made = things(world, account)
    assert made

    assert run(present=True) == 0
    assert things(world, account) == made

    assert run(present=False) >= 3
    world.expunge(world.now())
    assert things(world, account).keys() == {"group"} & made.keys()
    if "group" in made:
        assert run(present=False, expunged=True) == 1
        assert things(world, account) == {}


def things(world: Any, account: Account) -> Mapping[str, list[str]]:
    """What an account has of each kind, beside the group that it always has."""
    found = {
        kind: sorted(one["id"] for one in world.own(account, kind) if (kind, one.get("name")) != ("group", "default"))
        for kind in list(world.things)
    }
    return {kind: natives for kind, natives in found.items() if natives}
