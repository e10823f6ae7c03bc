"""Volumes of OpenStack while its services disagree: Cinder lets go of a volume before Nova does."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from isthmus.errors import Conflict, Invalid
from isthmus.providers.openstack import volumes
from isthmus.providers.openstack.volumes import OpenStackVolumes

STILL = "Invalid volume: volume v is already attached to instances: s"


class FakeClient:
    """A volume that Cinder says is free, a server that runs, and what Nova says to those who attach, in turn."""

    project = "p"

    def __init__(self, *refusals: str) -> None:
        self.refusals = list(refusals)
        self.attached = 0

    def again(self) -> None:
        pass

    def get(self, service: str, *_: Any, **__: Any) -> Any:
        if service == "compute":
            server = {"id": "s", "status": "ACTIVE", "tenant_id": "p", "metadata": {}, "image": None}
            return {"server": {**server, "OS-EXT-AZ:availability_zone": "nova", "OS-EXT-STS:task_state": None}}
        return {
            "volume": {
                "id": "v",
                "status": "available",
                "attachments": [],
                "metadata": {"isthmus:ref": "vol-1"},
                "availability_zone": "nova",
            }
        }

    def every(self, *_: Any, **__: Any) -> list[Any]:
        return []

    def post(self, service: str, *_: Any) -> Any:
        if service == "compute":
            if self.refusals:
                raise Invalid(self.refusals.pop(0))
            self.attached += 1


def attach(client: Any) -> None:
    cloud: Any = SimpleNamespace(zones=("nova",), turn=lambda _: nullcontext(), held={})
    OpenStackVolumes(cloud, client).attach_volume("v", "s", "/dev/sdf")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volumes, "_LOOK", 0)


def test_a_volume_that_nova_is_about_to_let_go_is_attached_then() -> None:
    client = FakeClient(STILL, STILL)

    attach(client)

    assert 1 == client.attached


def test_a_volume_that_nova_does_not_let_go_is_a_conflict_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volumes, "_NOVA_LETS_GO", 0)

    with pytest.raises(Conflict, match="already attached"):
        attach(FakeClient(*[STILL] * 9))


def test_what_nova_refuses_otherwise_is_a_conflict_at_once() -> None:
    client = FakeClient("The server has no room for a disk", STILL)

    with pytest.raises(Conflict, match="no room"):
        attach(client)

    assert [STILL] == client.refusals
