"""CloudStack's virtual machines. Source: CloudStack's API, and its VirtualMachine.State."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from isthmus.errors import Conflict, Fault, Invalid, NotFound, Unsupported
from isthmus.model import Condition, Flavor, Port, Server, ServerState, Zone, need_ref
from isthmus.providers import Capability, ServerSpec
from isthmus.providers.cloudstack import filters, launches, machines, membership, offerings, places, secondary
from isthmus.providers.cloudstack.client import Item, Unsure
from isthmus.providers.cloudstack.grounds import Ground, default_network, shared_subnet
from isthmus.providers.cloudstack.notes import moment
from isthmus.providers.cloudstack.tenant import Tenant, busy

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
    "RestoreError": ServerState.STOPPED,
    "Error": ServerState.ERROR,
}
"""CloudStack's states. Of a machine in any other, such as Unknown when its host is lost, it is not told if it runs."""


class CloudStackCompute:
    def __init__(self, cloud: CloudStack, tenant: Tenant) -> None:
        self._cloud = cloud
        self._tenant = tenant
        self._client = tenant.client

    def list_zones(self) -> Sequence[Zone]:
        return offerings.listed_zones(self._tenant, self._cloud)

    def list_flavors(self) -> Sequence[Flavor]:
        return offerings.flavors(self._tenant, self._cloud.options)

    def list_servers(self, natives: Collection[str] | None = None) -> Sequence[Server]:
        found = machines.every(self._tenant, natives)
        where = self._cloud.placed.of(self._cloud, self._tenant, found)
        flavors = {one.native for one in self.list_flavors()} if found else ()
        return [self._server(one, where, flavors) for one in found]

    def prepare_servers(self, specs: Sequence[ServerSpec]) -> None:
        """CloudStack deploys each by itself."""

    def create_server(self, spec: ServerSpec) -> Server:
        need_ref(spec.ref, "server")
        with self._cloud.turn(spec.ref):
            listed = self._tenant.all("listVirtualMachines", "virtualmachine", name=spec.ref, details=machines.DETAILS)
            for one in listed:
                if one["state"] not in machines.GONE and one["name"] == spec.ref:
                    launches.resume(self._cloud, self._tenant, spec, one)
                    native = one["id"]
                    self._tend(one)
                    break
            else:
                native = launches.launch(self._cloud, self._tenant, spec)
                self._admit(native)
        for made in self.list_servers([native]):
            return made
        raise NotFound("server", native)

    def _admit(self, native: str) -> None:
        """Let pass what the groups of a new server say. One whose filters cannot be made does not stay."""
        if self._cloud.options.security_groups:
            return
        try:
            for machine in machines.every(self._tenant, [native]):
                self._tend(machine)
        except Unsure:  # who asks again goes on from there
            raise
        except Fault:
            with suppress(Fault):
                disks = self._tenant.all("listVolumes", "volume", virtualmachineid=native)
                data = [one["id"] for one in disks if one["type"] != "ROOT"]
                self._client.begin("destroyVirtualMachine", "server", native, id=native, volumeids=data or None)
            raise

    def _tend(self, machine: Item) -> None:
        if self._cloud.options.security_groups:
            return
        where = self._cloud.placed.of(self._cloud, self._tenant, [machine])
        there = [where[nic["networkid"]].network for nic in machine.get("nic", ()) if nic["networkid"] in where]
        filters.tend(self._cloud, self._tenant, there)

    def start_server(self, native: str) -> None:
        if machines.one(self._tenant, native)["state"] not in ("Running", "Starting"):
            self._client.begin("startVirtualMachine", "server", native, id=native)

    def stop_server(self, native: str, *, force: bool = False) -> None:
        if machines.one(self._tenant, native)["state"] not in ("Stopped", "Stopping"):
            self._client.begin("stopVirtualMachine", "server", native, id=native, forced=force)

    def reboot_server(self, native: str) -> None:
        if machines.one(self._tenant, native)["state"] != "Running":
            raise Conflict("server", native, f"the server {native} does not run")
        self._client.begin("rebootVirtualMachine", "server", native, id=native)

    def prepare_deletion(self, natives: Collection[str]) -> None:
        """Each is deleted by itself."""

    def delete_server(self, native: str, *, force: bool = False) -> None:  # noqa: ARG002
        """With it go its volumes that shall; CloudStack detaches the others."""
        for found in machines.every(self._tenant, [native]):
            disks = self._tenant.all("listVolumes", "volume", virtualmachineid=native)
            going = [one["id"] for one in disks if one["type"] != "ROOT" and not launches.keeps(found, one)]
            asked = {"volumeids": going or None, "expunge": self._cloud.options.expunge or None}
            self._cloud.going.add(native)
            try:
                self._tend(found)
                self._client.begin("destroyVirtualMachine", "server", native, id=native, **asked)
            except BaseException:
                self._cloud.going.discard(native)
                with suppress(Fault):
                    self._tend(found)
                raise

    def resize_server(self, native: str, flavor: str) -> None:
        if machines.one(self._tenant, native)["state"] != "Stopped":
            raise Conflict("server", native, f"the server {native} is not stopped")
        wanted = offerings.size(self._tenant, self._cloud.options, flavor)
        asked = {"serviceofferingid": wanted.offering, "details": wanted.details or None}
        self._client.do("changeServiceForVirtualMachine", "server", native, id=native, **asked)

    def set_user_data(self, native: str, data: bytes) -> None:
        """CloudStack cannot be told to keep none: then it is an empty line."""
        if machines.one(self._tenant, native)["state"] != "Stopped":
            raise Conflict("server", native, f"the server {native} is not stopped")
        said = base64.b64encode(data or b"\n").decode()
        self._client.do("updateVirtualMachine", "server", native, id=native, userdata=said)

    def console_output(self, native: str) -> NoReturn:  # noqa: ARG002
        raise Unsupported(self._cloud.lacks[Capability.CONSOLE])

    def conditions(self, natives: Collection[str]) -> Mapping[str, Condition]:  # noqa: ARG002
        """CloudStack does not look into its machines."""
        return {}

    def password_data(self, native: str) -> str:
        """CloudStack encrypts it as EC2 does: by RSA, with the padding of PKCS#1 v1.5, in base64."""
        if not machines.one(self._tenant, native).get("passwordenabled"):
            return ""
        try:
            told = self._client.read("getVMPassword", "server", native, id=native)
        except Invalid:  # there is none yet, or none any more
            return ""
        return str(told.get("password", {}).get("encryptedpassword", ""))

    def _server(self, item: Item, where: Mapping[str, Ground], flavors: Collection[str]) -> Server:
        key = self._tenant.native, item["id"]
        before = self._cloud.servers.last(key)
        state = ServerState.DELETING if item["id"] in self._cloud.going else state_of(item, before)
        flavor = offerings.flavor_of(item, flavors)
        here = [where.get(nic["networkid"]) for nic in item.get("nic", ())]
        said = (item, state, flavor, here, bool(where))
        return self._cloud.servers.of(key, said, partial(self._made, item, where, state, flavor))

    def _made(self, item: Item, where: Mapping[str, Ground], state: ServerState, flavor: str) -> Server:
        made = places.launched(item)
        created = moment(item["created"])
        return Server(
            native=item["id"],
            ref=made.ref,
            name=item.get("displayname") or item["name"],
            state=state,
            zone=item["zonename"],
            flavor=flavor,
            image=item.get("templateid", ""),
            created=created,
            started=max(created, moment(item.get("lastupdated"))),
            key=item.get("keypairs") or item.get("keypair") or "",
            ports=ports_of(self._tenant, item, where),
            root_device=made.root.device,
            architecture="arm64" if item.get("arch") == "aarch64" else "x86_64",
            platform="windows" if "windows" in item.get("osdisplayname", "").lower() else "",
        )


def state_of(item: Item, before: Server | None = None) -> ServerState:
    """A new one is stopped in CloudStack's eyes until its job begins to start it.

    One of which CloudStack does not know it is as it was `before`, if it was stopped then, and else runs.
    """
    if item["state"] == "Stopped" and busy(item) and launches.is_new(item):
        return ServerState.PENDING
    stopped = before is not None and before.state is ServerState.STOPPED
    return STATES.get(item["state"], ServerState.STOPPED if stopped else ServerState.RUNNING)


def ports_of(tenant: Tenant, item: Item, where: Mapping[str, Ground]) -> tuple[Port, ...]:
    """The interfaces of a virtual machine, the default one first. CloudStack's own groups hold for all of them."""
    guards = tuple(one["id"] for one in item.get("securitygroup", ()))
    nics = membership.interfaces(item)
    networks = [at.network if (at := where.get(nic["networkid"])) else default_network(tenant) for nic in nics]
    return tuple(
        Port(
            native=nic["id"],
            mac=nic.get("macaddress", ""),
            address=nic.get("ipaddress", ""),
            subnet=at.native if at else shared_subnet(tenant, nic["networkid"]),
            network=networks[index],
            firewalls=guards or (membership.groups_of(item, nic, networks[index], networks[0]) if where else ()),
            index=index,
            secondary=tuple(one["ipaddress"] for one in secondary.of(nic)),
            server=item["id"],
            since=moment(item["created"]),
            delete_with_server=True,
        )
        for index, nic in enumerate(nics)
        for at in (where.get(nic["networkid"]),)
    )
