"""Two Isthmus over one store: what both are asked for at the same moment is made once in a real OpenStack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import real_openstack
from botocore.exceptions import ClientError
from served import Account, client, serving


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    """A client of `demo` for each."""
    place = tmp_path_factory.mktemp("two")
    settings = place / "isthmus.toml"
    settings.write_text(real_openstack.settings())
    keys, words = real_openstack.seeded("demo"), ("--config", str(settings))
    with serving(place / "state", *words) as one, serving(place / "state", *words) as other:
        clients = [client(Account("", keys.access, keys.secret, each.endpoint)) for each in (one, other)]
        for each in clients:
            each.describe_vpcs()
        yield clients


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What each answers, or the code that it is refused with; all begin together."""
    gate = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        gate.wait()
        try:
            return call()
        except ClientError as error:
            return error.response["Error"]["Code"]

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.fixture
def vpc(both: list[Any]) -> Iterator[str]:
    ec2 = both[0]
    made = ec2.create_vpc(CidrBlock="10.79.0.0/16")["Vpc"]["VpcId"]
    yield made
    mine = [{"Name": "vpc-id", "Values": [made]}]
    for one in ec2.describe_subnets(Filters=mine)["Subnets"]:
        ec2.delete_subnet(SubnetId=one["SubnetId"])
    attached = [{"Name": "attachment.vpc-id", "Values": [made]}]
    for one in ec2.describe_internet_gateways(Filters=attached)["InternetGateways"]:
        ec2.detach_internet_gateway(InternetGatewayId=one["InternetGatewayId"], VpcId=made)
        ec2.delete_internet_gateway(InternetGatewayId=one["InternetGatewayId"])
    for one in ec2.describe_security_groups(Filters=mine)["SecurityGroups"]:
        if one["GroupName"] != "default":
            ec2.delete_security_group(GroupId=one["GroupId"])
    ec2.delete_vpc(VpcId=made)


def routers() -> set[str]:
    return {one.id for one in real_openstack.connection("demo").network.routers()}


def test_the_first_subnets_of_a_vpc_have_one_router(both: list[Any], vpc: str) -> None:
    before = routers()

    made = at_once(
        lambda: both[0].create_subnet(VpcId=vpc, CidrBlock="10.79.0.0/24"),
        lambda: both[1].create_subnet(VpcId=vpc, CidrBlock="10.79.1.0/24"),
    )

    assert all("Subnet" in one for one in made), made
    [router] = routers() - before
    network = real_openstack.connection("demo").network
    inside = {fixed["subnet_id"] for port in network.ports(device_id=router) for fixed in port.fixed_ips}
    assert 2 == len(inside)


def test_a_subnet_and_a_way_outside_have_one_router(both: list[Any], vpc: str) -> None:
    before = routers()
    gateway = both[0].create_internet_gateway()["InternetGateway"]["InternetGatewayId"]

    made = at_once(
        lambda: both[0].attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc),
        lambda: both[1].create_subnet(VpcId=vpc, CidrBlock="10.79.0.0/24"),
    )

    assert "Subnet" in made[1], made
    [router] = routers() - before
    assert real_openstack.connection("demo").network.get_router(router).external_gateway_info


def test_of_two_groups_of_one_name_one_is_made(both: list[Any], vpc: str) -> None:
    asked = {"GroupName": "twice", "Description": "twice", "VpcId": vpc}

    made = at_once(*(lambda ec2=ec2: ec2.create_security_group(**asked) for ec2 in both))

    assert ["InvalidGroup.Duplicate"] == [one for one in made if isinstance(one, str)]
    [group] = [one for one in real_openstack.connection("demo").network.security_groups() if one.name == "twice"]
    assert group
