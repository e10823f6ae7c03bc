"""docs/coverage.md is what is served: nothing is lost, or gained, without it being said there."""

from __future__ import annotations

from pathlib import Path

import pytest

from isthmus.aws import coverage
from isthmus.aws.ec2 import ec2
from isthmus.providers import Capability
from isthmus.providers.local import Local
from isthmus.providers.memory import Memory

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"
REMEDY = "isthmus coverage --markdown, with the clouds local and memory, makes docs/coverage.md anew"


def _page() -> dict[str, tuple[str, str]]:
    """Action -> what the page says of it on local and on memory."""
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    assert rows[0] == ["action", "local", "memory"]
    return {action: (local, memory) for action, local, memory in rows[1:]}


def _said(cloud: Memory | Local) -> dict[str, str]:
    found = coverage.coverage({cloud.name: cloud}, "123456789012")
    words = {one.action: one.clouds[cloud.name] for one in found if one.here.served}
    return {action: ("in part" if on.reason else "yes") if on.served else "no" for action, on in words.items()}


def test_the_page_lists_what_is_served():
    assert set(_page()) == set(ec2.actions), REMEDY


def test_the_page_says_what_the_simulated_cloud_can():
    assert {action: memory for action, (_, memory) in _page().items()} == _said(Memory("memory")), REMEDY


def test_the_page_says_what_the_embedded_cloud_can(tmp_path: Path):
    local = Local("local", tmp_path)
    if reason := local.lacks.get(Capability.LAUNCH):
        pytest.skip(reason)

    assert {action: on for action, (on, _) in _page().items()} == _said(local), REMEDY
    local.close()


def test_only_served_actions_have_needs():
    assert {*coverage.NEEDS, *coverage.PARTS} <= set(ec2.actions)
