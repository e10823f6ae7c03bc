"""CloudStack's filters, made to let pass what the groups of the instances behind them say.

All is worked out anew from what there is, and is left alone where it is as it shall be: who finds it otherwise, mends
it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from isthmus.providers.cloudstack import isolated, machines, membership, rulebook, tiers
from isthmus.providers.cloudstack.grounds import by_item, default_network, grounds
from isthmus.providers.cloudstack.membership import Sight
from isthmus.providers.cloudstack.rulebook import Kept
from isthmus.providers.cloudstack.tenant import Tenant
from isthmus.together import apart, together

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack


_ROUNDS = 3
"""How often filters are looked at, at most, until there is nothing to change."""


@dataclass
class _Turn:
    """Of a network: how many have asked for it and until which of them it is done, and how many are at it or wait."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    asked: int = 0
    done: int = 0
    here: int = 0


class Turns:
    """One at a time for each network. Who asks while another is at it may find that a third has done it since."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: dict[str, _Turn] = {}

    def __len__(self) -> int:
        """How many networks somebody is at."""
        return len(self._turns)

    def take(self, key: str, act: Callable[[], None], *, always: bool) -> None:
        with self._lock:
            turn = self._turns.setdefault(key, _Turn())
            turn.here += 1
            ticket = turn.asked = turn.asked + 1
        try:
            with turn.lock:
                if always or turn.done < ticket:
                    self._act(turn, act, always=always)
        finally:
            with self._lock:
                turn.here -= 1
                if not turn.here:
                    del self._turns[key]

    def _act(self, turn: _Turn, act: Callable[[], None], *, always: bool) -> None:
        with self._lock:
            upto = turn.asked
        with apart():
            act()
        if not always:
            turn.done = upto


def tend(
    cloud: CloudStack,
    tenant: Tenant,
    networks: Collection[str],
    *,
    groups: Mapping[str, Kept] | None = None,
    routes: Mapping[str, bool] | None = None,
) -> None:
    """Make the filters of networks of ours, by their native ids, what they shall be.

    `groups` is what groups are to be if it is not what they are, `routes` whether tiers are to have a route to the
    internet. In zones with security groups there is nothing to do. Raises Faults.
    """
    if cloud.options.security_groups:
        return
    for network in sorted(set(networks)):
        act = partial(_tend, cloud, tenant, network, groups, routes or {})
        cloud.filtering.take(f"{tenant.native} {network}", act, always=groups is not None or routes is not None)
    tenant.client.again()


def _tend(
    cloud: CloudStack, tenant: Tenant, network: str, groups: Mapping[str, Kept] | None, routes: Mapping[str, bool]
) -> None:
    """What was changed is looked at again: another process may have changed what it was made of meanwhile."""
    for _ in range(_ROUNDS):
        if not _mended(cloud, tenant.once(), network, groups, routes):
            return


def _mended(
    cloud: CloudStack, tenant: Tenant, network: str, groups: Mapping[str, Kept] | None, routes: Mapping[str, bool]
) -> bool:
    """Whether anything had to be changed."""
    reads: list[Callable[[], Any]] = [
        partial(grounds, tenant.client, cloud, tenant),
        partial(machines.every, tenant),
        *([] if groups is not None else [partial(rulebook.read, tenant)]),
    ]
    found, there, *known = together(*reads)
    kept = groups if groups is not None else known[0]
    sight = Sight(network, kept, membership.members(cloud, there, by_item(found)))
    here = [one for one in found if one.network == network and one.item]
    if network == default_network(tenant):
        return isolated.tend(tenant, sight, here)
    return tiers.tend(tenant, sight, here, routes)
