"""docs/coverage.md is what is served on each kind of cloud: nothing is lost, or gained, without it being said there."""

from __future__ import annotations

import shutil
from pathlib import Path

from service import isthmus

from isthmus.aws import coverage
from isthmus.aws.ec2 import ec2
from isthmus.providers.local.netd.client import able

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"
CLOUDS = Path(__file__).with_name("coverage.toml")
REMEDY = "isthmus coverage --markdown --config tests/unit/coverage.toml >docs/coverage.md, where QEMU is installed"


def rows(page: str) -> list[list[str]]:
    """Each action with what is said of it; not of the embedded cloud as it cannot be here."""
    found = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    assert found[0][:3] == ["action", "local", "local-slirp"]
    qemu = all(map(shutil.which, ("qemu-system-x86_64", "qemu-img")))
    here = (True, qemu and bool(able()[0]), qemu)
    return [[word for place, word in enumerate(row) if place >= len(here) or here[place]] for row in found]


def test_the_page_says_what_each_cloud_can(tmp_path: Path) -> None:
    made = isthmus("coverage", "--markdown", "--config", str(CLOUDS), state=tmp_path)

    assert rows(PAGE.read_text("utf-8")) == rows(made.stdout), f"{made.stderr}\n{REMEDY}"


def test_only_served_actions_have_needs() -> None:
    assert {*coverage.NEEDS, *coverage.PARTS} <= set(ec2.actions)
