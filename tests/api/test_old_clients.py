"""boto 2.49 and libcloud 3.9 as they are, in one process: only what carries their bytes is ours."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from house import House
from requests.adapters import BaseAdapter

from isthmus.aws.request import Request

HOST = "127.0.0.1:8788"


class Wire:
    """What boto 2 takes for an HTTP connection."""

    def __init__(self, house: House) -> None:
        self._house = house

    def request(self, method: str, path: str, body: Any = None, headers: Any = None) -> None:
        path, _, query = path.partition("?")
        said = {"host": HOST, **{name.lower(): str(value) for name, value in headers.items()}}
        body = body.encode() if isinstance(body, str) else body or b""
        self._answer = self._house.front.handle(Request(method, path, query, said, body))

    def getresponse(self) -> Any:
        answer = self._answer
        self.status, self.reason, self.msg = answer.status, "", {}
        self._body = io.BytesIO(answer.body)
        return self

    def read(self, size: int = -1) -> bytes:
        return self._body.read(size)

    def getheader(self, _: str, default: Any = None) -> Any:
        return default

    def getheaders(self) -> list[tuple[str, str]]:
        return []

    def close(self) -> None:
        """There is nothing open."""


@pytest.fixture(params=["2", "4"])
def boto(house: House, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Any:
    """Version 2014-10-01, with either signature."""
    from boto.regioninfo import RegionInfo
    from boto.vpc import VPCConnection

    monkeypatch.setenv("EC2_USE_SIGV4", "1" if request.param == "4" else "")
    _, key, secret = house.account
    made = VPCConnection(
        key, secret, is_secure=False, port=8788, region=RegionInfo(name="here", endpoint="127.0.0.1"), path="/"
    )
    monkeypatch.setattr(made, "get_http_connection", lambda *_: Wire(house))
    monkeypatch.setattr(made, "num_retries", 0)
    return made


class Adapter(BaseAdapter):
    """What libcloud's session sends through."""

    def __init__(self, house: House) -> None:
        super().__init__()
        self._house = house

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        url = urlsplit(request.url)
        headers = {"host": url.netloc, **{name.lower(): str(value) for name, value in request.headers.items()}}
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        answer = self._house.front.handle(Request(request.method, url.path, url.query, headers, body))
        response = requests.Response()
        response.status_code, response.raw, response.url = answer.status, io.BytesIO(answer.body), request.url
        response.request = request
        return response

    def close(self) -> None:
        """There is nothing open."""


@pytest.fixture(params=["2", "4"])
def libcloud(house: House, request: pytest.FixtureRequest) -> Any:
    from libcloud.compute.drivers.ec2 import EC2NodeDriver

    _, key, secret = house.account
    version = {} if request.param == "2" else {"signature_version": "4"}
    driver = EC2NodeDriver(key, secret, secure=False, host="127.0.0.1", port=8788, region="us-east-1", **version)
    driver.connection.connect()
    driver.connection.connection.session.mount("http://", Adapter(house))
    return driver


@pytest.fixture
def furnished(house: House, ec2: Any, launched: str) -> str:
    """One of everything that old clients list; the instance's id."""
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    address = ec2.allocate_address()["AllocationId"]
    house.settle(6)
    ec2.create_snapshot(VolumeId=volume)
    ec2.associate_address(AllocationId=address, InstanceId=launched)
    ec2.create_tags(Resources=[launched, volume], Tags=[{"Key": "Name", "Value": "old"}])
    ec2.create_key_pair(KeyName="k")
    return launched


LISTS = {
    "get_all_reservations": "id",
    "get_all_instance_status": "id",
    "get_all_volumes": "id",
    "get_all_snapshots": "id",
    "get_all_images": "id",
    "get_all_security_groups": "id",
    "get_all_addresses": "allocation_id",
    "get_all_key_pairs": "name",
    "get_all_zones": "name",
    "get_all_regions": "name",
    "get_all_tags": "res_id",
    "get_all_vpcs": "id",
    "get_all_subnets": "id",
    "get_all_network_interfaces": "id",
}


@pytest.mark.parametrize("name", LISTS)
def test_boto_2_reads_every_list_to_its_end(boto, furnished, name):
    found = getattr(boto, name)()

    assert found
    assert all(getattr(one, LISTS[name]) for one in found)


def test_boto_2_sees_every_network(boto, ec2):
    assert [vpc.id for vpc in boto.get_all_vpcs()] == [vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"]]
    [vpc] = boto.get_all_vpcs()
    assert (vpc.cidr_block, vpc.is_default, vpc.state) == ("172.31.0.0/16", True, "available")


def test_boto_2_runs_a_machine_from_its_first_to_its_last_day(boto, house, image):
    reservation = boto.run_instances(image, instance_type="t3.micro", user_data="#!/bin/sh\n" + "é" * 100)
    [made] = reservation.instances
    house.settle(6)
    assert made.update() == "running"

    made.add_tag("Name", "")
    assert boto.get_all_tags({"resource-id": made.id})[0].value == ""
    assert boto.get_console_output(made.id).instance_id == made.id
    assert boto.get_instance_attribute(made.id, "disableApiTermination")["disableApiTermination"] is False
    volume = boto.create_volume(1, "us-east-1a")
    house.settle(6)
    assert boto.attach_volume(volume.id, made.id, "/dev/sdf")
    house.settle(6)
    assert volume.update() == "in-use"
    assert boto.detach_volume(volume.id)
    house.settle(6)
    assert boto.delete_volume(volume.id)
    assert boto.reboot_instances([made.id])
    address = boto.allocate_address()
    assert boto.associate_address(made.id, address.public_ip)
    [held] = boto.get_all_addresses()
    assert boto.disassociate_address(association_id=held.association_id)
    assert boto.release_address(allocation_id=held.allocation_id)
    assert [one.id for one in boto.stop_instances([made.id])] == [made.id]
    house.settle(6)
    assert [one.id for one in boto.terminate_instances([made.id])] == [made.id]


def test_boto_2_makes_and_drops_a_group_with_rules(boto):
    group = boto.create_security_group("old", "of an old client")

    assert group.authorize("tcp", 22, 22, "0.0.0.0/0")
    [found] = boto.get_all_security_groups(group_ids=[group.id])
    assert [(rule.from_port, [grant.cidr_ip for grant in rule.grants]) for rule in found.rules] == [
        ("22", ["0.0.0.0/0"])
    ]
    assert group.revoke("tcp", 22, 22, "0.0.0.0/0")
    assert group.delete()


def test_boto_2_understands_a_refusal(boto):
    from boto.exception import EC2ResponseError

    with pytest.raises(EC2ResponseError) as refused:
        boto.get_only_instances(["i-0123456789abcdef0"])

    assert (refused.value.status, refused.value.error_code) == (400, "InvalidInstanceID.NotFound")
    assert refused.value.request_id


def test_libcloud_lists_what_there_is(libcloud, furnished):
    [node] = libcloud.list_nodes()

    assert (node.id, node.name) == (furnished, "old")
    assert node.public_ips
    assert libcloud.list_images()
    assert libcloud.list_locations()
    assert libcloud.list_volumes()
    assert libcloud.list_snapshots()
    assert libcloud.list_key_pairs()
    assert libcloud.ex_list_networks()
    assert libcloud.ex_list_subnets()
    assert libcloud.ex_get_security_groups()


def test_libcloud_runs_a_machine_from_its_first_to_its_last_day(libcloud, house, image):
    size = next(one for one in libcloud.list_sizes() if one.id == "t3.micro")
    node = libcloud.create_node("old", image=libcloud.get_image(image), size=size)
    house.settle(6)

    assert libcloud.ex_create_tags(node, {"a": ""})
    assert libcloud.ex_describe_tags(node)["a"] in ("", None)
    assert libcloud.reboot_node(node)
    volume = libcloud.create_volume(1, "data", location=libcloud.list_locations()[0])
    house.settle(6)
    assert libcloud.attach_volume(node, volume, "/dev/sdf")
    house.settle(6)
    assert libcloud.detach_volume(volume)
    house.settle(6)
    assert libcloud.destroy_volume(volume)
    address = libcloud.ex_allocate_address(domain="vpc")
    assert libcloud.ex_associate_address_with_node(node, address)
    [address] = libcloud.ex_describe_all_addresses()
    assert libcloud.ex_disassociate_address(address, domain="vpc")
    assert libcloud.ex_release_address(address, domain="vpc")
    assert libcloud.stop_node(node)
    house.settle(6)
    assert libcloud.destroy_node(node)


def test_libcloud_understands_a_refusal(libcloud):
    with pytest.raises(Exception, match="InvalidAMIID.NotFound"):
        libcloud.get_image("ami-0123456789abcdef0")


def test_the_drivers_of_other_clouds_find_their_path(house, furnished):
    from libcloud.compute.drivers.ec2 import EucNodeDriver

    _, key, secret = house.account
    driver = EucNodeDriver(key, secret, secure=False, host="127.0.0.1", port=8788)
    driver.connection.connect()
    driver.connection.connection.session.mount("http://", Adapter(house))

    assert [node.id for node in driver.list_nodes()] == [furnished]
