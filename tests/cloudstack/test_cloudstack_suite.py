"""`make test-cloudstack`, with the emulator in place of a real CloudStack: what it needs, and that nothing is left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from emulators.cloudstack.server import Emulator
from emulators.cloudstack.world import Account

SCRIPT = Path(__file__).parents[2] / "scripts" / "test-cloudstack"
FEW = ("-k", "test_keys", "-p", "no:cacheprovider")


def run(**given: str) -> Any:
    environ = {**os.environ, "PYTHON": sys.executable, **given}
    return subprocess.run([str(SCRIPT), *FEW], env=environ, capture_output=True, text=True, timeout=300)


def named(emulator: Emulator, by: Account) -> dict[str, str]:
    return {"URL": emulator.url, "KEY": by.api, "SECRET": by.secret}


def left(emulator: Emulator) -> list[str]:
    return [kind for kind, things in emulator.world.things.items() if kind not in ("group", "network") and things]


def test_an_administrator_makes_accounts_for_the_run_and_deletes_them(grouped: Emulator) -> None:
    root = grouped.world.new_account("root", "Admin")

    done = run(**named(grouped, root))

    assert 0 == done.returncode, done.stdout[-3000:]
    assert " passed" in done.stdout
    assert [root] == list(grouped.world.accounts.values())
    assert {} == {kind: things for kind, things in grouped.world.things.items() if things}
    assert 2 == grouped.world.asked["createAccount"] == grouped.world.asked["deleteAccount"]
    assert root.secret not in done.stdout + done.stderr


def test_users_keys_are_used_with_another_accounts(grouped: Emulator) -> None:
    demo, alt = grouped.world.new_account("demo"), grouped.world.new_account("alt")

    done = run(**named(grouped, demo), OTHER_KEY=alt.api, OTHER_SECRET=alt.secret)

    assert 0 == done.returncode, done.stdout[-3000:]
    assert [] == left(grouped)
    assert "OTHER_KEY" in run(**named(grouped, demo)).stdout


@pytest.mark.parametrize("lacking", ["URL", "KEY", "SECRET"])
def test_it_is_said_what_has_to_be_given(lacking: str) -> None:
    given = {"URL": "http://127.0.0.1:9", "KEY": "k", "SECRET": "s", lacking: ""}

    done = run(**given)

    assert 2 == done.returncode
    assert "make test-cloudstack URL=" in done.stderr
