"""Apache Libcloud's EC2 drivers: GET requests, signed the old way unless told otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from served import Account, eventually

pytestmark = pytest.mark.clients

libcloud = pytest.importorskip("libcloud", reason="apache-libcloud is not installed")
from libcloud.common.exceptions import BaseHTTPError  # noqa: E402
from libcloud.compute.base import NodeImage, NodeSize  # noqa: E402
from libcloud.compute.providers import get_driver  # noqa: E402
from libcloud.compute.types import NodeState, Provider  # noqa: E402

DRIVERS: dict[str, Callable[[Account], Any]] = {
    "sigv2": lambda account: _driver(Provider.EC2, account, region="us-east-1"),
    "sigv4": lambda account: _driver(Provider.EC2, account, region="us-east-1", signature_version="4"),
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

    size = next(one for one in driver.list_sizes() if one.id == "t3.micro")
    subnet = driver.ex_list_subnets()[0]
    node = driver.create_node(
        name="one", image=NodeImage(image, "", driver), size=size, ex_keyname="mine", ex_security_group_ids=[group],
        ex_subnet=subnet, ex_metadata={"Role": "web"}, ex_userdata="#!/bin/sh\n",
    )  # fmt: skip
    eventually(lambda: _state(driver, node), lambda state: state == NodeState.RUNNING)
    [seen] = driver.list_nodes()
    assert ["one", "web", "mine"] == [seen.name, seen.extra["tags"]["Role"], seen.extra["key_name"]]
    assert driver.ex_create_tags(node, {"Owner": "tests"})
    assert "tests" == driver.ex_describe_tags(node)["Owner"]
    assert "server one" in driver.ex_get_console_output(node)["output"]
    assert driver.reboot_node(node)

    zone = next(one for one in driver.list_locations() if one.name == seen.extra["availability"])
    volume = driver.create_volume(1, "data", location=zone)
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
    eventually(lambda: _state(driver, node), lambda state: state == NodeState.STOPPED)
    assert driver.ex_modify_instance_attribute(node, {"InstanceType.Value": "t3.small"})
    assert driver.start_node(node)
    eventually(lambda: _state(driver, node), lambda state: state == NodeState.RUNNING)
    copy = driver.create_image(node, "copied", reboot=False)
    eventually(lambda: driver.get_image(copy.id).extra["state"], lambda state: state == "available")
    assert driver.delete_image(copy)
    assert driver.destroy_node(node)
    eventually(lambda: _state(driver, node), lambda state: state == NodeState.TERMINATED)
    assert driver.ex_delete_security_group_by_id(group)
    assert driver.delete_key_pair(key)


def test_all_listings_are_understood(driver: Any, image: str) -> None:
    assert image in [one.id for one in driver.list_images()]
    assert image == driver.get_image(image).id
    assert driver.list_locations()
    assert driver.ex_list_availability_zones()
    assert ["default"] == [one.name for one in driver.ex_get_security_groups()]
    [network] = driver.ex_list_networks()
    assert {network.id} == {one.extra["vpc_id"] for one in driver.ex_list_subnets()}
    assert driver.ex_get_limits()["resource"]
    assert [] == driver.list_nodes()
    assert [] == driver.list_volumes()
    assert [] == driver.list_snapshots(owner="self")
    assert [] == driver.list_key_pairs()
    assert [] == driver.ex_describe_all_addresses()


def test_errors_are_understood(driver: Any) -> None:
    with pytest.raises((BaseHTTPError, Exception), match=r"InvalidInstanceID\.NotFound"):
        driver.list_nodes(ex_node_ids=["i-0123456789abcdef0"])


def test_the_eucalyptus_driver_finds_us_at_its_path(account: Account, image: str) -> None:
    driver = _driver(Provider.EUCALYPTUS, account, path="/services/Eucalyptus")
    size = NodeSize("m1.small", "m1.small", 0, 0, 0, 0.0, driver)  # its own list of sizes is Eucalyptus's own words
    node = driver.create_node(name="one", image=NodeImage(image, "", driver), size=size)
    eventually(lambda: _state(driver, node), lambda state: state == NodeState.RUNNING)

    assert [node.id] == [one.id for one in driver.list_nodes()]
    assert driver.destroy_node(node)


def _state(driver: Any, node: Any) -> Any:
    return driver.list_nodes(ex_node_ids=[node.id])[0].state


def _volume(driver: Any, volume: Any) -> Any:
    return next(one for one in driver.list_volumes() if one.id == volume.id)


def _snapshot(driver: Any, snapshot: Any) -> Any:
    return next(one for one in driver.list_snapshots() if one.id == snapshot.id)
