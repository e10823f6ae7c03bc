"""The OpenStack that is measured on: a project of the bench's own, and the work of clients there without a gateway."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import openstack
from openstack.config import OpenStackConfig
from openstack.connection import Connection

from bench.calls import at_once

STATE = Path(os.environ.get("OPENSTACK_STATE", "/var/tmp/isthmus-openstack"))
CLOUDS_YAML = STATE / "clouds.yaml"
FLAVOR, IMAGE, OUTSIDE = "m1.nano", "tiny", "public"
PAUSE_SECONDS = 0.25
"""Between two looks at what is waited for."""
_PATIENCE, _PORTS_PATIENCE = 600, 40
_CHANGES = 8
"""As many changes are made at a time as a gateway makes."""


class AbsentError(Exception):
    """Why there is nothing to measure on."""


@dataclass(frozen=True)
class Project:
    """The bench's own, with a user, his EC2 keys, and a network that leads outside."""

    wire: Connection
    """Signed in as the user."""
    access: str
    secret: str
    subnet: str
    network: str

    def servers(self) -> list[dict[str, Any]]:
        return servers(self.wire)

    def launch(self, count: int) -> list[dict[str, str]]:
        """Servers with a port each, as a gateway makes them: all at the same time."""
        image = self.wire.image.find_image(IMAGE).id
        flavor = self.wire.compute.find_flavor(FLAVOR).id

        def one(_: int) -> dict[str, str]:
            name = f"direct-{uuid4()}"
            body = {"network_id": self.network, "name": name, "fixed_ips": [{"subnet_id": self.subnet}]}
            port = self.wire.network.post("/ports", json={"port": body}).json()["port"]["id"]
            server = {"name": name, "flavorRef": flavor, "imageRef": image, "networks": [{"port": port}]}
            made = self.wire.compute.post("/servers", json={"server": server}, microversion="2.53").json()["server"]
            return {"server": made["id"], "port": port}

        return at_once(one, range(count), _CHANGES)

    def active(self, these: Sequence[dict[str, str]]) -> None:
        """Wait until they run."""
        wanted = {one["server"] for one in these}
        await_(lambda: wanted <= {one["id"] for one in self.servers() if one["status"] == "ACTIVE"})

    def delete(self, these: Sequence[dict[str, str]]) -> None:
        """Ask for the end of servers and their ports."""

        def one(made: dict[str, str]) -> None:
            self.wire.compute.delete(f"/servers/{made['server']}")
            self.wire.network.delete(f"/ports/{made['port']}")

        at_once(one, these, _CHANGES)

    def empty(self) -> None:
        empty(self.wire)

    def emptied(self) -> None:
        """Wait until the servers are gone, and for a while for their ports; those that ec2-api leaves go here."""
        await_(lambda: not self.servers())
        with suppress(TimeoutError):
            await_(lambda: not self._ports(), _PORTS_PATIENCE)
        at_once(lambda port: self.wire.network.delete(f"/ports/{port}"), self._ports(), _CHANGES)

    def _ports(self) -> list[str]:
        """Those that are no network's own."""
        owned = self.wire.network.ports(project_id=self.wire.current_project_id)
        return [one.id for one in owned if not one.device_owner.startswith("network:")]


def servers(wire: Connection) -> list[dict[str, Any]]:
    return list(wire.compute.get("/servers/detail").json()["servers"])


def empty(wire: Connection) -> None:
    """Delete what servers there are, and wait until they are gone."""
    for one in servers(wire):
        wire.compute.delete(f"/servers/{one['id']}")
    await_(lambda: not servers(wire))


def await_(met: Callable[[], bool], patience: float = _PATIENCE) -> None:
    until = time.monotonic() + patience
    while not met():
        if time.monotonic() > until:
            raise TimeoutError(f"OpenStack was not ready within {patience} s")
        time.sleep(PAUSE_SECONDS)


def connection(name: str) -> Connection:
    """As one that clouds.yaml has."""
    if not CLOUDS_YAML.exists():
        raise AbsentError(f"there is no OpenStack in {STATE} (make test-openstack KEEP=1 leaves one up)")
    region = OpenStackConfig(config_files=[str(CLOUDS_YAML)], load_envvars=False).get_one(name)
    url = region.config["auth"]["auth_url"]
    try:
        httpx.get(url, timeout=5, trust_env=False)
    except httpx.HTTPError as error:
        raise AbsentError(
            f"{url} does not answer: {error} (make test-openstack KEEP=1 leaves an OpenStack up)"
        ) from None
    return Connection(config=region)


@contextmanager
def project() -> Iterator[Project]:
    """A project for the time of the bench; at its end nothing of it is left. Raises AbsentError."""
    admin = connection("admin")
    name, password = f"isthmus-bench-{uuid4().hex[:8]}", uuid4().hex
    with ExitStack() as made:
        tenant = admin.identity.create_project(name=name, domain_id="default")
        made.callback(admin.identity.delete_project, tenant)
        user = admin.identity.create_user(
            name=name, password=password, domain_id="default", default_project_id=tenant.id
        )
        made.callback(admin.identity.delete_user, user)
        role = admin.identity.find_role("member")
        admin.identity.assign_project_role_to_user(tenant, user, role)
        keys = admin.identity.post(f"/users/{user.id}/credentials/OS-EC2", json={"tenant_id": tenant.id}).json()
        auth = {
            "auth_url": admin.config.config["auth"]["auth_url"],
            "username": name,
            "password": password,
            "project_id": tenant.id,
            "user_domain_id": "default",
        }
        wire = openstack.connect(
            auth=auth, region_name=admin.config.region_name, load_envvars=False, load_yaml_config=False
        )
        made.callback(_no_groups, admin, tenant.id)
        made.callback(_clear, wire)
        network, subnet = _network(wire)
        yield Project(wire, keys["credential"]["access"], keys["credential"]["secret"], subnet, network)


def _network(wire: Connection) -> tuple[str, str]:
    """A network whose router leads outside, as the default VPC is one."""
    net = wire.network
    network = net.create_network(name="bench")
    subnet = net.create_subnet(network_id=network.id, ip_version=4, cidr="10.77.0.0/16", name="bench")
    router = net.create_router(name="bench", external_gateway_info={"network_id": net.find_network(OUTSIDE).id})
    net.add_interface_to_router(router, subnet_id=subnet.id)
    return network.id, subnet.id


def _clear(wire: Connection) -> None:
    """Delete what a project has, whoever made it."""
    empty(wire)
    net, own = wire.network, {"project_id": wire.current_project_id}
    for port in net.ports(**own):
        if port.device_owner.startswith("network:router_interface"):
            net.remove_interface_from_router(port.device_id, port_id=port.id)
        elif not port.device_owner.startswith("network:"):
            net.delete_port(port)
    for router in net.routers(**own):
        net.delete_router(router)
    for network in net.networks(**own):
        net.delete_network(network)


def _no_groups(admin: Connection, project: str) -> None:
    """Neutron keeps a project's own group: an administrator may delete it."""
    for group in admin.network.security_groups(project_id=project):
        admin.network.delete_security_group(group)
