"""CloudStack's affinity groups: which servers share no host. It knows no partitions: each server has a host of its own.

A group is made with the first server of a placement group, and stays: CloudStack tells neither when it was made nor
whether a launch is about to use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from isthmus.errors import Conflict
from isthmus.providers.cloudstack.tenant import Tenant

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack

APART = "host anti-affinity"
"""CloudStack's own type of groups whose servers share no host."""


def demand(cloud: CloudStack, tenant: Tenant, group: str) -> str:
    """The native id of a placement group's affinity group, which is made if there is none. Raises QuotaExceeded."""
    title = f"isthmus:{group}"
    with cloud.turn(f"{tenant.native} {title}"):
        there = _named(tenant, title)
        if title not in there:
            with suppress(Conflict):  # another process has just made it
                tenant.client.do("createAffinityGroup", "placement-group", group, name=title, type=APART)
            there = _named(tenant, title)
    return there[title]


def _named(tenant: Tenant, title: str) -> Mapping[str, str]:
    """The account's groups of this name: there is one at most."""
    return {one["name"]: one["id"] for one in tenant.all("listAffinityGroups", "affinitygroup", name=title, type=APART)}
