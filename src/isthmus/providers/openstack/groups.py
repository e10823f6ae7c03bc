"""Nova's server groups: which servers share no host. Source: docs.openstack.org/api-ref/compute, "Server groups".

A group is made with its first server and goes with its last. Nova knows no partitions: each server of a group has a
host of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from isthmus.errors import Fault
from isthmus.providers.openstack.client import Client, Item, found, known

if TYPE_CHECKING:
    from isthmus.providers.openstack.cloud import OpenStack

NOTE = "isthmus:group"
"""The key in a server's metadata of the group that it is in."""
_PATH = "/os-server-groups"


def demand(cloud: OpenStack, client: Client, name: str) -> str:
    """The server group of a placement group, which is made if there is none. Raises QuotaExceeded."""
    title = f"isthmus:{name}"
    with cloud.turn(f"{client.project} {title}"):
        if there := _titled(client, title):
            return str(there[0]["id"])
        wanted = {"name": title, "policies": ["anti-affinity"]}
        made = str(
            client.post("compute", _PATH, {"server_group": wanted}, "placement-group", name)["server_group"]["id"]
        )
        # Nova lists the oldest first: that is the one to use, should another process have made one at the same time.
        first = str(_titled(client, title)[0]["id"])
        if first != made:
            client.delete("compute", f"{_PATH}/{made}", "server-group")
    return first


def hints(group: str) -> Mapping[str, object]:
    """What a request for a server says of its group."""
    return {"os:scheduler_hints": {"group": group}} if group else {}


def is_missing(fault: Fault) -> bool:
    """Whether Nova refused a server because its group went with its last server meanwhile."""
    return "instance group" in str(fault).lower() and "could not be found" in str(fault)


def let_go(client: Client, group: str, alive: Callable[[Sequence[str]], bool]) -> None:
    """Delete a group unless some of its servers are `alive`."""
    path = f"{_PATH}/{known('server-group', group)}"
    there = found(lambda: client.get("compute", path, "server-group", group)["server_group"])
    if there and not (there["members"] and alive(there["members"])):
        client.delete("compute", path, "server-group", group)


def _titled(client: Client, title: str) -> Sequence[Item]:
    return [one for one in client.every("compute", _PATH, "server_groups") if one["name"] == title]
