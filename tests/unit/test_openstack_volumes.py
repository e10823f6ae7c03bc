"""Volumes of OpenStack while its services disagree: Cinder lets go of a volume before Nova does."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from isthmus.believed import Believed
from isthmus.errors import Conflict, Invalid
from isthmus.providers.openstack import volumes
from isthmus.providers.openstack.noting import Noting
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
    cloud: Any = SimpleNamespace(zones=("nova",), turn=lambda _: nullcontext(), held=Believed())
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


class Seen(FakeClient):
    """A volume that Nova has put on a server, which Isthmus launched or not, and what is asked of Nova."""

    def __init__(self, launched: bool, where: str = "s") -> None:
        super().__init__()
        self.asked: list[str] = []
        self.noted: dict[str, str] = {}
        self.server: dict[str, Any] = {"id": "s", "status": "ACTIVE", "tags": ["isthmus:ref=i-1"] if launched else []}
        self.server["os-extended-volumes:volumes_attached"] = [{"id": "v", "delete_on_termination": True}]
        self.link = {"server_id": "s", "attachment_id": "a", "device": "/dev/vdb", "attached_at": "2026-01-02T03:04:05"}
        self.where = where

    def once(self) -> Seen:
        return self

    def every(self, *_: Any, **__: Any) -> list[Any]:
        return [{**self._volume(), "metadata": {}}]

    def _volume(self) -> dict[str, Any]:
        free = {"name": "", "size": 1, "volume_type": "file", "snapshot_id": None, "encrypted": False}
        known = {**super().get("block-storage")["volume"], **free, "created_at": "2026-01-01", "status": "in-use"}
        at = {"isthmus:at": f"{self.where} 0 2026-01-02 /dev/sdz"} if self.where != "s" else {}
        return {**known, "metadata": at, "attachments": [self.link]}

    def get(self, service: str, path: str = "", *_: Any, **__: Any) -> Any:
        self.asked.append(path)
        if service == "block-storage":
            return {"volume": self._volume()}
        if "attachments" in path:
            said = {"volumeId": "v", "tag": "vol-1 %2Fdev%2Fsdf gp3", "device": "/dev/vdb"}
            return {"volumeAttachments": [{**said, "delete_on_termination": True}]}
        return {"server": self.server}

    def post(self, *asked: Any) -> Any:  # type: ignore[override]
        self.noted |= asked[2]["metadata"]


def see(client: Any, times: int) -> Any:
    """The volume, after so many lists by one process; it writes down what it has to."""
    cloud: Any = SimpleNamespace(zones=("nova",), held=Believed(), noting=Noting())
    for _ in range(times):
        [volume] = OpenStackVolumes(cloud, client).list_volumes()
    cloud.noting._pool.shutdown(wait=True)
    return volume


def test_the_tag_of_a_launched_volume_is_asked_for_once_and_written_down() -> None:
    client = Seen(launched=True)

    volume = see(client, 3)

    assert 1 == client.asked.count("/servers/s/os-volume_attachments") == client.asked.count("/servers/s")
    [link] = volume.attachments
    assert ("vol-1", "gp3", "/dev/sdf", True) == (volume.ref, volume.type, link.device, link.delete_with_server)
    at = "s 1 2026-01-02T03:04:05+00:00 /dev/sdf"
    assert {"isthmus:ref": "vol-1", "isthmus:type": "gp3", "isthmus:at": at} == client.noted


def test_of_a_server_that_nova_launched_nothing_is_asked_and_written() -> None:
    client = Seen(launched=False)

    volume = see(client, 3)

    assert ["/servers/s"] == client.asked
    [link] = volume.attachments
    assert ("/dev/vdb", True, {}) == (link.device, link.delete_with_server, client.noted)


@pytest.mark.parametrize("gone", [True, False])
def test_what_was_written_of_a_later_place_stays(gone: bool) -> None:
    client = Seen(launched=True)
    listed = client.every()
    client.every = lambda *_, **__: listed  # type: ignore[method-assign]
    client.link = {**client.link, "attachment_id": "later"} if gone else client.link
    client._volume = lambda: {**listed[0], "attachments": [client.link], "metadata": {"isthmus:at": "s 0 2026 /x"}}  # type: ignore[method-assign]

    see(client, 1)

    assert {} == client.noted
