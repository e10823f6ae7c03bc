"""Labels, as CloudStack's tags: people and tools see them there.

Those that Isthmus gives are of one customer, as CloudStack calls it, so that tags of others are told from them. A thing
has one tag of a name, small letters or not, and none that is empty. What Isthmus has to find again stands in tags as
well: names that begin as theirs are never labels. Source: CloudStack's API, createTags, deleteTags, listTags.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from isthmus.errors import Fault, Throttled
from isthmus.providers.cloudstack import images, isos, machines, notes
from isthmus.providers.cloudstack.client import Item, Unsure, is_native
from isthmus.providers.cloudstack.tenant import FEW, Tenant
from isthmus.together import apart, for_each

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack

CUSTOMER = "isthmus-labels"
EMPTY = "-"
"""What stands for an empty value."""
_OWN = "isthmus"
"""How the names of Isthmus's own tags begin."""
_APART = 3
"""Of more things than these all tags are asked for, instead of those of each."""
_TYPES = {
    "server": ("UserVm",),
    "volume": ("Volume",),
    "snapshot": ("Snapshot",),
    "image": ("Template", "ISO"),
}
_GROUPED = {**_TYPES, "firewall": ("SecurityGroup",)}
"""Where subnets are networks that all share."""
_UNGROUPED = {**_TYPES, "network": ("Vpc",), "subnet": ("Network",), "address": ("PublicIpAddress",)}
"""Where groups are no things of CloudStack's."""
_LISTS = {
    "server": ("listVirtualMachines", "virtualmachine"),
    "volume": ("listVolumes", "volume"),
    "snapshot": ("listSnapshots", "snapshot"),
    "firewall": ("listSecurityGroups", "securitygroup"),
    "network": ("listVPCs", "vpc"),
    "subnet": ("listNetworks", "network"),
    "address": ("listPublicIpAddresses", "publicipaddress"),
}
"""How each kind is listed: as it is for a request, which so asks once."""
_log = logging.getLogger(__name__)

Wanted = Mapping[str, Mapping[str, str]]
Thing = tuple[str, str]
"""A type of CloudStack's, and the id of what is of it."""
Pairs = tuple[tuple[str, str], ...]
Sending = tuple[str, Pairs, Sequence[str]]
"""A type, tags, and the ids of what gets them, or loses them."""


class CloudStackLabels:
    def __init__(self, cloud: CloudStack, tenant: Tenant) -> None:
        self._tenant = tenant
        self._types: Mapping[str, tuple[str, ...]] = _GROUPED if cloud.options.security_groups else _UNGROUPED

    def list_kinds(self) -> Collection[str]:
        return self._types.keys()

    def list_labels(self, kind: str) -> Mapping[str, Mapping[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for one in self._tenant.all("listTags", "tag", customer=CUSTOMER):
            if one.get("resourcetype") in self._types.get(kind, ()):
                found.setdefault(one["resourceid"], {})[one["key"]] = one["value"]
        return found

    def set_labels(self, wanted: Mapping[str, Wanted]) -> None:
        """Things of one type that change alike are changed by one call."""
        own: dict[Thing, Mapping[str, str]] = {}
        for kind, things in wanted.items():
            own |= self._own(kind, {native: labels for native, labels in things.items() if is_native(native)})
        there = self._there(list(own))
        going: dict[tuple[str, Pairs], list[str]] = {}
        coming: dict[tuple[str, Pairs], list[str]] = {}
        for (type, native), labels in own.items():
            gone, new = _changes(_usable(labels), there.get((type, native), ()))
            for pairs, changes in ((gone, going), (new, coming)):
                if pairs:
                    changes.setdefault((type, pairs), []).append(native)
        with apart():  # no request shall wait for this
            for command, changes in (("deleteTags", going), ("createTags", coming)):
                each = [(*what, some) for what, natives in changes.items() for some in _few(natives)]
                for_each(self._sender(command), each)

    def _own(self, kind: str, wanted: Wanted) -> Mapping[Thing, Mapping[str, str]]:
        """What is the tenant's own: keys may be good for others' things, too."""
        if not wanted or kind not in self._types:
            return {}
        if kind == "image":
            seen = images.templates(self._tenant)
            own = {native: isos.is_iso(item) for native, item in seen.items() if self._tenant.owner.has(item)}
        else:
            details = {"details": machines.DETAILS} if kind == "server" else {}
            own = {one["id"]: False for one in self._tenant.all(*_LISTS[kind], **details)}
        types = self._types[kind]
        return {(types[own[native]], native): labels for native, labels in wanted.items() if native in own}

    def _there(self, things: Sequence[Thing]) -> Mapping[Thing, Sequence[Item]]:
        """All tags of things, whoever gave them."""
        if len(things) <= _APART:
            asked = [{"resourcetype": type, "resourceid": native} for type, native in things]
            listed = for_each(lambda one: self._tenant.all("listTags", "tag", **one), asked)
        else:
            listed = [self._tenant.all("listTags", "tag")]
        found: dict[Thing, list[Item]] = {}
        for one in (tag for tags in listed for tag in tags):
            found.setdefault((one.get("resourcetype", ""), one.get("resourceid", "")), []).append(one)
        return found

    def _sender(self, command: str) -> Callable[[Sending], None]:
        given = {"customer": CUSTOMER} if command == "createTags" else {}

        def send(change: Sending) -> None:
            """What CloudStack does not take of several things or tags is sent one by one, and then left out."""
            type, pairs, natives = change
            said = [{"key": key, "value": value} if given else {"key": key} for key, value in pairs]
            about = {"resourcetype": type, "resourceids": natives, "tags": said, **given}
            try:
                self._tenant.client.do(command, "label", "", **about)
            except (Unsure, Throttled):
                raise
            except Fault as fault:
                if len(natives) > 1:
                    for native in natives:
                        send((type, pairs, [native]))
                elif len(pairs) > 1:
                    for pair in pairs:
                        send((type, (pair,), natives))
                else:
                    _log.info("%s of %s %s is left out: %s", command, type, natives[0], fault)

        return send


def _few(natives: Sequence[str]) -> list[Sequence[str]]:
    return [natives[start : start + FEW] for start in range(0, len(natives), FEW)]


def _usable(labels: Mapping[str, str]) -> dict[str, str]:
    """As CloudStack can have them: of names that differ in the size of letters the last."""
    made: dict[str, tuple[str, str]] = {}
    for name, value in labels.items():
        if not name.lower().startswith(_OWN) and len(name) <= notes.LONGEST and _is_plain(name + value):
            made[name.lower()] = name, value[: notes.LONGEST] or EMPTY
    return dict(made.values())


def _is_plain(text: str) -> bool:
    """CloudStack refuses control characters."""
    return all(" " <= letter != "\x7f" for letter in text)


def _changes(wanted: Mapping[str, str], there: Sequence[Item]) -> tuple[Pairs, Pairs]:
    """Which of the tags that are there have to go, and which have to be made."""
    held = {tag["key"]: tag["value"] for tag in there}
    names = {name.lower() for name, value in wanted.items() if held.get(name) != value}
    gone = tuple(
        sorted(
            (tag["key"], "")
            for tag in there
            if tag["key"].lower() in names or (tag.get("customer") == CUSTOMER and tag["key"] not in wanted)
        )
    )
    return gone, tuple(sorted((name, value) for name, value in wanted.items() if held.get(name) != value))
