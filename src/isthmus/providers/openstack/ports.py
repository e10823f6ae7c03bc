"""Neutron's ports as network interfaces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from isthmus.model import Port
from isthmus.providers.openstack import notes
from isthmus.providers.openstack.client import Client, Item


def port_of(item: Item) -> Port:
    """A port, of a server if one has it. Without an address of its own (a port just being made) it has none yet."""
    said = notes.load(item.get("description"))
    fixed = [one for one in item["fixed_ips"] if ":" not in one["ip_address"]]
    first = next((one for one in fixed if one["ip_address"] == said.get("first")), fixed[0] if fixed else None)
    on = item["device_id"] if item["device_owner"].startswith("compute:") else ""
    return Port(
        native=item["id"],
        mac=item["mac_address"],
        address=first["ip_address"] if first else "",
        subnet=first["subnet_id"] if first else "",
        network=item["network_id"],
        firewalls=tuple(item["security_groups"]),
        index=int(said.get("index", 0)),
        source_check=said.get("check", "1") == "1",
        ref=said.get("ref", ""),
        secondary=tuple(one["ip_address"] for one in fixed if one is not first),
        server=on,
        since=notes.moment(said.get("since") or item.get("updated_at")) if on else None,
        delete_with_server=said.get("keep", "") != "1" if on else False,
    )


def make(client: Client, subnet: Item, guards: Sequence[str], description: str, address: str = "") -> Item:
    """A new port in a subnet."""
    fixed = {"subnet_id": subnet["id"], **({"ip_address": address} if address else {})}
    body: dict[str, Any] = {
        "network_id": subnet["network_id"],
        "fixed_ips": [fixed],
        "security_groups": list(guards),
        "description": description,
    }
    made: Item = client.post("network", "/v2.0/ports", {"port": body}, "port")["port"]
    return made
