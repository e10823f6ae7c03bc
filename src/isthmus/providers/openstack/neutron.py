"""What is the same for all of Neutron's things: whose they are, their paths, and their notes.

Notes are in a description that only Isthmus writes, given as a thing is made, and in tags, which can change and leave
alone what others write. Source: docs.openstack.org/api-ref/network.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from isthmus.errors import NotFound
from isthmus.providers.openstack import notes
from isthmus.providers.openstack.client import Client, Item, known

PATHS = {
    "network": "networks",
    "subnet": "subnets",
    "router": "routers",
    "port": "ports",
    "firewall": "security-groups",
    "rule": "security-group-rules",
    "address": "floatingips",
}
KEYS = {"firewall": "security_group", "rule": "security_group_rule", "address": "floatingip"}
"""How a body names one thing; what is not here is named as we do."""


def listed(client: Client, kind: str, fields: Sequence[str] = (), **query: object) -> list[Item]:
    """The tenant's own, the oldest first; with `fields`, these alone."""
    path = PATHS[kind]
    asked = {"fields": ("id", "project_id", *fields)} if fields else {}
    query = {"project_id": client.project, **asked, **query}
    items = client.every("network", f"/v2.0/{path}", path.replace("-", "_"), **query)
    own = [one for one in items if one["project_id"] == client.project]
    return sorted(own, key=lambda one: (one.get("created_at") or "", one["id"]))


def own(client: Client, kind: str, native: str) -> Item:
    """One thing of the tenant's. Raises NotFound, for another's too."""
    found: Item = client.get("network", _path(kind, native), kind, native)[KEYS.get(kind, kind)]
    if found["project_id"] != client.project:
        raise NotFound(kind, native)
    return found


def create(client: Client, kind: str, **body: object) -> Item:
    key = KEYS.get(kind, kind)
    made: Item = client.post("network", f"/v2.0/{PATHS[kind]}", {key: body}, kind)[key]
    return made


def change(client: Client, kind: str, native: str, **body: object) -> Item:
    key = KEYS.get(kind, kind)
    changed: Item = client.put("network", _path(kind, native), {key: body}, kind, native)[key]
    return changed


def delete(client: Client, kind: str, native: str) -> None:
    client.delete("network", _path(kind, native), kind, native)


def said(item: Item) -> Mapping[str, str]:
    """The notes of a thing: what its tags say counts for more than its description."""
    tags = (tag.removeprefix(notes.MARK).partition("=") for tag in item.get("tags") or () if tag.startswith(notes.MARK))
    return {**notes.load(item.get("description")), **{name: value for name, _, value in tags}}


def note(client: Client, kind: str, item: Item, **changes: str) -> None:
    """Write notes as tags; those that are empty are taken away."""
    ours = {f"{notes.MARK}{name}=" for name in changes}
    kept = [tag for tag in item.get("tags") or () if not any(tag.startswith(one) for one in ours)]
    new = [f"{notes.MARK}{name}={value}" for name, value in changes.items() if value]
    retag(client, kind, item, [*kept, *new])


def retag(client: Client, kind: str, item: Item, tags: Collection[str]) -> None:
    """Give a thing these tags and no others."""
    if set(tags) != set(item.get("tags") or ()):
        client.put("network", f"{_path(kind, item['id'])}/tags", {"tags": sorted(tags)}, kind, item["id"])


def _path(kind: str, native: str) -> str:
    return f"/v2.0/{PATHS[kind]}/{known(kind, native)}"


def v4(item: Item) -> list[Mapping[str, Any]]:
    """The addresses of IPv4 that a port has."""
    return [one for one in item["fixed_ips"] if ":" not in one["ip_address"]]
