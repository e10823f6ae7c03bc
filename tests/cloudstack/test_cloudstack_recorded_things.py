"""Each thing that real CloudStacks once told of, in a list, at once or as what a job has done, is taken by the parser
of its kind; what no parser takes is named here, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pytest
from replaying import ANSWERS, Answer, Replayed, listing, named, said, things
from test_cloudstack_recorded import REFUSALS

from isthmus.model import Direction
from isthmus.providers.cloudstack import affinity, isolated, offerings, projects, rulebook, survey, tiers
from isthmus.providers.cloudstack.client import Item
from isthmus.providers.cloudstack.credentials import Credentials, owner
from isthmus.providers.cloudstack.grounds import default_network, grounds
from isthmus.providers.cloudstack.machines import GONE
from isthmus.providers.cloudstack.signing import Keys
from isthmus.providers.cloudstack.survey import JUDGE, RIGHTS

Items = Sequence[Item]
JOB = "queryasyncjobresult"


def ids(items: Iterable[Item]) -> list[str]:
    return sorted(str(one["id"]) for one in items)


def replayed(command: str, name: str, items: Items, **more: Any) -> Replayed:
    return Replayed({command.lower(): listing(command, name, items)}, **more)


def zones_of(items: Items) -> tuple[list[str], Mapping[str, Answer]]:
    """The names of the zones that things are in, and the answer that lists these."""
    found = {one["zonename"]: {"id": one["zoneid"], "name": one["zonename"]} for one in items if "zonename" in one}
    return list(found), {"listzones": listing("listZones", "zone", list(found.values()))}


def natives(command: str, name: str, listed: Callable[[Any], Iterable[Any]]) -> Callable[[Items], None]:
    """That each thing of a list is one of ours, under its own id."""

    def take(items: Items) -> None:
        made = replayed(command, name, items)
        known = {one["name"] if name == "sshkeypair" else str(one["id"]) for one in items}
        assert sorted(known) == sorted(str(one.native) for one in listed(made.session))

    return take


def machines(items: Items) -> None:
    """But those that are gone."""
    items = [one for one in items if one["state"] not in GONE]
    for groups in (True, False):
        made = replayed("listVirtualMachines", "virtualmachine", items, groups=groups)
        assert ids(items) == sorted(str(one.native) for one in made.session.compute.list_servers())


def isos(items: Items) -> None:
    made = replayed("listIsos", "iso", items)
    assert ids(items) == [one.native for one in made.session.images.list_images()]


def zones(items: Items) -> None:
    known = {one["name"]: one.get("allocationstate", "Enabled") == "Enabled" for one in items}
    groups = any(one["securitygroupsenabled"] for one in items)

    made = replayed("listZones", "zone", items, zones=["elsewhere", *known], groups=groups)

    assert {"elsewhere": False, **known} == {one.name: one.available for one in made.session.compute.list_zones()}


def offered(command: str, name: str, choose: Callable[[Replayed, str], Item]) -> Callable[[Items], None]:
    """That the operator's settings can name each of the offerings."""

    def take(items: Items) -> None:
        made = replayed(command, name, items)
        assert ids(items) == ids(choose(made, one["id"]) for one in items)

    return take


def vpcs(items: Items) -> None:
    made = replayed("listVPCs", "vpc", items, groups=False)
    found = {one.native: one for one in made.session.networks.list_networks() if not one.default}
    assert {one["id"]: one["cidr"] for one in items} == {native: one.cidr for native, one in found.items()}


def networks(items: Items) -> None:
    """Shared ones are subnets in zones with security groups, others in those without."""
    names, listed = zones_of(items)
    answers = {**listed, "listnetworks": listing("listNetworks", "network", items)}
    apart = Replayed(answers, names, groups=False)
    found = [one.item for one in grounds(apart.client, apart.cloud, apart.tenant) if one.item]
    shared = [one for one in items if one["type"] == "Shared"]
    answers["listnetworks"] = listing("listNetworks", "network", shared)
    subnets = Replayed(answers, names).session.networks.list_subnets()

    assert ids(one for one in items if one["type"] == "Isolated" or one.get("vpcid")) == ids(found)
    assert ids(one for one in shared if one.get("cidr")) == sorted(one.native.partition(":")[0] for one in subnets)


def addresses(items: Items) -> None:
    made = replayed("listPublicIpAddresses", "publicipaddress", items, groups=False)
    assert made.session.addresses
    known = {str(one["id"]): one["ipaddress"] for one in items if not one.get("issourcenat")}
    assert known == {str(one.native): one.address for one in made.session.addresses.list_addresses()}


def acl_items(items: Items) -> None:
    for one in items:
        row = tiers._row(one)
        assert (row.way, row.action) == (one["traffictype"].lower(), one["action"].lower())
        assert (row.opening.protocol, row.opening.cidrs) == (one["protocol"].lower(), (one["cidrlist"],))


def acl_lists(items: Items) -> None:
    made = replayed("listNetworkACLLists", "networkacllist", items, groups=False)
    closed = {one["id"] for one in items if one["name"] == tiers.DENY}
    assert closed == made.session.networks._closed()  # type: ignore[union-attr]
    assert not any(tiers.is_own(one) for one in items)


def rules(items: Items) -> None:
    for one in items:
        going = "networkid" in one and "ipaddressid" not in one
        rule = (isolated.OUT if going else isolated.IN).read(one)
        assert str(one["networkid" if going else "ipaddressid"]) == rule.at
        assert rule.opening.direction is (Direction.EGRESS if going else Direction.INGRESS)
        assert (one["cidrlist"],) == rule.sources
        asked = {"startport", "endport", "icmptype", "icmpcode"} & one.keys()
        assert {name: int(one[name]) for name in asked} == {name: rule.opening.said[name] for name in asked}


def systems(items: Items) -> None:
    for one in items[:: len(items) // 10 or 1]:
        made = replayed("listOsTypes", "ostype", items, os_type=one["description"])
        named = {str(each["id"]) for each in items if each["description"] == one["description"]}
        assert made.session.images._os_type() in named


def affinities(items: Items) -> None:
    made = replayed("listAffinityGroups", "affinitygroup", items)
    assert {one["name"]: one["id"] for one in items} == affinity._named(made.tenant, "x")


def users(items: Items) -> None:
    for one in items:
        made = replayed("listUsers", "user", [one])
        whose = owner(made.client, one.get("apikey", ""))
        assert (one["id"], one["accountid"], one["account"]) == (whose.user, whose.tenant, whose.name)


def accounts(items: Items) -> None:
    made = replayed("listAccounts", "account", items)
    limits = made.session.quotas().values()
    assert all(one >= 0 for one in limits)


def their_projects(items: Items) -> None:
    made = replayed("listProjects", "project", items)
    assert ids(items) == ids(found for one in items if (found := projects.project(made.client, one["id"])))


def capabilities(items: Items) -> None:
    made = Replayed({"listcapabilities": {"listcapabilitiesresponse": {"capability": items[0]}}})
    assert items[0] == survey._capabilities(made.client)


def apis(items: Items) -> None:
    assert {one["name"] for one in items} == survey._commands(replayed("listApis", "api", items).client)


def tags(items: Items) -> None:
    """Those that Isthmus has not written say nothing of groups."""
    made = replayed("listTags", "tag", items, groups=False)
    assert {rulebook.default_group(default_network(made.tenant))} == rulebook.read(made.tenant).keys()


def passwords(items: Items) -> None:
    [machine] = things("ec2stack/valid_get_instance_by_id")["virtualmachine"]
    listed = listing("listVirtualMachines", "virtualmachine", [{**machine, "passwordenabled": True}])
    told = {"getvmpasswordresponse": {"password": items[0]}}
    made = Replayed({"listvirtualmachines": listed, "getvmpassword": told})
    assert items[0]["encryptedpassword"] == made.session.compute.password_data(machine["id"])


def pairs(items: Items) -> None:
    made = Replayed({"getuserkeys": {"getuserkeysresponse": {"userkeys": items[0]}}})
    judge = Credentials(made.wire, Keys("", ""))
    assert items[0]["secretkey"] == judge._pair(made.client, "user", items[0]["apikey"])


PARSERS: Mapping[str, Callable[[Items], None]] = {
    "account": accounts,
    "affinitygroup": affinities,
    "api": apis,
    "capability": capabilities,
    "diskoffering": offered(
        "listDiskOfferings", "diskoffering", lambda made, one: offerings.disk(made.tenant, {"t": one}, "t")
    ),
    "firewallrule": rules,
    "ipaddress": addresses,
    "iso": isos,
    "network": networks,
    "networkacl": acl_items,
    "networkacllist": acl_lists,
    "networkoffering": offered(
        "listNetworkOfferings", "networkoffering", lambda made, one: offerings.tier(made.tenant, one)
    ),
    "ostype": systems,
    "password": passwords,
    "project": their_projects,
    "securitygroup": natives("listSecurityGroups", "securitygroup", lambda one: one.firewalls.list_firewalls()),
    "serviceoffering": natives("listServiceOfferings", "serviceoffering", lambda one: one.compute.list_flavors()),
    "snapshot": natives("listSnapshots", "snapshot", lambda one: one.volumes.list_snapshots()),
    "sshkeypair": natives("listSSHKeyPairs", "sshkeypair", lambda one: one.keys.list_keys()),
    "tag": tags,
    "template": natives("listTemplates", "template", lambda one: one.images.list_images()),
    "user": users,
    "userkeys": pairs,
    "virtualmachine": machines,
    "volume": natives("listVolumes", "volume", lambda one: one.volumes.list_volumes()),
    "vpc": vpcs,
    "vpcoffering": offered("listVPCOfferings", "vpcoffering", lambda made, one: offerings.vpc(made.tenant, one)),
    "zone": zones,
}
"""By what they are: what takes such things."""
OPERATORS = "an operator's, of which Isthmus neither tells nor changes anything"
NOT_SERVED = "nothing that Isthmus makes in a CloudStack, or tells of"
UNPARSED: Mapping[str, str] = {
    **dict.fromkeys(("annotation", "asyncjobs", "customcertificate", "domain", "router"), OPERATORS),
    **dict.fromkeys(("cluster", "dedicatedcluster", "host", "hostha", "hypervisorCapabilities"), OPERATORS),
    **dict.fromkeys(("configuration", "dedicatedguestvlanrange", "imagestore", "physicalnetwork"), OPERATORS),
    **dict.fromkeys(("outofbandmanagement", "storagepool", "vlan", "vlaniprange"), OPERATORS),
    **dict.fromkeys(
        ("clusterconfig", "getuploadparams", "kubernetescluster", "kubernetessupportedversion"), NOT_SERVED
    ),
    **dict.fromkeys(("loadbalancer", "loadbalancerrule", "loadbalancerruleinstance"), NOT_SERVED),
    **dict.fromkeys(("vpnconnection", "vpncustomergateway", "vpngateway"), NOT_SERVED),
    "affinityGroupType": "placement groups are of one type",
    "ipforwardingrule": "elastic IPs are by static NAT, whose rules are those of the address",
    "nic": "interfaces are told of with their machines",
    "portforwardingrule": "elastic IPs are by static NAT",
    "projectrolepermission": "roles are CloudStack's to judge",
    "resourcelimit": "limits are told of with accounts and projects",
}
"""What no parser takes, with the reason."""
OF_INTERFACES = "what changed an interface tells a part of its machine, and Isthmus does not ask for that"
BY_HAND = "shortened to what a machine has anew that was scaled or restored, which Isthmus does not ask for"
PARTS: Mapping[str, str] = {
    "go/VirtualMachineService/addNicToVirtualMachine": OF_INTERFACES,
    "go/VirtualMachineService/listVirtualMachinesUsageHistory": "what machines have used, which is not asked for",
    "libcloud/queryAsyncJobResult_88776": BY_HAND,
    "libcloud/queryAsyncJobResult_88777": BY_HAND,
    "libcloud/queryAsyncJobResult_addnictovm": OF_INTERFACES,
    "libcloud/queryAsyncJobResult_removenic": OF_INTERFACES,
}
"""Answers with parts of virtual machines, with the reason why no parser of ours is to take them."""
EMPTY = {
    "login": "Isthmus signs each request",
    "logout": "Isthmus signs each request",
}
"""Commands whose answers have neither things, nor a job, nor a success."""
TAKEN = sorted(key for key in ANSWERS.keys() - REFUSALS.keys())
EACH = [(key, name) for key in TAKEN for name in sorted(things(key)) if name in PARSERS and key not in PARTS]


@pytest.mark.parametrize(("key", "name"), EACH)
def test_a_thing_is_understood(key: str, name: str) -> None:
    PARSERS[name](things(key)[name])


@pytest.mark.parametrize("key", TAKEN)
def test_every_thing_has_a_parser_or_a_reason_to_have_none(key: str) -> None:
    found = things(key)

    assert not found.keys() - PARSERS.keys() - UNPARSED.keys()
    if not found and said(key):
        assert {"jobid", "success"} & said(key).keys() or named(key) in EMPTY, key


def test_reasons_are_given_for_nothing_else() -> None:
    there = {name for key in TAKEN for name in things(key)}

    assert there == PARSERS.keys() | UNPARSED.keys()
    assert not PARSERS.keys() & UNPARSED.keys()
    assert set(PARTS) <= set(TAKEN)
    for key in PARTS:
        with pytest.raises(KeyError):
            machines(things(key)["virtualmachine"])
    assert set(EMPTY) <= {named(key) for key in TAKEN}


def test_what_isthmus_asks_for_is_parsed() -> None:
    """No answer to a list that Isthmus asks for is left out, whatever is in it."""
    ours = {one.lower() for needed in RIGHTS.values() for one in needed} | {one.lower() for one in JUDGE}

    left = {named(key): name for key in TAKEN if named(key) in ours - {JOB} for name in things(key) if name in UNPARSED}
    assert {} == left
