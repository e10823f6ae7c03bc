"""The router of a network: it connects the subnets with each other, and leads outside by its gateway."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from isthmus.errors import Conflict, NotFound, Unsupported
from isthmus.providers.openstack import landscape, notes
from isthmus.providers.openstack.client import Client, Item, known
from isthmus.providers.openstack.landscape import Landscape, hosts, is_own
from isthmus.providers.openstack.neutron import change, create, delete, listed, said

if TYPE_CHECKING:
    from isthmus.providers.openstack.cloud import OpenStack


def external(client: Client, cloud: OpenStack) -> str:
    """The network that public addresses are of. Raises Unsupported if it cannot be told which."""
    wanted = cloud.options.external_network
    there = client.every("network", "/v2.0/networks", "networks", **{"router:external": True})
    found = [one["id"] for one in there if wanted in ("", one["id"], one["name"])]
    if len(found) == 1:
        return str(found[0])
    if found:
        raise Unsupported("The cloud has several external networks: its operator is to name one of them to Isthmus.")
    raise Unsupported("The cloud has no external network that this tenant sees, so there is no way to the internet.")


def ensure(client: Client, land: Landscape, network: str) -> Item:
    """The router of a network, made if there is none: what was read may be older than another's."""
    if there := land.router_of(network):
        return there
    client.again()
    name = land.networks[network]["name"]
    return landscape.read(client, land.zones).router_of(network) or create(
        client, "router", name=name, description=notes.dump(network=network)
    )


def lead(client: Client, cloud: OpenStack, router: Item, *, outside: bool) -> None:
    """Let a router have a gateway or none. Raises Conflict (`in-use`) while public addresses need it."""
    if outside == bool(router["external_gateway_info"]):
        return
    gateway = {"network_id": external(client, cloud)} if outside else {}
    change(client, "router", router["id"], external_gateway_info=gateway)


def connect(client: Client, land: Landscape, subnet: Item, router: Item) -> None:
    """Let a router be in a subnet, at its gateway's address or at the first one."""
    if not land.is_linked(subnet):
        port = _foot(client, subnet)
        path = f"/v2.0/routers/{router['id']}/add_router_interface"
        client.put("network", path, {"port_id": port["id"]}, "router", router["id"])


def _foot(client: Client, subnet: Item) -> Item:
    """The port that a router gets in a subnet: new, or left from a connection that was never finished."""
    gate = (not is_own(subnet) and subnet["gateway_ip"]) or hosts(subnet["cidr"])[0]
    try:
        return create(
            client,
            "port",
            name="router",
            network_id=subnet["network_id"],
            fixed_ips=[{"subnet_id": subnet["id"], "ip_address": gate}],
            security_groups=[],
            description=notes.dump(router=subnet["network_id"]),
        )
    except Conflict:
        for port in _feet(client, subnet):
            return port
        raise


def _feet(client: Client, subnet: Item) -> list[Item]:
    """Ports made for a router that is not at them yet."""
    there = listed(client, "port", fixed_ips=f"subnet_id={subnet['id']}")
    return [port for port in there if said(port).get("router") and not port["device_id"]]


def disconnect(client: Client, land: Landscape, subnet: Item) -> None:
    """Take all routers out of a subnet."""
    for link in land.links_of(land.home(subnet)):
        if any(fixed["subnet_id"] == subnet["id"] for fixed in link["fixed_ips"]):
            path = f"/v2.0/routers/{known('router', link['device_id'])}/remove_router_interface"
            with suppress(NotFound):
                client.put("network", path, {"subnet_id": subnet["id"]}, "router", link["device_id"])
    for port in _feet(client, subnet):
        delete(client, "port", port["id"])


def shared(land: Landscape, router: Item, network: str) -> bool:
    """Whether a router connects other networks, too."""
    return any(one["device_id"] == router["id"] and land.home(one) != network for one in land.ports)
