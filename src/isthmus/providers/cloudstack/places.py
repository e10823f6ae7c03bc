"""Where volumes are: under which device of a server, since when, and whether they go with it.

CloudStack knows none of this. For the disks of a launch it is in the details of the virtual machine, written with it;
for volumes that are attached later in a tag of the volume, which is written before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from isthmus.providers import DiskSpec
from isthmus.providers.cloudstack import notes
from isthmus.providers.cloudstack.client import Client, Item
from isthmus.providers.cloudstack.notes import Noted

DETAIL = "isthmus"
"""The detail of a virtual machine that holds what was asked for."""
TAG = "isthmus-place"
"""The tag of a volume that says where it is, or was."""
MADE = "isthmus-made"
"""The tag of a root disk that was taken off its server: what that said of it."""
ROOT_DEVICE = "/dev/sda1"
"""Of servers that were made by other means."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk of a launch."""

    ref: str
    device: str
    keep: bool = False
    """Whether it stays when its server is deleted."""
    type: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    server: str
    device: str
    since: float
    """Seconds since 1970."""
    keep: bool

    @property
    def when(self) -> datetime:
        return datetime.fromtimestamp(self.since, UTC)


@dataclass(frozen=True, slots=True)
class Launched:
    """What a virtual machine was made for; the root disk first."""

    ref: str = ""
    disks: tuple[Disk, ...] = ()
    groups: tuple[str, ...] = ()
    """The security groups that were asked for, where CloudStack has none of its own."""
    further: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Those of further interfaces, by the ids of CloudStack's networks."""

    @property
    def root(self) -> Disk:
        return self.disks[0] if self.disks else Disk("", ROOT_DEVICE)


def note(
    ref: str,
    disks: Sequence[DiskSpec],
    groups: Sequence[str] = (),
    further: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Mapping[str, str]:
    """The details of a new virtual machine; `further` are the groups of its interfaces in further networks."""
    said = [[one.ref, one.device, int(not one.delete_with_server), one.type] for one in disks]
    more: dict[str, Any] = {"groups": list(groups)} if groups else {}
    more |= {"further": {known: list(those) for known, those in further.items()}} if further else {}
    return {DETAIL: json.dumps({"ref": ref, "disks": said, **more}, separators=(",", ":"))}


def launched(machine: Item) -> Launched:
    """Of a virtual machine; one that was made by other means says nothing."""
    said = _load(machine.get("details", {}).get(DETAIL, ""))
    try:
        disks = tuple(Disk(ref, device, bool(keep), type) for ref, device, keep, type in said.get("disks", ()))
        groups = tuple(str(one) for one in said.get("groups", ()))
        further = {known: tuple(str(one) for one in those) for known, those in said.get("further", {}).items()}
        return Launched(str(said["ref"]), disks, groups, further) if said.get("ref") == machine["name"] else Launched()
    except (AttributeError, TypeError, ValueError):
        return Launched()


def place(volume: Item) -> Place | None:
    """Where the volume's tag says that it is, or was."""
    said = _load(_tag(volume, TAG))
    try:
        return Place(**said) if said else None
    except TypeError:
        return None


def write(client: Client, volume: Item, at: Place) -> None:
    """CloudStack refuses a tag that is there already, so that it is deleted first."""
    if _tag(volume, TAG):
        client.do("deleteTags", "volume", volume["id"], **_about(volume), tags=[{"key": TAG}])
    _write(client, volume, TAG, json.dumps(asdict(at), separators=(",", ":")))


def written(volume: Item) -> Noted:
    """The ref and the type of a root disk, if they stand on itself."""
    return notes.load(_tag(volume, MADE))


def write_made(client: Client, volume: Item, disk: Disk) -> None:
    _write(client, volume, MADE, notes.dump("", disk.ref, disk.type, field="type"))


def _write(client: Client, volume: Item, key: str, value: str) -> None:
    client.do("createTags", "volume", volume["id"], **_about(volume), tags=[{"key": key, "value": value}])


def _about(volume: Item) -> Mapping[str, Any]:
    return {"resourcetype": "Volume", "resourceids": [volume["id"]]}


def _tag(volume: Item, key: str) -> str:
    return next((str(tag["value"]) for tag in volume.get("tags", ()) if tag["key"] == key), "")


def _load(text: str) -> dict[str, Any]:
    try:
        said = json.loads(text) if text else {}
    except ValueError:
        said = {}
    return said if isinstance(said, dict) else {}
