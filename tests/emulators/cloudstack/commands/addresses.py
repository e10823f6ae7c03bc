"""Public addresses, and what leads from them to machines: nobody can have one yet."""

from __future__ import annotations

from emulators.cloudstack.commands.acts import Params, act
from emulators.cloudstack.world import Account, Item, World


@act("listPublicIpAddresses")
@act("listPortForwardingRules")
@act("listIpForwardingRules")
def none(world: World, account: Account, params: Params) -> list[Item]:
    return []
