"""Which of a tenant's Neutron networks are members of others, for those who read no networks.

Only an operator makes members of networks, and once: so it is remembered for a while, and ports and security groups are
read without networks.
"""

from __future__ import annotations

from collections.abc import Mapping

from isthmus.believed import Believed
from isthmus.providers.openstack.client import Client, Item
from isthmus.providers.openstack.landscape import members_of
from isthmus.providers.openstack.neutron import listed


class Members:
    """Those of all tenants of a cloud."""

    def __init__(self) -> None:
        self._believed = Believed[Mapping[str, str]]()

    def of(self, client: Client) -> Mapping[str, str]:
        """By their native ids, each with the network that it is a member of."""
        return self._believed.get((client.project,), lambda: members_of(listed(client, "network")))

    def home(self, client: Client, item: Item) -> str:
        """The network that a subnet or a port of Neutron's is in."""
        return self.of(client).get(item["network_id"], str(item["network_id"]))
