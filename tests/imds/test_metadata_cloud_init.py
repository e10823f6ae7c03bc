"""cloud-init's own EC2 data source, from Debian's package, reads the service: installed, or unpacked for the tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from metadata_guest import FIRST, PUBLIC, Service
from metadata_relay import Bridge

PYTHON = "/usr/bin/python3"
CRAWL = Path(__file__).with_name("cloud_init_crawl.py")
PACKAGES = (
    "cloud-init",
    *("python3-attr", "python3-certifi", "python3-chardet", "python3-charset-normalizer", "python3-configobj"),
    *("python3-idna", "python3-jinja2", "python3-json-pointer", "python3-jsonpatch", "python3-jsonschema"),
    *("python3-markupsafe", "python3-netifaces", "python3-oauthlib", "python3-pyrsistent", "python3-requests"),
    *("python3-serial", "python3-six", "python3-urllib3", "python3-yaml"),
)

Crawl = Callable[[str], Any]


@pytest.fixture(scope="session")
def cloud_init(request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment in which the system's Python finds cloud-init."""
    cache = request.config.cache
    kept = cache.mkdir("cloud-init") / "root" if cache else Path("/nonexistent")
    for path in (None, kept):
        if _importable(environment := _environment(path)):
            return environment
    if not (shutil.which("apt-get") and shutil.which("dpkg") and Path(PYTHON).exists()):
        pytest.skip("NOT TESTED: cloud-init is not installed, and there is no apt-get to fetch it with")
    _unpack(kept)
    if not _importable(_environment(kept)):
        pytest.skip(
            "NOT TESTED: cloud-init could not be fetched; try: apt-get install --no-install-recommends cloud-init"
        )
    return _environment(kept)


@pytest.fixture
def crawl(cloud_init: dict[str, str], service: Service, tmp_path: Path) -> Crawl:
    def crawl(platform: str) -> Any:
        with Bridge(service.socket, "ISTHMUS/1 acme vm-1\n") as bridge:
            command = [PYTHON, str(CRAWL), bridge.url, platform, str(tmp_path)]
            done = subprocess.run(command, env=cloud_init, capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    return crawl


@pytest.mark.clients
@pytest.mark.parametrize("platform", ["aws", "unknown"])
def test_cloud_init_reads_all_that_it_asks_for(service: Service, crawl: Crawl, platform: str) -> None:
    service.change(interfaces=(PUBLIC,), instance_metadata_tags=True)

    found = crawl(platform)

    assert found["instance_id"] == "i-0123456789abcdef0"
    assert found["version"] == "2021-03-23"
    assert found["user_data"] == "#!/bin/sh\necho \xff\x00\n"
    assert found["keys"] == ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7 alice"]
    assert (found["zone"], found["region"]) == ("us-east-1a", "us-east-1")
    assert "ip-172-31-0-5.ec2.internal" in found["hostname"]
    assert not found["classic"]
    assert found["metadata"]["public-keys"] == {"alice": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7 alice"}
    assert found["metadata"]["security-groups"] == ["default", "web"]
    assert found["metadata"]["block-device-mapping"] == service.guests["acme", "vm-1"].block_devices
    assert found["metadata"]["tags"] == {"instance": {"Name": "one", "empty": ""}}


@pytest.mark.clients
def test_cloud_init_configures_the_network_from_the_metadata(crawl: Crawl) -> None:
    [card] = crawl("aws")["network"]["ethernets"].values()

    assert card["dhcp4"]
    assert card["match"]["macaddress"] == "02:00:ac:1f:00:05"


@pytest.mark.clients
def test_cloud_init_gives_each_interface_all_of_its_addresses(service: Service, crawl: Crawl) -> None:
    first = replace(FIRST, addresses=("172.31.0.5", "172.31.0.6"))
    second = replace(FIRST, mac="02:00:ac:1f:10:07", addresses=("172.31.16.7",), device=1, subnet_cidr="172.31.16.0/24")
    service.change(interfaces=(first, second))

    cards = crawl("aws")["network"]["ethernets"]

    assert [cards[name]["match"]["macaddress"] for name in ("eth0", "eth1")] == [FIRST.mac.lower(), second.mac]
    assert cards["eth0"]["addresses"] == ["172.31.0.6/20"]
    assert "addresses" not in cards["eth1"]
    assert cards["eth0"]["dhcp4-overrides"]["route-metric"] < cards["eth1"]["dhcp4-overrides"]["route-metric"]


@pytest.mark.clients
def test_on_ec2_cloud_init_reads_the_identity_document(service: Service, crawl: Crawl) -> None:
    service.change(http_tokens="required")

    assert crawl("aws")["identity"]["instanceId"] == "i-0123456789abcdef0"


@pytest.mark.clients
def test_elsewhere_cloud_init_has_no_tokens(service: Service, crawl: Crawl) -> None:
    service.change(http_tokens="required")

    assert crawl("unknown") is None


@pytest.mark.clients
def test_cloud_init_gives_up_at_once_on_a_disabled_endpoint(service: Service, crawl: Crawl) -> None:
    service.change(http_endpoint=False)

    assert crawl("aws") is None


def _environment(root: Path | None) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return kept | ({"PYTHONPATH": str(root / "usr/lib/python3/dist-packages")} if root else {})


def _importable(environment: dict[str, str]) -> bool:
    probe = [PYTHON, "-c", "import cloudinit.sources.DataSourceEc2"]
    try:
        return subprocess.run(probe, env=environment, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _unpack(root: Path) -> None:
    """Fetch the packages and unpack them, without installing; `root` appears complete or not at all."""
    with tempfile.TemporaryDirectory(dir=root.parent) as scratch:
        fetched = subprocess.run(["apt-get", "download", *PACKAGES], cwd=scratch, capture_output=True, check=False)
        if fetched.returncode:
            pytest.skip(f"NOT TESTED: cloud-init could not be fetched: {fetched.stderr.decode().strip()}")
        for package in Path(scratch).glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, "root"], cwd=scratch, check=True)
        with suppress(OSError):  # another worker was first
            Path(scratch, "root").rename(root)
