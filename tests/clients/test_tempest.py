"""OpenStack's suite of EC2 tests: what does not pass is what docs/tempest.md lists."""

from __future__ import annotations

from pathlib import Path

import pytest
import tempest_suite
from served import Account, client, end_machines, serving, tiny_image

from isthmus.providers.local.netd.client import able

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(not tempest_suite.PYTHON.exists(), reason="OpenStack's suite is not installed: make clients"),
]

_MEMORY = """
[clouds.memory]
kind = "memory"
zones = ["us-east-1a", "us-east-1b"]
settle_ms = 100
"""
_LOCAL = """
[clouds.local]
kind = "local"
network = "namespaces"
"""


@pytest.mark.parametrize(
    ("cloud", "settings", "interval"),
    [("memory", _MEMORY, 0), pytest.param("local", _LOCAL, 1, marks=pytest.mark.qemu)],
)
def test_what_does_not_pass_is_listed_with_the_reason(cloud: str, settings: str, interval: int, tmp_path: Path) -> None:
    if cloud == "local" and not able()[0]:
        pytest.skip(f"no networks can be made of namespaces here: {able()[1]}")
    (tmp_path / "isthmus.toml").write_text(settings)
    with serving(tmp_path / "state", "--config", str(tmp_path / "isthmus.toml")) as served:
        accounts = [served.new_account(f"suite-{number}") for number in range(2)]
        if not client(accounts[0]).describe_images()["Images"]:
            pytest.skip("the tiny image has not been built: isthmus image build")
        found = tempest_suite.run({account: _machines(account) for account in accounts}, tmp_path, interval)
    if cloud == "local":
        end_machines(tmp_path / "state")
    assert len(found) == 181
    tempest_suite.judge(cloud, found)


def _machines(account: Account) -> tempest_suite.Machines:
    """Of a root disk that is no volume, where there is such an image."""
    tiny = tiny_image(account)
    found = client(account).describe_images(Filters=[{"Name": "name", "Values": ["isthmus-own-disk"]}])["Images"]
    return tempest_suite.Machines(image=found[0]["ImageId"] if found else tiny, ebs_image=tiny)
