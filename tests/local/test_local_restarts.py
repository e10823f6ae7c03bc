"""Isthmus ends, politely and not, and comes back: guests in namespaces go on talking, and all can be removed."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Account, Served, client, end_machines, eventually, machines, tiny_image
from service import isthmus

from isthmus.providers.local import Local, process, tiny, way
from isthmus.providers.local.netd.client import able

from .netd.conftest import names_of_namespaces

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(not able()[0], reason=f"no networks can be made of namespaces here: {able()[1]}"),
]
SETTINGS = """
[clouds.local]
kind = "local"
accelerator = "tcg"
network = "namespaces"
"""
SECONDS = 180.0
ANSWERS = """#!/bin/sh
nc -ll -p 7000 -e /bin/cat >/dev/null 2>&1 &
echo LISTENS >/dev/console
"""
ASKS = """#!/bin/sh
counted() { n=0; while :; do echo $n; n=$((n + 1)); usleep 500000; done; }
(counted | nc -w 10 %s 7000 | while read -r n; do echo "KEPT $n"; done; echo LOST) >/dev/console 2>&1 &
(while :; do [ "$(nc -w 10 %s 22 </dev/null | head -c 3)" = SSH ] && echo MADE; sleep 1; done) >/dev/console 2>&1 &
"""
"""One connection that is kept, and one after the other that are made."""


@pytest.fixture
def place(tmp_path: Path, tiny_image: tiny.Tiny) -> Iterator[Path]:
    (tmp_path / "isthmus.toml").write_text(SETTINGS)
    yield tmp_path
    end_machines(tmp_path / "state")


def up(place: Path) -> Served:
    return Served(place / "state", "--config", str(place / "isthmus.toml"))


def said(place: Path) -> str:
    """What all guests have said, whether Isthmus runs or not."""
    consoles = (place / "state" / "local" / "run").glob("*/console.log")
    return "".join(one.read_bytes().decode(errors="replace") for one in consoles)


def launched(account: Account, script: str) -> str:
    asked = {"ImageId": tiny_image(account), "InstanceType": "t2.nano", "MinCount": 1, "MaxCount": 1}
    [made] = client(account).run_instances(UserData=script, **asked)["Instances"]
    return str(made["PrivateIpAddress"])


def talk_goes_on(place: Path) -> None:
    """From now on, by what the guest says who asks."""

    def counted() -> tuple[int, int]:
        text = said(place)
        return len(re.findall(r"KEPT \d+", text)), text.count("MADE")

    kept, made = counted()
    eventually(counted, lambda now: now[0] > kept + 2 and now[1] > made + 1, SECONDS)
    assert "LOST" not in said(place)


def networks(place: Path) -> list[int]:
    """The processes that are the cloud's networks."""
    return [int(path.read_text().split()[0]) for path in (place / "state" / "local" / "net").glob("*.pid")]


def test_guests_go_on_talking_while_isthmus_is_away_and_nothing_is_left_of_them_in_the_end(place: Path) -> None:
    state = place / "state"
    served = up(place)
    try:
        account = served.new_account("restarts")
        address = launched(account, ANSWERS)
        eventually(lambda: "LISTENS" in said(place), seconds=SECONDS)
        launched(account, ASKS % (address, address))
        eventually(lambda: "KEPT" in said(place), seconds=SECONDS)
        before = (machines(state), networks(place))

        for word in (signal.SIGTERM, signal.SIGKILL):
            served.stop(word)
            talk_goes_on(place)
            served = up(place)
            talk_goes_on(place)
            assert (machines(state), networks(place)) == before
            health = served.get("/health").body
            assert f'"network": "{way.NAMESPACES}"' in health
            assert '"networks": "1"' in health
    finally:
        served.kill()

    prefix = Local("local", state / "local").base.prefix.strip(".").replace(".", "-")
    assert any(one.startswith(prefix) for one in names_of_namespaces()) == (able()[0] == "root")
    done = isthmus("cloud", "clean", "local", "--all", "--yes", state=state)
    assert 0 == done.returncode, done.stderr
    assert "removed the networks of guests, and ended their daemon" in done.stdout
    assert not [one for pids in before for one in pids if process.birth(one)]
    assert [] == machines(state)
    assert not [one for one in names_of_namespaces() if one.startswith(prefix)]
    assert not (state / "local").exists()
