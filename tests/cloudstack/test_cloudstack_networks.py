"""The emulator's VPCs, public addresses, snapshots and users, by another's client."""

from __future__ import annotations

from typing import Any

import cs
import pytest


@pytest.fixture
def them(emulator: Any, account: Any) -> Any:
    return user_of(emulator, account)


def user_of(emulator: Any, account: Any) -> Any:
    asked = {"method": "post", "poll_interval": 0.01, "fetch_result": True}
    return cs.CloudStack(endpoint=emulator.url, key=account.api, secret=account.secret, **asked)


@pytest.fixture
def vpc(them: Any) -> Any:
    [zone], [offering] = them.listZones(fetch_list=True), them.listVPCOfferings(fetch_list=True)
    asked = {"zoneid": zone["id"], "vpcofferingid": offering["id"], "displaytext": "v"}
    return them.createVPC(name="v", cidr="10.5.0.0/16", **asked)["vpc"]


@pytest.fixture
def tier(them: Any, vpc: Any) -> Any:
    return new_tier(them, vpc, "10.5.1.1")


def new_tier(them: Any, vpc: Any, gateway: str, **more: Any) -> Any:
    [offering] = them.listNetworkOfferings(forvpc=True, fetch_list=True)
    asked = {"zoneid": vpc["zoneid"], "networkofferingid": offering["id"], "vpcid": vpc["id"]}
    return them.createNetwork(name="t", gateway=gateway, netmask="255.255.255.0", **asked, **more)["network"]


def deployed(them: Any, **more: Any) -> Any:
    [zone], [template] = them.listZones(fetch_list=True), them.listTemplates(templatefilter="featured", fetch_list=True)
    [offering] = them.listServiceOfferings(name="Tiny", fetch_list=True)
    asked = {"zoneid": zone["id"], "templateid": template["id"], "serviceofferingid": offering["id"]}
    return them.deployVirtualMachine(**asked, **more)["virtualmachine"]


def refused(call: Any, words: str, **asked: Any) -> None:
    with pytest.raises(cs.CloudStackException, match=words):
        call(**asked)


def test_a_vpc_has_tiers_that_lie_within_it(them, vpc, tier):
    assert [tier["id"]] == [one["id"] for one in them.listVPCs(fetch_list=True)[0]["network"]]
    assert "10.5.1.0/24" == tier["cidr"]
    with pytest.raises(cs.CloudStackException, match="not within"):
        new_tier(them, vpc, "10.6.1.1")
    with pytest.raises(cs.CloudStackException, match="crosses"):
        new_tier(them, vpc, "10.5.1.1")
    refused(them.deleteVPC, "active networks", id=vpc["id"])

    them.deleteNetwork(id=tier["id"])
    them.deleteVPC(id=vpc["id"])

    assert [] == them.listVPCs(fetch_list=True)


def test_a_tier_denies_all_unless_it_has_another_list(them, vpc, tier):
    named = {one["name"]: one["id"] for one in them.listNetworkACLLists(fetch_list=True)}
    assert {"default_allow", "default_deny"} == named.keys()
    assert named["default_deny"] == tier["aclid"]

    own = them.createNetworkACLList(name="own", vpcid=vpc["id"])["networkacllist"]["id"]
    asked = {"aclid": own, "protocol": "tcp", "startport": 22, "endport": 22, "cidrlist": "0.0.0.0/0"}
    item = them.createNetworkACL(**asked, number=10, action="allow", traffictype="ingress")["networkacl"]
    refused(them.createNetworkACL, "already exists", **asked, number=10)
    them.replaceNetworkACLList(aclid=own, networkid=tier["id"])

    assert own == them.listNetworks(id=tier["id"], fetch_list=True)[0]["aclid"]
    assert [10] == [one["number"] for one in them.listNetworkACLs(aclid=own, fetch_list=True)]
    refused(them.deleteNetworkACLList, "still associated", id=own)
    them.deleteNetworkACL(id=item["id"])
    them.replaceNetworkACLList(aclid=named["default_allow"], networkid=tier["id"])
    them.deleteNetworkACLList(id=own)


def test_a_public_address_is_of_one_vpc_and_one_machine(them, vpc, tier):
    machine = deployed(them, networkids=[tier["id"]])
    elsewhere = deployed(them)
    address = them.associateIpAddress(vpcid=vpc["id"])["ipaddress"]
    refused(them.enableStaticNat, "not in the", ipaddressid=address["id"], virtualmachineid=elsewhere["id"])

    them.enableStaticNat(ipaddressid=address["id"], virtualmachineid=machine["id"])

    [told] = them.listVirtualMachines(id=machine["id"], fetch_list=True)
    assert address["ipaddress"] == told["publicip"]
    refused(them.enableStaticNat, "already assigned", ipaddressid=address["id"], virtualmachineid=machine["id"])
    refused(them.deleteNetwork, "still has instances", id=tier["id"])
    them.disableStaticNat(ipaddressid=address["id"])
    them.disassociateIpAddress(id=address["id"])
    assert [] == them.listPublicIpAddresses(fetch_list=True)


def test_machines_without_a_network_are_in_an_isolated_one_that_is_made(them):
    first, second = deployed(them), deployed(them)

    assert first["nic"][0]["networkid"] == second["nic"][0]["networkid"]
    [network] = them.listNetworks(fetch_list=True)
    assert "Isolated" == network["type"]


def test_a_zone_with_security_groups_has_no_vpcs(grouped):
    them = user_of(grouped, grouped.world.new_account("demo"))
    [zone], [offering] = them.listZones(fetch_list=True), them.listVPCOfferings(fetch_list=True)

    refused(
        them.createVPC, "not supported", name="v", zoneid=zone["id"], vpcofferingid=offering["id"], cidr="10.5.0.0/16"
    )


def test_a_volume_that_no_machine_had_has_no_snapshots(them):
    machine = deployed(them)
    [root] = them.listVolumes(virtualmachineid=machine["id"], fetch_list=True)
    [offering], [zone] = them.listDiskOfferings(name="Small", fetch_list=True), them.listZones(fetch_list=True)
    other = them.createVolume(name="v", zoneid=zone["id"], diskofferingid=offering["id"])["volume"]

    made = them.createSnapshot(volumeid=root["id"])["snapshot"]

    assert [(made["id"], "BackedUp")] == [(one["id"], one["state"]) for one in them.listSnapshots(fetch_list=True)]
    refused(them.createSnapshot, "not in Ready", volumeid=other["id"])
    them.deleteSnapshot(id=made["id"])
    assert [] == them.listSnapshots(fetch_list=True)


def test_an_administrator_finds_who_has_a_key_and_its_secret(emulator, account, stranger):
    root = user_of(emulator, emulator.world.new_account("root", "Admin"))

    user = root.getUser(userapikey=account.api)["user"]

    assert ("demo", account.secret) == (user["account"], root.getUserKeys(id=user["id"])["userkeys"]["secretkey"])
    them = user_of(emulator, stranger)
    refused(them.getUserKeys, "permission", id=user["id"])
    refused(them.getUser, "not available", userapikey=account.api)
    refused(root.getUser, "does not exist", userapikey="nobody")
