"""Templates: the operator's featured ones."""

from __future__ import annotations

from emulators.cloudstack.commands.acts import Params, act, filtered
from emulators.cloudstack.world import Account, Item, Refusal, World

_FILTERS = {
    "featured": lambda one, account: one["isfeatured"],
    "community": lambda one, account: one["ispublic"] and not one["isfeatured"],
    "self": lambda one, account: one["account"] == account.name,
    "selfexecutable": lambda one, account: one["account"] == account.name,
    "sharedexecutable": lambda one, account: False,
    "shared": lambda one, account: False,
    "executable": lambda one, account: one["ispublic"] or one["account"] == account.name,
}


@act("listTemplates")
def list_templates(world: World, account: Account, params: Params) -> list[Item]:
    chosen = _FILTERS.get(params["templatefilter"])
    if chosen is None:
        raise Refusal(431, f"Please specify a valid template filter: {params['templatefilter']}", 4350)
    return filtered((one for one in world.templates if chosen(one, account)), params, "id", "name", "zoneid")
