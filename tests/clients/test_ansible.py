"""Ansible's collection amazon.aws: playbooks make things, find all made when they run again, and take them away."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from playbooks import MISSING, PLAYBOOK, play
from served import REGION, Account
from things import things

HERE = Path(__file__).parent / "ansible"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHc2bSyBA7dOEGGSVyDPjRIEDQGD3g3GH9KMPWA5tJvU of-ansible"

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(not PLAYBOOK.exists(), reason=MISSING),
]


@pytest.mark.parametrize("playbook", ["network.yml", "compute.yml"])
def test_a_playbook_makes_all_once_and_takes_it_away(playbook: str, quick: Account, tmp_path: Path) -> None:
    before = things(quick)

    first = run(quick, playbook, tmp_path)
    assert first["changed"] > 5
    made = things(quick)
    assert made != before

    assert run(quick, playbook, tmp_path)["changed"] == 0
    assert things(quick) == made

    run(quick, playbook, tmp_path, present=False)
    assert things(quick) == before


def run(account: Account, playbook: str, place: Path, *, present: bool = True) -> Mapping[str, int]:
    said = {"endpoint": account.endpoint, "region": REGION, "public_key": KEY, "present": present}
    keys = {"AWS_ACCESS_KEY_ID": account.access_key, "AWS_SECRET_ACCESS_KEY": account.secret}
    return play(HERE / playbook, said, place, **keys)
