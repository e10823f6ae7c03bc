"""Neutron's security groups as firewalls. Source: docs.openstack.org/api-ref/network."""

from __future__ import annotations

from collections.abc import Sequence

from isthmus.errors import NotFound
from isthmus.providers.openstack.client import Client


def for_port(client: Client, network: str, wanted: Sequence[str]) -> Sequence[str]:
    """The firewalls of a new port in a network: those that are named, else the network's default one."""
    listed = client.every("network", "/v2.0/security-groups", "security_groups", project_id=client.project)
    there = {one["id"] for one in listed}
    for one in wanted:
        if one not in there:
            raise NotFound("firewall", one)
    return list(wanted) or [one["id"] for one in listed if one["name"] == "default"]
