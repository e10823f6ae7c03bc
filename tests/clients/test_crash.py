"""`isthmus serve --cloud local` killed in the middle of launches: nothing is lost, doubled or left behind."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError
from served import Account, Served, client, end_machines, eventually, machines, serving

pytestmark = [pytest.mark.qemu, pytest.mark.clients]

MOMENTS = (0.0, 0.02, 0.05, 0.08, 0.12, 0.17, 0.25, 0.35, 0.5, 0.75, 1.0, 1.5)
"""Seconds from the request to the crash."""
COUNT = 2
_BOOT_SECONDS = 60.0
_GONE = ("shutting-down", "terminated")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    if not shutil.which("qemu-system-x86_64"):
        pytest.skip("QEMU is not installed: apt install qemu-system-x86 qemu-utils")
    return tmp_path / "state"


def test_a_crash_during_a_launch_loses_and_doubles_nothing(state: Path) -> None:
    try:
        with serving(state, "--cloud", "local") as first:
            account = first.new_account("crashes")
            image = _image(account)
        for number, moment in enumerate(MOMENTS):
            _crash_and_recover(state, account, image, f"launch-{number}", moment)
        assert [] == machines(state)
    finally:
        end_machines(state)


def _crash_and_recover(state: Path, account: Account, image: str, token: str, moment: float) -> None:
    served = Served(state, "--cloud", "local")
    try:
        asked = threading.Thread(target=_launch, args=(at(account, served), image, token, []))
        asked.start()
        sleep(moment)
    finally:
        served.kill()
    asked.join()
    with serving(state, "--cloud", "local") as again:
        there = at(account, again)
        before = eventually(lambda: _settled(there, state), seconds=_BOOT_SECONDS)
        answered: list[str] = []
        _launch(there, image, token, answered)
        after = eventually(lambda: _settled(there, state), seconds=_BOOT_SECONDS)
        assert (COUNT, sorted(answered)) == (len(after), after), f"killed after {moment} s"
        assert set(before) <= set(after), f"killed after {moment} s"
        client(there).terminate_instances(InstanceIds=after)
        eventually(lambda: [] == _living(there) == machines(state), seconds=_BOOT_SECONDS)


def at(account: Account, served: Served) -> Account:
    return replace(account, endpoint=served.endpoint)


def _launch(account: Account, image: str, token: str, answered: list[str]) -> None:
    """Ask for instances; that the service may die over it is what is tested."""
    ec2 = client(account, read_timeout=_BOOT_SECONDS)
    with suppress(BotoCoreError):
        made = ec2.run_instances(
            ImageId=image, InstanceType="t2.nano", MinCount=COUNT, MaxCount=COUNT, ClientToken=token
        )
        answered += [one["InstanceId"] for one in made["Instances"]]


def _settled(account: Account, state: Path) -> Sequence[str] | None:
    """The ids of the living instances, sorted, once each runs on a machine of its own and there is no other machine."""
    living = _living(account)
    all_run = all(one["State"]["Name"] == "running" for one in living)
    return Ids(sorted(one["InstanceId"] for one in living)) if all_run and len(machines(state)) == len(living) else None


class Ids(list[str]):
    """A finding even if there are none."""

    def __bool__(self) -> bool:
        return True


def _living(account: Account) -> list[Any]:
    reservations = client(account).describe_instances()["Reservations"]
    return [one for made in reservations for one in made["Instances"] if one["State"]["Name"] not in _GONE]


def _image(account: Account) -> str:
    """The tiny image; skipped where it cannot be had."""
    found = client(account).describe_images(Filters=[{"Name": "image-type", "Values": ["machine"]}])["Images"]
    if not found:
        pytest.skip("the tiny image has not been built: python -m isthmus.providers.local.tiny")
    return str(found[0]["ImageId"])
