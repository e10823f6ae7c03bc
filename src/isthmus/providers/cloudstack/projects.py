"""Projects: what a command is told of one. Source: CloudStack's listing of its API.

A project's things are its own, whichever of its users made them: lists have them, and makings make them, where they
name it. Commands that change one thing are told that by its id alone.
"""

from __future__ import annotations

from isthmus.errors import Invalid, NotFound
from isthmus.providers.cloudstack.client import NO_MORE, Client, Item, More

NAMED = frozenset(
    {
        "associateIpAddress",
        "createAffinityGroup",
        "createNetwork",
        "createSecurityGroup",
        "createTemplate",
        "createVPC",
        "createVolume",
        "deleteSSHKeyPair",
        "deployVirtualMachine",
        "listAffinityGroups",
        "listEgressFirewallRules",
        "listFirewallRules",
        "listIsos",
        "listNetworkACLLists",
        "listNetworkACLs",
        "listNetworks",
        "listPublicIpAddresses",
        "listSSHKeyPairs",
        "listSecurityGroups",
        "listSnapshots",
        "listTags",
        "listTemplates",
        "listVPCs",
        "listVirtualMachines",
        "listVolumes",
        "registerSSHKeyPair",
        "registerTemplate",
    }
)
"""Commands that have to name the project."""
BY_ID = frozenset({"authorizeSecurityGroupEgress", "authorizeSecurityGroupIngress", "deleteSecurityGroup"})
"""Commands that could name it, and are told an id that says as much."""
OFFERED = frozenset({"listDiskOfferings", "listServiceOfferings"})
"""Commands that could name it, whose answers are the operator's offers to all."""


def naming(native: str) -> More:
    """What the commands of a project's tenant have more; nothing for an account."""
    return {command: {"projectid": native} for command in NAMED} if native else NO_MORE


def project(client: Client, native: str) -> Item | None:
    """A project, if the user is in it. An administrator is taken for being in all of them."""
    try:
        found = client.every("listProjects", "project", id=native)
    except (NotFound, Invalid):
        return None
    return next((one for one in found if one["id"] == native), None)
