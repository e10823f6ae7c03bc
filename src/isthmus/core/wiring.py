"""How networks are connected: what the records say, told to the clouds as one whole.

Route tables, gateways, filters and so on are records of the store; a cloud knows their effect alone. Whoever changes
such records does so within `changing`, which tells the cloud afterwards, or takes the change back if it refuses.
After a crash in between, `mend` tells it again.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from isthmus.context import Context
from isthmus.core import acls, dhcp, gateways, hops, kept, networks, routes
from isthmus.core.ids import Kind
from isthmus.core.registry import Found
from isthmus.errors import Fault, Unavailable, Unsupported
from isthmus.model import Hop, Network, Route, Subnet, SubnetWiring, Wiring
from isthmus.store import View

_KINDS = (
    *(Kind.NETWORK, Kind.SUBNET, Kind.ROUTE_TABLE, Kind.GATEWAY, Kind.EGRESS_GATEWAY, Kind.NAT, Kind.ACL),
    *(Kind.DHCP, Kind.PEERING, Kind.ENDPOINT, Kind.VPN_GATEWAY),
)
"""Whose records `changing` may take back."""
_turns: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)
"""One change of wiring at a time in each account: the last one told must be the last one recorded."""


def compiled(cx: Context, network: Found[Network]) -> Wiring:
    """A network's wiring as the records have it."""
    subnets = sorted(networks.subnets_of(cx, network), key=lambda one: one.noun.native)
    return Wiring(
        internet=gateways.of_network(cx, network.id) is not None,
        peers=tuple(sorted(_peers(cx, network))),
        subnets=tuple(_subnet(cx, network, subnet) for subnet in subnets),
        dhcp=dhcp.effect(cx, network),
        resolver=networks.setting(network, "dns_support"),
    )


def _peers(cx: Context, network: Found[Network]) -> Iterator[str]:
    known = networks.networks(cx).by_id
    for one in kept.live(cx, Kind.PEERING):
        both = one.data["networks"]
        if one.data["status"] == "active" and network.id in both:
            yield from (known[other].noun.native for other in both if other != network.id and other in known)


def _subnet(cx: Context, network: Found[Network], subnet: Found[Subnet]) -> SubnetWiring:
    table = routes.one(cx, routes.table_of(cx, subnet))
    entries = [entry for entry in routes.entries(table) if entry.hop != hops.ENDPOINT]
    led = (hops.led(cx, network, entry) or Route(entry.to, Hop.NOWHERE) for entry in entries)
    return SubnetWiring(subnet.noun.native, tuple(led), acls.effect(cx, subnet))


@contextmanager
def changing(cx: Context, *known: str) -> Iterator[None]:
    """Change records of these networks' wiring within; their clouds are told, and on a refusal nothing is changed."""
    with _turns[cx.account]:
        view = cx.view()
        before = {one: compiled(cx, networks.one_network(cx, one)) for one in known if one}
        yield
        try:
            for one, was in before.items():
                network = networks.one_network(cx, one)
                if (now := compiled(cx, network)) != was:
                    networks.api(cx.session(network.cloud)).wire(network.noun.native, now)
        except Fault:
            _take_back(cx, view)
            for one, was in before.items():
                with suppress(Fault):
                    _tell(cx, one, was)
            raise


def settle(cx: Context, network: Found[Network]) -> None:
    """Tell a network's cloud what the records say, after its subnets or ports have changed.

    That a cloud does not take it now is no reason to refuse what is done already: `mend` tells it again.
    """
    api = cx.session(network.cloud).networks
    if api is None:
        return
    with _turns[cx.account], suppress(Unsupported, Unavailable):
        wanted = compiled(cx, network)
        if wanted != api.wiring_of(network.noun.native):
            api.wire(network.noun.native, wanted)


def _tell(cx: Context, known: str, wiring: Wiring) -> None:
    network = networks.one_network(cx, known)
    networks.api(cx.session(network.cloud)).wire(network.noun.native, wiring)


def _take_back(cx: Context, view: View) -> None:
    """Records as they were in an older view; what was made since goes."""
    now = cx.view()
    with cx.store.change(cx.account) as change:
        for kind in _KINDS:
            then, present = view.of_kind(kind), now.of_kind(kind)
            for one in present.keys() | then.keys():
                if one not in then:
                    change.drop(one)
                elif present.get(one) is not then[one]:
                    change.put(then[one])


def mend(cx: Context) -> None:
    """Tell each network's cloud what the records say, where it is not so."""
    for network in networks.networks(cx):
        settle(cx, network)
