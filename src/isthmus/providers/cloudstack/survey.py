"""What an operator is told of a CloudStack before it is configured: what it offers, and what keys may do there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from isthmus.errors import Denied, Unsupported
from isthmus.model import Flavor
from isthmus.providers import Registered
from isthmus.providers.cloudstack.client import Client, Item, Wire
from isthmus.providers.cloudstack.credentials import Owner, of_project, owner
from isthmus.providers.cloudstack.projects import project
from isthmus.providers.cloudstack.signing import Keys

GROUPED, ROUTED = "use security groups", "use VPCs and public addresses"
RIGHTS: Mapping[str, tuple[str, ...]] = {
    "see the cloud": (
        "listAccounts",
        "listApis",
        "listCapabilities",
        "listDiskOfferings",
        "listNetworks",
        "listProjects",
        "listServiceOfferings",
        "listTemplates",
        "listUsers",
        "listZones",
        "queryAsyncJobResult",
    ),
    "run servers": (
        "changeServiceForVirtualMachine",
        "createAffinityGroup",
        "deployVirtualMachine",
        "destroyVirtualMachine",
        "getVMPassword",
        "listAffinityGroups",
        "listVirtualMachines",
        "rebootVirtualMachine",
        "startVirtualMachine",
        "stopVirtualMachine",
    ),
    "give servers further private addresses": ("addIpToNic", "removeIpFromNic"),
    "use volumes": (
        "attachVolume",
        "createTags",
        "createVolume",
        "deleteTags",
        "deleteVolume",
        "detachVolume",
        "listVolumes",
        "resizeVolume",
    ),
    "use snapshots": ("createSnapshot", "deleteSnapshot", "listSnapshots"),
    "make and share images": (
        "createTemplate",
        "deleteTemplate",
        "listOsTypes",
        "listTemplatePermissions",
        "updateTemplate",
        "updateTemplatePermissions",
    ),
    "make images of files at URLs": ("listHypervisors", "registerTemplate"),
    "boot ISOs": (
        "deleteIso",
        "listHypervisors",
        "listIsoPermissions",
        "listIsos",
        "updateIso",
        "updateIsoPermissions",
    ),
    "use key pairs": ("deleteSSHKeyPair", "listSSHKeyPairs", "registerSSHKeyPair"),
    GROUPED: (
        "authorizeSecurityGroupEgress",
        "authorizeSecurityGroupIngress",
        "createSecurityGroup",
        "deleteSecurityGroup",
        "listSecurityGroups",
        "revokeSecurityGroupEgress",
        "revokeSecurityGroupIngress",
        "updateVirtualMachine",
    ),
    ROUTED: (
        "associateIpAddress",
        "createEgressFirewallRule",
        "createFirewallRule",
        "createNetwork",
        "createNetworkACL",
        "createNetworkACLList",
        "createVPC",
        "deleteEgressFirewallRule",
        "deleteFirewallRule",
        "deleteNetwork",
        "deleteNetworkACLList",
        "deleteVPC",
        "disableStaticNat",
        "disassociateIpAddress",
        "enableStaticNat",
        "listEgressFirewallRules",
        "listFirewallRules",
        "listNetworkACLLists",
        "listNetworkACLs",
        "listNetworkOfferings",
        "listPublicIpAddresses",
        "listTags",
        "listVPCOfferings",
        "listVPCs",
        "replaceNetworkACLList",
    ),
}
"""What Isthmus does, each with the commands that it needs for it."""
JUDGE = ("getUser", "getUserKeys")
"""What finds out who signed: an administrator has it. `listUserKeys` is not needed before CloudStack 4.23."""


@dataclass(frozen=True, slots=True)
class SeenZone:
    name: str
    grouped: bool
    """Whether it has security groups; else VPCs."""
    enabled: bool


@dataclass(frozen=True, slots=True)
class SeenDisk:
    """A disk offering whose size, and with `iops` whose speed, is chosen for each volume."""

    name: str
    iops: bool


@dataclass(frozen=True, slots=True)
class Survey:
    owner: Owner
    version: str
    """CloudStack's own, or empty if it does not tell."""
    zones: Sequence[SeenZone]
    sizes: Sequence[Flavor]
    disks: Sequence[SeenDisk]
    templates: int
    """How many can be launched."""
    expunges: bool
    """Whether the account may expunge what it destroys."""
    lacks: Mapping[str, tuple[str, ...]]
    """What the keys cannot be used for, each with the commands that they do not have."""
    judges: bool
    """Whether the keys are an administrator's, who may find out who signed."""


def look(url: str, api: str, secret: str, *, verify: bool | str = True) -> Survey:
    """Ask with a pair of keys. Raises Faults."""
    with _client(url, api, secret, verify) as client:
        whose = owner(client, api)
        may, capable = _commands(client), _capabilities(client)
        zones = [
            SeenZone(one["name"], bool(one.get("securitygroupsenabled")), one.get("allocationstate") == "Enabled")
            for one in client.every("listZones", "zone")
        ]
        return Survey(
            owner=whose,
            version=str(capable.get("cloudstackversion", "")),
            zones=zones,
            sizes=_sizes(client),
            disks=_disks(client),
            templates=len(
                {one["id"] for one in client.every("listTemplates", "template", templatefilter="executable")}
            ),
            expunges=bool(capable.get("allowuserexpungerecovervm")),
            lacks=lacking(may, zones),
            judges=may.issuperset(JUDGE),
        )


def whose(url: str, api: str, secret: str, native: str = "", *, verify: bool | str = True) -> Registered:
    """Whose keys a pair is, by a call that it signs; or who the tenant `native` is, if that is a project of the user's.

    Raises Faults: Denied if CloudStack does not take it.
    """
    with _client(url, api, secret, verify) as client:
        user = owner(client, api)
        found = project(client, native) if native not in ("", user.tenant) else None
        known = of_project(user, found) if found else user
        return Registered(known.tenant, known.name, Keys(api, secret).login)


def lacking(may: set[str], zones: Sequence[SeenZone]) -> Mapping[str, tuple[str, ...]]:
    """What of `RIGHTS` is not among the commands; security groups and VPCs only for zones that have such."""
    kinds = {GROUPED if one.grouped else ROUTED for one in zones}
    found = {what: tuple(sorted(set(commands) - may)) for what, commands in RIGHTS.items()}
    return {what: gone for what, gone in found.items() if gone and what not in {GROUPED, ROUTED} - kinds}


@contextmanager
def _client(url: str, api: str, secret: str, verify: bool | str) -> Iterator[Client]:
    wire = Wire(url, verify=verify)
    try:
        yield Client(wire, Keys(api, secret))
    finally:
        wire.close()


def _commands(client: Client) -> set[str]:
    """It has no pages."""
    return {one["name"] for one in client.read("listApis").get("api", ())}


def _capabilities(client: Client) -> Item:
    """Empty for keys that may not ask."""
    try:
        found: Item = client.read("listCapabilities").get("capability", {})
    except (Denied, Unsupported):
        return {}
    return found


def _sizes(client: Client) -> Sequence[Flavor]:
    """Service offerings that have a size of their own."""
    return [
        Flavor(one["id"], one["name"], one["cpunumber"], one["memory"])
        for one in client.every("listServiceOfferings", "serviceoffering")
        if not one.get("iscustomized") and one.get("cpunumber") and one.get("memory")
    ]


def _disks(client: Client) -> Sequence[SeenDisk]:
    return [
        SeenDisk(one["name"], bool(one.get("iscustomizediops")))
        for one in client.every("listDiskOfferings", "diskoffering")
        if one.get("iscustomized")
    ]
