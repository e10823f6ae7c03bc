"""Firewalls (EC2: security groups); core/rules.py has their rules."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from isthmus.context import Context
from isthmus.core import networks
from isthmus.core.ids import Kind, mint
from isthmus.core.quotas import demand, room
from isthmus.core.records import creating, forget
from isthmus.core.registry import Found, Index, family, find, join, pick
from isthmus.core.registry import index as joined
from isthmus.core.rule_ids import all_ids
from isthmus.core.turns import turn
from isthmus.errors import Conflict, Invalid, NotFound
from isthmus.model import Firewall, Subnet
from isthmus.providers import Firewalls, FirewallSpec, Session

DEFAULT = "default"


def api(session: Session) -> Firewalls:
    return family(session.firewalls, "security groups")


def index(cx: Context) -> Index[Firewall]:
    return joined(cx, Kind.FIREWALL, _firewalls)


def seen(cx: Context) -> Index[Firewall]:
    """As `index`, for those who need not know of which networks they are."""
    return joined(cx, Kind.FIREWALL, _unplaced)


def find_firewalls(cx: Context, ids: Collection[str] | None = None) -> Iterator[Found[Firewall]]:
    return find(cx, index(cx), Kind.FIREWALL, ids)


def one(cx: Context, group: str) -> Found[Firewall]:
    return pick(index(cx), Kind.FIREWALL, [group])[0]


def named(cx: Context, name: str, cloud: str = "", network: str = "") -> Found[Firewall]:
    """The firewall with this name of a network, by its native id; by default of the default one."""
    for found in index(cx):
        if found.noun.name == name and cloud in ("", found.cloud):
            within = network or _default_network(cx, found.cloud)
            if found.noun.network in ("", within):
                return found
    raise NotFound(Kind.FIREWALL, name, f"The security group '{name}' does not exist")


def _default_network(cx: Context, cloud: str) -> str:
    """The native id; empty where there is none."""
    natives = (one.noun.native for one in networks.networks(cx) if one.cloud == cloud and one.noun.default)
    return next(natives, "")


def for_launch(
    cx: Context, cloud: str, subnet: Found[Subnet] | None, groups: Sequence[str], names: Sequence[str] = ()
) -> Sequence[Found[Firewall]]:
    """The firewalls a new server gets: those asked for, by id or name, or the default one of its network."""
    asked = [*(one(cx, group) for group in groups), *(named(cx, name, cloud) for name in names)]
    found = list({group.id: group for group in asked}.values())
    for group in found:
        if group.cloud != cloud or (subnet and group.noun.network not in ("", subnet.noun.network)):
            raise Invalid(f"Security group {group.id} and the subnet belong to different networks.", "firewalls")
    if found:
        demand(cx, "groups_per_server", 0, more=len(found))
        return found
    network = subnet.noun.network if subnet else ""
    return [
        group
        for group in index(cx)
        if group.cloud == cloud and group.noun.name == DEFAULT and group.noun.network in ("", network)
    ]


def create(cx: Context, name: str, description: str, network: str = "") -> Found[Firewall]:
    """Make a firewall in a network, by default the default one. Raises Conflict (`duplicate`) for a name in use."""
    if network:
        [within] = pick(networks.networks(cx), Kind.NETWORK, [network])
    else:
        within = networks.default_network(cx, cx.place().cloud)
    for found in index(cx):
        if found.noun.name == name and (found.cloud, found.noun.network) == (within.cloud, within.noun.native):
            reason = f"The security group '{name}' already exists for VPC '{within.id}'"
            raise Conflict(Kind.FIREWALL, found.id, reason, "duplicate")
    ref = mint(Kind.FIREWALL, cx.seed)
    check, tags = room(cx, Kind.FIREWALL, "groups", index(cx)), cx.tags.get("security-group")
    with creating(cx, Kind.FIREWALL, ref, within.cloud, tags=tags, check=check) as made, turn(cx, "groups"):
        spec = FirewallSpec(ref, name, description, within.noun.native)
        noun = made(api(cx.session(within.cloud)).create_firewall(spec))
    return join(cx, cx.view(), Kind.FIREWALL, within.cloud, noun)


def delete(cx: Context, group: str) -> None:
    found = one(cx, group)
    api(cx.session(found.cloud)).delete_firewall(found.noun.native)
    forget(cx, found.id, *all_ids(cx.view(), found))


def _firewalls(session: Session) -> Sequence[Firewall]:
    return session.firewalls.list_firewalls() if session.firewalls else ()


def _unplaced(session: Session) -> Sequence[Firewall]:
    return session.firewalls.list_firewalls(placed=False) if session.firewalls else ()
