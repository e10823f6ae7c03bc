"""Apache Libcloud's EC2 driver, and those for clouds that spoke EC2's API: Eucalyptus and Outscale.

They send GET requests, signed the old way unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from served import Account, eventually

pytestmark = pytest.mark.clients

libcloud = pytest.importorskip("libcloud", reason="apache-libcloud is not installed")
from libcloud.common.exceptions import BaseHTTPError  # noqa: E402
from libcloud.compute.base import NodeImage, NodeSize  # noqa: E402
from libcloud.compute.drivers.ec2 import EC2NodeLocation  # noqa: E402
from libcloud.compute.providers import get_driver  # noqa: E402
from libcloud.compute.types import NodeState, Provider  # noqa: E402

EUCALYPTUS = "/services/Eucalyptus"
DRIVERS: dict[str, Callable[[Account], Any]] = {
    "sigv2": lambda account: _driver(Provider.EC2, account, region="us-east-1"),
    "sigv4": lambda account: _driver(Provider.EC2, account, region="us-east-1", signature_version="4"),
    "eucalyptus": lambda account: _driver(Provider.EUCALYPTUS, account, path=EUCALYPTUS),
    "outscale-sas": lambda account: _driver(Provider.OUTSCALE_SAS, account, region="us-east-1"),
    "outscale-inc": lambda account: _driver(Provider.OUTSCALE_INC, account, region="us-east-1"),
}


def _driver(provider: str, account: Account, **options: Any) -> Any:
    made = get_driver(provider)
    return made(account.access_key, account.secret, secure=False, host="127.0.0.1", port=account.port, **options)


@pytest.fixture(params=DRIVERS)
def driver(account: Account, request: pytest.FixtureRequest) -> Any:
    return DRIVERS[request.param](account)


def test_a_whole_life(driver: Any, image: str) -> None:
    key = driver.create_key_pair("mine")
    assert "mine" == driver.get_key_pair("mine").name
    group = driver.ex_create_security_group("web", "for the web")["group_id"]
    assert driver.ex_authorize_security_group_ingress(group, 22, 22, cidr_ips=["0.0.0.0/0"])

    subnet = driver.ex_list_subnets()[0]
    node = driver.create_node(
        name="one", image=NodeImage(image, "", driver), size=_size(driver), ex_keyname="mine",
        ex_security_group_ids=[group], ex_subnet=subnet, ex_metadata={"Role": "web"}, ex_userdata="#!/bin/sh\n",
    )  # fmt: skip
    eventually(lambda: _state(driver, node), lambda state: state == "running")
    [seen] = driver.list_nodes()
    assert NodeState.RUNNING == seen.state
    assert ["one", "web", "mine"] == [seen.name, seen.extra["tags"]["Role"], seen.extra["key_name"]]
    assert driver.ex_create_tags(node, {"Owner": "tests"})
    assert "tests" == driver.ex_describe_tags(node)["Owner"]
    assert "server one" in driver.ex_get_console_output(node)["output"]
    assert driver.reboot_node(node)

    volume = driver.create_volume(1, "data", location=_zone(driver, seen.extra["availability"]))
    eventually(lambda: _volume(driver, volume).extra["state"], lambda state: state == "available")
    assert driver.attach_volume(node, volume, "/dev/sdg")
    eventually(lambda: _volume(driver, volume).extra["attachment_status"], lambda found: found == "attached")
    assert node.id == _volume(driver, volume).extra["instance_id"]
    snapshot = driver.create_volume_snapshot(volume, "as it was")
    eventually(lambda: _snapshot(driver, snapshot).extra["state"], lambda state: state == "completed")
    assert driver.detach_volume(volume)
    eventually(lambda: _volume(driver, volume).extra["state"], lambda state: state == "available")
    assert driver.destroy_volume_snapshot(snapshot)
    assert driver.destroy_volume(volume)

    address = driver.ex_allocate_address("vpc")
    assert driver.ex_associate_address_with_node(node, address, "vpc")
    [held] = driver.ex_describe_all_addresses()
    assert [node.id, address.ip] == [held.instance_id, held.ip]
    assert {address.ip} == set(driver.list_nodes()[0].public_ips)
    assert driver.ex_disassociate_address(held, "vpc")
    assert driver.ex_release_address(held, "vpc")

    assert driver.stop_node(node)
    eventually(lambda: _state(driver, node), lambda state: state == "stopped")
    assert driver.ex_modify_instance_attribute(node, attributes={"InstanceType.Value": "t3.small"})
    assert driver.start_node(node)
    eventually(lambda: _state(driver, node), lambda state: state == "running")
    copy = driver.create_image(node, "copied", reboot=False)
    eventually(lambda: driver.get_image(copy.id).extra["state"], lambda state: state == "available")
    assert driver.delete_image(copy)
    assert driver.destroy_node(node)
    eventually(lambda: _state(driver, node), lambda state: state == "terminated")
    assert driver.ex_delete_security_group_by_id(group)
    assert driver.delete_key_pair(key)


def test_all_listings_are_understood(driver: Any, image: str) -> None:
    assert image in [one.id for one in driver.list_images()]
    assert image == driver.get_image(image).id
    assert driver.ex_list_availability_zones()
    assert ["default"] == [one.name for one in driver.ex_get_security_groups()]
    [network] = driver.ex_list_networks()
    assert {network.id} == {one.extra["vpc_id"] for one in driver.ex_list_subnets()}
    assert [] == driver.list_nodes()
    assert [] == driver.list_volumes()
    assert [] == driver.list_snapshots(owner="self")
    assert [] == driver.list_key_pairs()
    assert [] == driver.ex_describe_all_addresses()


def test_errors_are_understood(driver: Any) -> None:
    with pytest.raises((BaseHTTPError, Exception), match=r"InvalidInstanceID\.NotFound"):
        driver.list_nodes(ex_node_ids=["i-0123456789abcdef0"])


@pytest.mark.parametrize("name", [name for name in DRIVERS if name != "eucalyptus"])
def test_a_size_of_the_drivers_own_table_and_its_first_location_suffice(
    account: Account, image: str, name: str
) -> None:
    driver = DRIVERS[name](account)
    size = next(one for one in driver.list_sizes() if one.id == "t1.micro")
    place = driver.list_locations()[0]
    node = driver.create_node(name="one", image=NodeImage(image, "", driver), size=size, location=place)

    assert ["t1.micro", place.name] == [node.extra["instance_type"], node.extra["availability"]]
    assert driver.destroy_node(node)


@pytest.mark.parametrize("name", ["sigv2", "sigv4"])
def test_the_limits_of_an_account_are_understood(account: Account, name: str) -> None:
    assert DRIVERS[name](account).ex_get_limits()["resource"]


def _size(driver: Any) -> NodeSize:
    """A size that each cloud has: no two of the drivers list the same ones."""
    return NodeSize("t3.micro", "t3.micro", 0, 0, 0, 0.0, driver)


def _zone(driver: Any, name: str) -> EC2NodeLocation:
    """A zone as `create_volume` takes it: the driver for Eucalyptus has no `list_locations`."""
    zone = next(one for one in driver.ex_list_availability_zones() if one.name == name)
    return EC2NodeLocation(0, name, "", driver, zone)


def _state(driver: Any, node: Any) -> str:
    """The state in EC2's word: the driver for Eucalyptus knows no `NodeState` for a stopped node."""
    return str(next(one for one in driver.list_nodes(ex_node_ids=[node.id]) if one.id == node.id).extra["status"])


def _volume(driver: Any, volume: Any) -> Any:
    return next(one for one in driver.list_volumes() if one.id == volume.id)


def _snapshot(driver: Any, snapshot: Any) -> Any:
    return next(one for one in driver.list_snapshots() if one.id == snapshot.id)
