"""The networks that a new server is connected to, and how CloudStack is asked for its interfaces in them.

Source: CloudStack's API, deployVirtualMachine. The first network is that of the default interface; each is named once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any

from isthmus.errors import Invalid, NotFound, Unsupported
from isthmus.providers import ServerSpec
from isthmus.providers.cloudstack.client import Item
from isthmus.providers.cloudstack.grounds import Ground, grounds, made_default
from isthmus.providers.cloudstack.rulebook import default_group
from isthmus.providers.cloudstack.tenant import Tenant

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack


@dataclass(frozen=True, slots=True)
class Stand:
    """Of one interface."""

    ground: Ground | None
    """None: where CloudStack puts a server of whose zone no network is known."""
    address: str
    groups: tuple[str, ...]

    @property
    def network(self) -> str:
        return self.ground.network if self.ground else ""

    @property
    def item(self) -> Item:
        return (self.ground and self.ground.item) or {}


def stands(cloud: CloudStack, tenant: Tenant, spec: ServerSpec) -> list[Stand]:
    """Those of a spec, the default interface first. Raises NotFound, Invalid, Unsupported."""
    found = grounds(tenant.offered, cloud, tenant)
    made = [Stand(_ground(found, spec, spec.subnet), spec.address, spec.firewalls)]
    made += [Stand(_ground(found, spec, one.subnet), one.address, one.firewalls) for one in spec.further]
    for one in made:
        if one.address and one.ground:
            _check_address(one.address, one.ground.cidr)
    if spec.further and len({one.ground.native for one in made if one.ground}) <= len(spec.further):
        raise Unsupported("CloudStack gives a server one interface in a network: name a subnet for each.")
    return made


def asked(made: Sequence[Stand], networks: Sequence[str], zone: Item) -> Mapping[str, Any]:
    """The parameters of a deployment; `networks` are those of `settled`."""
    if len(made) == 1:
        named = networks[0] and zone.get("networktype") != "Basic"
        return {"networkids": [networks[0]] if named else None, "ipaddress": made[0].address or None}
    both = zip(made, networks, strict=True)
    return {"iptonetworklist": [{"networkid": to} | ({"ip": one.address} if one.address else {}) for one, to in both]}


def settled(cloud: CloudStack, tenant: Tenant, made: Sequence[Stand]) -> list[str]:
    """CloudStack's networks, by their ids, of several interfaces all of them: a default one that is not there is made.

    Of a single one the id is empty where CloudStack chooses or makes the network itself.
    """
    return [
        one.item.get("id", "") or (made_default(cloud, tenant, one.ground.zone) if one.ground and len(made) > 1 else "")
        for one in made
    ]


def further_groups(made: Sequence[Stand], networks: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """The groups of further interfaces, by their networks."""
    both = zip(made[1:], networks[1:], strict=True)
    return {to: one.groups or (default_group(one.network),) for one, to in both}


def _ground(found: Sequence[Ground], spec: ServerSpec, subnet: str) -> Ground | None:
    """The subnet of this native id, or the default one of the spec's zone, if there is one."""
    if not subnet:
        return next((one for one in found if one.default and one.zone == spec.zone), None)
    chosen = next((one for one in found if one.native == subnet), None)
    if chosen is None:
        raise NotFound("subnet", subnet[:64])
    if chosen.zone != spec.zone:
        raise Invalid(f"the subnet {subnet} is not in the zone {spec.zone}", "subnet")
    return chosen


def _check_address(wanted: str, cidr: str) -> None:
    try:
        within = IPv4Address(wanted) in IPv4Network(cidr)
    except ValueError:
        within = False
    if not within:
        raise Invalid(f"{wanted} is no address of {cidr}", "address")
