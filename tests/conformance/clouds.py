"""The clouds that the suite can be run against: how each is made, and how patient one has to be with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import emulated_cloudstack
import pytest
import real_cloudstack
import real_openstack

from isthmus.model import Flavor
from isthmus.providers import Capability, Cloud
from isthmus.providers.memory import Memory


@dataclass(frozen=True)
class Candidate:
    """`limit` is how many seconds anything may take, `pause` how many lie between two looks."""

    make: Callable[[Path], Cloud]
    limit: float
    pause: float
    projects: Callable[[], tuple[str, str]] = lambda: ("conformance-a", "conformance-b")
    boots: bool = False
    """Real guests run: its tests are marked `qemu`."""
    clean: Callable[[Any], None] = lambda _: None
    """What is to be done with the cloud at the end, beside closing it."""
    url: str = "http://example.org/disk.qcow2"
    """Of a disk's file that the cloud can fetch; an emulator fetches nothing. Empty: none is known."""

    @property
    def tenants(self) -> tuple[str, str]:
        return self.projects()


def _memory(_: Path) -> Cloud:
    return Memory("memory", settle=timedelta(seconds=0.02))


def _local_in_namespaces(state: Path) -> Cloud:
    return _local(state, "local-namespaces", network="namespaces")


def _local(state: Path, name: str = "local", **settings: str) -> Cloud:
    local = pytest.importorskip(
        "isthmus.providers.local", reason="the local cloud cannot be imported", exc_type=ImportError
    )
    if not hasattr(local, "Local"):
        pytest.skip("the local cloud is not there")
    flavors = (Flavor("nano", "nano", cpus=1, memory=128), Flavor("micro", "micro", cpus=1, memory=160))
    cloud: Cloud = local.Local(name, state, zones=("local-a",), flavors=flavors, **settings)
    if reason := cloud.lacks.get(Capability.LAUNCH):
        cloud.close()
        pytest.skip(f"the local cloud cannot launch servers here: {reason}")
    return cloud


def _openstack(_: Path) -> Cloud:
    if reason := real_openstack.absent():
        pytest.skip(reason)
    from isthmus.providers.openstack import OpenStack, Options  # slow, and not for every run of tests

    cloud = OpenStack("openstack", ("nova",), Options(cloud="gateway", clouds_yaml=str(real_openstack.CLOUDS_YAML)))
    return real_openstack.SignedIn(cloud)


def _cloudstack(_: Path) -> Cloud:
    cloud: Any = emulated_cloudstack.Emulated("cloudstack", groups=True, kinds=("Advanced", "Basic"))
    return cloud  # type: ignore[no-any-return]


def _cloudstack_vpc(_: Path) -> Cloud:
    cloud: Any = emulated_cloudstack.Emulated("cloudstack-vpc", groups=False, kinds=("Advanced", "Advanced"))
    return cloud  # type: ignore[no-any-return]


def _cloudstack_project(_: Path) -> Cloud:
    """The first tenant is a project, the second one the account of a user who is in it."""
    cloud: Any = emulated_cloudstack.Emulated("cloudstack-project", groups=False, project=True)
    return cloud  # type: ignore[no-any-return]


def _real_cloudstack(_: Path) -> Cloud:
    if reason := real_cloudstack.absent():
        pytest.skip(reason)
    cloud: Any = real_cloudstack.Real()
    return cloud  # type: ignore[no-any-return]


def _demo_and_alt() -> tuple[str, str]:
    return real_openstack.seeded("demo").tenant_id, real_openstack.seeded("alt").tenant_id


CLOUDS = {
    "cloudstack": Candidate(_cloudstack, limit=10, pause=0.01, projects=lambda: emulated_cloudstack.TENANTS),
    "cloudstack-project": Candidate(
        _cloudstack_project, limit=10, pause=0.01, projects=lambda: emulated_cloudstack.TENANTS
    ),
    "cloudstack-vpc": Candidate(_cloudstack_vpc, limit=10, pause=0.01, projects=lambda: emulated_cloudstack.TENANTS),
    "memory": Candidate(_memory, limit=10, pause=0.005),
    "local": Candidate(partial(_local, network="slirp"), limit=180, pause=0.2, boots=True),
    "local-namespaces": Candidate(
        _local_in_namespaces, limit=180, pause=0.2, boots=True, clean=lambda cloud: cloud.base.netd.clean()
    ),
    real_cloudstack.NAME: Candidate(
        _real_cloudstack, limit=600, pause=2, projects=real_cloudstack.tenants, url=real_cloudstack.file()
    ),
    "openstack": Candidate(_openstack, limit=120, pause=0.5, projects=_demo_and_alt),
}
DEFAULT = ("memory", "local", "local-namespaces", "cloudstack", "cloudstack-vpc", "cloudstack-project")
