"""Where volumes are, as they were asked for: Nova gives devices names of its own.

A volume that Isthmus attached has its place in its metadata. Nova makes the volumes of a launch, without metadata of
ours: their place is in the tag of the device, and is written into their metadata once they were seen.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote, unquote

from isthmus.providers import DiskSpec
from isthmus.providers.openstack import notes
from isthmus.providers.openstack.client import Client, Item, found
from isthmus.together import for_each

AT = "isthmus:at"
"""The metadata of a volume that says where it was attached."""
TYPE = "isthmus:type"
"""The metadata of a volume with the type that was asked for where Cinder has none of the name."""
ROOT_DEVICE = "/dev/vda"
GENERAL_TYPES = frozenset({"", "standard", "gp2", "gp3"})
"""EC2's types for all purposes: where Cinder has none of the name, its default type is one, too."""
NO_SPEED = "IOPS are those of Cinder's volume types: ask for a type that the operator has made for them"
NO_ENCRYPTION = "encryption is a property of Cinder's volume types: choose such a type"
_ATTACHMENTS = "2.79"
"""Nova's of Train: attachments have tags and say whether the volume goes with its server."""


class Place(NamedTuple):
    """Where a volume was attached, and when."""

    server: str
    delete_with_server: bool
    since: datetime
    device: str

    def note(self) -> str:
        return f"{self.server} {int(self.delete_with_server)} {self.since.isoformat()} {self.device}"


class Held(NamedTuple):
    """What Nova says of a volume on a server; `ref` is empty for one that was not launched with it by Isthmus.

    `type` is empty where it is Cinder's own.
    """

    ref: str
    device: str
    delete_with_server: bool
    type: str = ""

    def notes(self) -> dict[str, str]:
        """What its metadata is to say, wherever it is."""
        said = {notes.REF: self.ref, TYPE: self.type}
        return {key: value for key, value in said.items() if value}


def place_of(volume: Item) -> Place | None:
    """What a volume's own metadata says; it may be of an earlier time."""
    parts = volume["metadata"].get(AT, "").split(" ", 3)
    return Place(parts[0], parts[1] == "1", notes.moment(parts[2]), parts[3]) if len(parts) == 4 else None


def tag_of(disk: DiskSpec) -> str:
    """The tag of a disk in a launch. Nova takes 60 characters without slashes and commas."""
    kind = f" {disk.type}" if disk.type in GENERAL_TYPES - {""} else ""
    return f"{disk.ref} {quote(disk.device, safe='')}{kind}"


def held(client: Client, server: str) -> dict[str, Held]:
    """The volumes on a server."""
    path = f"/servers/{server}/os-volume_attachments"
    listed = client.get("compute", path, "server", server, version=_ATTACHMENTS)["volumeAttachments"]
    return {one["volumeId"]: _held(one) for one in listed}


def _held(attachment: Item) -> Held:
    ref, device, kind = (*(attachment.get("tag") or "").split(" "), "", "")[:3]
    if not device:
        ref, device = "", attachment["device"] or ""
    return Held(ref, unquote(device), bool(attachment["delete_on_termination"]), kind)


def shown(server: Item) -> dict[str, Held]:
    """The volumes on a server that Isthmus did not launch, by what Nova lists of it: none has a tag of ours."""
    volumes = server.get("os-extended-volumes:volumes_attached") or ()
    return {one["id"]: Held("", "", bool(one.get("delete_on_termination"))) for one in volumes}


def root_device(server: Item) -> str:
    return str(server["metadata"].get("isthmus:root", ROOT_DEVICE))


def attached_to(server: Item) -> list[str]:
    return [one["id"] for one in server.get("os-extended-volumes:volumes_attached") or ()]


def keep_refs(client: Client, server: Item) -> None:
    """Before a server goes: write into its volumes what only their attachments tell.

    Also into those that are to go with it: Cinder keeps a volume that has snapshots. Raises Unavailable if Cinder is
    away: Nova deletes such a server without it, and Cinder has the volumes for attached ever after.
    """
    volumes = attached_to(server)
    if not volumes:
        return
    told = {volume: one.notes() for volume, one in held(client, str(server["id"])).items() if one.ref}
    if told:
        for_each(lambda volume: write(client, volume, told[volume]), list(told))
    else:
        found(lambda: client.get("block-storage", f"/volumes/{volumes[0]}", "volume", volumes[0]))


def write(client: Client, volume: str, said: dict[str, str]) -> None:
    """Add to a volume's metadata."""
    client.post("block-storage", f"/volumes/{volume}/metadata", {"metadata": said}, "volume", volume)
