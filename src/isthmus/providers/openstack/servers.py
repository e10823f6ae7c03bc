"""Nova's servers. Source: docs.openstack.org/api-ref/compute."""

from __future__ import annotations

import time
from base64 import b64encode
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from isthmus.errors import Conflict, Fault, Invalid, Unavailable, Unsupported
from isthmus.model import Condition, Console, Flavor, Server, ServerState, Zone, need_ref
from isthmus.providers import ServerSpec
from isthmus.providers.openstack import disks, endings, firewalls, groups, keys, launches, networks, notes, ports
from isthmus.providers.openstack.client import FEW, Client, Item, found, known
from isthmus.providers.openstack.neutron import delete, listed
from isthmus.together import for_each, together

if TYPE_CHECKING:
    from isthmus.providers.openstack.cloud import OpenStack

STATES = {
    "BUILD": ServerState.PENDING,
    "REBUILD": ServerState.PENDING,
    "ACTIVE": ServerState.RUNNING,
    "REBOOT": ServerState.RUNNING,
    "HARD_REBOOT": ServerState.RUNNING,
    "MIGRATING": ServerState.RUNNING,
    "PASSWORD": ServerState.RUNNING,
    "RESCUE": ServerState.RUNNING,
    "PAUSED": ServerState.STOPPED,
    "SUSPENDED": ServerState.STOPPED,
    "SHUTOFF": ServerState.STOPPED,
    "SHELVED": ServerState.STOPPED,
    "SHELVED_OFFLOADED": ServerState.STOPPED,
    "RESIZE": ServerState.STOPPED,
    "VERIFY_RESIZE": ServerState.STOPPED,
    "REVERT_RESIZE": ServerState.STOPPED,
    "ERROR": ServerState.ERROR,
    endings.DELETED: ServerState.DELETING,
}
"""Nova's statuses; a resize is only ever of a stopped server here."""
STARTS = {"PAUSED": "unpause", "SUSPENDED": "resume", "SHELVED": "unshelve", "SHELVED_OFFLOADED": "unshelve"}
"""What lets a server go on that was stopped by Nova's own tools; all others are started."""
GONE = ("DELETED", "SOFT_DELETED")
"""Nova still shows a server for a moment, or for as long as the operator's `reclaim_instance_interval`."""
TASKS = {
    "powering-off": ServerState.STOPPING,
    "powering-on": ServerState.PENDING,
    "deleting": ServerState.DELETING,
    "soft-deleting": ServerState.DELETING,
}
"""What a server is doing counts for more than what it is."""
PORTS, MOST_PORTS = "isthmus:ports", 6
"""The key in a server's metadata of the ports that it is to have, and how many there is room for."""
NO_USER_DATA = "Nova keeps the user data of the launch: let its metadata agents ask Isthmus"
NO_KERNEL = "Nova boots the kernel and ramdisk that an image names: make an image with these"
RESIZING = ("RESIZE", "VERIFY_RESIZE")
RESIZE_SECONDS, TASK_SECONDS, PAUSE_SECONDS = 30, 20, 0.5
"""How long a resize and a task under way are waited for, and how long lies between two looks."""
TOGETHER = 50
"""How many ports are made in one call."""
CONSOLE_LINES = 1000
CONSOLE_BYTES = 64 * 1024


class OpenStackCompute:
    def __init__(self, cloud: OpenStack, client: Client) -> None:
        self._cloud = cloud
        self._client = client
        self._ending: dict[str, tuple[Item, list[Item]]] = {}
        """Servers that are deleted next, with their ports."""
        self._coming: dict[str, Item] = {}
        """Ports of servers that are created next, by the ref of each; it has no server yet."""

    def list_zones(self) -> Sequence[Zone]:
        listed = self._client.get("compute", "/os-availability-zone")["availabilityZoneInfo"]
        up = {one["zoneName"]: one["zoneState"]["available"] for one in listed}
        return [Zone(zone, up.get(zone, False)) for zone in self._cloud.zones]

    def list_flavors(self) -> Sequence[Flavor]:
        """Under the names of the operator's map, and under their own where it has none."""
        ours: dict[str, str] = {nova: name for name, nova in self._cloud.options.flavors.items()}
        listed = self._client.every("compute", "/flavors/detail", "flavors")
        return [
            Flavor(one["name"], ours.get(str(one["name"])) or str(one["name"]), one["vcpus"], one["ram"], one["disk"])
            for one in listed
            if not one.get("OS-FLV-DISABLED:disabled")
        ]

    def list_servers(self, natives: Collection[str] | None = None) -> Sequence[Server]:
        if natives is not None and not natives:
            return ()
        which = None if natives is None else list(dict.fromkeys(natives))
        servers, seen = self._read(which)
        ports = self._ports(servers, seen)
        return [*(self._server(one, ports) for one in servers), *self._leaving(which, servers, seen)]

    def _read(self, which: Sequence[str] | None) -> tuple[list[Item], list[Item]]:
        """Servers, and at least their ports."""
        few = which is not None and len(which) <= FEW
        asked = {"device_id": which} if few else {"project_id": self._client.project}
        servers, seen = together(
            partial(read, self._client, which), partial(self._client.every, "network", "/v2.0/ports", "ports", **asked)
        )
        return servers, seen

    def _leaving(self, which: Sequence[str] | None, live: Sequence[Item], seen: Sequence[Item]) -> list[Server]:
        """Servers that are gone, but for ports that go with them: these are taken away if nobody is at it."""
        if which is not None and len(which) == len(live):
            return []
        if which and len(which) <= FEW:  # so far only ports of servers that are there were asked for
            seen = listed(self._client, "port")
        refs, natives = {endings.ref_of(one) for one in live}, {one["id"] for one in live}

        def missing(native: str) -> bool:
            return native not in natives and (which is None or native in which)

        left = {server: own for server, own in endings.left_of(seen, missing).items() if server not in refs}
        found = endings.leaving(self._client, left)
        for one, own in found:
            if endings.is_due(own):
                self._cloud.endings.begin(self._client, one["id"], own, lambda _: None)
        return [
            self._server(one, {one["id"]: [_on(one["id"], port) for port in own]})
            for one, own in found
            if which is None or one["id"] in which
        ]

    def prepare_servers(self, specs: Sequence[ServerSpec]) -> None:
        """Their ports. None for servers that will be refused, or that come with their own."""
        first = specs[0]
        if len(specs) == 1 or first.ports or first.address:
            return
        self._body(first)
        with self._cloud.turn(first.ref):
            subnet = networks.subnet_for(self._client, self._cloud.zones, first.subnet, first.zone)
            guards = self._guards(subnet, first)
            for start in range(0, len(specs), TOGETHER):
                refs = [spec.ref for spec in specs[start : start + TOGETHER]]
                there = {port["name"] for port in listed(self._client, "port", ("name",), name=refs)}
                noted = {ref: _noted(ref) for ref in refs if ref not in there}
                if noted:
                    self._coming |= {one["name"]: one for one in ports.make_all(self._client, subnet, guards, noted)}

    def create_server(self, spec: ServerSpec) -> Server:
        """One whose port was made for it just now has no server yet: nobody is asked whether it has."""
        need_ref(spec.ref, "server")
        with self._cloud.turn(spec.ref):
            coming = self._coming.pop(spec.ref, None)
            if coming is None and (before := self._by_ref(spec.ref)):
                return before
            body = self._body(spec)
            own, fresh = ([coming], True) if coming else self._interfaces(spec)
            natives = [port["id"] for port in own]
            body["server"]["networks"] = [{"port": port} for port in natives]
            body["server"]["metadata"][PORTS] = " ".join(natives[:MOST_PORTS])
            since = datetime.now(UTC)
            try:
                made = self._placed(spec, body)
            except Unavailable:
                raise
            except Fault:
                if fresh:
                    for_each(lambda port: delete(self._client, "port", port), natives)
                else:
                    ports.let_go(self._client, natives)
                raise
        server = launches.accepted(made["id"], body["server"], spec.flavor, since)
        return self._server(server, {server["id"]: [_on(server["id"], port) for port in own]})

    def _placed(self, spec: ServerSpec, body: dict[str, Any]) -> Item:
        """A new server, in its group."""

        def make(group: str) -> Item:
            noted = {**body["server"]["metadata"], **({groups.NOTE: group} if group else {})}
            asked = {"server": {**body["server"], "metadata": noted}, **groups.hints(group)}
            answer = self._client.post("compute", "/servers", asked, "server", version=launches.version(spec))
            made: Item = answer["server"]
            return made

        if not spec.group:
            return make("")
        group = groups.demand(self._cloud, self._client, spec.group)
        try:
            return make(group)
        except Unavailable:
            raise
        except Fault as fault:
            if groups.is_missing(fault):
                return make(groups.demand(self._cloud, self._client, spec.group))
            groups.let_go(self._client, group, partial(_alive, self._client))
            raise

    def start_server(self, native: str) -> None:
        server = self._one(native)
        if state_of(server) in (ServerState.RUNNING, ServerState.PENDING):
            return
        if server["status"] in RESIZING:
            self._confirm(native)
        if server["status"] != "SHELVED_OFFLOADED":  # whose metadata Nova does not let change
            started = {"isthmus:started": datetime.now(UTC).isoformat()}
            self._client.post("compute", f"/servers/{server['id']}/metadata", {"metadata": started}, "server", native)
        self._act(native, {STARTS.get(server["status"], "os-start"): None})

    def stop_server(self, native: str, *, force: bool = False) -> None:  # noqa: ARG002
        """Nova asks the guest first and switches it off after the operator's `shutdown_timeout`."""
        if state_of(self._one(native)) not in (ServerState.STOPPED, ServerState.STOPPING):
            self._act(native, {"os-stop": None})

    def reboot_server(self, native: str) -> None:
        server = self._one(native)
        if state_of(server) is not ServerState.RUNNING:
            raise Conflict("server", native, f"the server is {server['status'].lower()}")
        if server["status"] == "ACTIVE":
            self._act(native, {"reboot": {"type": "SOFT"}})

    def prepare_deletion(self, natives: Collection[str]) -> None:
        """What is read of them is read once."""
        servers, seen = self._read(list(dict.fromkeys(natives)))
        ports = self._ports(servers, seen)
        self._ending = {one["id"]: (one, ports.get(one["id"], [])) for one in servers}

    def delete_server(self, native: str, *, force: bool = False) -> None:  # noqa: ARG002
        """Nova's acceptance is the answer; the ports go afterwards."""
        if native not in self._ending:
            self.prepare_deletion([native])
        if native not in self._ending:
            return
        server, own = self._ending.pop(native)
        disks.keep_refs(self._client, server)
        self._client.delete("compute", f"/servers/{native}", "server", native)
        self._cloud.endings.begin(self._client, native, own, partial(_leave, server))

    def resize_server(self, native: str, flavor: str) -> None:
        server = self._one(native)
        wanted = self._flavor(flavor)
        if state_of(server) is not ServerState.STOPPED:
            raise Conflict("server", native, f"the server is {server['status'].lower()}")
        if server["status"] in RESIZING:
            self._confirm(native)
        if server["flavor"]["original_name"] != flavor:
            self._act(native, {"resize": {"flavorRef": wanted["id"], "OS-DCF:diskConfig": "AUTO"}})
            self._confirm(native)

    def _confirm(self, native: str) -> None:
        """Keep a resized server as it is now. Nova takes a while; what is not done by then, the server's start does."""
        until = time.monotonic() + RESIZE_SECONDS
        while (server := self._one(native))["status"] in RESIZING and time.monotonic() < until:
            if server["status"] == "VERIFY_RESIZE" and not server["OS-EXT-STS:task_state"]:
                with suppress(Invalid, Conflict):  # it is confirmed already, and not seen to be yet
                    self._act(native, {"confirmResize": None})
            self._wait()

    def _wait(self) -> None:
        time.sleep(PAUSE_SECONDS)
        self._client.again()

    def set_user_data(self, native: str, data: bytes) -> NoReturn:  # noqa: ARG002
        raise Unsupported(NO_USER_DATA)

    def console_output(self, native: str) -> Console:
        self._one(native)
        text = self._act(native, {"os-getConsoleOutput": {"length": CONSOLE_LINES}})["output"]
        return Console(text.encode()[-CONSOLE_BYTES:], datetime.now(UTC))

    def conditions(self, natives: Collection[str]) -> Mapping[str, Condition]:  # noqa: ARG002
        """Nova does not look into its servers."""
        return {}

    def password_data(self, native: str) -> str:
        """What the guest has encrypted with its key pair and told Nova's metadata service."""
        self._one(native)
        return str(self._client.get("compute", f"/servers/{native}/os-server-password", "server", native)["password"])

    def _act(self, native: str, body: object) -> Any:
        """Nova refuses what comes in the middle of something else, which EC2 does not know: that is waited out."""
        until = time.monotonic() + TASK_SECONDS
        while True:
            try:
                return self._client.post("compute", f"/servers/{native}/action", body, "server", native)
            except Conflict as conflict:
                if "while it is in task_state" not in str(conflict) or time.monotonic() > until:
                    raise
            self._wait()

    def _one(self, native: str) -> Item:
        return one(self._client, native)

    def _ports(self, servers: Sequence[Item], seen: Sequence[Item]) -> dict[str, list[Item]]:
        """The ports of servers, by server, of those seen and of those that are coming."""
        made: defaultdict[str, list[Item]] = defaultdict(list)
        for port in seen:
            if port["device_owner"].startswith("compute:"):
                made[port["device_id"]].append(port)
        self._add_coming(servers, made)
        return made

    def _add_coming(self, servers: Sequence[Item], ports: dict[str, list[Item]]) -> None:
        """Nova takes a new server's ports one by one: those that it has not taken stand in the server's metadata."""
        new = {server["id"]: server for server in servers if server["status"] == "BUILD"}
        there = {port["id"] for native in new for port in ports.get(native, ())}
        named = {port: native for native, server in new.items() for port in server["metadata"].get(PORTS, "").split()}
        missing = [port for port in named if port not in there]
        for port in listed(self._client, "port", id=missing) if missing else ():
            if not port["device_id"]:
                native = named[port["id"]]
                ports.setdefault(native, []).append(_on(native, port))

    def _by_ref(self, ref: str) -> Server | None:
        tagged = self._client.every("compute", "/servers/detail", "servers", tags=f"{notes.REF}={ref}")
        live = [one["id"] for one in tagged if one["status"] not in GONE and state_of(one) is not ServerState.DELETING]
        return next(iter(self.list_servers(live[:1])), None)

    def _server(self, item: Item, ports_of: dict[str, list[Item]]) -> Server:
        said = item["metadata"]
        image = said.get("isthmus:image") or (item["image"] or {}).get("id", "")
        there = ports.numbered(ports_of.get(item["id"], ()), self._cloud.members.of(self._client))
        own = sorted(there, key=lambda port: (port.index, port.native))
        created = notes.moment(item["created"])
        started = said.get("isthmus:started") or item.get("OS-SRV-USG:launched_at")
        return Server(
            native=item["id"],
            ref=endings.ref_of(item),
            name=item["name"],
            state=state_of(item),
            zone=item["OS-EXT-AZ:availability_zone"] or said.get("isthmus:zone", ""),
            flavor=item["flavor"]["original_name"],
            image=image,
            created=created,
            started=max(created, notes.moment(started)) if started else created,
            reason=(item.get("fault") or {}).get("message", ""),
            key=item["key_name"] or "",
            ports=tuple(own),
            root_device=disks.root_device(item),
            local_root=bool(item["image"]),
            volumes=tuple(disks.attached_to(item)),
        )

    def _body(self, spec: ServerSpec) -> dict[str, Any]:
        """The request, but for where the server is connected."""
        if spec.zone not in self._cloud.zones:
            raise Invalid(f"there is no zone {spec.zone}", "zone")
        flavor = self._flavor(spec.flavor)
        image = self._client.get("image", f"/v2/images/{known('image', spec.image)}", "image", spec.image)
        if not {spec.kernel, spec.ramdisk} <= {"", image.get("kernel_id"), image.get("ramdisk_id")}:
            raise Unsupported(NO_KERNEL)
        mappings = launches.mappings(self._client, spec, image)
        root = next((disk for disk in spec.disks if disk.root), None)
        body: dict[str, Any] = {
            "name": spec.name or spec.ref,
            "description": notes.dump(ref=spec.ref),
            "flavorRef": flavor["id"],
            "availability_zone": spec.zone,
            "tags": [f"{notes.REF}={spec.ref}"],
            "metadata": {
                "isthmus:image": spec.image,
                "isthmus:zone": spec.zone,
                **({"isthmus:root": root.device} if root else {}),
            },
        }
        if not root or root.local:
            body["imageRef"] = spec.image
        if mappings:
            body["block_device_mapping_v2"] = mappings
        if spec.key:
            keys.demand(self._client, spec.key)
            body["key_name"] = spec.key
        if spec.user_data:
            body["user_data"] = b64encode(spec.user_data).decode()
        return {"server": body}

    def _interfaces(self, spec: ServerSpec) -> tuple[list[Item], bool]:
        """The server's ports, and whether they were made for it.

        Nova could make the port itself, but not in a subnet of our choice, and its address would not be known yet.
        """
        if spec.ports:
            return ports.claim(self._client, spec.ports, spec.indexes, spec.ref), False
        if before := listed(self._client, "port", name=spec.ref):
            if endings.leaving(self._client, endings.left_of(before)):
                raise Unavailable("What is left of an earlier server of this launch is still being taken away.")
            return before[:1], True
        subnet = networks.subnet_for(self._client, self._cloud.zones, spec.subnet, spec.zone)
        guards = self._guards(subnet, spec)
        return [ports.make(self._client, subnet, guards, _noted(spec.ref), spec.address, name=spec.ref)], True

    def _guards(self, subnet: Item, spec: ServerSpec) -> Sequence[str]:
        members = self._cloud.members.of(self._client)
        return firewalls.for_port(self._client, members, subnet["network_id"], spec.firewalls)

    def _flavor(self, name: str) -> Item:
        listed = self._client.every("compute", "/flavors/detail", "flavors")
        for one in listed:
            if one["name"] == name:
                return one
        raise Invalid(f"there is no flavor {name}", "flavor")


def _noted(ref: str) -> str:
    """What is written on a port that is made for a server."""
    return notes.dump(keep="0", server=ref)


def _on(server: str, port: Item) -> Item:
    """A port as its server's, though Nova has not taken it yet, or has let go of it."""
    return {**port, "device_id": server, "device_owner": "compute:"}


def _leave(server: Item, client: Client) -> None:
    """Delete the group of a server that goes, if it was the last in it."""
    if group := server["metadata"].get(groups.NOTE):
        groups.let_go(client, group, partial(_alive, client))


def _alive(client: Client, natives: Sequence[str]) -> bool:
    return any(state_of(one) is not ServerState.DELETING for one in read(client, natives))


def one(client: Client, native: str) -> Item:
    """A server as Nova says it. Raises NotFound."""
    item: Item = client.get("compute", f"/servers/{known('server', native)}", "server", native)["server"]
    return item


def read(client: Client, natives: Sequence[str] | None) -> list[Item]:
    """Those of these servers that exist, or all."""
    if natives is not None and len(natives) <= FEW:
        servers = [item for native in natives if (item := found(partial(one, client, native)))]
    else:
        servers = client.every("compute", "/servers/detail", "servers", sort_key="created_at", sort_dir="asc")
    wanted = None if natives is None else set(natives)
    return [item for item in servers if item["status"] not in GONE and (wanted is None or item["id"] in wanted)]


def state_of(item: Item) -> ServerState:
    return TASKS.get(item["OS-EXT-STS:task_state"] or "") or STATES.get(item["status"], ServerState.ERROR)
