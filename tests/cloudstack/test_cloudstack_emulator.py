"""Whether the emulator is a CloudStack: clients that others wrote use it, and it refuses what is not CloudStack's."""

from __future__ import annotations

from typing import Any

import cs
import httpx
import pytest
from emulators.cloudstack.contract import commands
from emulators.cloudstack.world import EXPUNGED, Refusal
from libcloud.compute.providers import get_driver
from libcloud.compute.types import Provider

from isthmus import errors
from isthmus.providers.cloudstack.client import Client, Wire
from isthmus.providers.cloudstack.signing import Keys, signed


def test_it_has_the_commands_of_cloudstack() -> None:
    assert 879 == len(commands())
    assert commands()["deployvirtualmachine"].asynchronous


def test_cs_makes_lists_and_deletes(emulator: Any, account: Any) -> None:
    them = cs.CloudStack(
        endpoint=emulator.url, key=account.api, secret=account.secret, method="post", poll_interval=0.01
    )
    [zone] = them.listZones(fetch_list=True)
    [offering] = them.listDiskOfferings(name="Custom", fetch_list=True)

    made = them.createVolume(name="a b*c", zoneid=zone["id"], diskofferingid=offering["id"], size=2, fetch_result=True)[
        "volume"
    ]

    assert [(made["id"], "a b*c", 2 << 30)] == [
        (one["id"], one["name"], one["size"]) for one in them.listVolumes(fetch_list=True)
    ]
    them.deleteVolume(id=made["id"])
    assert [] == them.listVolumes(fetch_list=True)


def test_libcloud_makes_lists_and_deletes(emulator: Any, account: Any) -> None:
    """It has no word for a success that is a boolean."""
    them = libcloud(emulator, account)
    [zone] = them.list_locations()

    pair = them.create_key_pair("k")
    made = them.create_volume(3, "v", location=zone)

    assert "PRIVATE KEY" in pair.private_key
    assert ["k"] == [one.name for one in them.list_key_pairs()]
    assert [(made.id, 3 << 30)] == [(one.id, one.size) for one in them.list_volumes()]
    them.destroy_volume(made)
    them.delete_key_pair(pair)
    assert ([], []) == (them.list_volumes(), them.list_key_pairs())


def test_cs_follows_the_classic_recipe(grouped: Any) -> None:
    account = grouped.world.new_account("demo")
    them = cs.CloudStack(
        endpoint=grouped.url,
        key=account.api,
        secret=account.secret,
        method="post",
        poll_interval=0.01,
        fetch_result=True,
    )
    [zone], [template] = them.listZones(fetch_list=True), them.listTemplates(templatefilter="featured", fetch_list=True)
    [offering] = them.listServiceOfferings(name="Tiny", fetch_list=True)
    them.createSSHKeyPair(name="k")
    group = them.createSecurityGroup(name="web")["securitygroup"]
    them.authorizeSecurityGroupIngress(
        securitygroupid=group["id"], protocol="tcp", startport=22, endport=22, cidrlist="0.0.0.0/0,10.0.0.0/8"
    )
    machine = them.deployVirtualMachine(
        zoneid=zone["id"],
        templateid=template["id"],
        serviceofferingid=offering["id"],
        keypairs=["k"],
        securitygroupids=[group["id"]],
        userdata="IyEvYmluL3NoCg==",
    )["virtualmachine"]
    known = machine["id"]
    them.createTags(resourceids=known, resourcetype="UserVm", tags=[{"key": "Name", "value": "first"}])

    [found] = them.listVirtualMachines(fetch_list=True)
    assert ("Running", "k", "web", "first") == (
        found["state"],
        found["keypairs"],
        found["securitygroup"][0]["name"],
        found["tags"][0]["value"],
    )
    [told] = them.listSecurityGroups(id=group["id"], fetch_list=True)
    assert ["0.0.0.0/0", "10.0.0.0/8"] == [one["cidr"] for one in told["ingressrule"]]
    with pytest.raises(cs.CloudStackException, match="already on"):
        them.createTags(resourceids=known, resourcetype="UserVm", tags=[{"key": "Name", "value": "second"}])

    them.stopVirtualMachine(id=known)
    with pytest.raises(cs.CloudStackException, match="state Stopped"):
        them.rebootVirtualMachine(id=known)
    them.startVirtualMachine(id=known)
    them.rebootVirtualMachine(id=known)
    them.destroyVirtualMachine(id=known)

    assert ([], []) == (them.listVirtualMachines(fetch_list=True), them.listVolumes(fetch_list=True))
    with pytest.raises(cs.CloudStackException, match="in use"):
        them.deleteSecurityGroup(id=group["id"])


def test_what_was_destroyed_holds_its_group_for_a_day(grouped: Any) -> None:
    account = grouped.world.new_account("demo")
    wire = Wire(grouped.url)
    client = Client(wire, Keys(account.api, account.secret))
    group = client.do("createSecurityGroup", name="web")["securitygroup"]["id"]
    machine = deployed(client, securitygroupids=[group])
    client.do("destroyVirtualMachine", id=machine)
    with pytest.raises(errors.Conflict):
        client.do("deleteSecurityGroup", "firewall", group, id=group)

    grouped.world.destroyed[machine] -= EXPUNGED

    client.do("deleteSecurityGroup", "firewall", group, id=group)
    wire.close()


def test_libcloud_makes_a_machine_and_destroys_it(emulator: Any, account: Any) -> None:
    them = libcloud(emulator, account)
    [zone], sizes, images = them.list_locations(), them.list_sizes(), them.list_images()

    node = them.create_node(name="first", size=sizes[0], image=images[0], location=zone, ex_start_vm=True)

    assert [("first", "running")] == [(one.name, one.state) for one in them.list_nodes()]
    them.ex_stop(node)
    assert ["stopped"] == [one.state for one in them.list_nodes()]
    them.ex_start(node)
    them.reboot_node(node)
    volume = them.create_volume(1, "v", location=zone)
    them.attach_volume(node, volume)
    assert [node.id] == [one.extra["instance_id"] for one in them.list_volumes(node) if one.name == "v"]
    them.detach_volume(volume)
    them.destroy_node(node)
    assert [] == them.list_nodes()


def test_a_machine_that_cannot_be_started_is_an_error(client: Client, cloud: Any) -> None:
    cloud.wrong_next("deployVirtualMachine job", Refusal(533, "Unable to create a deployment for VM"))

    with pytest.raises(errors.NoCapacity):
        deployed(client)

    assert ["Error"] == [one["state"] for one in client.every("listVirtualMachines", "virtualmachine")]


def test_groups_are_for_zones_that_have_them(client: Client) -> None:
    group = client.do("createSecurityGroup", name="web")["securitygroup"]["id"]

    with pytest.raises(errors.Invalid, match="not enabled"):
        deployed(client, securitygroupids=[group])


def deployed(client: Client, **more: Any) -> str:
    """The id of a new machine."""
    [zone] = client.every("listZones", "zone")
    [template] = client.every("listTemplates", "template", templatefilter="featured")
    [offering] = client.every("listServiceOfferings", "serviceoffering", name="Tiny")
    asked = {"zoneid": zone["id"], "templateid": template["id"], "serviceofferingid": offering["id"], **more}
    return str(client.do("deployVirtualMachine", "server", "", **asked)["virtualmachine"]["id"])


def libcloud(emulator: Any, account: Any) -> Any:
    """Its driver. It signs with version 1, and sends all by GET."""
    emulator.posts = False
    url = httpx.URL(emulator.url)
    driver = get_driver(Provider.CLOUDSTACK)
    return driver(account.api, account.secret, host=url.host, port=url.port, path=url.path, secure=False)


@pytest.mark.parametrize(
    ("command", "params", "words"),
    [
        ("listVolumes", {"colour": "red"}, "unknown parameter colour"),
        ("listVolumes", {"id": "5"}, "no uuid"),
        ("listVolumes", {"listall": "yes"}, "no boolean"),
        ("listVolumes", {"page": "1"}, "page and pagesize"),
        ("listVolumes", {"hostid": "x"}, "no uuid"),
        ("createSSHKeyPair", {}, "missing parameter name"),
        ("createSSHKeyPair", {"name": "x" * 256}, "too long"),
        ("listVolumes", {"displayvolume": "true"}, "not for users"),
    ],
)
def test_what_the_contract_does_not_know_is_refused(client: Client, command: str, params: Any, words: str) -> None:
    with pytest.raises(errors.Invalid, match=words):
        client.begin(command, **params)


@pytest.mark.parametrize("command", ["makeCoffee", "addHost"])
def test_what_is_no_command_for_users_is_refused(client: Client, command: str) -> None:
    with pytest.raises(errors.Unauthorized, match="not available"):
        client.begin(command)


def test_state_is_changed_by_post_alone(emulator: Any, account: Any, cloud: Any) -> None:
    keys = Keys(account.api, account.secret)
    asked = signed(keys, {"command": "createSSHKeyPair", "name": "k", "response": "json"}, cloud.now())

    assert 430 == httpx.get(emulator.url, params=asked).status_code


@pytest.mark.parametrize("keys", [Keys("nobody", "x"), None])
def test_who_does_not_sign_rightly_is_refused(wire: Wire, account: Any, keys: Keys | None) -> None:
    with pytest.raises(errors.Denied):
        Client(wire, keys or Keys(account.api, "another")).read("listZones")


def test_a_request_that_has_expired_is_refused(client: Client, cloud: Any) -> None:
    cloud.pass_by(600)

    with pytest.raises(errors.Denied):
        client.read("listZones")
