"""CloudStack's virtual machines, as its lists tell them."""

from __future__ import annotations

from collections.abc import Collection

from isthmus.errors import NotFound
from isthmus.providers.cloudstack.client import Item
from isthmus.providers.cloudstack.tenant import Tenant

GONE = frozenset({"Destroyed", "Expunging"})
"""The states of those that only administrators are shown, unless the cloud's settings say otherwise."""
DETAILS = ("nics", "secgrp", "affgrp", "servoff", "tmpl")
"""The parts of a virtual machine that are asked for: the others, such as statistics, cost the server much."""


def every(tenant: Tenant, natives: Collection[str] | None = None) -> list[Item]:
    """The tenant's virtual machines in the order of their creation."""
    listed = tenant.some("listVirtualMachines", "virtualmachine", natives, details=DETAILS)
    there = [one for one in listed if one["state"] not in GONE]
    return sorted(there, key=lambda one: (one["created"], one["id"]))


def one(tenant: Tenant, native: str) -> Item:
    """Raises NotFound."""
    for found in every(tenant, [native]):
        return found
    raise NotFound("server", native[:64])
