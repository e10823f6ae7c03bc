"""OpenStack's suite of EC2 tests: what does not pass is what docs/tempest.md lists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tempest_suite
from served import client, serving

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(not tempest_suite.PYTHON.exists(), reason="OpenStack's suite is not installed: make clients"),
]

PAGE = Path(__file__).parents[2] / "docs" / "tempest.md"
_NAME = re.compile(r"^- `(\S+)`$", re.MULTILINE)
_MEMORY = """
[clouds.memory]
kind = "memory"
zones = ["us-east-1a", "us-east-1b"]
settle_ms = 100
"""
_LOCAL = """
[clouds.local]
kind = "local"
"""


@pytest.mark.parametrize(
    ("cloud", "settings", "interval"),
    [("memory", _MEMORY, 0), pytest.param("local", _LOCAL, 1, marks=pytest.mark.qemu)],
)
def test_what_does_not_pass_is_listed_with_the_reason(cloud: str, settings: str, interval: int, tmp_path: Path) -> None:
    (tmp_path / "isthmus.toml").write_text(settings)
    with serving(tmp_path / "state", "--config", str(tmp_path / "isthmus.toml")) as served:
        accounts = [served.new_account(f"suite-{number}") for number in range(2)]
        if not client(accounts[0]).describe_images()["Images"]:
            pytest.skip("the tiny image has not been built: isthmus image build")
        found = tempest_suite.run(accounts, tmp_path, interval)
    assert len(found) == 181
    unlisted = {
        name: why for name, (outcome, why) in found.items() if outcome != "passed" and name not in listed(cloud)
    }
    assert not unlisted
    assert [name for name in listed(cloud) if found[name][0] == "passed"] == []


def listed(cloud: str) -> list[str]:
    """The tests that the page says do not pass on a cloud."""
    section = PAGE.read_text("utf-8").partition(f"\n## On `{cloud}`\n")[2].partition("\n## ")[0]
    names = _NAME.findall(section)
    assert len(names) == len(set(names)) > 0
    return names
