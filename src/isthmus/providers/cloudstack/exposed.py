"""Subnets that are not filtered by their security groups: those whose filters were there before Isthmus came.

Nobody's traffic is cut because Isthmus looks at a VPC: the lists of its tiers are replaced with the first change that
is asked for there. Until then the operator is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from isthmus.errors import Fault
from isthmus.providers import Finding, Tenants
from isthmus.providers.cloudstack import tiers
from isthmus.providers.cloudstack.client import Client, Item
from isthmus.together import together

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack

_ALL_PROJECTS = "-1"


def check(cloud: CloudStack, tenants: Tenants) -> Iterator[Finding]:
    """Each such subnet of these tenants: by their own keys, else by the administrator's.

    Nothing for zones with security groups.
    """
    if cloud.options.security_groups:
        return
    for native, secrets in tenants.items():
        if secrets:
            yield from _tried(partial(_of_tenant, cloud, native, secrets), f"the tenant {native}")
    rest = [native for native, secrets in tenants.items() if not secrets]
    if rest and (client := cloud.administrator()):
        yield from _tried(partial(_seen, cloud, client, rest), "the accounts whose keys are not kept")


def _tried(look: Callable[[], list[Finding]], whose: str) -> list[Finding]:
    try:
        return look()
    except Fault as fault:
        return [Finding(f"the filters of {whose} cannot be looked at: {fault}", mended=False)]


def _of_tenant(cloud: CloudStack, native: str, secrets: Mapping[str, Any]) -> list[Finding]:
    tenant = cloud.kept(native, secrets)
    networks, lists = together(
        partial(tenant.all, "listNetworks", "network"),
        partial(tenant.client.every, "listNetworkACLLists", "networkacllist"),
    )
    return list(_open(cloud, networks, lists))


def _seen(cloud: CloudStack, client: Client, natives: Sequence[str]) -> list[Finding]:
    """Of what an administrator is shown, that of these tenants."""
    ways: Sequence[Mapping[str, str]] = ({}, {"projectid": _ALL_PROJECTS})
    lists, networks = (
        {one["id"]: one for way in ways for one in client.every(command, key, listall=True, **way)}.values()
        for command, key in (("listNetworkACLLists", "networkacllist"), ("listNetworks", "network"))
    )
    accounts = client.every("listAccounts", "account", listall=True)
    named = {(one["name"], one["domainid"]): one["id"] for one in accounts}

    def whose(item: Item) -> str:
        return str(item.get("projectid") or named.get((item.get("account"), item.get("domainid")), ""))

    return list(_open(cloud, [one for one in networks if whose(one) in natives], lists))


def _open(cloud: CloudStack, networks: Iterable[Item], lists: Iterable[Item]) -> Iterator[Finding]:
    """Tiers of VPCs whose filters are not Isthmus's."""
    others = {one["id"]: one["name"] for one in lists if not tiers.is_own(one) and one["name"] != tiers.DENY}
    here = [one for one in networks if one.get("vpcid") and one["zonename"] in cloud.zones]
    for tier in here:
        if acl := others.get(tier.get("aclid", "")):
            vpc, whose = tier.get("vpcname") or tier["vpcid"], tier.get("project") or tier.get("account", "")
            what = f"the subnet {tier['name']} of the VPC {vpc} of {whose} is filtered by the list {acl}"
            yield Finding(f"{what} and not by its security groups, until something changes in its VPC", mended=False)
