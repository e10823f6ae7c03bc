"""How networks are connected: what the records say, told to the clouds as one whole.

Route tables, gateways, filters and so on are records of the store; a cloud knows their effect alone. Whoever changes
such records does so within `changing`, which tells the cloud afterwards, or takes the change back if it refuses, and
nothing of what others have changed meanwhile. One at a time does so in each account, as the last one told must be the
last one recorded. After a crash in between, `mend` tells it again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from isthmus.context import Context
from isthmus.core import acls, dhcp, gateways, hops, kept, networks, routes
from isthmus.core.ids import Kind
from isthmus.core.registry import Found
from isthmus.core.turns import turn
from isthmus.core.undo import undo
from isthmus.errors import Fault, NotFound, Unavailable, Unsupported
from isthmus.model import Hop, Network, Route, Subnet, SubnetWiring, Wiring
from isthmus.store import Edit

_log = logging.getLogger(__name__)


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
    """Change records of these networks' wiring within; their clouds are told, and on a refusal nothing is changed.

    A network that is deleted meanwhile need not be told: nothing was in it then, so the change has only taken away.
    """
    with turn(cx, networks.TURN):
        before = {one: compiled(cx, networks.one_network(cx, one)) for one in known if one}
        edits: list[Edit] = []
        told = False
        try:
            with cx.store.noting(edits):
                yield
            told = True
            for one, was in before.items():
                _tell(cx, one, was)
        except Exception:
            undo(cx, edits)
            for one in before if told else ():
                with suppress(Fault):
                    _tell(cx, one)
            raise


def settle(cx: Context, network: Found[Network]) -> None:
    """Tell a network's cloud what the records say, after its subnets or ports have changed.

    That a cloud does not take it now is no reason to refuse what is done already: `mend` tells it again.
    """
    api = cx.session(network.cloud).networks
    if api is None:
        return
    with turn(cx, networks.TURN):
        try:
            _tell(cx, network.id, api.wiring_of(network.noun.native))
        except (Unsupported, Unavailable):
            return
        except Fault as fault:
            _log.warning("the network %s is not wired as the records say: %s", network.id, fault)


def _tell(cx: Context, known: str, told: Wiring | None = None) -> None:
    """Until what a network's cloud was told last is what there is: others change it, and delete subnets, meanwhile.

    A network that is gone is told nothing.
    """
    while (network := networks.networks(cx).by_id.get(known)) and (now := compiled(cx, network)) != told:
        try:
            networks.api(cx.session(network.cloud)).wire(network.noun.native, now)
        except NotFound:
            if known in networks.networks(cx).by_id and compiled(cx, network) == now:
                raise
        else:
            told = now


def mend(cx: Context) -> None:
    """Tell each network's cloud what the records say, where it is not so."""
    with turn(cx, networks.TURN):
        for network in networks.networks(cx):
            settle(cx, network)
