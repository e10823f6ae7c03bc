"""CloudStack's virtual machines. Source: CloudStack's API, and its VirtualMachine.State."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NoReturn

from isthmus.errors import Conflict, NotFound, Unsupported
from isthmus.model import Flavor, Server, ServerState, Zone
from isthmus.providers import Capability, ServerSpec
from isthmus.providers.cloudstack import offerings
from isthmus.providers.cloudstack.client import Item
from isthmus.providers.cloudstack.images import moment
from isthmus.providers.cloudstack.tenant import Tenant

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack

STATES = {
    "Starting": ServerState.PENDING,
    "Running": ServerState.RUNNING,
    "Migrating": ServerState.RUNNING,
    "BackingUp": ServerState.RUNNING,
    "Restoring": ServerState.RUNNING,
    "Stopping": ServerState.STOPPING,
    "Stopped": ServerState.STOPPED,
    "Shutdown": ServerState.STOPPED,
}
"""CloudStack's states; Error, and what is not known here, are errors."""
GONE = frozenset({"Destroyed", "Expunging"})
"""Those that only administrators are shown, unless the cloud's settings say otherwise."""
DETAILS = ("nics", "secgrp", "affgrp", "servoff", "tmpl")
"""The parts of a virtual machine that are asked for: the others, such as statistics, cost the server much."""


class CloudStackCompute:
    def __init__(self, cloud: CloudStack, tenant: Tenant) -> None:
        self._cloud = cloud
        self._tenant = tenant
        self._client = tenant.client

    def list_zones(self) -> Sequence[Zone]:
        return offerings.listed_zones(self._client, self._cloud.zones, grouped=self._cloud.options.security_groups)

    def list_flavors(self) -> Sequence[Flavor]:
        return offerings.flavors(self._client, self._cloud.options.flavors)

    def list_servers(self, natives: Collection[str] | None = None) -> Sequence[Server]:
        return [_server(one) for one in machines(self._tenant, natives)]

    def prepare_servers(self, specs: Sequence[ServerSpec]) -> None:
        """CloudStack deploys each by itself."""

    def create_server(self, spec: ServerSpec) -> NoReturn:  # noqa: ARG002
        raise Unsupported(self._cloud.lacks[Capability.LAUNCH])

    def start_server(self, native: str) -> None:
        if machine(self._tenant, native)["state"] not in ("Running", "Starting"):
            self._client.begin("startVirtualMachine", "server", native, id=native)

    def stop_server(self, native: str, *, force: bool = False) -> None:
        if machine(self._tenant, native)["state"] not in ("Stopped", "Stopping"):
            self._client.begin("stopVirtualMachine", "server", native, id=native, forced=force)

    def reboot_server(self, native: str) -> None:
        if machine(self._tenant, native)["state"] != "Running":
            raise Conflict("server", native, f"the server {native} does not run")
        self._client.begin("rebootVirtualMachine", "server", native, id=native)

    def delete_server(self, native: str) -> None:
        if machines(self._tenant, [native]):
            self._client.begin("destroyVirtualMachine", "server", native, id=native)

    def resize_server(self, native: str, flavor: str) -> NoReturn:  # noqa: ARG002
        raise Unsupported(self._cloud.lacks[Capability.RESIZE])

    def console_output(self, native: str) -> NoReturn:  # noqa: ARG002
        raise Unsupported(self._cloud.lacks[Capability.CONSOLE])

    def password_data(self, native: str) -> NoReturn:  # noqa: ARG002
        raise Unsupported(self._cloud.lacks[Capability.PASSWORD])


def machines(tenant: Tenant, natives: Collection[str] | None = None) -> list[Item]:
    """The tenant's virtual machines in the order of their creation."""
    listed = tenant.some("listVirtualMachines", "virtualmachine", natives, details=DETAILS)
    there = [one for one in listed if one["state"] not in GONE]
    return sorted(there, key=lambda one: (one["created"], one["id"]))


def machine(tenant: Tenant, native: str) -> Item:
    """Raises NotFound."""
    for found in machines(tenant, [native]):
        return found
    raise NotFound("server", native[:64])


def _server(item: Item) -> Server:
    created = moment(item["created"])
    return Server(
        native=item["id"],
        ref="",
        name=item.get("displayname") or item["name"],
        state=STATES.get(item["state"], ServerState.ERROR),
        zone=item["zonename"],
        flavor=item["serviceofferingid"],
        image=item.get("templateid", ""),
        created=created,
        started=created,
    )
